//! Who must have signed an event, and what a wrong hash does to it (EV-5, EV-14 … EV-16, EV-21).

use crate::common::{Ring, key, object, server, version};
use roomlet_wire::{
    Code, EventId, Map, Parsed, Pdu, RoomId, RoomVersion, UserId, Value, Verified, base64, json,
    pdu::Draft,
    sign::{KeyPair, KeyRing, PublicKey},
};

fn draft(kind: &str, state_key: Option<&str>, content: &str) -> Draft {
    Draft {
        room_id: Some(RoomId::parse("!r:a.example").unwrap()),
        sender: UserId::parse("@u:a.example").unwrap(),
        kind: kind.into(),
        state_key: state_key.map(Into::into),
        content: object(content),
        prev_events: vec![EventId::parse("$a:b").unwrap()],
        auth_events: vec![],
        depth: 5,
        origin_server_ts: 1_700_000_000_000,
        redacts: None,
        hashes: Default::default(),
    }
}

fn one() -> KeyPair {
    key("ed25519:1", 1)
}

fn two() -> KeyPair {
    key("ed25519:2", 2)
}

fn signed(draft: Draft, id: &str) -> Pdu<Verified> {
    draft.sign(version(id), &server("a.example"), &one()).unwrap()
}

fn message() -> Map {
    signed(draft("m.x", None, r#"{"body":"hi"}"#), "10").to_map()
}

fn parse(object: Map, id: &str) -> Pdu<Parsed> {
    Pdu::from_object(object, version(id)).unwrap()
}

/// `object` with `signatures` replaced.
fn signatures(mut object: Map, signatures: &str) -> Map {
    object.insert("signatures".into(), json::parse(signatures.as_bytes()).unwrap());
    object
}

fn signature_of(pdu: &Map, server: &str, key: &str) -> String {
    pdu["signatures"]
        .get(server)
        .unwrap()
        .get(key)
        .unwrap()
        .as_str()
        .unwrap()
        .into()
}

#[test]
fn own_events_verify() {
    for id in ["10", "11", "12", "I.1", "org.matrix.msc1767.10", "3", "8"] {
        let made = signed(draft("m.x", None, r#"{"body":"hi"}"#), id);
        let pdu = Pdu::parse(made.to_json().as_bytes(), version(id)).unwrap();
        assert_eq!(pdu.required_signers(), [server("a.example")]);
        let verified = pdu.verify(&Ring::default().with("a.example", &one())).unwrap();
        assert_eq!(verified, made, "version {id}");
        assert!(!verified.hash_mismatch);
    }
}

/// Notes whether validity was asked for.
struct Asked(std::sync::Mutex<Vec<bool>>, Ring);

impl KeyRing for Asked {
    fn key(&self, server: &str, id: &str, at: i64, check_validity: bool) -> roomlet_wire::Result<PublicKey> {
        self.0.lock().unwrap().push(check_validity);
        self.1.key(server, id, at, check_validity)
    }
}

#[test]
fn from_version_5_on_a_key_has_to_have_been_valid() {
    for id in RoomVersion::supported() {
        let ring = Asked(Default::default(), Ring::default().with("a.example", &one()));
        let made = signed(draft("m.x", None, "{}"), id);
        parse(made.to_map(), id).verify(&ring).unwrap();
        let wanted = !["1", "2", "3", "4"].contains(&id);
        assert_eq!(*ring.0.lock().unwrap(), [wanted], "version {id}");
    }
}

#[test]
fn any_flipped_bit_of_the_signature_fails() {
    let event = message();
    let ring = Ring::default().with("a.example", &one());
    let good = base64::decode(&signature_of(&event, "a.example", "ed25519:1")).unwrap();
    for bit in 0..512 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let json = format!(
            r#"{{"a.example":{{"ed25519:1":"{}"}}}}"#,
            base64::encode(&flipped)
        );
        let error = parse(signatures(event.clone(), &json), "10")
            .verify(&ring)
            .unwrap_err();
        assert_eq!(error.code(), Code::BadSignature, "bit {bit}");
    }
}

#[test]
fn events_checked_together_are_judged_as_each_alone() {
    let ring = Ring::default()
        .with("a.example", &one())
        .with("a.example", &two())
        .expired("a.example", "ed25519:old");
    let event = message();
    let good = signature_of(&event, "a.example", "ed25519:1");
    let signed_as = |json: &str| signatures(event.clone(), json);
    let mut other_hash = event.clone();
    other_hash.insert("content".into(), Value::Object(object(r#"{"body":"ho"}"#)));
    let objects = [
        event.clone(),
        other_hash,
        signed_as("{}"),
        signed_as(r#"{"a.example":{"ed25519:1":"AAAA"}}"#),
        signed_as(r#"{"a.example":{"ed25519:1":"*"}}"#),
        signed_as(r#"{"a.example":{"ed25519:old":"AAAA"}}"#),
        signed_as(r#"{"a.example":{"ed25519:x":"AAAA"}}"#),
        // The second is not of the key that it names; the first alone would do.
        signed_as(&format!(
            r#"{{"a.example":{{"ed25519:1":"{good}","ed25519:2":"{good}"}}}}"#
        )),
        // The first is no signature at all.
        signed_as(&format!(
            r#"{{"a.example":{{"ed25519:1":"*","ed25519:2":"{good}"}}}}"#
        )),
        signed(draft("m.y", None, "{}"), "10").to_map(),
    ];
    let parsed: Vec<_> = objects.into_iter().map(|object| parse(object, "10")).collect();
    let alone: Vec<_> = parsed.iter().map(|pdu| pdu.clone().verify(&ring)).collect();
    let codes: Vec<_> = alone
        .iter()
        .map(|checked| checked.as_ref().map_err(|error| error.code()))
        .map(|checked| checked.map(|pdu| pdu.hash_mismatch))
        .collect();
    assert_eq!(
        codes,
        [
            Ok(false),
            Ok(true),
            Err(Code::MissingSignature),
            Err(Code::BadSignature),
            Err(Code::BadSignature),
            Err(Code::ExpiredKey),
            Err(Code::UnknownKey),
            Err(Code::BadSignature),
            Err(Code::BadSignature),
            Ok(false),
        ]
    );
    assert_eq!(Pdu::verify_all(parsed, &ring), alone);
    assert_eq!(Pdu::verify_all(Vec::new(), &ring), []);
}

#[test]
fn missing_empty_and_unusable_signatures_fail() {
    let ring = Ring::default()
        .with("a.example", &one())
        .expired("a.example", "ed25519:old");
    for (json, code) in [
        ("{}", Code::MissingSignature),
        (r#"{"b.example":{"ed25519:1":"AAAA"}}"#, Code::MissingSignature),
        (r#"{"a.example":{}}"#, Code::MissingSignature),
        (r#"{"a.example":{"rsa:1":"AAAA"}}"#, Code::MissingSignature),
        (
            r#"{"a.example":{"ed25519:":"AAAA","nonsense":"AAAA"}}"#,
            Code::MissingSignature,
        ),
        (r#"{"a.example":{"ed25519:unknown":"AAAA"}}"#, Code::UnknownKey),
        (r#"{"a.example":{"ed25519:old":"AAAA"}}"#, Code::ExpiredKey),
        (r#"{"a.example":{"ed25519:1":"AAAA"}}"#, Code::BadSignature),
        (r#"{"a.example":{"ed25519:1":""}}"#, Code::BadSignature),
    ] {
        let error = parse(signatures(message(), json), "10")
            .verify(&ring)
            .unwrap_err();
        assert_eq!(error.code(), code, "{json}");
    }
}

#[test]
fn every_usable_signature_must_verify_and_unusable_ones_do_not_matter() {
    let event = message();
    let good = signature_of(&event, "a.example", "ed25519:1");
    let ring = || {
        Ring::default()
            .with("a.example", &one())
            .with("a.example", &two())
    };
    let other_bad = format!(r#"{{"a.example":{{"ed25519:1":"{good}","ed25519:2":"{good}"}}}}"#);
    let error = parse(signatures(event.clone(), &other_bad), "10")
        .verify(&ring())
        .unwrap_err();
    assert_eq!(error.code(), Code::BadSignature);
    let others_unusable = format!(
        r#"{{"a.example":{{"ed25519:1":"{good}","ed25519:9":"x","ed25519:old":"x","rsa:1":"x"}},"c.example":{{"ed25519:1":"x"}}}}"#
    );
    let ring = ring().expired("a.example", "ed25519:old");
    assert!(
        parse(signatures(event.clone(), &others_unusable), "10")
            .verify(&ring)
            .is_ok()
    );
    let padded = format!(r#"{{"a.example":{{"ed25519:1":"{good}=="}}}}"#);
    assert!(parse(signatures(event, &padded), "10").verify(&ring).is_ok());
}

#[test]
fn changed_content_is_redacted_and_changed_frame_fails() {
    let ring = Ring::default().with("a.example", &one());
    let made = signed(
        draft(
            "m.room.member",
            Some("@u:a.example"),
            r#"{"membership":"join","displayname":"U"}"#,
        ),
        "10",
    );
    let mut changed = made.to_map();
    let content = object(r#"{"membership":"join","displayname":"V"}"#);
    changed.insert("content".into(), content.into());
    changed.insert("extra".into(), Value::Int(1));
    let verified = parse(changed, "10").verify(&ring).unwrap();
    assert!(verified.hash_mismatch);
    assert_eq!(verified.id, made.id);
    assert_eq!(verified.content().to_map(), object(r#"{"membership":"join"}"#));
    assert!(!verified.object().contains_key("extra"));
    assert_eq!(verified.to_map(), made.redacted().to_map());

    let mut changed = made.to_map();
    changed.insert("depth".into(), Value::Int(6));
    assert_eq!(
        parse(changed, "10").verify(&ring).unwrap_err().code(),
        Code::BadSignature
    );
    let mut changed = made.to_map();
    changed.insert("content".into(), object(r#"{"membership":"ban"}"#).into());
    assert_eq!(
        parse(changed, "10").verify(&ring).unwrap_err().code(),
        Code::BadSignature
    );
}

#[test]
fn a_hash_of_wrong_form_counts_as_mismatch() {
    let mut event = message();
    event.insert("hashes".into(), object(r#"{"sha256":"???","md5":"x"}"#).into());
    let mut unsigned = parse(event, "10").to_map();
    unsigned.remove("signatures");
    let mut form = roomlet_wire::redact::redact(&unsigned, version("10"));
    roomlet_wire::sign::sign_json(&mut form, &server("a.example"), &one());
    unsigned.insert("signatures".into(), form["signatures"].clone());
    let verified = parse(unsigned, "10")
        .verify(&Ring::default().with("a.example", &one()))
        .unwrap();
    assert!(verified.hash_mismatch && verified.content().is_empty());
}

#[test]
fn restricted_join_needs_the_authorising_server_from_version_8_on() {
    let content = r#"{"membership":"join","join_authorised_via_users_server":"@w:b.example"}"#;
    let join = |id| signed(draft("m.room.member", Some("@u:a.example"), content), id);
    let ring = || {
        Ring::default()
            .with("a.example", &one())
            .with("b.example", &two())
    };
    for id in ["8", "9", "10", "11", "I.1"] {
        let half = parse(join(id).to_map(), id);
        assert_eq!(
            half.required_signers(),
            [server("a.example"), server("b.example")]
        );
        assert_eq!(
            half.verify(&ring()).unwrap_err().code(),
            Code::MissingSignature,
            "version {id}"
        );
        let whole = join(id).countersigned(&server("b.example"), &two());
        assert_eq!(parse(whole.to_map(), id).verify(&ring()), Ok(whole));
    }
    assert_eq!(
        parse(join("7").to_map(), "7").required_signers(),
        [server("a.example")]
    );
    // The rule is for joins only.
    let leave = content.replace("\"join\"", "\"leave\"");
    let leave = signed(draft("m.room.member", Some("@u:a.example"), &leave), "10");
    assert_eq!(
        parse(leave.to_map(), "10").required_signers(),
        [server("a.example")]
    );
    for odd in [r#""b.example""#, "1", "null", r#""""#] {
        let content = content.replace(r#""@w:b.example""#, odd);
        let draft = draft("m.room.member", Some("@u:a.example"), &content);
        let refused = draft
            .sign(version("10"), &server("a.example"), &one())
            .unwrap_err();
        assert_eq!(refused.code(), Code::BadId, "{odd}");
    }
}

#[test]
fn third_party_invite_frees_the_senders_server_from_signing() {
    let with = |membership: &str| {
        let content = format!(r#"{{"membership":"{membership}","third_party_invite":{{"signed":{{}}}}}}"#);
        signatures(
            signed(draft("m.room.member", Some("@v:b.example"), &content), "10")
                .to_map()
                .clone(),
            "{}",
        )
    };
    let invite = parse(with("invite"), "10");
    assert_eq!(invite.required_signers(), []);
    assert!(invite.verify(&Ring::default()).is_ok());
    for other in ["join", "leave", "ban", "knock"] {
        let error = parse(with(other), "10").verify(&Ring::default()).unwrap_err();
        assert_eq!(error.code(), Code::MissingSignature, "{other}");
    }
    let elsewhere = signed(
        draft("m.x", None, r#"{"membership":"invite","third_party_invite":{}}"#),
        "10",
    );
    assert_eq!(
        parse(elsewhere.to_map(), "10").required_signers(),
        [server("a.example")]
    );
}

#[test]
fn third_party_invite_with_a_wrong_hash_needs_the_senders_server() {
    let content = r#"{"membership":"invite","third_party_invite":{"signed":{}}}"#;
    let made = signed(draft("m.room.member", Some("@v:b.example"), content), "10");
    let mut changed = made.to_map();
    changed.insert("extra".into(), Value::Int(1));
    let ring = Ring::default().with("a.example", &one());
    let forged = parse(signatures(changed.clone(), "{}"), "10");
    // Whoever gets the keys in advance is told of this one, too.
    assert_eq!(forged.required_signers(), [server("a.example")]);
    assert_eq!(forged.verify(&ring).unwrap_err().code(), Code::MissingSignature);
    let verified = parse(changed, "10").verify(&ring).unwrap();
    assert!(verified.hash_mismatch && !verified.content().contains_key("third_party_invite"));
    // Version 11 keeps what it needs of the third-party invite, so the redacted form is one still.
    let made = signed(draft("m.room.member", Some("@v:b.example"), content), "11");
    let mut changed = signatures(made.to_map(), "{}");
    changed.insert("extra".into(), Value::Int(1));
    assert!(parse(changed, "11").verify(&ring).unwrap().hash_mismatch);
}

#[test]
fn the_invitees_signature_is_taken_over_only_if_it_verifies() {
    let invite = signed(
        draft(
            "m.room.member",
            Some("@v:b.example"),
            r#"{"membership":"invite"}"#,
        ),
        "10",
    );
    let other_key = key("ed25519:3", 3);
    let ring = Ring::default()
        .with("b.example", &two())
        .with("b.example", &other_key);
    let b = server("b.example");
    let answer = invite.countersigned(&b, &two());
    let mut returned = answer.to_map();
    returned.insert("extra".into(), Value::Int(1));
    let taken_from = |other: &Map| {
        let other = json::RawValue::from(&Value::Object(other.clone()));
        invite.with_signatures_from(other.as_raw().as_object().unwrap(), &b, &ring)
    };
    let both = taken_from(&returned).unwrap();
    assert_eq!(both.to_map(), answer.to_map());
    // Of any number it takes one: the event has a size.
    let more = answer.countersigned(&b, &other_key);
    assert_ne!(more.to_map(), answer.to_map());
    assert_eq!(taken_from(&more.to_map()).unwrap().to_map(), answer.to_map());

    let code = |other: &Map| taken_from(other).unwrap_err().code();
    assert_eq!(code(&invite.to_map()), Code::MissingSignature);
    let of_another_event = signed(draft("m.x", None, "{}"), "10").countersigned(&b, &two());
    assert_eq!(code(&of_another_event.to_map()), Code::BadSignature);
    assert_eq!(code(&invite.countersigned(&b, &one()).to_map()), Code::UnknownKey);
}

#[test]
fn redaction_keeps_id_and_signatures() {
    let made = signed(draft("m.x", None, r#"{"body":"hi"}"#), "I.1");
    let redacted = made.redacted();
    assert_eq!(redacted.id, made.id);
    assert!(redacted.content().is_empty());
    assert_eq!(redacted.to_map()["signatures"], made.to_map()["signatures"]);
    // Served redacted, it verifies elsewhere, as redacted.
    let elsewhere = Pdu::parse(redacted.to_json().as_bytes(), version("I.1")).unwrap();
    let verified = elsewhere
        .verify(&Ring::default().with("a.example", &one()))
        .unwrap();
    assert!(verified.hash_mismatch);
    assert_eq!(verified, redacted);
}
