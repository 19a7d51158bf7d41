//! Edge: the form of an event in a transaction. An event without its form has no id to answer for: it is dropped.

use crate::scene::{Scene, nested};
use roomlet_wire::{Code, Map, Pdu};

async fn dropped(input: impl FnOnce(&Scene) -> Map, code: Code, text: &str) {
    check(Scene::new().await, input, code, text).await;
}

/// As [`dropped`], in a room of version 11.
async fn dropped_in_11(input: impl FnOnce(&Scene) -> Map, code: Code, text: &str) {
    check(Scene::of_version("11").await, input, code, text).await;
}

async fn check(scene: Scene, input: impl FnOnce(&Scene) -> Map, code: Code, text: &str) {
    let event = input(&scene);
    let error = Pdu::from_object(event.clone(), scene.room.version).unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.about().contains(text), "{error:?}");
    let before = scene.a.contents();
    let results = scene.peer.send(&scene.a.hs, "bad", &[event]).await;
    assert_eq!(results, Map::new());
    scene.is_unchanged(&before).await;
}

fn without(scene: &Scene, field: &str) -> Map {
    let mut event = scene.message();
    event.remove(field).unwrap();
    event
}

/// A message with `value` in its content.
fn saying(scene: &Scene, value: &str) -> Map {
    scene.message_with("content", &format!(r#"{{"x":{value}}}"#))
}

fn ids(count: usize) -> String {
    let ids: Vec<String> = (0..count).map(|n| format!(r#""$x{n}:peer.test""#)).collect();
    format!("[{}]", ids.join(","))
}

rows! { dropped:
    no_type: |s| without(s, "type") => BadEvent, "event: `type` is missing (EV-1)";
    no_sender: |s| without(s, "sender") => BadEvent, "event: `sender` is missing";
    no_content: |s| without(s, "content") => BadEvent, "event: `content` is missing";
    no_timestamp: |s| without(s, "origin_server_ts") => BadEvent, "event: `origin_server_ts` is missing";
    no_depth: |s| without(s, "depth") => BadEvent, "event: `depth` is missing";
    no_hashes: |s| without(s, "hashes") => BadEvent, "event: `hashes` is missing";
    no_signatures: |s| without(s, "signatures") => BadEvent, "event: `signatures` is missing";
    no_prev_events: |s| without(s, "prev_events") => BadEvent, "event: `prev_events` is missing";
    no_auth_events: |s| without(s, "auth_events") => BadEvent, "event: `auth_events` is missing";
    no_room_id: |s| without(s, "room_id") => BadEvent, "event: `room_id` is missing";
    a_type_that_is_a_number: |s| s.message_with("type", "7") => BadEvent, "event: `type` is an integer, must be a string";
    a_sender_that_is_null: |s| s.message_with("sender", "null") => BadEvent, "event: `sender` is null, must be a string";
    a_sender_that_is_no_user_id: |s| s.message_with("sender", r#""mallory""#) => BadId, "event: `sender`: user id \"mallory\": does not begin with `@`";
    a_sender_of_no_server: |s| s.message_with("sender", r#""@mallory:no server""#) => BadId, "what follows the first `:` is no server name";
    a_state_key_that_is_null: |s| s.message_with("state_key", "null") => BadEvent, "event: `state_key` is null, must be a string";
    content_that_is_an_array: |s| s.message_with("content", "[]") => BadEvent, "event: `content` is an array, must be an object";
    a_timestamp_that_is_a_string: |s| s.message_with("origin_server_ts", r#""1""#) => BadEvent, "event: `origin_server_ts` is a string, must be an integer";
    a_depth_that_is_true: |s| s.message_with("depth", "true") => BadEvent, "event: `depth` is a boolean, must be an integer";
    a_negative_depth: |s| s.message_with("depth", "-1") => BadEvent, "event: `depth` must not be negative";
    a_depth_beyond_2_to_53: |s| s.message_with("depth", "9007199254740992") => NotCanonical, "event: `depth`: 9007199254740992 is no integer within";
    a_depth_of_one_and_a_half: |s| s.message_with("depth", "1.5") => NotCanonical, "event: `depth`: 1.5 is no integer within";
    prev_events_that_are_a_string: |s| s.message_with("prev_events", r#""$x:y""#) => BadEvent, "event: `prev_events` is a string, must be an array";
    a_prev_event_that_is_a_number: |s| s.message_with("prev_events", "[7]") => BadEvent, "`prev_events` has an entry that is no reference to an event";
    prev_events_in_the_form_of_version_1: |s| s.message_with("prev_events", r#"[["$x:y",{"sha256":"h"}]]"#) => BadEvent, "`prev_events` has an entry that is no reference";
    a_prev_event_that_is_no_id: |s| s.message_with("prev_events", r#"["x"]"#) => BadId, "event: `prev_events`: event id \"x\"";
    twenty_one_prev_events: |s| s.message_with("prev_events", &ids(21)) => BadEvent, "`prev_events` has 21 entries, at most 20";
    eleven_auth_events: |s| s.message_with("auth_events", &ids(11)) => BadEvent, "`auth_events` has 11 entries, at most 10";
    an_event_id_on_the_wire: |s| s.message_with("event_id", r#""$x:peer.test""#) => BadEvent, "`event_id` must not be sent in this room version";
    a_hash_that_is_a_number: |s| {
        let mut event = s.message();
        event.insert("hashes".into(), crate::scene::value_of(r#"{"sha256":7}"#));
        event
    } => BadEvent, "event: `hashes.sha256` must be a string";
    signatures_that_are_a_list: |s| {
        let mut event = s.message();
        event.insert("signatures".into(), crate::scene::value_of("[]"));
        event
    } => BadEvent, "event: `signatures` is an array, must be an object";
    a_signature_that_is_no_string: |s| {
        let mut event = s.message();
        event.insert("signatures".into(), crate::scene::value_of(r#"{"peer.test":{"ed25519:peer":5}}"#));
        event
    } => BadEvent, "event: `signatures` has a value that is no object of strings (EV-1)";
    signatures_of_a_server_that_are_a_string: |s| {
        let mut event = s.message();
        event.insert("signatures".into(), crate::scene::value_of(r#"{"peer.test":"signed"}"#));
        event
    } => BadEvent, "event: `signatures` has a value that is no object of strings";
    another_hash_that_is_a_number: |s| {
        let mut event = s.message();
        event.insert("hashes".into(), crate::scene::value_of(r#"{"sha256":"A","sha512":7}"#));
        event
    } => BadEvent, "event: `hashes` has a value that is no string";
    a_float_in_content: |s| saying(s, "1.0") => NotCanonical, "event: `content.x`: 1.0 is no integer within ±(2^53 − 1)";
    an_exponent_in_content: |s| saying(s, "1e3") => NotCanonical, "event: `content.x`: 1e3 is no integer";
    minus_zero_in_content: |s| saying(s, "-0") => NotCanonical, "event: `content.x`: -0 is no integer";
    a_great_integer_in_content: |s| saying(s, "[9007199254740992]") => NotCanonical, "event: `content.x[0]`: 9007199254740992 is no integer";
    a_number_without_end_in_content: |s| saying(s, &"9".repeat(5_000)) => NotCanonical, "event: `content.x`: 9999999999999999999999999999999999999999 is no integer";
    content_that_is_too_deep: |s| saying(s, &nested(127)) => BadJson, "more than 127 levels of arrays and objects";
    an_event_that_is_too_large: |s| saying(s, &format!("{:?}", "x".repeat(65_536))) => TooLarge, "bytes, at most 65536 (ID-11)";
    a_type_of_256_bytes: |s| s.message_with("type", &format!("{:?}", "x".repeat(256))) => TooLarge, "event: `type` has 256 bytes, at most 255";
    a_state_key_of_256_bytes: |s| s.message_with("state_key", &format!("{:?}", "x".repeat(256))) => TooLarge, "event: `state_key` has 256 bytes, at most 255";
    a_join_authorised_by_nobody: |s| {
        let content = r#"{"membership":"join","join_authorised_via_users_server":7}"#;
        s.state("m.room.member", &s.mallory, content)
    } => BadId, "event: `content.join_authorised_via_users_server`: user id \"\"";
}

rows! { dropped_in_11:
    a_type_of_200_characters_and_400_bytes: |s| s.message_with("type", &format!("{:?}", "é".repeat(200))) => TooLarge, "event: `type` has 400 bytes, at most 255";
}
