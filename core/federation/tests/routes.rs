//! The table of endpoints.
#![allow(clippy::unwrap_used, reason = "a test may")]

use roomlet_federation::Inbound;
use roomlet_wire::{
    Code, EventId, Map, RoomAlias, RoomId, UserId, Value,
    json::{self, Numbers, RawValue},
};
use std::collections::BTreeMap;

fn parse(method: &str, target: &str, body: &str) -> Result<Inbound, Code> {
    let content = (!body.is_empty()).then(|| RawValue::parse(body.as_bytes(), Numbers::Strict).unwrap());
    Inbound::parse(method, target, content.as_ref().map(RawValue::as_raw)).map_err(|error| error.code())
}

fn room() -> RoomId {
    RoomId::parse("!r/oom:x.org").unwrap()
}
fn user() -> UserId {
    UserId::parse("@a+b:x.org").unwrap()
}
fn event() -> EventId {
    EventId::parse("$e/v:x.org").unwrap()
}
fn object(text: &str) -> Map {
    json::parse_object(text.as_bytes()).unwrap()
}

#[test]
fn requests_are_read() {
    let fed = |rest: &str| format!("/_matrix/federation/{rest}");
    let cases: Vec<(&str, String, &str, Inbound)> = vec![
        ("GET", fed("v1/version"), "", Inbound::Version),
        ("GET", "/_matrix/key/v2/server".into(), "", Inbound::ServerKeys),
        (
            "GET",
            "/_matrix/key/v2/server/ed25519%3Aa".into(),
            "",
            Inbound::ServerKeys,
        ),
        (
            "GET",
            "/_matrix/key/v2/query/y.org?minimum_valid_until_ts=5".into(),
            "",
            Inbound::QueryKeys {
                wanted: BTreeMap::from([("y.org".parse().unwrap(), BTreeMap::new())]),
            },
        ),
        (
            "GET",
            "/_matrix/key/v2/query/y.org/ed25519:a?minimum_valid_until_ts=5".into(),
            "",
            Inbound::QueryKeys {
                wanted: BTreeMap::from([(
                    "y.org".parse().unwrap(),
                    BTreeMap::from([("ed25519:a".parse().unwrap(), 5)]),
                )]),
            },
        ),
        (
            "POST",
            "/_matrix/key/v2/query".into(),
            r#"{"server_keys":{"y.org":{"ed25519:a":{"minimum_valid_until_ts":7},"ed25519:b":{}},"z.org":{}}}"#,
            Inbound::QueryKeys {
                wanted: BTreeMap::from([
                    (
                        "y.org".parse().unwrap(),
                        BTreeMap::from([
                            ("ed25519:a".parse().unwrap(), 7),
                            ("ed25519:b".parse().unwrap(), 0),
                        ]),
                    ),
                    ("z.org".parse().unwrap(), BTreeMap::new()),
                ]),
            },
        ),
        (
            "PUT",
            fed("v1/send/t%20x"),
            r#"{"origin":"y.org","pdus":[{"a":1}]}"#,
            Inbound::Send {
                txn_id: "t x".into(),
                pdus: vec![RawValue::from(&object(r#"{"a":1}"#))],
                edus: vec![],
            },
        ),
        (
            "GET",
            fed("v1/make_join/!r%2Foom:x.org/%40a%2Bb%3Ax.org?ver=I.1&ver=10"),
            "",
            Inbound::MakeJoin {
                room: room(),
                user: user(),
                versions: vec!["I.1".into(), "10".into()],
            },
        ),
        (
            "GET",
            fed("v1/make_join/!r%2Foom:x.org/@a+b:x.org"),
            "",
            Inbound::MakeJoin {
                room: room(),
                user: user(),
                versions: vec!["1".into()],
            },
        ),
        (
            "PUT",
            fed("v2/send_join/!r%2Foom:x.org/$e%2fv:x.org?omit_members=true"),
            r#"{"a":1}"#,
            Inbound::SendJoin {
                room: room(),
                event_id: event(),
                event: object(r#"{"a":1}"#),
                omit_members: true,
                v1: false,
            },
        ),
        (
            "PUT",
            fed("v1/send_join/!r%2Foom:x.org/$e%2fv:x.org"),
            "{}",
            Inbound::SendJoin {
                room: room(),
                event_id: event(),
                event: Map::new(),
                omit_members: false,
                v1: true,
            },
        ),
        (
            "GET",
            fed("v1/make_leave/!r%2Foom:x.org/@a+b:x.org"),
            "",
            Inbound::MakeLeave {
                room: room(),
                user: user(),
            },
        ),
        (
            "PUT",
            fed("v2/send_leave/!r%2Foom:x.org/$e%2fv:x.org"),
            "{}",
            Inbound::SendLeave {
                room: room(),
                event_id: event(),
                event: Map::new(),
                v1: false,
            },
        ),
        (
            "PUT",
            fed("v1/send_leave/!r%2Foom:x.org/$e%2fv:x.org"),
            "{}",
            Inbound::SendLeave {
                room: room(),
                event_id: event(),
                event: Map::new(),
                v1: true,
            },
        ),
        (
            "PUT",
            fed("v2/invite/!r%2Foom:x.org/$e%2fv:x.org"),
            r#"{"room_version":"I.1","event":{"b":2},"invite_room_state":[1]}"#,
            Inbound::Invite {
                room: room(),
                event_id: event(),
                version: "I.1".into(),
                event: object(r#"{"b":2}"#),
                preview: vec![Value::Int(1)],
            },
        ),
        (
            "GET",
            fed("v1/event/$e%2Fv:x.org"),
            "",
            Inbound::Event { event_id: event() },
        ),
        (
            "GET",
            fed("v1/state/!r%2Foom:x.org?event_id=%24e/v:x.org"),
            "",
            Inbound::State {
                room: room(),
                event_id: event(),
            },
        ),
        (
            "GET",
            fed("v1/state_ids/!r%2Foom:x.org?event_id=%24e/v:x.org"),
            "",
            Inbound::StateIds {
                room: room(),
                event_id: event(),
            },
        ),
        (
            "GET",
            fed("v1/event_auth/!r%2Foom:x.org/$e%2Fv:x.org"),
            "",
            Inbound::EventAuth {
                room: room(),
                event_id: event(),
            },
        ),
        (
            "GET",
            fed("v1/backfill/!r%2Foom:x.org?v=$e%2Fv:x.org&limit=7&v=$b:x.org"),
            "",
            Inbound::Backfill {
                room: room(),
                from: vec![event(), EventId::parse("$b:x.org").unwrap()],
                limit: 7,
            },
        ),
        (
            "POST",
            fed("v1/get_missing_events/!r%2Foom:x.org"),
            r#"{"earliest_events":[],"latest_events":["$e/v:x.org"]}"#,
            Inbound::MissingEvents {
                room: room(),
                earliest: vec![],
                latest: vec![event()],
                limit: 10,
                min_depth: 0,
            },
        ),
        (
            "POST",
            fed("v1/get_missing_events/!r%2Foom:x.org"),
            r#"{"earliest_events":["$e/v:x.org"],"latest_events":[],"limit":3,"min_depth":4}"#,
            Inbound::MissingEvents {
                room: room(),
                earliest: vec![event()],
                latest: vec![],
                limit: 3,
                min_depth: 4,
            },
        ),
        (
            "GET",
            fed("v1/query/profile?user_id=@a%2Bb:x.org&field=displayname"),
            "",
            Inbound::QueryProfile {
                user: user(),
                field: Some("displayname".into()),
            },
        ),
        (
            "GET",
            fed("v1/query/directory?room_alias=%23a:x.org"),
            "",
            Inbound::QueryDirectory {
                alias: RoomAlias::parse("#a:x.org").unwrap(),
            },
        ),
        (
            "GET",
            fed("v1/user/devices/@a+b:x.org"),
            "",
            Inbound::UserDevices { user: user() },
        ),
    ];
    for (method, target, body, expected) in cases {
        assert_eq!(parse(method, &target, body), Ok(expected), "{method} {target}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let cases: &[(&str, &str, &str, Code)] = &[
        ("GET", "/", "", Code::UnknownEndpoint),
        ("GET", "", "", Code::UnknownEndpoint),
        (
            "GET",
            "/_matrix/federation/v1/version/",
            "",
            Code::UnknownEndpoint,
        ),
        (
            "GET",
            "/_matrix/federation/v1/versio%6E",
            "",
            Code::UnknownEndpoint,
        ),
        (
            "GET",
            "/_matrix/federation/v1/make_knock/!a:x.org/@a:x.org",
            "",
            Code::UnknownEndpoint,
        ),
        ("PUT", "/_matrix/federation/v1/send/", "{}", Code::UnknownEndpoint),
        (
            "PUT",
            "/_matrix/federation/v1/send/a/b",
            "{}",
            Code::UnknownEndpoint,
        ),
        (
            "POST",
            "/_matrix/federation/v1/version",
            "{}",
            Code::UnknownMethod,
        ),
        ("get", "/_matrix/federation/v1/version", "", Code::UnknownMethod),
        ("GET", "/_matrix/federation/v1/send/a", "", Code::UnknownMethod),
        ("PUT", "/_matrix/federation/v1/send/a", "", Code::BadJson),
        ("PUT", "/_matrix/federation/v1/send/a", "[]", Code::BadJson),
        (
            "PUT",
            "/_matrix/federation/v1/send/a",
            r#"{"pdus":{}}"#,
            Code::BadParam,
        ),
        ("PUT", "/_matrix/federation/v1/send/%zz", "{}", Code::BadParam),
        ("GET", "/_matrix/federation/v1/event/e", "", Code::BadId),
        ("GET", "/_matrix/federation/v1/state/!a:x.org", "", Code::BadParam),
        (
            "GET",
            "/_matrix/federation/v1/state/!a:x.org?event_id=e",
            "",
            Code::BadId,
        ),
        (
            "GET",
            "/_matrix/federation/v1/backfill/!a:x.org?limit=1",
            "",
            Code::BadParam,
        ),
        (
            "GET",
            "/_matrix/federation/v1/backfill/!a:x.org?v=$a:x.org",
            "",
            Code::BadParam,
        ),
        (
            "GET",
            "/_matrix/federation/v1/backfill/!a:x.org?v=$a:x.org&limit=-1",
            "",
            Code::BadParam,
        ),
        (
            "POST",
            "/_matrix/federation/v1/get_missing_events/!a:x.org",
            r#"{"earliest_events":[]}"#,
            Code::BadParam,
        ),
        (
            "POST",
            "/_matrix/federation/v1/get_missing_events/!a:x.org",
            r#"{"earliest_events":[],"latest_events":[1]}"#,
            Code::BadParam,
        ),
        (
            "POST",
            "/_matrix/federation/v1/get_missing_events/!a:x.org",
            r#"{"earliest_events":[],"latest_events":[],"limit":-1}"#,
            Code::BadParam,
        ),
        (
            "PUT",
            "/_matrix/federation/v2/invite/!a:x.org/$a:x.org",
            r#"{"event":{}}"#,
            Code::BadParam,
        ),
        (
            "POST",
            "/_matrix/key/v2/query",
            r#"{"server_keys":{"a b":{}}}"#,
            Code::BadId,
        ),
    ];
    for (method, target, body, code) in cases {
        assert_eq!(
            parse(method, target, body),
            Err(*code),
            "{method} {target} {body}"
        );
    }
}

#[test]
fn refusals_have_the_errcodes_of_the_specification() {
    let error = |method, target| Inbound::parse(method, target, None).unwrap_err();
    let unknown = error("GET", "/_matrix/nothing");
    assert_eq!((unknown.errcode(), unknown.status()), ("M_UNRECOGNIZED", 404));
    let method = error("DELETE", "/_matrix/federation/v1/version");
    assert_eq!((method.errcode(), method.status()), ("M_UNRECOGNIZED", 405));
    let missing = error("GET", "/_matrix/federation/v1/state/!a:x.org");
    assert_eq!((missing.errcode(), missing.status()), ("M_MISSING_PARAM", 400));
}
