//! The toolkit on the specification's vectors, and on a room that servers made.
#![allow(clippy::unwrap_used, reason = "a test may")]

use roomlet_toolkit::*;
use std::collections::BTreeMap;

/// A room of version 11: create, join, power levels, and what two servers made of it.
const ARCHIVE: &str = include_str!("../../../tests/vectors/archive.jsonl");
/// The seed and public key of the specification's signing examples.
const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
const PUBLIC: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

fn events() -> Vec<String> {
    ARCHIVE.lines().map(str::to_owned).collect()
}

fn ids() -> Vec<String> {
    events()
        .iter()
        .map(|event| event_id(event, "11").unwrap())
        .collect()
}

/// The first event of a type.
fn of_type(kind: &str) -> String {
    let of_type = format!(r#""type":"{kind}""#);
    events()
        .into_iter()
        .find(|event| event.contains(&of_type))
        .unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn json_is_signed_as_the_specification_has_it() {
    assert_eq!(public_key(SEED).unwrap(), PUBLIC);
    let signed = sign_json(r#"{"one":1,"two":"Two"}"#, "domain", "ed25519:1", SEED).unwrap();
    assert_eq!(
        signed,
        r#"{"one":1,"signatures":{"domain":{"ed25519:1":"KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw"}},"two":"Two"}"#
    );
    assert_eq!(verify_json(&signed, "domain", "ed25519:1", PUBLIC), Ok(()));
    let changed = signed.replace("Two", "Three");
    assert_eq!(
        code(verify_json(&changed, "domain", "ed25519:1", PUBLIC)),
        Code::BadSignature
    );
    assert_eq!(
        code(verify_json(&signed, "other", "ed25519:1", PUBLIC)),
        Code::MissingSignature
    );
    assert_eq!(
        code(sign_json("{}", "domain", "ed25519:1", "short")),
        Code::BadParam
    );
    assert_eq!(code(sign_json("[]", "domain", "ed25519:1", SEED)), Code::BadJson);
    assert_eq!(code(sign_json("{}", "domain", "other:1", SEED)), Code::BadParam);
    assert_eq!(
        code(verify_json(&signed, "domain", "other:1", PUBLIC)),
        Code::BadParam
    );
    assert_eq!(
        code(verify_json(&signed, "domain", "ed25519:1", "short")),
        Code::BadParam
    );
}

#[test]
fn canonical_json_sorts_and_refuses_fractions() {
    assert_eq!(
        canonical_json("{ \"b\": [1, true],\n \"a\": \"\\u65e5\" }").unwrap(),
        r#"{"a":"日","b":[1,true]}"#
    );
    assert_eq!(code(canonical_json("1.5")), Code::NotCanonical);
    assert_eq!(code(canonical_json("{")), Code::BadJson);
}

#[test]
fn events_are_hashed_named_signed_and_redacted() {
    // The minimal event of the specification's examples.
    let event = r#"{"room_id":"!x:domain","sender":"@a:domain","origin":"domain","origin_server_ts":1000000,
        "signatures":{},"hashes":{},"type":"X","content":{},"prev_events":[],"auth_events":[],"depth":3,
        "unsigned":{"age_ts":1000000}}"#;
    assert_eq!(
        content_hash(event).unwrap(),
        "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos"
    );
    let signed = sign_event(event, "1", "domain", "ed25519:1", SEED).unwrap();
    assert!(signed.contains(
        r#""signatures":{"domain":{"ed25519:1":"KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg"}}"#
    ), "{signed}");

    let message = of_type("m.room.redaction");
    let id = event_id(&message, "11").unwrap();
    assert_eq!(id.len(), 44);
    let redacted = redact(&message, "11").unwrap();
    assert_eq!(event_id(&redacted, "11").unwrap(), id);
    assert_eq!(redact(&redacted, "11").unwrap(), redacted);
    assert_eq!(required_signers(&message, "11").unwrap(), ["a.test"]);
    assert_eq!(check_event(&message, "11"), Ok(()));
    let deep = message.replace(r#""depth":"#, r#""depth":-"#);
    assert_eq!(code(check_event(&deep, "11")), Code::BadEvent);
    assert_eq!(code(event_id(&message, "99")), Code::UnknownRoomVersion);
}

#[test]
fn a_verified_event_is_redacted_where_its_hash_does_not_fit() {
    let event = r#"{"auth_events":[],"content":{"body":"x"},"depth":1,"origin_server_ts":1,"prev_events":[],
        "room_id":"!x:domain","sender":"@a:domain","type":"m.room.message","signatures":{},"hashes":{}}"#;
    let signed = sign_event(event, "10", "domain", "ed25519:1", SEED).unwrap();
    let keys = format!(r#"{{"domain":{{"ed25519:1":"{PUBLIC}"}}}}"#);
    assert_eq!(verify_event(&signed, "10", &keys).unwrap(), signed);
    let changed = signed.replace(r#"{"body":"x"}"#, r#"{"body":"y"}"#);
    assert_eq!(
        verify_event(&changed, "10", &keys).unwrap(),
        redact(&signed, "10").unwrap()
    );
    let moved = signed.replace("!x:domain", "!y:domain");
    assert_eq!(code(verify_event(&moved, "10", &keys)), Code::BadSignature);
    assert_eq!(code(verify_event(&signed, "10", "{}")), Code::UnknownKey);
    for bad in [r#"{"domain":{"ed25519:1":1}}"#, r#"{"domain":null}"#] {
        assert_eq!(code(verify_event(&signed, "10", bad)), Code::BadParam, "{bad}");
    }
    assert_eq!(
        verify_event(&signed, "10", r#"{"domain":{"ed25519:1":"short"}}"#)
            .unwrap_err()
            .about(),
        "keys: that of domain, ed25519:1: a public key is not 32 bytes in base64 (ID-17)"
    );
    assert_eq!(code(verify_event(&signed, "10", "keys")), Code::BadParam);
    assert_eq!(code(verify_event(event, "10", &keys)), Code::BadEvent);
}

#[test]
fn an_event_is_judged_as_it_is_whatever_its_hash() {
    let event = |kind: &str, key: &str, content: &str| {
        format!(
            r#"{{"auth_events":[],"content":{content},"depth":1,"hashes":{{"sha256":""}},"origin_server_ts":1,
            "prev_events":[],"room_id":"!x:domain","sender":"@a:domain","signatures":{{}},"state_key":"{key}","type":"{kind}"}}"#
        )
    };
    let state = [
        event("m.room.create", "", r#"{"creator":"@a:domain"}"#),
        event("m.room.member", "@a:domain", r#"{"membership":"join"}"#),
        event("m.room.power_levels", "", r#"{"users":{"@a:domain":50}}"#),
    ];
    // Redaction takes `invite` away in version 10: what is left would be allowed.
    let levels = event(
        "m.room.power_levels",
        "",
        r#"{"invite":100,"users":{"@a:domain":50}}"#,
    );
    let verdict = check_auth(&levels, &state, "10").unwrap();
    assert_eq!(verdict.rule.as_deref(), Some("AUTH-23"));
    assert_eq!(
        redact(&levels, "10").map(|left| check_auth(&left, &state, "10").unwrap().is_allowed),
        Ok(true)
    );
    // What verifying gives back is judged as it is, too: a redacted form stays one.
    let closed = event(
        "m.room.create",
        "",
        r#"{"creator":"@a:domain","m.federate":false}"#,
    );
    let stranger = event("m.x", "", "{}").replace("@a:domain", "@b:other");
    let verdict = |create: &str| {
        let state = [create.to_owned()];
        check_auth(&stranger, &state, "10").unwrap().rule.unwrap()
    };
    assert_eq!(verdict(&closed), "AUTH-4");
    assert_eq!(verdict(&redact(&closed, "10").unwrap()), "AUTH-17");
}

#[test]
fn numbers_are_those_of_the_version() {
    let event = r#"{"auth_events":[],"content":{"age":1.50},"depth":1,"origin_server_ts":1,"prev_events":[],
        "room_id":"!x:domain","sender":"@a:domain","type":"m.room.member","state_key":"@a:domain"}"#;
    let keys = format!(r#"{{"domain":{{"ed25519:1":"{PUBLIC}"}}}}"#);
    let signed = sign_event(event, "5", "domain", "ed25519:1", SEED).unwrap();
    assert_eq!(verify_event(&signed, "5", &keys).unwrap(), signed);
    assert!(signed.contains(r#""content":{"age":1.5}"#));
    assert!(redact(&signed, "5").unwrap().contains(r#""content":{}"#));
    assert_eq!(auth_types(&signed, "5").unwrap().len(), 3);
    assert_eq!(code(redact(&signed, "6")), Code::NotCanonical);
    assert_eq!(
        code(sign_event(event, "6", "domain", "ed25519:1", SEED)),
        Code::NotCanonical
    );
    assert_eq!(code(auth_types(event, "6")), Code::NotCanonical);
}

#[test]
fn ids_that_are_too_long_refuse_an_event_whatever_it_is_judged_by() {
    let event = format!(
        r#"{{"auth_events":[],"content":{{}},"depth":1,"origin_server_ts":1,"prev_events":[],"hashes":{{"sha256":""}},
        "room_id":"!x:domain","sender":"@{}:domain","type":"m.x","signatures":{{}}}}"#,
        "é".repeat(125)
    );
    for verdict in [
        check_auth_events(&event, &[], "10"),
        check_auth(&event, &[], "10"),
    ] {
        assert_eq!(verdict.unwrap().rule.as_deref(), Some("ID-12"));
    }
}

#[test]
fn an_event_is_judged_by_its_auth_events_and_by_a_state() {
    let all = events();
    let allowed = Verdict {
        is_allowed: true,
        rule: None,
        about: None,
    };
    for (number, event) in all.iter().enumerate() {
        assert_eq!(
            check_auth_events(event, &all[..number], "11"),
            Ok(allowed.clone()),
            "{event}"
        );
    }
    let power_levels = of_type("m.room.power_levels");
    let create = all[0].clone();
    // By the create event alone its sender is not in the room.
    assert_eq!(
        check_auth(&power_levels, std::slice::from_ref(&create), "11").unwrap(),
        Verdict {
            is_allowed: false,
            rule: Some("AUTH-17".into()),
            about: Some("AUTH-17: the sender is not in the room".into()),
        }
    );
    assert_eq!(check_auth(&power_levels, &all[..2], "11"), Ok(allowed));
    assert_eq!(
        check_auth(&power_levels, &[], "11").unwrap().rule.as_deref(),
        Some("AUTH-3")
    );
    assert_eq!(
        code(check_auth_events(&power_levels, &[create], "11")),
        Code::UnknownEvent
    );
}

#[test]
fn auth_events_are_selected() {
    let join =
        r#"{"type":"m.room.member","sender":"@a:x","state_key":"@a:x","content":{"membership":"join"}}"#;
    let pair = |kind: &str, key: &str| (kind.to_owned(), key.to_owned());
    let wanted = [
        pair("m.room.create", ""),
        pair("m.room.power_levels", ""),
        pair("m.room.member", "@a:x"),
        pair("m.room.join_rules", ""),
    ];
    let mut types = auth_types(join, "11").unwrap();
    types.sort();
    let mut sorted = wanted.to_vec();
    sorted.sort();
    assert_eq!(types, sorted);
    assert!(!auth_types(join, "12").unwrap().contains(&wanted[0]));
    let all = events();
    let mut selected = select_auth_events(join, &all, "11").unwrap();
    selected.sort();
    let mut cited: Vec<String> = ["m.room.create", "m.room.power_levels", "m.room.join_rules"]
        .map(|kind| event_id(&of_type(kind), "11").unwrap())
        .to_vec();
    cited.sort();
    assert_eq!(selected, cited);
    assert_eq!(
        code(auth_types(r#"{"type":"x","sender":"@a:x"}"#, "11")),
        Code::BadEvent
    );
}

/// Two states that differ in the topic: the room at its end, and the same with another topic.
fn fork() -> (Vec<String>, Vec<Vec<String>>, String) {
    let mut all = events();
    let ids = ids();
    let topic = all
        .iter()
        .position(|event| event.contains("m.room.topic"))
        .unwrap();
    let other = all[topic]
        .replace("apart", "elsewhere")
        .replace("\"depth\":", "\"depth\":1");
    let other = sign_event(&other, "11", "a.test", "ed25519:1", SEED).unwrap();
    let state: BTreeMap<(String, String), String> = all
        .iter()
        .zip(&ids)
        .filter_map(|(event, id)| {
            let value: serde_json::Value = serde_json::from_str(event).unwrap();
            let key = value.get("state_key")?.as_str()?.to_owned();
            Some(((value["type"].as_str()?.to_owned(), key), id.clone()))
        })
        .collect();
    let one: Vec<String> = state.values().cloned().collect();
    let other_id = event_id(&other, "11").unwrap();
    let two = one
        .iter()
        .map(|id| {
            if *id == ids[topic] {
                other_id.clone()
            } else {
                id.clone()
            }
        })
        .collect();
    all.push(other);
    // Of two topics with the same power and time the one with the smaller id comes first, and the other stays.
    let winner = ids[topic].clone().max(other_id);
    (all, vec![one, two], winner)
}

#[test]
fn states_are_resolved_from_a_batch_and_from_a_source() {
    let (all, states, winner) = fork();
    let resolved = resolve_state("11", &states, &all).unwrap();
    assert_eq!(resolved.len(), states[0].len());
    assert!(resolved.contains(&winner));
    let swapped = [states[1].clone(), states[0].clone()];
    assert_eq!(resolve_state("11", &swapped, &all).unwrap(), resolved);

    let mut rounds = Vec::new();
    let by_id: BTreeMap<String, String> = all
        .iter()
        .map(|event| (event_id(event, "11").unwrap(), event.clone()))
        .collect();
    let from_source = resolve_state_from("11", &states, |ids| {
        rounds.push(ids.len());
        Ok(ids.iter().rev().map(|id| by_id[id].clone()).collect())
    });
    assert_eq!(from_source.unwrap(), resolved);
    assert_eq!(rounds[0], states[0].len() + 1);
    // Every event is asked for once, and only what leads to the states.
    assert!(rounds.iter().sum::<usize>() < all.len(), "{rounds:?}");
}

#[test]
fn a_source_that_does_not_keep_its_word_is_refused() {
    let (all, states, _) = fork();
    assert_eq!(code(resolve_state("11", &states, &all[1..])), Code::UnknownEvent);
    let other = all[0].clone();
    assert_eq!(
        code(resolve_state_from("11", &states, |_| Ok(vec![
            other.clone(),
            other.clone()
        ]))),
        Code::BadEvent
    );
    let failing = resolve_state_from("11", &states, |_| Err(Error::new(Code::Unreachable, "no")));
    assert_eq!(code(failing), Code::Unreachable);
    let message = all.iter().find(|event| event.contains("test.message")).unwrap();
    let not_state = vec![vec![event_id(message, "11").unwrap()]];
    assert_eq!(code(resolve_state("11", &not_state, &all)), Code::BadEvent);
    assert_eq!(resolve_state("11", &[], &[]), Ok(vec![]));
    // Ids that servers make up can go in a circle.
    let event = |id: &str, cites: &str| {
        format!(
            r#"{{"auth_events":[["${cites}:a",{{}}]],"content":{{}},"depth":1,"event_id":"${id}:a","hashes":{{}},"origin_server_ts":1,"prev_events":[],"room_id":"!r:a","sender":"@a:a","signatures":{{}},"state_key":"","type":"x"}}"#
        )
    };
    let circle: Vec<String> = [("1", "2"), ("2", "1")]
        .map(|(id, cites)| sign_event(&event(id, cites), "1", "a", "ed25519:1", SEED).unwrap())
        .to_vec();
    assert_eq!(
        code(resolve_state("1", &[vec!["$1:a".into()]], &circle)),
        Code::BadEvent
    );
}

#[test]
fn identifiers_are_taken_apart() {
    let parsed = |kind, text: &str| parse_id(kind, text).unwrap();
    assert_eq!(
        parsed(IdKind::User, "@alice:example.org:8448"),
        ParsedId {
            kind: IdKind::User,
            local: "alice".into(),
            server: Some("example.org:8448".into()),
            host: Some("example.org".into()),
            port: Some(8448),
        }
    );
    assert_eq!(
        parsed(IdKind::Server, "[1234:5678::abcd]:5678").host.as_deref(),
        Some("[1234:5678::abcd]")
    );
    let hash = "acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk";
    let event = parsed(IdKind::Event, &format!("${hash}"));
    assert_eq!((event.local.as_str(), event.server), (hash, None));
    assert_eq!(parsed(IdKind::Room, "!x:y").server.as_deref(), Some("y"));
    assert_eq!(parsed(IdKind::RoomAlias, "#x:y").local, "x");
    let key = parsed(IdKind::Key, "ed25519:abc");
    assert_eq!(
        (key.local.as_str(), key.server.as_deref()),
        ("abc", Some("ed25519"))
    );
    for (kind, text) in [
        (IdKind::User, "alice:x"),
        (IdKind::Server, "a b"),
        (IdKind::Key, "abc"),
        (IdKind::Event, "!x:y"),
        (IdKind::RoomAlias, "#x"),
    ] {
        assert_eq!(code(parse_id(kind, text)), Code::BadId, "{text}");
    }
}

#[test]
fn versions_tell_what_they_can() {
    let versions = room_versions();
    assert_eq!(versions.len(), 14);
    for id in &versions {
        assert_eq!(&room_version(id).unwrap().id, id);
    }
    let one = room_version("1").unwrap();
    assert_eq!(
        (one.event_ids, one.state_resolution, one.power_levels),
        ("server", "1", "lenient")
    );
    let twelve = room_version("12").unwrap();
    assert!(twelve.creators_rank_above && twelve.room_id_is_create_hash && twelve.is_stable);
    assert_eq!(
        (twelve.event_ids, twelve.state_resolution),
        ("url_safe_hash", "2.1")
    );
    assert!(!room_version("org.matrix.msc1767.10").unwrap().is_stable);
    assert_eq!(code(room_version("13")), Code::UnknownRoomVersion);
}
