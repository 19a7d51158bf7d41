//! Redactions take effect when both events are there and the sender may (EV-12).

use crate::common::{code, say, two, with_peer};
use roomlet_homeserver::{Code, EventId, RoomUpdate};
use roomlet_wire::{Map, Value};
use roomlet_world::{PeerRoom, object};

/// A redaction in the form of the room's version.
fn redaction(test: &crate::common::WithPeer, room: &PeerRoom, target: &EventId) -> roomlet_wire::Map {
    let content = if room.version.redacts_in_content {
        object(&format!(r#"{{"redacts":"{target}"}}"#))
    } else {
        object("{}")
    };
    let mut event = room.draft(
        &test.mallory,
        "m.room.redaction",
        None,
        content,
        test.peer.now_ms(),
    );
    if !room.version.redacts_in_content {
        event.insert("redacts".into(), target.as_str().into());
    }
    test.peer.signed(event, room.version)
}

#[tokio::test(start_paused = true)]
async fn a_redaction_takes_the_content_on_every_server() {
    for version in ["10", "11", "I.1"] {
        let test = two(version).await;
        let said = EventId::parse(&say(&test.b.hs, &test.bob, &test.room, "oops").await).unwrap();
        test.world.quiet().await;
        let by = test
            .a
            .hs
            .redact(&test.alice, &test.room, &said, Some("rude"), None)
            .await
            .unwrap();
        test.world.quiet().await;
        for (hs, user) in [(&test.a.hs, &test.alice), (&test.b.hs, &test.bob)] {
            let event = hs.event(user, &test.room, &said).await.unwrap();
            assert_eq!(
                (event.content.as_str(), event.redacted_by),
                ("{}", Some(by.clone())),
                "{version}"
            );
        }
        let redacted = RoomUpdate::Redacted {
            room_id: test.room.clone(),
            event: said,
            by,
        };
        assert!(test.b.updates().await.contains(&redacted));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redaction_that_is_asked_for_again_is_the_same_one() {
    let test = two("10").await;
    let said = EventId::parse(&say(&test.b.hs, &test.bob, &test.room, "oops").await).unwrap();
    let redact = async || {
        let redacted = test.b.hs.redact(&test.bob, &test.room, &said, None, Some("1"));
        redacted.await
    };
    let by = redact().await.unwrap();
    assert_eq!(redact().await, Ok(by.clone()));
    // Also by who could not redact any more.
    test.b.hs.leave(&test.bob, &test.room, None).await.unwrap();
    assert_eq!(redact().await, Ok(by));
}

#[tokio::test(start_paused = true)]
async fn a_redaction_waits_for_its_target() {
    for version in ["10", "11"] {
        let test = with_peer(version).await;
        let target = test.peer.event(
            &test.room,
            &test.mallory,
            "test.message",
            None,
            r#"{"body":"oops"}"#,
        );
        let id = test.room.id_of(&target);
        // Beside its target, not after it: else it would wait for it in any case.
        let redaction = redaction(&test, &test.room, &id);
        let by = test.room.id_of(&redaction);
        test.peer.send(&test.a.hs, "1", &[redaction]).await;
        assert_eq!(
            code(test.a.hs.event(&test.alice, &test.room.id, &id).await),
            Code::UnknownEvent
        );
        test.peer.send(&test.a.hs, "2", &[target]).await;
        let event = test.a.hs.event(&test.alice, &test.room.id, &id).await.unwrap();
        assert_eq!(
            (event.content.as_str(), event.redacted_by),
            ("{}", Some(by)),
            "{version}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_redaction_without_power_is_an_event_without_effect() {
    let test = with_peer("10").await;
    let said = EventId::parse(&say(&test.a.hs, &test.alice, &test.room.id, "stays").await).unwrap();
    let redaction = redaction(&test, &test.room, &said);
    let id = test.room.id_of(&redaction);
    let results = test.peer.send(&test.a.hs, "1", &[redaction]).await;
    assert_eq!(results[id.as_str()], object("{}").into());
    let event = test.a.hs.event(&test.alice, &test.room.id, &said).await.unwrap();
    assert_eq!(
        (event.content.as_str(), event.redacted_by),
        (r#"{"body":"stays"}"#, None)
    );
    assert_eq!(
        test.a
            .hs
            .event(&test.alice, &test.room.id, &id)
            .await
            .unwrap()
            .redacts,
        Some(said)
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_without_power_redacts_only_what_their_server_sent() {
    let test = two("I.1").await;
    let hers = EventId::parse(&say(&test.a.hs, &test.alice, &test.room, "hers").await).unwrap();
    let his = EventId::parse(&say(&test.b.hs, &test.bob, &test.room, "his").await).unwrap();
    test.world.quiet().await;
    assert_eq!(
        code(test.b.hs.redact(&test.bob, &test.room, &hers, None, None).await),
        Code::Denied
    );
    test.b
        .hs
        .redact(&test.bob, &test.room, &his, None, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_holds_the_room_together_cannot_be_redacted() {
    let test = two("10").await;
    let create = test
        .a
        .hs
        .state_event(&test.alice, &test.room, "m.room.create", "")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        code(
            test.a
                .hs
                .redact(&test.alice, &test.room, &create.event_id, None, None)
                .await
        ),
        Code::Denied
    );
}

#[tokio::test(start_paused = true)]
async fn a_redacted_event_is_served_redacted_and_stays_so_after_a_restart() {
    let mut test = with_peer("10").await;
    let said = EventId::parse(&say(&test.a.hs, &test.alice, &test.room.id, "secret").await).unwrap();
    test.a
        .hs
        .redact(&test.alice, &test.room.id, &said, None, None)
        .await
        .unwrap();
    test.a.restart().await;
    let target = format!("/_matrix/federation/v1/event/{}", roomlet_world::encode(&said));
    let reply = test.peer.ask(&test.a.hs, "GET", &target, None).await;
    let served = &reply.events("pdus")[0];
    assert_eq!(served["content"], object("{}").into());
    assert_eq!(test.room.id_of(served), said);
}

/// The peer's user takes back a name that nobody saw; then comes what was said under it, after a state that has the name.
#[tokio::test(start_paused = true)]
async fn what_was_redacted_before_it_came_shows_nothing_in_a_state_either() {
    let mut test = with_peer("10").await;
    test.world.quiet().await;
    let before = test.room.clone();
    let content = r#"{"displayname":"oops","membership":"join"}"#;
    let (kind, key) = ("m.room.member", Some(test.mallory.as_str()));
    let named = test.peer.event(&before, &test.mallory, kind, key, content);
    let id = test.room.push(&named);
    let redaction = redaction(&test, &before, &id);
    test.peer.send(&test.a.hs, "1", &[redaction]).await;
    let chain = Map::from([("auth_chain".to_owned(), Value::Array(vec![named.into()]))]);
    test.peer.answer_with("/_matrix/federation/v1/event_auth/", chain);
    test.peer.tells_state_ids(&test.room);
    test.peer.say(&mut test.room, &test.mallory, "unseen");
    let said = test.peer.say(&mut test.room, &test.mallory, "said");
    test.peer.send(&test.a.hs, "2", &[said]).await;
    test.world.quiet().await;
    let state = test.a.hs.state(&test.alice, &test.room.id).await.unwrap();
    let named = state.into_iter().find(|event| event.event_id == id).unwrap();
    assert_eq!(named.content, r#"{"membership":"join"}"#);
}
