//! Rooms of every version: made, joined, moderated, apart and together again, and replaced by one of any other.

use crate::common::{bodies, code, history, membership, public_room, say, state, strangers, two};
use roomlet_homeserver::{Code, CreateRoom, EventId, Preset, RoomEvent, RoomId, RoomVersion, UserId};
use roomlet_wire::{json, version::PowerFormat};
use roomlet_world::Server;

fn versions() -> impl Iterator<Item = &'static RoomVersion> {
    RoomVersion::supported().filter_map(RoomVersion::get)
}

/// The current state as a user sees it: type, state key and event.
async fn present(server: &Server, user: &UserId, room: &RoomId) -> Vec<(String, String, EventId)> {
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
async fn content(server: &Server, user: &UserId, room: &RoomId, kind: &str) -> String {
    state(&server.hs, user, room, kind)
        .await
        .unwrap_or_else(|| "none".into())
}

/// The power levels of a public room.
fn levels(events_default: i64, invite: i64, tombstone: i64, users: &str) -> String {
    format!(
        r#"{{"ban":50,"events":{{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":{tombstone}}},"events_default":{events_default},"invite":{invite},"kick":50,"redact":50,"state_default":50,"users":{users},"users_default":0}}"#
    )
}

#[tokio::test(start_paused = true)]
async fn a_room_of_every_version_is_replaced_by_one_of_every_other() {
    for from in versions() {
        let (_world, a, _b, alice, _bob) = strangers().await;
        let create = CreateRoom {
            preset: Preset::Public,
            version: Some(from.id.into()),
            name: Some("Tea".into()),
            topic: Some("Leaves".into()),
            room_type: Some("m.space".into()),
            ..CreateRoom::default()
        };
        for to in versions() {
            let case = format!("{} to {}", from.id, to.id);
            let old = a.hs.create_room(&alice, create.clone()).await.unwrap();
            let new = a.hs.upgrade_room(&alice, &old, to.id, &[]).await.unwrap();
            let tombstone =
                a.hs.state_event(&alice, &old, "m.room.tombstone", "")
                    .await
                    .unwrap()
                    .unwrap();
            assert_eq!(
                tombstone.content,
                format!(r#"{{"body":"This room has been replaced","replacement_room":"{new}"}}"#),
                "{case}"
            );

            let predecessor = match to.room_id_is_create_hash {
                true => format!(r#"{{"room_id":"{old}"}}"#),
                false => format!(r#"{{"event_id":"{}","room_id":"{old}"}}"#, tombstone.event_id),
            };
            let created = content(&a, &alice, &new, "m.room.create").await;
            let mut created = json::parse_object(created.as_bytes()).unwrap();
            let nonce = created.remove("roomlet.nonce");
            assert_eq!(nonce.is_some(), to.room_id_is_create_hash, "{case}");
            let creator = match to.creator_is_sender {
                true => String::new(),
                false => r#""creator":"@alice:a.test","#.into(),
            };
            assert_eq!(
                json::map_to_canonical(&created),
                format!(
                    r#"{{{creator}"predecessor":{predecessor},"room_version":"{}","type":"m.space"}}"#,
                    to.id
                ),
                "{case}"
            );

            for kind in [
                "name",
                "topic",
                "join_rules",
                "guest_access",
                "history_visibility",
            ] {
                let kind = format!("m.room.{kind}");
                let (was, is) = (
                    content(&a, &alice, &old, &kind).await,
                    content(&a, &alice, &new, &kind).await,
                );
                assert_eq!(was, is, "{case}: {kind}");
            }

            let users = match to.creators_rank_above {
                true => "{}",
                false => r#"{"@alice:a.test":100}"#,
            };
            let tombstone_level = match (from.creators_rank_above, to.creators_rank_above) {
                (false, false) => 100,
                _ => 150,
            };
            // Whoever came from a version where creators rank above all has the highest level that is asked for.
            let users = match from.creators_rank_above && !to.creators_rank_above {
                true => r#"{"@alice:a.test":150}"#,
                false => users,
            };
            assert_eq!(
                content(&a, &alice, &new, "m.room.power_levels").await,
                levels(0, 50, tombstone_level, users),
                "{case}"
            );
            let (users, tombstone_level) = match from.creators_rank_above {
                true => ("{}", 150),
                false => (r#"{"@alice:a.test":100}"#, 100),
            };
            assert_eq!(
                content(&a, &alice, &old, "m.room.power_levels").await,
                levels(50, 50, tombstone_level, users),
                "{case}"
            );
            // The new room is one to talk in.
            say(&a.hs, &alice, &new, "here").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn levels_in_text_close_a_room_that_is_replaced() {
    for from in versions() {
        let (_world, a, _b, alice, _bob) = strangers().await;
        let old = public_room(&a, &alice, from.id).await;
        let text =
            r#"{"events_default":"70","invite":"10","users":{"@alice:a.test":"100"},"users_default":" 60"}"#;
        let set =
            a.hs.set_state(&alice, &old, "m.room.power_levels", "", text, None)
                .await;
        // Versions from 10 want integers.
        if from.power == PowerFormat::Integers {
            assert_eq!(code(set), Code::Denied, "{}", from.id);
            continue;
        }
        set.unwrap();
        let new = a.hs.upgrade_room(&alice, &old, "10", &[]).await.unwrap();
        assert_eq!(
            content(&a, &alice, &old, "m.room.power_levels").await,
            r#"{"events_default":"70","invite":61,"users":{"@alice:a.test":"100"},"users_default":" 60"}"#,
            "{}",
            from.id
        );
        assert_eq!(
            content(&a, &alice, &new, "m.room.power_levels").await,
            r#"{"events":{},"events_default":70,"invite":10,"users":{"@alice:a.test":100},"users_default":60}"#,
            "{}",
            from.id
        );
    }
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

#[tokio::test(start_paused = true)]
async fn who_may_not_end_a_room_may_not_replace_it() {
    for version in ["1", "10", "12"] {
        let test = two(version).await;
        let before = test.b.contents();
        let error = test
            .b
            .hs
            .upgrade_room(&test.bob, &test.room, "11", &[])
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.about()),
            (
                Code::Denied,
                format!(
                    "user @bob:b.test may not send m.room.tombstone, so not upgrade room {}",
                    test.room
                )
                .as_str()
            )
        );
        assert!(test.b.contents() == before, "the store changed");
        let unknown = test.a.hs.upgrade_room(&test.alice, &test.room, "13", &[]).await;
        assert_eq!(code(unknown), Code::UnknownRoomVersion);
        let creators = [test.bob.clone()];
        let too_many = test
            .a
            .hs
            .upgrade_room(&test.alice, &test.room, "11", &creators)
            .await
            .unwrap_err();
        assert_eq!(
            (too_many.code(), too_many.about()),
            (Code::BadParam, "rooms of version 11 have one creator")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn members_follow_an_upgrade_that_another_server_made() {
    let all: Vec<_> = versions().collect();
    // Each version is left and come to once, by steps up and down.
    for (index, from) in all.iter().enumerate() {
        let to = all[(index + 5) % all.len()];
        let case = format!("{} to {}", from.id, to.id);
        let test = two(from.id).await;
        let (room, alice, bob) = (&test.room, &test.alice, &test.bob);
        let (power, users) = match from.creators_rank_above {
            true => (150, format!(r#"{{"{bob}":150}}"#)),
            false => (100, format!(r#"{{"{alice}":100,"{bob}":100}}"#)),
        };
        test.a
            .hs
            .set_state(
                alice,
                room,
                "m.room.power_levels",
                "",
                &levels(0, 50, power, &users),
                None,
            )
            .await
            .unwrap();
        test.world.quiet().await;
        let new = test.b.hs.upgrade_room(bob, room, to.id, &[]).await.unwrap();
        test.world.quiet().await;
        let tombstone = state(&test.a.hs, alice, room, "m.room.tombstone").await.unwrap();
        assert_eq!(
            tombstone,
            format!(r#"{{"body":"This room has been replaced","replacement_room":"{new}"}}"#),
            "{case}"
        );
        let via = [test.b.name.clone()];
        test.a.hs.join(alice, &new, &via).await.unwrap();
        say(&test.a.hs, alice, &new, "here").await;
        test.world.quiet().await;
        assert_eq!(bodies(&test.b.hs, bob, &new).await, ["here"], "{case}");
        // Who made the new room ranks above all where the version has that, the others keep their level; whoever was
        // above all before is outranked by nobody.
        let users = match (from.creators_rank_above, to.creators_rank_above) {
            (_, true) => format!(r#"{{"{alice}":100}}"#),
            (true, false) => format!(r#"{{"{alice}":150,"{bob}":150}}"#),
            (false, false) => users,
        };
        let tombstone = if to.creators_rank_above { 150 } else { power };
        for (server, user) in [(&test.a, alice), (&test.b, bob)] {
            assert_eq!(
                content(server, user, &new, "m.room.power_levels").await,
                levels(0, 50, tombstone, &users),
                "{case}"
            );
            assert_eq!(
                present(server, user, &new).await,
                present(&test.b, bob, &new).await,
                "{case}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn creators_beside_the_first_rank_as_high() {
    let (world, a, b, alice, bob) = strangers().await;
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some("12".into()),
        additional_creators: vec![bob.clone(), alice.clone()],
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    let created = state(&b.hs, &bob, &room, "m.room.create").await.unwrap();
    assert!(
        created.contains(r#""additional_creators":["@bob:b.test"]"#),
        "{created}"
    );
    // Nobody can take a creator's power, and both have it all.
    let new =
        b.hs.upgrade_room(&bob, &room, "12", std::slice::from_ref(&alice))
            .await
            .unwrap();
    world.quiet().await;
    let created = state(&b.hs, &bob, &new, "m.room.create").await.unwrap();
    assert!(
        created.contains(r#""additional_creators":["@alice:a.test"]"#),
        "{created}"
    );
    assert_eq!(code(a.hs.kick(&alice, &room, &bob, None).await), Code::Denied);
}
