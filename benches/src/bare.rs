//! The bare check of a signature, which other work is measured by.

use crate::remote::Remote;
use roomlet_wire::{Pdu, Verified, base64, sign::PublicKey};
use std::hint::black_box;

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
