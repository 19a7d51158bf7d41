//! Rooms of every version: made, joined, moderated, apart and together again.

use crate::common::{bodies, history, membership, public_room, say, state, strangers, two, with_peer};
use roomlet_homeserver::{Code, CreateRoom, EventId, RoomEvent, RoomId, RoomVersion, UserId};
use roomlet_wire::{hash, json};
use roomlet_world::Server;

pub(crate) fn versions() -> impl Iterator<Item = &'static RoomVersion> {
    RoomVersion::supported().filter_map(RoomVersion::get)
}

/// The current state as a user sees it: type, state key and event.
pub(crate) async fn present(server: &Server, user: &UserId, room: &RoomId) -> Vec<(String, String, EventId)> {
    let events = server.hs.state(user, room).await.unwrap();
    let place = |event: RoomEvent| (event.kind, event.state_key.unwrap_or_default(), event.event_id);
    events.into_iter().map(place).collect()
}

#[test]
fn there_are_fourteen_versions() {
    let ids: Vec<&str> = RoomVersion::supported().collect();
    let wanted = "1 2 3 4 5 6 7 8 9 10 11 12 I.1 org.matrix.msc1767.10";
    assert_eq!(ids.join(" "), wanted);
}

#[tokio::test(start_paused = true)]
async fn rooms_of_every_version_are_one_on_two_servers() {
    for version in versions() {
        let v = version.id;
        let mut test = two(v).await;
        let (room, alice, bob) = (test.room.clone(), test.alice.clone(), test.bob.clone());
        assert_eq!(room.contains(':'), !version.room_id_is_create_hash, "{v}");

        // Talk, then a redaction.
        say(&test.a.hs, &alice, &room, "hello").await;
        let oops = say(&test.b.hs, &bob, &room, "oops").await;
        let oops = EventId::parse(&oops).unwrap();
        test.world.quiet().await;
        test.a.hs.redact(&alice, &room, &oops, None, None).await.unwrap();
        test.world.quiet().await;
        for (hs, user) in [(&test.a.hs, &alice), (&test.b.hs, &bob)] {
            assert_eq!(hs.event(user, &room, &oops).await.unwrap().content, "{}", "{v}");
        }

        // A third server; kick, ban, unban, and its return.
        let c = test.world.server("c.test").await;
        let carol = c.account("carol").await;
        let via = [test.b.name.clone()];
        c.hs.join(&carol, &room, &via).await.unwrap();
        test.world.quiet().await;
        test.a.hs.kick(&alice, &room, &carol, Some("calm")).await.unwrap();
        test.world.quiet().await;
        assert_eq!(membership(&test.b.hs, &bob, &room, &carol).await, "leave", "{v}");
        test.a.hs.ban(&alice, &room, &carol, None).await.unwrap();
        test.world.quiet().await;
        let refused = c.hs.join(&carol, &room, &via).await.unwrap_err();
        assert_eq!(refused.code(), Code::Remote, "{v}: {refused:?}");
        test.a.hs.unban(&alice, &room, &carol, None).await.unwrap();
        test.a.hs.invite(&alice, &room, &carol, None).await.unwrap();
        c.hs.join(&carol, &room, &[]).await.unwrap();
        test.world.quiet().await;

        // Apart: both change the same state, and each goes on.
        let levels = state(&test.a.hs, &alice, &room, "m.room.power_levels")
            .await
            .unwrap();
        let levels = match levels.contains(r#""users":{}"#) {
            true => levels.replace(r#""users":{"#, &format!(r#""users":{{"{bob}":60"#)),
            false => levels.replace(r#""users":{"#, &format!(r#""users":{{"{bob}":60,"#)),
        };
        test.a
            .hs
            .set_state(&alice, &room, "m.room.power_levels", "", &levels, None)
            .await
            .unwrap();
        test.world.quiet().await;
        test.world.network.cut(&test.a.name, &test.b.name);
        test.world.network.cut(&c.name, &test.b.name);
        for (server, user, topic) in [(&test.a, &alice, "a"), (&test.b, &bob, "b")] {
            say(&server.hs, user, &room, topic).await;
            let topic = format!(r#"{{"topic":"{topic}"}}"#);
            server
                .hs
                .set_state(user, &room, "m.room.topic", "", &topic, None)
                .await
                .unwrap();
        }
        test.world.quiet().await;
        test.world.network.heal();
        for hs in [&test.a.hs, &test.b.hs, &c.hs] {
            hs.wake();
        }
        test.world.quiet().await;
        say(&test.a.hs, &alice, &room, "together").await;
        test.world.quiet().await;

        // One room, before and after a restart.
        test.b.restart().await;
        let (at_a, at_b, at_c) = (
            present(&test.a, &alice, &room).await,
            present(&test.b, &bob, &room).await,
            present(&c, &carol, &room).await,
        );
        assert_eq!(at_a, at_b, "{v}");
        assert_eq!(at_a, at_c, "{v}");
        let topic = state(&test.a.hs, &alice, &room, "m.room.topic").await.unwrap();
        assert!(
            [r#"{"topic":"a"}"#, r#"{"topic":"b"}"#].contains(&topic.as_str()),
            "{v}: {topic}"
        );
        let ids = |events: Vec<RoomEvent>| {
            let mut ids: Vec<EventId> = events.into_iter().map(|event| event.event_id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(
            ids(history(&test.a.hs, &alice, &room).await),
            ids(history(&test.b.hs, &bob, &room).await),
            "{v}"
        );
        let mut said = bodies(&test.b.hs, &bob, &room).await;
        said.sort_unstable();
        assert_eq!(said, ["a", "b", "hello", "together", "{}"], "{v}");
    }
}

#[tokio::test(start_paused = true)]
async fn restricted_rooms_of_every_version_that_has_them() {
    for version in versions() {
        let (world, a, b, alice, bob) = strangers().await;
        let club = public_room(&a, &alice, version.id).await;
        let room = public_room(&a, &alice, version.id).await;
        let via = [a.name.clone()];
        b.hs.join(&bob, &club, &via).await.unwrap();
        let rules = format!(
            r#"{{"allow":[{{"room_id":"{club}","type":"m.room_membership"}}],"join_rule":"restricted"}}"#
        );
        a.hs.set_state(&alice, &room, "m.room.join_rules", "", &rules, None)
            .await
            .unwrap();
        let joined = b.hs.join(&bob, &room, &via).await;
        if !version.restricted {
            // The rule is unknown to such a version, so nobody may join by it.
            assert_eq!(joined.unwrap_err().code(), Code::Remote, "{}", version.id);
            continue;
        }
        joined.unwrap();
        world.quiet().await;
        let join =
            a.hs.state_event(&alice, &room, "m.room.member", &bob)
                .await
                .unwrap()
                .unwrap();
        assert_eq!(
            join.content, r#"{"join_authorised_via_users_server":"@alice:a.test","membership":"join"}"#,
            "{}",
            version.id
        );
    }
}

#[tokio::test(start_paused = true)]
async fn invites_to_rooms_of_every_version() {
    for version in versions() {
        let (world, a, b, alice, bob) = strangers().await;
        let create = CreateRoom {
            version: Some(version.id.into()),
            invite: vec![bob.clone()],
            name: Some("Tea".into()),
            ..CreateRoom::default()
        };
        let room = a.hs.create_room(&alice, create).await.unwrap();
        let preview = b.hs.invite_preview(&bob, &room).await.unwrap();
        assert!(preview.contains(r#"{"name":"Tea"}"#), "{}: {preview}", version.id);
        b.hs.join(&bob, &room, &[]).await.unwrap();
        say(&b.hs, &bob, &room, "thanks").await;
        world.quiet().await;
        assert_eq!(bodies(&a.hs, &alice, &room).await, ["thanks"], "{}", version.id);
    }
}

/// The content of a state event, as an object.
pub(crate) async fn content(server: &Server, user: &UserId, room: &RoomId, kind: &str) -> String {
    state(&server.hs, user, room, kind)
        .await
        .unwrap_or_else(|| "none".into())
}

/// What is left of a content when its event is redacted, per version: the specification's pages of versions 1, 6, 8, 9
/// and 11.
#[tokio::test(start_paused = true)]
async fn redactions_leave_what_the_version_says() {
    for version in versions() {
        let mut test = two(version.id).await;
        let (alice, bob, room) = (test.alice.clone(), test.bob.clone(), test.room.clone());
        let number = match version.id {
            "I.1" | "org.matrix.msc1767.10" => 10,
            id => id.parse::<u32>().unwrap(),
        };
        let rules = r#"{"allow":[],"join_rule":"public","x":1}"#;
        let powers = content(&test.a, &alice, &room, "m.room.power_levels").await;
        let cases = [
            (
                "m.room.join_rules",
                rules,
                match number {
                    8.. => r#"{"allow":[],"join_rule":"public"}"#.to_owned(),
                    _ => r#"{"join_rule":"public"}"#.to_owned(),
                },
            ),
            (
                "m.room.power_levels",
                powers.as_str(),
                match number {
                    11.. => powers.clone(),
                    _ => powers.replace(r#""invite":50,"#, ""),
                },
            ),
            (
                "m.room.history_visibility",
                r#"{"history_visibility":"shared","x":1}"#,
                r#"{"history_visibility":"shared"}"#.to_owned(),
            ),
            (
                "m.room.aliases",
                r##"{"aliases":["#a:a.test"]}"##,
                match number {
                    6.. => "{}".to_owned(),
                    _ => r##"{"aliases":["#a:a.test"]}"##.to_owned(),
                },
            ),
            ("m.room.topic", r#"{"topic":"oops"}"#, "{}".to_owned()),
        ];
        for (kind, before, after) in cases {
            let key = if kind == "m.room.aliases" { "a.test" } else { "" };
            let event = test.a.hs.set_state(&alice, &room, kind, key, before, None).await;
            let event = event.unwrap();
            test.world.quiet().await;
            test.a
                .hs
                .redact(&alice, &room, &event, Some("oops"), None)
                .await
                .unwrap();
            test.world.quiet().await;
            for (hs, user) in [(&test.a.hs, &alice), (&test.b.hs, &bob)] {
                let left = hs.event(user, &room, &event).await.unwrap().content;
                assert_eq!(left, after, "{}: {kind}", version.id);
            }
        }
        // A redacted event is read from the store as it was left.
        test.b.restart().await;
        assert_eq!(
            content(&test.b, &bob, &room, "m.room.topic").await,
            "{}",
            "{}",
            version.id
        );
        say(&test.b.hs, &bob, &room, "on we go").await;
        test.world.quiet().await;
        assert_eq!(
            bodies(&test.a.hs, &alice, &room).await,
            ["on we go"],
            "{}",
            version.id
        );
    }
}

/// In versions 1 and 2 the server that makes an event chooses its id, so that server has to sign it, and who comes second
/// with an id is not heard.
#[tokio::test(start_paused = true)]
async fn ids_that_servers_choose_are_signed_for_and_taken_once() {
    for version in ["1", "2"] {
        let mut test = with_peer(version).await;
        let said = test.peer.say(&mut test.room, &test.mallory, "first");
        let id = said["event_id"].as_str().unwrap().to_owned();
        let results = test.peer.send(&test.a.hs, "1", &[said]).await;
        assert_eq!(json::map_to_canonical(&results), format!(r#"{{"{id}":{{}}}}"#));

        let again = test.room.draft(
            &test.mallory,
            "test.message",
            None,
            roomlet_world::object(r#"{"body":"second"}"#),
            test.peer.now_ms(),
        );
        let with_id = |id: &str| {
            let mut event = again.clone();
            event.insert("event_id".into(), id.into());
            test.peer.signed(event, test.room.version)
        };
        let results = test.peer.send(&test.a.hs, "2", &[with_id(&id)]).await;
        assert_eq!(json::map_to_canonical(&results), format!(r#"{{"{id}":{{}}}}"#));
        let results = test.peer.send(&test.a.hs, "3", &[with_id("$x:a.test")]).await;
        assert_eq!(
            json::map_to_canonical(&results),
            r#"{"$x:a.test":{"error":"event $x:a.test: a.test did not sign it (EV-14)"}}"#
        );
        assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, ["first"]);

        // A peer that cites without hashes is understood, and what follows is one room.
        let next = test.peer.say(&mut test.room, &test.mallory, "next");
        let (id, hash) = (
            test.room.id_of(&next),
            hash::reference_hash(&next, test.room.version),
        );
        test.peer.send(&test.a.hs, "4", &[next]).await;
        say(&test.a.hs, &test.alice, &test.room.id, "answer").await;
        test.world.quiet().await;
        let received = test.peer.received();
        assert_eq!(
            json::to_canonical(&received.last().unwrap()["prev_events"]),
            format!(r#"[["{id}",{{"sha256":"{hash}"}}]]"#)
        );
    }
}
