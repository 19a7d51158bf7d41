//! The examples of the specification's event schemas and of its server-server API.

use crate::common::{key, map, server, vectors, version};
use roomlet_wire::{
    Code, EventId, Map, RoomId, UserId, hash,
    json::{self, Numbers, RawValue, map_to_canonical},
    redact::{redact, redact_json},
    sign,
    version::EventFormat,
};

struct Example {
    name: String,
    event: Map,
    expected: serde_json::Value,
}

/// All examples but that of [`the_one_example_with_a_fraction_is_refused`].
fn examples() -> Vec<Example> {
    let vectors = vectors("events");
    let all = vectors["vectors"].as_array().unwrap();
    assert_eq!(all.len(), 100);
    all.iter()
        .filter(|expected| expected["name"] != FRACTION)
        .map(|expected| Example {
            name: expected["name"].as_str().unwrap().to_owned(),
            event: map(&expected["event"]),
            expected: expected.clone(),
        })
        .collect()
}

/// Account data, which no other server sees.
const FRACTION: &str = "m.tag";

#[test]
fn the_one_example_with_a_fraction_is_refused() {
    let vectors = vectors("events");
    let all = vectors["vectors"].as_array().unwrap();
    let tag = all.iter().find(|expected| expected["name"] == FRACTION).unwrap();
    let refused = json::parse_object(tag["event"].to_string().as_bytes()).unwrap_err();
    assert_eq!(refused.code(), Code::NotCanonical);
}

/// The examples that are room events.
fn room_events() -> Vec<Example> {
    let mut examples = examples();
    examples.retain(|example| example.expected["redacted"].is_array());
    assert_eq!(examples.len(), 56);
    examples
}

#[test]
fn every_example_has_the_canonical_form_of_others() {
    for Example {
        name,
        event,
        expected,
    } in examples()
    {
        let canonical = map_to_canonical(&event);
        assert_eq!(canonical, expected["canonical"].as_str().unwrap(), "{name}");
        let again = json::parse_object(canonical.as_bytes()).unwrap();
        assert_eq!(again, event, "{name}");
        let spaced = serde_json::to_vec_pretty(&expected["event"]).unwrap();
        let from_spaced = json::canonical(&spaced, json::Numbers::Strict).unwrap();
        assert_eq!(from_spaced, canonical, "{name}");
    }
}

#[test]
fn every_example_has_ids_that_are_read() {
    for Example { name, event, .. } in examples() {
        let text = |field: &str| event.get(field).and_then(|value| value.as_str());
        for user in ["sender", "user_id"].into_iter().filter_map(text) {
            assert_eq!(UserId::parse(user).unwrap().as_str(), user, "{name}");
        }
        if let Some(room) = text("room_id") {
            assert_eq!(RoomId::parse(room).unwrap().as_str(), room, "{name}");
        }
        // Some stand for an id without being one.
        let ids = ["event_id", "redacts"].into_iter().filter_map(text);
        for id in ids.filter(|id| id.contains(':')) {
            assert_eq!(EventId::parse(id).unwrap().as_str(), id, "{name}");
        }
    }
}

#[test]
fn every_room_event_is_redacted_as_by_others_in_each_version() {
    let added = map(&vectors("events")["added"]);
    let mut versions = 0;
    for Example {
        name,
        event,
        expected,
    } in room_events()
    {
        let mut whole = added.clone();
        whole.extend(event);
        for group in expected["redacted"].as_array().unwrap() {
            for id in group["versions"].as_array().unwrap() {
                let version = version(id.as_str().unwrap());
                let mut whole = whole.clone();
                if version.event_format != EventFormat::ServerIds {
                    whole.remove("event_id");
                }
                let text = map_to_canonical(&whole);
                let mut redacted = redact(&whole, version);
                let raw = RawValue::parse(text.as_bytes(), Numbers::Kept).unwrap();
                let form = redact_json(raw.as_object().unwrap(), version);
                assert_eq!(form, map_to_canonical(&redacted), "{name}, version {id}");
                assert_eq!(redact(&redacted, version), redacted, "{name}, version {id}");
                redacted.remove("unsigned");
                let is = group["is"].as_str().unwrap();
                assert_eq!(map_to_canonical(&redacted), is, "{name}, version {id}");
                versions += 1;
            }
        }
    }
    assert!(versions > 600, "only {versions} forms");
}

#[test]
fn every_room_event_has_the_content_hash_of_others() {
    for Example {
        name,
        event,
        expected,
    } in room_events()
    {
        let hash = expected["content_hash"].as_str().unwrap();
        assert_eq!(hash::content_hash(&event), hash, "{name}");
    }
}

#[test]
fn every_example_can_be_signed_and_no_changed_one_passes() {
    let (name, key) = (server("example.org"), key("ed25519:1", 7));
    for Example {
        name: example,
        mut event,
        ..
    } in examples()
    {
        sign::sign_json(&mut event, &name, &key);
        let verdict = |event: &Map| sign::verify_json(event, &name, key.id(), &key.public());
        assert_eq!(verdict(&event), Ok(()), "{example}");
        event.insert("changed".into(), true.into());
        assert!(verdict(&event).is_err(), "{example}");
    }
}
