//! One event from another server.

use crate::versioned;
use roomlet_wire::{
    KeyId, Map, Parsed, Pdu, Result, RoomVersion, Value, Verified, hash, json,
    redact::redact,
    sign::{self, KeyPair, KeyRing, PublicKey},
    version::EventFormat,
};

/// An event that is read is the same after it was stored; redaction is idempotent, keeps the form and the id; and an
/// event that all required servers signed is verified, until one byte of its content is another.
///
/// # Panics
/// If not.
pub fn pdu(data: &[u8]) {
    let Some((version, bytes)) = versioned(data) else {
        return;
    };
    let Ok(pdu) = Pdu::<Parsed>::parse(bytes, version) else {
        return;
    };
    let stored = from_store(&pdu.to_json(), version);
    let mut bare = (*pdu).clone();
    bare.preview = None;
    assert_eq!(*stored, bare);
    let backfilled = Pdu::<Parsed>::parse_backfill(pdu.to_json().as_bytes(), version);
    assert_eq!(backfilled.as_deref(), Ok(&bare));
    let from_object = Pdu::<Parsed>::from_object(pdu.to_map(), version);
    assert_eq!(from_object.as_deref(), Ok(&bare));

    let redacted = redact(&pdu.to_map(), version);
    assert_eq!(redact(&redacted, version), redacted);
    assert_eq!(
        hash::event_id(&redacted, version),
        hash::event_id(&pdu.to_map(), version)
    );
    if version.event_format != EventFormat::ServerIds {
        assert_eq!(hash::event_id(&pdu.to_map(), version), pdu.id);
    }
    assert_eq!(stored.redacted().to_map(), redacted);
    assert_eq!(
        *from_store(&stored.redacted().to_json(), version),
        *stored.redacted()
    );

    signatures(&pdu);
}

fn from_store(text: &str, version: &'static RoomVersion) -> Pdu<Verified> {
    Pdu::from_store(text.as_bytes(), version).expect("what was read once is read again")
}

/// Signs the event anew for each server that has to.
fn signatures(pdu: &Pdu<Parsed>) {
    let key = KeyPair::from_seed(KeyId::parse("ed25519:1").expect("a key id"), &[7; 32]);
    let mut event = pdu.to_map();
    let hashes = Map::from([("sha256".to_owned(), hash::content_hash(&event).into())]);
    event.insert("hashes".into(), hashes.into());
    event.insert("signatures".into(), Map::new().into());
    for server in pdu.required_signers() {
        sign::sign_event(&mut event, pdu.version, &server, &key);
    }
    // Hash and signatures may have made it too large.
    let Ok(signed) = Pdu::<Parsed>::from_object(event, pdu.version) else {
        return;
    };
    let keys = OneKey(key.public());
    match signed.clone().verify(&keys) {
        Ok(verified) => assert!(!verified.hash_mismatch && verified.to_map() == signed.to_map()),
        Err(error) => panic!("a signed event is refused: {error}"),
    }

    let mut changed = signed.to_map();
    let mut content = signed.content().to_map();
    content.insert("roomlet.changed".into(), Value::Bool(true));
    changed.insert("content".into(), content.into());
    if json::map_to_canonical(&changed) == signed.to_json() {
        return;
    }
    let Ok(changed) = Pdu::<Parsed>::from_object(changed, pdu.version) else {
        return;
    };
    if let Ok(verified) = changed.verify(&keys) {
        assert!(verified.hash_mismatch, "a changed event has the same hash");
        assert_eq!(verified.to_map(), redact(&signed.to_map(), pdu.version));
    }
}

/// The same key for every server.
struct OneKey(PublicKey);

impl KeyRing for OneKey {
    fn key(&self, _: &str, _: &str, _: i64, _: bool) -> Result<PublicKey> {
        Ok(self.0.clone())
    }
}
