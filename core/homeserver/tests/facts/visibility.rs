//! Who sees which part of a room's history (HV).

use crate::common::{bodies, code, public_room, say, strangers, with_peer};
use roomlet_homeserver::{Code, RoomId};
use roomlet_world::{Server, encode, object};

async fn set_visibility(a: &Server, alice: &roomlet_homeserver::UserId, room: &RoomId, value: &str) {
    let content = format!(r#"{{"history_visibility":"{value}"}}"#);
    a.hs.set_state(alice, room, "m.room.history_visibility", "", &content, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_member_sees_as_much_as_the_visibility_says() {
    let cases: [(&str, &[&str]); 4] = [
        ("joined", &["joined"]),
        ("invited", &["invited", "joined"]),
        ("shared", &["early", "invited", "joined"]),
        ("world_readable", &["early", "invited", "joined"]),
    ];
    for (visibility, expected) in cases {
        // On the same server, and from another one, which has to fetch it.
        for remote in [false, true] {
            let (world, a, b, alice, bob) = strangers().await;
            let carol = a.account("carol").await;
            let room = public_room(&a, &alice, "10").await;
            set_visibility(&a, &alice, &room, visibility).await;
            let (hs, user) = if remote { (&b.hs, &bob) } else { (&a.hs, &carol) };
            say(&a.hs, &alice, &room, "early").await;
            a.hs.invite(&alice, &room, user, None).await.unwrap();
            say(&a.hs, &alice, &room, "invited").await;
            hs.join(user, &room, &[]).await.unwrap();
            say(&a.hs, &alice, &room, "joined").await;
            world.quiet().await;
            let seen = bodies(hs, user, &room).await;
            // Another server gives the whole of what its users may see; the rest comes without content.
            let seen: Vec<&str> = seen
                .iter()
                .map(String::as_str)
                .filter(|body| *body != "{}")
                .collect();
            assert_eq!(seen, expected, "{visibility}, remote: {remote}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_world_readable_room_is_read_without_joining() {
    let (_world, a, _b, alice, _) = strangers().await;
    let carol = a.account("carol").await;
    let room = public_room(&a, &alice, "10").await;
    say(&a.hs, &alice, &room, "hidden").await;
    assert!(bodies(&a.hs, &carol, &room).await.is_empty());
    set_visibility(&a, &alice, &room, "world_readable").await;
    say(&a.hs, &alice, &room, "open").await;
    assert_eq!(bodies(&a.hs, &carol, &room).await, ["open"]);
    assert_eq!(code(a.hs.state(&carol, &room).await), Code::NotJoined);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_hidden_from_a_user_is_unknown_to_them() {
    let (_world, a, _b, alice, _) = strangers().await;
    let carol = a.account("carol").await;
    let room = public_room(&a, &alice, "10").await;
    set_visibility(&a, &alice, &room, "joined").await;
    let id = roomlet_homeserver::EventId::parse(&say(&a.hs, &alice, &room, "before").await).unwrap();
    a.hs.join(&carol, &room, &[]).await.unwrap();
    assert_eq!(code(a.hs.event(&carol, &room, &id).await), Code::UnknownEvent);
    assert_eq!(
        a.hs.event(&alice, &room, &id).await.unwrap().content,
        r#"{"body":"before"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_gets_events_from_before_its_join_redacted() {
    let test = with_peer("10").await;
    let (a, room) = (&test.a, &test.room.id);
    set_visibility(a, &test.alice, room, "joined").await;
    let leave = test.peer.event(
        &test.room,
        &test.mallory,
        "m.room.member",
        Some(&test.mallory),
        r#"{"membership":"leave"}"#,
    );
    test.peer.send(&a.hs, "1", &[leave]).await;
    let hidden = say(&a.hs, &test.alice, room, "hidden").await;
    test.peer.join(&a.hs, room, &test.mallory).await;
    let target = format!("/_matrix/federation/v1/event/{}", encode(&hidden));
    let reply = test.peer.ask(&a.hs, "GET", &target, None).await;
    assert_eq!(reply.events("pdus")[0]["content"], object("{}").into());
    let shown = say(&a.hs, &test.alice, room, "shown").await;
    let target = format!("/_matrix/federation/v1/event/{}", encode(&shown));
    let reply = test.peer.ask(&a.hs, "GET", &target, None).await;
    assert_eq!(
        reply.events("pdus")[0]["content"],
        object(r#"{"body":"shown"}"#).into()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_in_the_room_gets_nothing() {
    let test = with_peer("10").await;
    let stranger = test.world.peer("stranger.test");
    let said = say(&test.a.hs, &test.alice, &test.room.id, "ours").await;
    let (room, event) = (encode(&test.room.id), encode(&said));
    for target in [
        format!("/_matrix/federation/v1/event/{event}"),
        format!("/_matrix/federation/v1/state/{room}?event_id={event}"),
        format!("/_matrix/federation/v1/state_ids/{room}?event_id={event}"),
        format!("/_matrix/federation/v1/event_auth/{room}/{event}"),
        format!("/_matrix/federation/v1/backfill/{room}?v={event}&limit=10"),
    ] {
        let reply = stranger.ask(&test.a.hs, "GET", &target, None).await;
        assert_eq!(
            (reply.status, reply.text("errcode")),
            (403, "M_FORBIDDEN"),
            "{target}"
        );
    }
}
