//! What a PDU must be to be read: fields, limits, references, ids (EV-1, EV-2, ID-11 … ID-15, EV-20).

use crate::common::{Ring, key, object, server, version};
use roomlet_wire::{
    Code, EventId, Map, Parsed, Pdu, Result, RoomId, UserId, Value, Verified, json, limits, pdu::Draft,
};

fn draft(kind: &str, state_key: Option<&str>, content: &str) -> Draft {
    Draft {
        room_id: Some(RoomId::parse("!r:a.example").unwrap()),
        sender: UserId::parse("@u:a.example").unwrap(),
        kind: kind.into(),
        state_key: state_key.map(Into::into),
        content: object(content),
        prev_events: vec![EventId::parse(&format!("${}", "p".repeat(43))).unwrap()],
        auth_events: vec![EventId::parse(&format!("${}", "q".repeat(43))).unwrap()],
        depth: 5,
        origin_server_ts: 1_700_000_000_000,
        redacts: None,
        hashes: Default::default(),
    }
}

fn signed(draft: Draft, id: &str) -> Pdu<Verified> {
    draft
        .sign(version(id), &server("a.example"), &key("ed25519:1", 1))
        .unwrap()
}

fn event() -> Map {
    signed(draft("m.x", None, r#"{"body":"hi"}"#), "10").to_map()
}

fn read(object: Map, id: &str) -> Result<Pdu<Parsed>> {
    Pdu::from_object(object, version(id))
}

fn with(field: &str, value: &str) -> Map {
    let mut event = event();
    event.insert(field.into(), json::parse_lenient(value.as_bytes()).unwrap());
    event
}

#[test]
fn fields_are_read() {
    let pdu = Pdu::parse(
        json::map_to_canonical(
            &signed(draft("m.room.member", Some(""), r#"{"membership":"join"}"#), "10").to_map(),
        )
        .as_bytes(),
        version("10"),
    )
    .unwrap();
    assert_eq!(pdu.room_id.as_str(), "!r:a.example");
    assert_eq!(pdu.sender.as_str(), "@u:a.example");
    assert_eq!(pdu.origin(), "a.example");
    assert_eq!(pdu.kind, "m.room.member");
    assert_eq!(pdu.state_key.as_deref(), Some(""));
    assert!(pdu.is_state("m.room.member", ""));
    assert_eq!(pdu.membership(), Some("join"));
    assert_eq!((pdu.depth, pdu.origin_server_ts), (5, 1_700_000_000_000));
    assert_eq!(pdu.prev_events[0].as_str(), format!("${}", "p".repeat(43)));
    assert_eq!(pdu.auth_events[0].as_str(), format!("${}", "q".repeat(43)));
    assert!(!pdu.hash_mismatch && !pdu.oversized_ids);
    assert!(!pdu.object().contains_key("origin") && !pdu.object().contains_key("event_id"));
    assert_eq!(read(pdu.to_map(), "10").unwrap().id, pdu.id);
}

#[test]
fn every_required_field_is_required() {
    for field in [
        "type",
        "sender",
        "content",
        "origin_server_ts",
        "depth",
        "hashes",
        "signatures",
        "prev_events",
        "auth_events",
        "room_id",
    ] {
        let mut event = event();
        event.remove(field);
        let error = read(event, "10").unwrap_err();
        assert_eq!(error.code(), Code::BadEvent, "{field}");
        assert_eq!(error.about(), format!("event: `{field}` is missing (EV-1)"));
    }
}

#[test]
fn fields_of_the_wrong_type_are_refused() {
    for (field, value) in [
        ("type", "1"),
        ("sender", "null"),
        ("room_id", "[]"),
        ("state_key", "null"),
        ("state_key", "1"),
        ("content", "[]"),
        ("content", "\"x\""),
        ("origin_server_ts", "\"1\""),
        ("origin_server_ts", "null"),
        ("depth", "\"5\""),
        ("depth", "true"),
        ("depth", "-1"),
        ("hashes", "{}"),
        ("hashes", "[]"),
        ("hashes", r#"{"sha256":1}"#),
        ("signatures", "[]"),
        ("signatures", "null"),
        ("signatures", r#"{"b":null}"#),
        ("signatures", r#"{"b":"x"}"#),
        (
            "signatures",
            r#"{"a.example":{"ed25519:1":"x"},"b":{"ed25519:1":1}}"#,
        ),
        ("hashes", r#"{"md5":1,"sha256":"x"}"#),
        ("prev_events", "{}"),
        ("prev_events", "[1]"),
        ("prev_events", r#"[["$a:b",{}]]"#),
        ("auth_events", "null"),
        ("auth_events", "[null]"),
        ("event_id", r#""$a:b""#),
    ] {
        let error = read(with(field, value), "10").unwrap_err();
        assert_eq!(error.code(), Code::BadEvent, "{field} = {value}: {error}");
        assert!(error.about().starts_with(&format!("event: `{field}")), "{error}");
    }
    for (field, value) in [
        ("sender", r#""u:a.example""#),
        ("sender", r#""@u""#),
        ("room_id", r#""r:a""#),
        ("prev_events", r#"["x"]"#),
        ("auth_events", r#"["$short"]"#),
    ] {
        assert_eq!(
            read(with(field, value), "10").unwrap_err().code(),
            Code::BadId,
            "{field} = {value}"
        );
    }
}

#[test]
fn references_of_versions_1_and_2_are_pairs_of_an_id_and_hashes() {
    let old = |reference: &str| {
        let mut event = with("prev_events", &format!("[{reference}]"));
        event.insert("event_id".into(), "$e:a.example".into());
        event.insert("auth_events".into(), Value::Array(Vec::new()));
        read(event, "1")
    };
    for (reference, is_read) in [
        (r#"["$x:b",{"sha256":"h"}]"#, true),
        (r#"["$x:b",{"md5":"","sha256":"h"}]"#, true),
        (r#"["$x:b",{}]"#, true),
        (r#"["$x:b",{"sha256":5}]"#, false),
        (r#"["$x:b",{"md5":null,"sha256":"h"}]"#, false),
        (r#"["$x:b","h"]"#, false),
        (r#"["$x:b"]"#, false),
        (r#"["$x:b",{},{}]"#, false),
        (r#""$x:b""#, false),
    ] {
        match old(reference) {
            Ok(event) => assert!(is_read && event.prev_events[0].as_str() == "$x:b", "{reference}"),
            Err(error) => assert!(!is_read && error.code() == Code::BadEvent, "{reference}: {error}"),
        }
    }
}

#[test]
fn a_stored_event_is_read_back_whatever_its_signatures_are() {
    let stored = |event: &Map, id: &str| {
        Pdu::from_store(json::map_to_canonical(event).as_bytes(), version(id)).unwrap()
    };
    let mut event = with("signatures", r#"{"b":1}"#);
    assert_eq!(stored(&event, "10").signatures().text(), r#"{"b":1}"#);
    for (field, value) in [
        ("event_id", r#""$e:a.example""#),
        ("prev_events", r#"[["$x:b",{"sha256":5}]]"#),
        ("auth_events", "[]"),
    ] {
        event.insert(field.into(), json::parse(value.as_bytes()).unwrap());
    }
    assert_eq!(stored(&event, "1").prev_events[0].as_str(), "$x:b");
}

#[test]
fn numbers_outside_canonical_json_are_refused_with_their_path() {
    let error = read(with("content", r#"{"a":{"b":[0,1.5]}}"#), "10").unwrap_err();
    assert_eq!(error.code(), Code::NotCanonical);
    assert_eq!(
        error.about(),
        "event: `content.a.b[1]`: 1.5 is no integer within ±(2^53 − 1) (CJ-2)"
    );
    assert_eq!(
        read(with("depth", "9007199254740992"), "10").unwrap_err().code(),
        Code::NotCanonical
    );
    assert_eq!(
        read(with("depth", "-0"), "10").unwrap_err().code(),
        Code::NotCanonical
    );
    assert!(read(with("depth", "9007199254740991"), "10").is_ok());
}

#[test]
fn depth_and_time_have_64_bits_until_version_5() {
    let old = |field: &str, value: &str, version: &str| {
        let mut event = with(field, value);
        if version == "1" {
            event.insert("event_id".into(), "$e:a.example".into());
            event.insert("prev_events".into(), Value::Array(Vec::new()));
            event.insert("auth_events".into(), Value::Array(Vec::new()));
        }
        read(event, version)
    };
    for version in ["1", "3", "5"] {
        for field in ["depth", "origin_server_ts"] {
            let pdu = old(field, "9223372036854775807", version).unwrap();
            let value = match field {
                "depth" => pdu.depth,
                _ => pdu.origin_server_ts,
            };
            assert_eq!(value, i64::MAX, "{field} in {version}");
            assert!(pdu.place_depth() <= limits::MAX_INT);
            let back = Pdu::from_store(pdu.json().as_bytes(), crate::common::version(version)).unwrap();
            assert_eq!(
                (back.depth, back.origin_server_ts),
                (pdu.depth, pdu.origin_server_ts)
            );
            assert!(old(field, "-0", version).is_ok(), "{field} in {version}");
            for value in ["9223372036854775808", "-9223372036854775809", "1.0", "1e3"] {
                let error = old(field, value, version).unwrap_err();
                assert_eq!(error.code(), Code::BadEvent, "{field} = {value} in {version}");
            }
        }
        let early = old("origin_server_ts", "-9223372036854775808", version).unwrap();
        assert_eq!(early.origin_server_ts, i64::MIN);
    }
    let error = old("origin_server_ts", "9007199254740992", "6").unwrap_err();
    assert_eq!(error.code(), Code::NotCanonical);
}

#[test]
fn unsigned_never_dooms_the_event_and_is_taken_away() {
    let plain = read(event(), "10").unwrap();
    let big = format!("{{\"x\":\"{}\"}}", "y".repeat(limits::PDU_BYTES));
    for unsigned in [r#"{"age":1.5e3,"n":-0}"#, "[1.5]", "null", &big] {
        let pdu = read(with("unsigned", unsigned), "10").unwrap();
        assert_eq!(pdu, plain);
        assert!(!pdu.object().contains_key("unsigned"));
    }
    let bytes = json::map_to_canonical(&with("unsigned", r#"{"x":1.5}"#));
    assert_eq!(Pdu::parse(bytes.as_bytes(), version("10")).unwrap(), plain);
}

#[test]
fn member_events_keep_the_usable_part_of_their_preview() {
    let invite = signed(
        draft(
            "m.room.member",
            Some("@v:b.example"),
            r#"{"membership":"invite"}"#,
        ),
        "10",
    );
    let with_unsigned = |unsigned: &str| {
        let mut object = invite.to_map();
        object.insert(
            "unsigned".into(),
            json::parse_lenient(unsigned.as_bytes()).unwrap(),
        );
        read(object, "10").unwrap().preview.clone()
    };
    let entry = Value::Object(object(r#"{"type":"m.room.name"}"#));
    assert_eq!(
        with_unsigned(r#"{"invite_room_state":[{"type":"m.room.name"},1,{"x":1.5}]}"#),
        Some(vec![entry.clone()])
    );
    assert_eq!(
        with_unsigned(r#"{"knock_room_state":[{"type":"m.room.name"}]}"#),
        Some(vec![entry])
    );
    assert_eq!(with_unsigned(r#"{"invite_room_state":{}}"#), None);
    assert_eq!(with_unsigned(r#"{"age":1}"#), None);
    assert_eq!(
        read(with("unsigned", r#"{"invite_room_state":[]}"#), "10")
            .unwrap()
            .preview,
        None
    );
}

fn refs(count: usize) -> String {
    let ids: Vec<_> = (0..count).map(|i| format!("\"${i:043}\"")).collect();
    format!("[{}]", ids.join(","))
}

#[test]
fn references_are_limited_but_not_in_backfill() {
    for (field, limit) in [("prev_events", 20), ("auth_events", 10)] {
        assert!(read(with(field, &refs(limit)), "10").is_ok());
        let over = with(field, &refs(limit + 1));
        let error = read(over.clone(), "10").unwrap_err();
        assert_eq!(error.code(), Code::BadEvent);
        assert!(error.about().contains("(ID-13)"), "{error}");
        let bytes = json::map_to_canonical(&over);
        let backfilled = Pdu::parse_backfill(bytes.as_bytes(), version("10")).unwrap();
        // Having been accepted once it can be read back.
        let stored = Pdu::from_store(backfilled.to_json().as_bytes(), version("10")).unwrap();
        assert_eq!(stored.id, backfilled.id);
    }
}

#[test]
fn size_is_measured_without_unsigned_and_up_to_the_limit() {
    let padded = |size: usize| {
        let base = json::map_to_canonical(&with("content", r#"{"b":""}"#)).len();
        with("content", &format!(r#"{{"b":"{}"}}"#, "x".repeat(size - base)))
    };
    assert!(read(padded(65_536), "10").is_ok());
    let error = read(padded(65_537), "10").unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    assert_eq!(error.about(), "event: 65537 bytes, at most 65536 (ID-11)");
}

#[test]
fn an_event_of_this_server_leaves_room_for_what_others_add() {
    let of_size = |size: usize| {
        let sign = |length: usize| {
            let content = format!(r#"{{"b":"{}"}}"#, "x".repeat(length));
            draft("m.x", None, &content).sign(version("10"), &server("a.example"), &key("ed25519:1", 1))
        };
        sign(size - sign(0).unwrap().json().len())
    };
    let largest = of_size(64_512).unwrap();
    assert_eq!(largest.json().len(), 64_512);
    let error = of_size(64_513).unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    assert_eq!(
        error.about(),
        "event: 64513 bytes, at most 64512 of this server's (ID-11)"
    );
    // The longest signature that a server can add.
    let longest = format!("{}.example", "s".repeat(247));
    let signed = largest.countersigned(
        &server(&longest),
        &key(&format!("ed25519:{}", "k".repeat(247)), 2),
    );
    assert!(Pdu::parse(signed.json().as_bytes(), version("10")).is_ok());
}

#[test]
fn long_ids_are_dropped_or_marked_as_the_version_says() {
    let bytes_256 = format!("\"{}\"", "é".repeat(128));
    let user_256 = format!("\"@{}:a.example\"", "é".repeat(123));
    let room_256 = format!("\"!{}:a.example\"", "é".repeat(123));
    let chars_256 = format!("\"{}\"", "x".repeat(256));
    for (field, value) in [
        ("type", &bytes_256),
        ("state_key", &bytes_256),
        ("sender", &user_256),
        ("room_id", &room_256),
    ] {
        let kept = read(with(field, value), "10").unwrap();
        assert!(kept.oversized_ids, "{field}");
        assert!(
            Pdu::from_store(kept.to_json().as_bytes(), version("10"))
                .unwrap()
                .oversized_ids
        );
        assert_eq!(read(with(field, value), "I.1").map(|p| p.oversized_ids), Ok(true));
        assert_eq!(
            read(with(field, value), "11").unwrap_err().code(),
            Code::TooLarge,
            "{field}"
        );
    }
    assert_eq!(
        read(with("sender", &user_256), "10").unwrap().required_signers(),
        [server("a.example")]
    );
    for id in ["10", "11"] {
        assert_eq!(
            read(with("type", &chars_256), id).unwrap_err().code(),
            Code::TooLarge
        );
        let fits = format!("\"{}x\"", "é".repeat(127));
        assert!(!read(with("type", &fits), id).unwrap().oversized_ids);
    }
}

#[test]
fn nesting_beyond_the_limit_dooms_the_event_alone() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(with("content", &deep(limits::JSON_DEPTH - 2)), "10").is_ok());
    let body = format!("{{\"pdus\":[{{\"content\":{}}}]}}", deep(limits::JSON_DEPTH - 1));
    assert!(json::parse_object_lenient(body.as_bytes()).is_ok());
    let error = read(with("content", &deep(limits::JSON_DEPTH - 1)), "10").unwrap_err();
    assert_eq!(error.code(), Code::BadJson);
}

#[test]
fn an_event_is_nested_as_deep_as_others_read_it() {
    // Synapse and ruma read 127 levels, the event's own object included: what they hold must not be a gap here.
    for (levels, is_read) in [(125, true), (126, false)] {
        let content = format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        for version in ["1", "10", "12"] {
            let mut event = with("content", &content);
            if version == "1" {
                event.insert("event_id".into(), "$e:a.example".into());
                event.insert("prev_events".into(), Value::Array(Vec::new()));
                event.insert("auth_events".into(), Value::Array(Vec::new()));
            }
            let text = json::map_to_canonical(&event);
            let parsed = Pdu::parse(text.as_bytes(), crate::common::version(version));
            assert_eq!(parsed.is_ok(), is_read, "{levels} in {version}");
            assert_eq!(read(event, version).is_ok(), is_read, "{levels} in {version}");
        }
    }
}

#[test]
fn stored_events_read_back_equal_and_damage_is_told() {
    let pdu = signed(draft("m.x", None, r#"{"a":"\u0000é"}"#), "10");
    let back = Pdu::from_store(pdu.to_json().as_bytes(), version("10")).unwrap();
    assert_eq!(back, pdu);
    assert_eq!(back.to_json(), pdu.to_json());
    for damage in [&b"{"[..], b"[]", b"{}", b"{\"type\":1}"] {
        assert_eq!(
            Pdu::from_store(damage, version("10")).unwrap_err().code(),
            Code::StoreDamaged
        );
    }
}

#[test]
fn redacts_is_read_from_where_the_version_keeps_it() {
    let target = EventId::parse(&format!("${}", "t".repeat(43))).unwrap();
    let redaction = || Draft {
        redacts: Some(target.clone()),
        ..draft("m.room.redaction", None, "{}")
    };
    let ten = signed(redaction(), "10");
    assert_eq!(ten.to_map()["redacts"].as_str(), Some(target.as_str()));
    assert!(ten.content().is_empty());
    let eleven = signed(redaction(), "11");
    assert_eq!(
        eleven.content().to_map()["redacts"].as_str(),
        Some(target.as_str())
    );
    assert!(!eleven.object().contains_key("redacts"));
    for pdu in [&ten, &eleven] {
        assert_eq!(pdu.redacts.as_ref(), Some(&target));
    }
    assert_eq!(ten.redacted().redacts, None);
    assert_eq!(eleven.redacted().redacts, Some(target));
    let mut odd = ten.to_map();
    odd.insert("redacts".into(), Value::Int(1));
    assert_eq!(read(odd, "10").unwrap().redacts, None);
}

#[test]
fn version_12_derives_the_room_id_from_the_create_event() {
    let create = Draft {
        room_id: None,
        prev_events: vec![],
        auth_events: vec![],
        ..draft("m.room.create", Some(""), r#"{"room_version":"12"}"#)
    };
    let pdu = signed(create.clone(), "12");
    assert_eq!(pdu.room_id[1..], pdu.id[1..]);
    assert!(pdu.room_id.starts_with('!'));
    assert!(!pdu.object().contains_key("room_id"));
    let refused = create.sign(version("11"), &server("a.example"), &key("ed25519:1", 1));
    assert_eq!(refused.unwrap_err().about(), "event: `room_id` is missing (EV-1)");
}

#[test]
fn versions_1_and_2_have_ids_and_pairs_on_the_wire() {
    let mut old = with("event_id", r#""$x:a.example""#);
    let pair = r#"[["$p:b.example",{"sha256":"abc"}]]"#;
    for field in ["prev_events", "auth_events"] {
        old.insert(field.into(), json::parse(pair.as_bytes()).unwrap());
    }
    let pdu = read(old.clone(), "1").unwrap();
    assert_eq!(pdu.id.as_str(), "$x:a.example");
    assert_eq!(pdu.prev_events, [EventId::parse("$p:b.example").unwrap()]);
    old.insert("event_id".into(), "$x:c.example".into());
    assert_eq!(
        read(old.clone(), "2").unwrap().required_signers(),
        [server("a.example"), server("c.example")]
    );
    let mut hashed = old.clone();
    hashed.insert("event_id".into(), format!("${}", "h".repeat(43)).into());
    assert_eq!(read(hashed, "1").unwrap_err().code(), Code::BadEvent);
    old.insert("prev_events".into(), json::parse(br#"["$p:b.example"]"#).unwrap());
    assert_eq!(read(old, "1").unwrap_err().code(), Code::BadEvent);
}

#[test]
fn events_of_versions_1_and_2_are_made_with_an_id_and_the_hashes_of_what_they_cite() {
    for id in ["1", "2"] {
        let first = signed(draft("m.x", None, "{}"), id);
        let opaque = first
            .id
            .strip_prefix('$')
            .and_then(|id| id.strip_suffix(":a.example"));
        assert_eq!(opaque.map(str::len), Some(18), "{}", first.id);
        let second = Draft {
            prev_events: vec![first.id.clone()],
            hashes: [(first.id.clone(), first.reference_hash())].into(),
            ..draft("m.x", None, "{}")
        };
        let second = signed(second, id);
        assert_ne!(second.id, first.id);
        // Also what redaction would take away is in the id.
        let other = signed(draft("m.x", None, r#"{"body":"hi"}"#), id);
        assert_ne!(other.id, first.id);
        let expected = format!(r#"[["{}",{{"sha256":"{}"}}]]"#, first.id, first.reference_hash());
        let prev = second.object().get("prev_events").unwrap();
        assert_eq!(prev.text(), expected);
        assert_eq!(
            second.object().get("event_id").unwrap().as_str().unwrap(),
            second.id.as_str()
        );
        let read = Pdu::<Parsed>::parse(second.json().as_bytes(), version(id)).unwrap();
        assert!(
            read.verify(&Ring::default().with("a.example", &key("ed25519:1", 1)))
                .is_ok()
        );
    }
}

#[test]
fn nothing_is_made_that_would_be_refused() {
    let sign = |d: Draft| {
        d.sign(version("10"), &server("a.example"), &key("ed25519:1", 1))
            .unwrap_err()
            .code()
    };
    assert_eq!(sign(draft("m.x", None, r#"{"a":1.5}"#)), Code::NotCanonical);
    assert_eq!(sign(draft(&"x".repeat(256), None, "{}")), Code::TooLarge);
    assert_eq!(sign(draft(&"é".repeat(128), None, "{}")), Code::TooLarge);
    assert_eq!(
        sign(Draft {
            depth: -1,
            ..draft("m.x", None, "{}")
        }),
        Code::BadEvent
    );
    let content = format!(r#"{{"b":"{}"}}"#, "x".repeat(limits::PDU_BYTES));
    assert_eq!(sign(draft("m.x", None, &content)), Code::TooLarge);
    let id = EventId::parse("$a:b").unwrap();
    assert_eq!(
        sign(Draft {
            prev_events: vec![id; 21],
            ..draft("m.x", None, "{}")
        }),
        Code::BadEvent
    );
    let foreign = UserId::parse("@u:b.example").unwrap();
    assert_eq!(
        sign(Draft {
            sender: foreign,
            ..draft("m.x", None, "{}")
        }),
        Code::BadParam
    );
}
