//! Odd events are read, refused and dropped as by Synapse (`tests/vectors/forms.json`), but where the text is against that.

use crate::common::{vectors, version};
use roomlet_wire::{Parsed, Pdu};

/// A case's member in JSON.
fn value(case: &serde_json::Value) -> Option<String> {
    let pieces = case["value"].as_array()?.iter();
    let piece = |piece: &serde_json::Value| match piece.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let times = usize::try_from(piece[1].as_u64().unwrap()).unwrap();
            piece[0].as_str().unwrap().repeat(times)
        }
    };
    Some(pieces.map(piece).collect())
}

fn event(base: &serde_json::Value, id: &str, member: &str, value: Option<&str>) -> String {
    let mut members: Vec<(&str, &str)> = base
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
        .collect();
    if matches!(id, "1" | "2") {
        members.push(("event_id", r#""$e:one""#));
    }
    if id == "12" {
        members.retain(|(key, _)| *key != "room_id");
        members.push(("room_id", r#""!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#));
    }
    members.retain(|(key, _)| *key != member);
    members.extend(value.map(|value| (member, value)));
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("\"{key}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

const STRICT: &str = "6 9 10 11 12";
const LENIENT: &str = "1 2 3 4 5";
const ALL: &str = "1 2 3 4 5 6 9 10 11 12";

/// Where we part, the versions in which we do, and why. In each the text decides.
const APART: [(&str, &str, &str, &str); 16] = [
    ("content", "1.5", LENIENT, "the content is an object"),
    ("room_id", "\"x\"", "1 2 3 4 5 6 9 10 11", "that is no room id"),
    ("depth", "-0", STRICT, "CJ-7"),
    ("depth", "9007199254740992", LENIENT, "D10"),
    ("depth", "9223372036854775807", LENIENT, "D10"),
    ("origin_server_ts", "-0", STRICT, "CJ-7"),
    ("content", r#"{"x":-0}"#, STRICT, "CJ-7"),
    ("x.more", "-0", STRICT, "CJ-7"),
    ("hashes", r#"{"sha256":"A","x":"A"}"#, ALL, "D12"),
    ("auth_events", CREATE, "12", "AUTH-3 refuses it"),
    ("auth_events", CREATE_TWICE, "12", "AUTH-3 refuses it"),
    ("auth_events", TEN, "12", "Synapse counts the create event, too"),
    ("sender", "\"@a:one:x\"", ALL, "that is no server name"),
    ("sender", "\"@a:\"", ALL, "that is no server name"),
    ("sender", "\"@a:o_e\"", ALL, "that is no server name"),
    ("sender", "\"a:one\"", ALL, "that is no user id"),
];

const CREATE: &str = r#"["$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]"#;
const CREATE_TWICE: &str =
    r#"["$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]"#;
/// The beginning of ten of them.
const TEN: &str =
    r#"["$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA00","$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA01","#;

#[test]
fn events_are_held_as_synapse_holds_them() {
    let vectors = vectors("forms");
    let mut apart = Vec::new();
    for case in vectors["cases"].as_array().unwrap() {
        let member = case["member"].as_str().unwrap();
        let value = value(case);
        for (theirs, versions) in case["is"].as_object().unwrap() {
            let differing: Vec<&str> = versions
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap())
                .filter(|id| {
                    let event = event(&vectors["base"], id, member, value.as_deref());
                    fate(&event, id) != theirs
                })
                .collect();
            if !differing.is_empty() {
                let value = value.clone().unwrap_or_default();
                apart.push((member.to_owned(), value, differing.join(" ")));
            }
        }
    }
    assert_eq!(apart.len(), APART.len(), "{apart:#?}");
    for ((member, value, versions), (their_member, their_value, their_versions, _)) in apart.iter().zip(APART)
    {
        assert_eq!(
            (member.as_str(), versions.as_str()),
            (their_member, their_versions),
            "{value}"
        );
        assert!(
            value == their_value || (their_value == TEN && value.starts_with(TEN)),
            "{value}"
        );
    }
}

fn fate(event: &str, id: &str) -> &'static str {
    match Pdu::<Parsed>::parse(event.as_bytes(), version(id)) {
        Ok(pdu) if pdu.oversized_ids => "rejected",
        Ok(_) => "read",
        Err(_) => "dropped",
    }
}
