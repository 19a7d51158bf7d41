//! Rooms of every version, replaced by one of any other.

use crate::{
    common::{bodies, code, public_room, say, state, strangers, two},
    versions::{content, present, versions},
};
use roomlet_homeserver::{Code, CreateRoom, Preset};
use roomlet_wire::{json, version::PowerFormat};

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
