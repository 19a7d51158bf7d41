//! The check of one inbound PDU: bytes to parsed, form, content hash, event id, one signature.

use super::{
    rooms::{Room, member, user},
    ruma,
};
use crate::measure::{Bound, Round, measure, report};
use roomlet_ruma::{check, rules};
use roomlet_wire::{
    Parsed, Pdu, Result, base64,
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

/// Claims: a tenth more than the bare check of the signature, and all but that four times as fast as ruma's; at most six
/// allocations.
pub(crate) fn run() {
    let (mut room, branch) = Room::with_members(4, 10, 1);
    let message = room.message(&branch, 3);
    let joins = room
        .sign(&branch, 11, "m.room.member", Some(&user(11)), &member("join", 0))
        .0;
    for (name, pdu) in [("message", message), ("member event", joins)] {
        let (text, ring) = (pdu.json(), OneKey(room.key.public()));
        let (keys, rules) = (ruma::keys(&room), rules(room.version));
        let signature = base64::decode(&room.key.sign(text.as_bytes())).unwrap_or_default();
        let bare = || assert!(ring.0.verifies(black_box(text.as_bytes()), black_box(&signature)));
        let ours = || {
            let pdu = Pdu::<Parsed>::parse(black_box(text.as_bytes()), room.version);
            pdu.and_then(|pdu| pdu.verify(&ring)).expect("the event is right")
        };
        let theirs = || check(black_box(text.as_bytes()), &keys, &rules).expect("the event is right");
        println!("inbound {name} of {} bytes", text.len());

        let measured = measure(&format!("inbound {name}"), false, || {
            Round::time(bare, || _ = black_box(ours()))
        });
        let with_ruma = measure(&format!("inbound {name}, ruma"), false, || {
            Round::time(bare, || _ = black_box(theirs()))
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
        let allocations = |work: &dyn Fn()| allocation_counter::measure(work).count_total as f64;
        report(
            &format!("allocations of an inbound {name}"),
            allocations(&|| drop(black_box(ours()))),
            "",
            Bound::AtMost(6.0),
        );
        report(
            &format!("allocations of ruma's inbound {name}"),
            allocations(&|| drop(black_box(theirs()))),
            "",
            Bound::Told,
        );
    }
}
