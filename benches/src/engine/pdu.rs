//! The check of one inbound PDU: bytes to parsed, form, content hash, event id, one signature.

use super::{
    rooms::{Room, member, user},
    ruma,
};
use crate::measure::{Bound, Round, measure, report};
use roomlet_ruma::{Event, Keys, check, rules};
use roomlet_wire::{
    Parsed, Pdu, Result, RoomVersion, Verified, base64,
    sign::{KeyRing, PublicKey},
};
use ruma_common::room_version_rules::RoomVersionRules;
use std::hint::black_box;

/// The only key there is.
struct OneKey(PublicKey);

impl KeyRing for OneKey {
    fn key(&self, _: &str, _: &str, _: i64, _: bool) -> Result<PublicKey> {
        Ok(self.0.clone())
    }
}

/// An event as bytes, and what its check needs.
struct Inbound {
    name: &'static str,
    text: String,
    version: &'static RoomVersion,
    ring: OneKey,
    signature: Vec<u8>,
    their_keys: Keys,
    their_rules: RoomVersionRules,
}

impl Inbound {
    /// A message and a member event.
    fn both() -> [Self; 2] {
        let (mut room, branch) = Room::with_members(4, 10, 1);
        let message = room.message(&branch, 3);
        let joins = room
            .sign(&branch, 11, "m.room.member", Some(&user(11)), &member("join", 0))
            .0;
        [("message", message), ("member event", joins)].map(|(name, pdu)| Self {
            name,
            text: pdu.json().to_owned(),
            version: room.version,
            ring: OneKey(room.key.public()),
            signature: base64::decode(&room.key.sign(pdu.json().as_bytes())).expect("base64"),
            their_keys: ruma::keys(&room),
            their_rules: rules(room.version),
        })
    }

    fn check_signature(&self) {
        let bytes = black_box(self.text.as_bytes());
        assert!(self.ring.0.verifies(bytes, black_box(&self.signature)));
    }

    fn check(&self) -> Pdu<Verified> {
        let pdu = Pdu::<Parsed>::parse(black_box(self.text.as_bytes()), self.version);
        pdu.and_then(|pdu| pdu.verify(&self.ring))
            .expect("the event is right")
    }

    fn check_by_ruma(&self) -> (Event, bool) {
        let bytes = black_box(self.text.as_bytes());
        check(bytes, &self.their_keys, &self.their_rules).expect("the event is right")
    }
}

/// Claims: a tenth more than the bare check of the signature, and all but that four times as fast as ruma's.
pub(crate) fn run() {
    for inbound in Inbound::both() {
        let name = inbound.name;
        println!("inbound {name} of {} bytes", inbound.text.len());
        let measured = measure(&format!("inbound {name}"), false, || {
            Round::time(|| inbound.check_signature(), || _ = black_box(inbound.check()))
        });
        let with_ruma = measure(&format!("inbound {name}, ruma"), false, || {
            Round::time(
                || inbound.check_signature(),
                || _ = black_box(inbound.check_by_ruma()),
            )
        });
        report(
            &format!("inbound {name} / ed25519 verify"),
            measured.ratio(),
            "x",
            Bound::AtMost(1.10),
        );
        report(
            &format!("ruma's inbound {name} / ed25519 verify"),
            with_ruma.ratio(),
            "x",
            Bound::Told,
        );
        report(
            &format!("ruma / inbound {name}, all but the signature"),
            with_ruma.excess / measured.excess,
            "x",
            Bound::AtLeast(4.0),
        );
        report(
            &format!("inbound {name}, all but the signature"),
            measured.excess * 1e6,
            "us",
            Bound::Told,
        );
    }
}

/// Claims: at most six allocations. `count` tells how many some work makes.
pub fn report_allocations(count: &dyn Fn(&dyn Fn()) -> u64) {
    for inbound in Inbound::both() {
        report(
            &format!("allocations of an inbound {}", inbound.name),
            count(&|| drop(black_box(inbound.check()))) as f64,
            "",
            Bound::AtMost(6.0),
        );
        report(
            &format!("allocations of ruma's inbound {}", inbound.name),
            count(&|| drop(black_box(inbound.check_by_ruma()))) as f64,
            "",
            Bound::Told,
        );
    }
}
