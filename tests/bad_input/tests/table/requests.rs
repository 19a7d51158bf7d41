//! Edge: the parameters of a request, once its sender is known.

use crate::scene::{Scene, frame, missing};
use roomlet_homeserver::Request;
use roomlet_world::encode;

fn get(scene: &Scene, path: &str) -> Request {
    let path = path
        .replace("ROOM", &encode(&scene.room.id))
        .replace("NEWEST", &encode(&scene.room.latest[0]));
    scene.request("GET", &format!("/_matrix/federation/v1/{path}"), None)
}

fn post_missing(scene: &Scene, body: &str) -> Request {
    let target = format!(
        "/_matrix/federation/v1/get_missing_events/{}",
        encode(&scene.room.id)
    );
    scene.request("POST", &target, Some(body))
}

rows! { frame:
    a_percent_sign_alone: |s| get(s, "event/%2") => BadParam, "`%` without two hexadecimal digits";
    a_path_that_is_no_utf8: |s| get(s, "event/%ff") => BadParam, "bytes that are no UTF-8";
    an_event_id_without_sigil: |s| get(s, "event/x") => BadId, "event id \"x\": does not begin with `$`";
    an_event_id_of_one_character: |s| get(s, "event/%24x") => BadId, "is neither `local:server` nor 43 characters of base64";
    an_event_id_of_256_bytes: |s| get(s, &format!("event/%24{}%3Aa.test", "x".repeat(248))) => BadId, "longer than 255 bytes";
    a_room_id_without_sigil: |s| get(s, "state/x?event_id=%24x%3Ay") => BadId, "room id \"x\": does not begin with `!`";
    a_room_id_with_nul: |s| get(s, "state/%21%00%3Aa.test?event_id=%24x%3Ay") => BadId, "contains NUL";
    a_user_id_without_server: |s| get(s, "make_join/ROOM/%40mallory?ver=10") => BadId, "has no `:` before a server name";
    an_event_that_is_not_here: |s| get(s, "event/%24x%3Aa.test") => UnknownEvent, "event $x:a.test is not held here";
    a_room_that_is_not_here: |s| get(s, "state/%21x%3Aa.test?event_id=%24x%3Ay") => UnknownRoom, "room !x:a.test is not known here";
    the_state_at_an_unknown_event: |s| get(s, "state_ids/ROOM?event_id=%24x%3Ay") => UnknownEvent, "the state before event $x:y is not known here";
    the_auth_chain_of_an_unknown_event: |s| get(s, "event_auth/ROOM/%24x%3Ay") => UnknownEvent, "event $x:y is not held here";
    a_backfill_without_limit: |s| get(s, "backfill/ROOM?v=NEWEST") => BadParam, "query parameter `limit` is missing";
    a_backfill_with_a_limit_of_letters: |s| get(s, "backfill/ROOM?v=NEWEST&limit=ten") => BadParam, "query parameter `limit` is no number in range";
    a_backfill_with_a_negative_limit: |s| get(s, "backfill/ROOM?v=NEWEST&limit=-1") => BadParam, "query parameter `limit` is no number in range";
    missing_events_with_a_negative_limit: |s| post_missing(s, r#"{"earliest_events":[],"latest_events":[],"limit":-1}"#) => BadParam, "`limit` is or holds an integer; it must be an integer of at least 0";
    missing_events_with_a_limit_of_one_and_a_half: |s| post_missing(s, r#"{"earliest_events":[],"latest_events":[],"limit":1.5}"#) => BadParam, "`limit` is or holds a number that is no integer in range";
    missing_events_before_numbers: |s| post_missing(s, r#"{"earliest_events":[],"latest_events":[7]}"#) => BadParam, "`latest_events` is or holds an integer; it must be an array of strings";
    the_profile_of_nobody: |s| get(s, "query/profile?user_id=%40nobody%3Aa.test") => UnknownUser, "user @nobody:a.test is no account of a.test";
    the_profile_of_another_servers_user: |s| get(s, "query/profile?user_id=%40mallory%3Apeer.test") => UnknownUser, "is no account of a.test";
    the_devices_of_nobody: |s| get(s, "user/devices/%40nobody%3Aa.test") => UnknownUser, "is no account of a.test";
    an_alias_that_is_not_here: |s| get(s, "query/directory?room_alias=%23tea%3Aa.test") => NotFound, "room alias #tea:a.test is not known here";
    keys_of_no_server: |s| s.request("GET", "/_matrix/key/v2/query/a%20b", None) => BadId, "server name \"a b\"";
    a_key_query_that_is_no_object: |s| s.request("POST", "/_matrix/key/v2/query", Some(r#"{"server_keys":{"a.test":7}}"#)) => BadParam, "`server_keys`: a server's entry is no object";
}

rows! { missing:
    a_state_request_without_an_event: |s| get(s, "state/ROOM") => BadParam, "query parameter `event_id` is missing";
    a_backfill_from_nowhere: |s| get(s, "backfill/ROOM?limit=10") => BadParam, "query parameter `v` is missing";
    missing_events_before_nothing: |s| post_missing(s, r#"{"earliest_events":[]}"#) => BadParam, "`latest_events`, an array, is missing";
    a_key_query_without_servers: |s| s.request("POST", "/_matrix/key/v2/query", Some("{}")) => BadParam, "`server_keys`, an object, is missing";
}
