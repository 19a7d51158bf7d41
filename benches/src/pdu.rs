//! The check of one inbound PDU: parse, event id, content hash, one signature.

use crate::{
    measure::{Bound, Round, measure, report},
    remote::Remote,
};
use roomlet_wire::{
    Parsed, Pdu, Result, Verified, base64,
    sign::{KeyRing, PublicKey},
};
use std::hint::black_box;

/// The only key there is.
struct OneKey(PublicKey);

impl KeyRing for OneKey {
    fn key(&self, _: &str, _: &str, _: i64, _: bool) -> Result<PublicKey> {
        Ok(self.0.clone())
    }
}

/// The signature of an event made here and its message's bytes, as good as what a bare check takes.
pub(crate) struct Bare {
    key: PublicKey,
    message: String,
    signature: Vec<u8>,
}

impl Bare {
    /// For an event of `remote`, of whose length the message is.
    pub(crate) fn new(remote: &Remote, pdu: &Pdu<Verified>) -> Self {
        let message = pdu.to_json();
        let signature = base64::decode(&remote.sign(&message)).unwrap_or_default();
        Self {
            key: remote.public_key(),
            message,
            signature,
        }
    }

    /// Checks it.
    pub(crate) fn verify(&self) {
        assert!(
            self.key
                .verifies(black_box(self.message.as_bytes()), black_box(&self.signature))
        );
    }
}

/// Claim: at most 1.5 times as long as the bare check of its signature.
pub(crate) fn run() {
    let remote = Remote::new(2);
    let member = remote.state()[4].clone();
    for (name, pdu) in [("message", remote.message()), ("member event", member)] {
        let (text, ring) = (pdu.to_json(), OneKey(remote.public_key()));
        let bare = Bare::new(&remote, &pdu);
        let measured = measure(&format!("inbound {name}"), false, || {
            Round::time(
                || bare.verify(),
                || {
                    let pdu = Pdu::<Parsed>::parse(black_box(text.as_bytes()), remote.version());
                    let verified = pdu.and_then(|pdu| pdu.verify(&ring));
                    assert!(verified.is_ok_and(|pdu| !pdu.hash_mismatch));
                },
            )
        });
        println!("inbound {name} of {} bytes", text.len());
        report(
            &format!("inbound {name} / ed25519 verify"),
            measured.ratio(),
            "x",
            Bound::AtMost(1.5),
        );
        report(
            &format!("inbound {name}"),
            measured.subject * 1e6,
            "us",
            Bound::Told,
        );
    }
}
