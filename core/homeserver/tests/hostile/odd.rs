//! Events of odd shapes: each has the fate that the rules give it, and the room goes on.

use crate::common::{WithPeer, bodies, say, with_peer};
use roomlet_store::Store;
use roomlet_wire::{EventId, Map, Value, version::EventFormat};
use roomlet_world::object;
use std::slice;

/// A message of Mallory's with some members changed, given as JSON.
fn with(test: &WithPeer, changes: &[(&str, Value)]) -> Map {
    let content = object(r#"{"body":"odd"}"#);
    let mut event = test
        .room
        .draft(&test.mallory, "test.message", None, content, test.peer.now_ms());
    for (key, value) in changes {
        event.insert((*key).to_owned(), value.clone());
    }
    test.peer.signed(event, test.room.version)
}

fn json(text: &str) -> Value {
    roomlet_wire::json::parse_lenient(text.as_bytes()).unwrap()
}

/// What is held of an event: `accepted`, `rejected`, `soft-failed`, or `nothing`.
fn fate(test: &WithPeer, event: &Map) -> &'static str {
    let num = test.a.record(&test.room.id).num;
    let held = test.a.store.event(num, &test.room.id_of(event)).unwrap();
    match held.map(|row| row.flags) {
        None => "nothing",
        Some(flags) if flags.rejected => "rejected",
        Some(flags) if flags.soft_failed => "soft-failed",
        Some(_) => "accepted",
    }
}

#[tokio::test(start_paused = true)]
async fn odd_events_have_the_fate_that_the_rules_give_them() {
    for version in ["1", "3", "5", "6", "10", "11", "12", "I.1"] {
        let mut test = with_peer(version).await;
        let room = test.room.clone();
        let plain = with(&test, &[]);
        let list = |key: &str| plain.get(key).and_then(Value::as_array).unwrap().to_vec();
        let (auth, prev) = (list("auth_events"), list("prev_events"));
        let twice = |list: &[Value]| Value::Array([list, list].concat());
        let and = |id: &EventId| {
            let reference = match room.version.event_format {
                EventFormat::ServerIds => Value::Array(vec![id.as_str().into(), Map::new().into()]),
                _ => id.as_str().into(),
            };
            Value::Array([auth.clone(), vec![reference]].concat())
        };
        let message = test.peer.say(&mut room.clone(), &test.mallory, "first");
        test.peer
            .send(&test.a.hs, "first", slice::from_ref(&message))
            .await;
        let deep = format!("{{\"body\":{}{}}}", "[".repeat(120), "]".repeat(120));
        let until_5 = match room.version.strict_json {
            true => "nothing",
            false => "accepted",
        };
        let from_3 = match room.version.redaction_rule {
            true => "rejected",
            false => "accepted",
        };
        let cases = [
            (vec![("prev_events", json("[]"))], "rejected"),
            (vec![("prev_events", twice(&prev))], "accepted"),
            (vec![("auth_events", twice(&auth))], "rejected"),
            (vec![("auth_events", json("[]"))], "rejected"),
            (vec![("auth_events", and(&room.id_of(&message)))], "rejected"),
            (
                vec![("auth_events", and(&room.state_id("m.room.join_rules", "")))],
                "rejected",
            ),
            (
                vec![("auth_events", and(&room.state_id("m.room.create", "")))],
                "rejected",
            ),
            (vec![("type", "m.room.member".into())], "rejected"),
            (vec![("type", "m.room.power_levels".into())], "rejected"),
            (vec![("type", "m.room.redaction".into())], from_3),
            (
                vec![
                    ("type", "m.room.redaction".into()),
                    ("redacts", json("5")),
                    ("content", json(r#"{"redacts":[]}"#)),
                ],
                from_3,
            ),
            (vec![("type", "".into())], "accepted"),
            (vec![("type", "\0".into())], "accepted"),
            (vec![("depth", json("9007199254740991"))], "accepted"),
            (vec![("depth", json("9223372036854775807"))], until_5),
            (vec![("origin_server_ts", json("-9223372036854775808"))], until_5),
            (vec![("origin_server_ts", json("-1"))], "accepted"),
            (vec![("content", json(&deep))], "accepted"),
            (vec![("content", json(r#"{"body":1.5,"x":1e300}"#))], until_5),
        ];
        for (n, (changes, wanted)) in cases.iter().enumerate() {
            let event = with(&test, changes);
            test.peer
                .send(&test.a.hs, &n.to_string(), slice::from_ref(&event))
                .await;
            test.world.quiet().await;
            assert_eq!(fate(&test, &event), *wanted, "{version} {changes:?}");
        }
        say(&test.a.hs, &test.alice, &room.id, "ours").await;
        let theirs = test.peer.say(&mut test.room, &test.mallory, "theirs");
        test.peer.send(&test.a.hs, "last", &[theirs]).await;
        test.a.restart().await;
        assert_eq!(test.a.hs.check_store(false).await.unwrap().faults, []);
        let said = bodies(&test.a.hs, &test.alice, &room.id).await;
        // No depth, however great, puts an event behind what is said after it here.
        assert_eq!(said.last().map(String::as_str), Some("ours"), "{version}");
        assert!(said.contains(&"theirs".to_owned()), "{version}");
    }
}

/// The rules do not ask that a member be a user (D13).
#[tokio::test(start_paused = true)]
async fn members_that_are_no_users_are_state_and_nobody_in_the_room() {
    for version in ["1", "6", "10", "12"] {
        let mut test = with_peer(version).await;
        let levels = match version {
            "12" => format!(r#"{{"users":{{"{}":100}}}}"#, test.mallory),
            _ => format!(r#"{{"users":{{"{}":100,"{}":100}}}}"#, test.alice, test.mallory),
        };
        let sent = test.a.hs.set_state(
            &test.alice,
            &test.room.id,
            "m.room.power_levels",
            "",
            &levels,
            None,
        );
        let levels = sent.await.unwrap();
        test.world.quiet().await;
        let received = test.peer.received();
        let event = received
            .iter()
            .find(|event| test.room.id_of(event) == levels)
            .unwrap();
        test.room.push(event);
        for (n, target) in ["", "x", "@x", "x:a.test", "@:", "\0"].into_iter().enumerate() {
            for membership in ["invite", "ban", "leave"] {
                let content = format!(r#"{{"membership":"{membership}"}}"#);
                let event =
                    test.peer
                        .event(&test.room, &test.mallory, "m.room.member", Some(target), &content);
                let txn = format!("{n} {membership}");
                test.peer.send(&test.a.hs, &txn, slice::from_ref(&event)).await;
                assert_eq!(
                    fate(&test, &event),
                    "accepted",
                    "{version} {target:?} {membership}"
                );
                test.room.push(&event);
            }
        }
        test.a.restart().await;
        let members = test.a.hs.members(&test.alice, &test.room.id, None).await.unwrap();
        assert_eq!(members.len(), 2, "{version}");
        let state = test.a.hs.state(&test.alice, &test.room.id).await.unwrap();
        assert!(state.iter().any(|event| event.state_key.as_deref() == Some("@x")));
        assert_eq!(test.a.hs.check_store(false).await.unwrap().faults, []);
        say(&test.a.hs, &test.alice, &test.room.id, "ours").await;
    }
}
