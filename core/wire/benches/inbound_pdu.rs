//! The check of one inbound PDU (parse, event id, content hash, one signature) beside a bare ed25519 verification
//! of the same message, in one process. Claim: at most 1.5 times as long.

use roomlet_wire::{
    Code, Error, EventId, KeyId, Parsed, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, json,
    pdu::Draft,
    sign::{KeyPair, KeyRing, PublicKey},
};
use std::{hint::black_box, time::Instant};

struct OneKey(PublicKey);

impl KeyRing for OneKey {
    fn key(&self, _: &ServerName, _: &KeyId, _: i64, _: bool) -> Result<PublicKey> {
        Ok(self.0.clone())
    }
}

const ROUNDS: usize = 2_000;
const BATCHES: usize = 7;

/// The fastest of some batches, in microseconds for one round: the least disturbed by other load.
fn microseconds(mut round: impl FnMut()) -> f64 {
    (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(|_| round());
            start.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64
        })
        .fold(f64::INFINITY, f64::min)
}

fn message(server: &ServerName, key: &KeyPair, version: &'static RoomVersion) -> Result<String> {
    let content = json::parse_object(
        br#"{"m.text":[{"body":"A message of ordinary length, as people send them all day long."},
            {"body":"<p>A message of ordinary length</p>","mimetype":"text/html"}]}"#,
    )?;
    let id = |c: &str| EventId::parse(&format!("${}", c.repeat(43)));
    let draft = Draft {
        room_id: Some(RoomId::parse("!room:one.example")?),
        sender: UserId::parse("@alice:one.example")?,
        kind: "m.message".into(),
        state_key: None,
        content,
        prev_events: vec![id("a")?, id("b")?],
        auth_events: vec![id("c")?, id("d")?, id("e")?],
        depth: 1234,
        origin_server_ts: 1_700_000_000_000,
        redacts: None,
    };
    Ok(draft.sign(version, server, key)?.to_json())
}

fn main() -> Result<()> {
    let server = ServerName::parse("one.example")?;
    let key = KeyPair::from_seed(KeyId::parse("ed25519:1")?, &[7; 32]);
    let version = RoomVersion::get("I.1").ok_or_else(|| Error::new(Code::UnknownRoomVersion, "I.1"))?;
    let text = message(&server, &key, version)?;
    let ring = OneKey(key.public());

    let signature = roomlet_wire::base64::decode(&key.sign(text.as_bytes())).unwrap_or_default();
    let bare = microseconds(|| {
        assert!(ring.0.verifies(black_box(text.as_bytes()), black_box(&signature)));
    });
    let parse = microseconds(|| {
        black_box(Pdu::<Parsed>::parse(black_box(text.as_bytes()), version).is_ok());
    });
    let whole = microseconds(|| {
        let pdu = Pdu::<Parsed>::parse(black_box(text.as_bytes()), version);
        let verified = pdu.and_then(|pdu| pdu.verify(&ring));
        assert!(verified.is_ok_and(|pdu| !pdu.hash_mismatch));
    });
    println!("event of {} bytes, microseconds each", text.len());
    println!("bare ed25519 verify  {bare:8.2}");
    println!("parse with event id  {parse:8.2}");
    println!("whole check          {whole:8.2}  = {:.2} x bare", whole / bare);
    Ok(())
}
