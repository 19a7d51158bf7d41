//! The redaction table (EV-10, EV-11) for every version.

use crate::common::{Random, map, object, vectors, version};
use roomlet_wire::{Map, Value, hash, json::map_to_canonical, redact::redact, version::TABLE};

fn versions(case: &serde_json::Value) -> impl Iterator<Item = &'static roomlet_wire::RoomVersion> {
    case["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| version(v.as_str().unwrap()))
}

#[test]
fn content_keeps_exactly_what_the_table_says() {
    for case in vectors("redaction")["content"].as_array().unwrap() {
        for version in versions(case) {
            let event: Map = [
                ("type".to_string(), case["type"].as_str().unwrap().into()),
                ("content".to_string(), map(&case["content"]).into()),
            ]
            .into();
            let kept = &redact(&event, version)["content"];
            let name = case["name"].as_str().unwrap();
            assert_eq!(
                kept,
                &Value::Object(map(&case["kept"])),
                "{name}, version {}",
                version.id
            );
        }
    }
}

#[test]
fn top_level_keeps_exactly_what_the_table_says() {
    let vectors = vectors("redaction");
    let all = vectors["top_level"][0]["kept"].as_array().unwrap();
    let removed = vectors["top_level_removed"].as_array().unwrap();
    for case in vectors["top_level"].as_array().unwrap() {
        for version in versions(case) {
            let mut event: Map = all
                .iter()
                .chain(removed)
                .map(|k| (k.as_str().unwrap().into(), 1.into()))
                .collect();
            event.insert("type".into(), case["type"].as_str().unwrap().into());
            event.insert("content".into(), Map::new().into());
            let mut expected: Vec<_> = case["kept"]
                .as_array()
                .unwrap()
                .iter()
                .map(|k| k.as_str().unwrap())
                .collect();
            expected.sort_unstable();
            let kept: Vec<_> = redact(&event, version).into_keys().collect();
            assert_eq!(kept, expected, "{} of version {}", case["type"], version.id);
        }
    }
}

#[test]
fn every_version_has_its_cases() {
    let vectors = vectors("redaction");
    for version in TABLE {
        let has = |list: &str| {
            vectors[list].as_array().unwrap().iter().any(|case| {
                case["versions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|v| v == version.id)
            })
        };
        assert!(has("content") && has("top_level"), "version {}", version.id);
    }
}

/// Events of each type with keys that redaction knows, and others, holding any value.
fn random_event(random: &mut Random) -> Map {
    const TYPES: &[&str] = &[
        "m.room.member",
        "m.room.create",
        "m.room.join_rules",
        "m.room.power_levels",
        "m.room.aliases",
        "m.room.history_visibility",
        "m.room.redaction",
        "m.room.message",
    ];
    const CONTENT: &[&str] = &[
        "membership",
        "join_authorised_via_users_server",
        "third_party_invite",
        "creator",
        "allow",
        "join_rule",
        "users",
        "ban",
        "invite",
        "aliases",
        "history_visibility",
        "redacts",
        "body",
    ];
    const TOP: &[&str] = &[
        "room_id",
        "origin",
        "prev_state",
        "membership",
        "hashes",
        "signatures",
        "unsigned",
        "depth",
        "state_key",
        "redacts",
        "aaa",
        "zzz",
    ];
    let content: Map = (0..random.below(8))
        .map(|_| {
            let value = match random.below(3) {
                0 => Value::Object([("signed".to_string(), random.value(2))].into()),
                _ => random.value(2),
            };
            (CONTENT[random.below(CONTENT.len())].to_string(), value)
        })
        .collect();
    let mut event: Map = (0..random.below(12))
        .map(|_| (TOP[random.below(TOP.len())].to_string(), random.value(2)))
        .collect();
    event.insert("type".into(), TYPES[random.below(TYPES.len())].into());
    event.insert("content".into(), content.into());
    event
}

#[test]
fn redaction_is_idempotent_and_keeps_the_event_id() {
    for seed in 0..5000 {
        let event = random_event(&mut Random::new(seed));
        for version in TABLE {
            let once = redact(&event, version);
            assert_eq!(
                redact(&once, version),
                once,
                "seed {seed}, version {}",
                version.id
            );
            assert_eq!(hash::event_id(&once, version), hash::event_id(&event, version));
        }
    }
}

#[test]
fn event_id_is_the_hash_of_the_redacted_form_without_signatures_and_unsigned() {
    for seed in 0..2000 {
        let event = random_event(&mut Random::new(seed));
        for version in TABLE {
            // The specification's steps one by one, against the printer that skips while it prints.
            let mut form = redact(&event, version);
            form.remove("signatures");
            form.remove("unsigned");
            let again = roomlet_wire::json::parse_object(map_to_canonical(&form).as_bytes()).unwrap();
            assert_eq!(
                hash::event_id(&again, version),
                hash::event_id(&event, version),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn content_that_is_no_object_stays() {
    let event = object(r#"{"type":"m.room.member","content":[1]}"#);
    assert_eq!(redact(&event, version("10")), event);
}
