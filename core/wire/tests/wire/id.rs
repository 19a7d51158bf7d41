//! The grammar of identifiers (ID-1 … ID-10).

use roomlet_wire::{Code, EventId, KeyId, RoomAlias, RoomId, ServerName, UserId};

fn b64(count: usize) -> String {
    "aZ0-_".chars().cycle().take(count).collect()
}

#[test]
fn server_names() {
    for (name, host, port) in [
        ("a.example", "a.example", None),
        ("A.Example:8448", "A.Example", Some(8448)),
        ("1.2.3.4:1", "1.2.3.4", Some(1)),
        ("[::1]", "[::1]", None),
        ("[1:2::3.4.5.6]:443", "[1:2::3.4.5.6]", Some(443)),
        ("a:99999", "a", None),
        ("localhost", "localhost", None),
    ] {
        let read = ServerName::parse(name).unwrap();
        assert_eq!((read.host(), read.port()), (host, port), "{name}");
    }
    for name in [
        "",
        ":1",
        "a:",
        "a:123456",
        "a:1x",
        "a_b",
        "a b",
        "a/b",
        "[::1",
        "[]",
        "[g::]",
        "[::1]x",
        "::1",
        "a:1:2",
        "é.example",
    ] {
        assert_eq!(ServerName::parse(name).unwrap_err().code(), Code::BadId, "{name}");
    }
}

#[test]
fn user_ids_split_at_the_first_colon() {
    for (id, local, server) in [
        ("@a:b", "a", "b"),
        ("@a:b:8448", "a", "b:8448"),
        ("@:b", "", "b"),
        ("@A!é \u{1}:[::1]:2", "A!é \u{1}", "[::1]:2"),
    ] {
        let user = UserId::parse(id).unwrap();
        assert_eq!(
            (user.localpart(), user.server(), &*user.server_name()),
            (local, server, server)
        );
    }
    for id in ["", "@", "a:b", "@a", "@a:", "@a:b_c", "@a\0:b", "!a:b"] {
        assert_eq!(UserId::parse(id).unwrap_err().code(), Code::BadId, "{id}");
    }
    assert!(UserId::parse("@a.b_c=d-e/f+0:x").unwrap().is_compliant());
    for id in ["@A:x", "@:x", "@é:x", "@a b:x"] {
        assert!(!UserId::parse(id).unwrap().is_compliant(), "{id}");
    }
}

#[test]
fn identifiers_end_at_255_bytes() {
    let user = |n: usize| format!("@{}:b", "a".repeat(n - 3));
    assert!(UserId::parse(&user(255)).is_ok());
    let error = UserId::parse(&user(256)).unwrap_err();
    assert!(
        error.about().ends_with("(256 bytes): longer than 255 bytes"),
        "{error}"
    );
    assert!(ServerName::parse(&"a".repeat(255)).is_ok());
    assert!(ServerName::parse(&"a".repeat(256)).is_err());
    assert!(KeyId::parse(&format!("ed25519:{}", "a".repeat(248))).is_err());
}

#[test]
fn room_and_event_ids_have_a_domain_or_are_hashes() {
    assert_eq!(RoomId::parse("!x:b:1").unwrap().domain(), Some("b:1"));
    assert_eq!(RoomId::parse(&format!("!{}", b64(43))).unwrap().domain(), None);
    assert_eq!(EventId::parse("$x:b").unwrap().domain(), Some("b"));
    assert_eq!(EventId::parse(&format!("${}", b64(43))).unwrap().domain(), None);
    assert!(EventId::parse(&format!("${}+/", b64(41))).is_ok());
    for n in [0, 1, 42, 44] {
        assert!(RoomId::parse(&format!("!{}", b64(n))).is_err(), "{n}");
        assert!(EventId::parse(&format!("${}", b64(n))).is_err(), "{n}");
    }
    assert!(EventId::parse(&format!("${}=", b64(42))).is_err());
    assert_eq!(RoomAlias::parse("#a:b:1").unwrap().server(), "b:1");
    assert!(RoomAlias::parse("#a").is_err());
}

#[test]
fn key_ids() {
    assert!(KeyId::parse("ed25519:a_Z9").unwrap().is_ed25519());
    assert!(!KeyId::parse("rsa:1").unwrap().is_ed25519());
    for id in [
        "",
        "ed25519",
        "ed25519:",
        ":1",
        "ed25519:a-b",
        "ed25519:a:b",
        "ed25519:é",
        "a\0:1",
    ] {
        assert_eq!(KeyId::parse(id).unwrap_err().code(), Code::BadId, "{id}");
    }
}
