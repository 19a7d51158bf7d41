//! What tests of whole homeservers share: a network in one process on virtual time, homeservers on it over stores in
//! memory, and [`Peer`], another server that has a signing key but no logic, so that a test can make it sign and send
//! anything.
//!
//! Everything runs on one thread with tokio's paused clock (`#[tokio::test(start_paused = true)]`), and repeats exactly.
#![forbid(unsafe_code)]

mod answers;
mod look;
mod network;
mod peer;
mod room;
mod server;
mod store;

pub use look::{Present, StateIds, events_of, told_state, updates};
pub use network::{Endpoint, Network};
pub use peer::{Peer, Reply};
pub use room::PeerRoom;
pub use server::{Lines, Server, World};
pub use store::HookedStore;

use roomlet_wire::{Map, Value, json};

/// A JSON object written in a test.
///
/// # Panics
/// If the text is not one.
#[must_use]
pub fn object(text: &str) -> Map {
    json::parse_object_lenient(text.as_bytes()).expect("a test writes JSON objects")
}

/// A list of texts as JSON.
pub fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::from(item.as_ref())).collect())
}

/// `text` as one segment of a path.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
