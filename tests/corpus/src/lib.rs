//! What must hold of any bytes at all.
//!
//! Each target takes bytes and panics if a property is broken. `fuzz/` feeds them random bytes with libFuzzer; the
//! inputs that reached new code are kept in `inputs/`, a folder for each target, and `tests/replay.rs` runs those as
//! ordinary tests. `tests/bounds.rs` holds what coverage does not see: time and memory by the size of the input.
#![forbid(unsafe_code)]

mod graph;
mod id;
mod json;
mod pdu;
mod recipe;
mod request;
mod room;
mod transaction;
mod x_matrix;

pub use id::id;
pub use json::json;
pub use pdu::pdu;
pub use request::request;
pub use room::room;
pub use transaction::transaction;
pub use x_matrix::x_matrix;

use roomlet_wire::{RoomVersion, version::TABLE};

/// A property of bytes; panics where it does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder in `inputs/` and of its file in `fuzz/fuzz_targets/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("id", id),
    ("json", json),
    ("pdu", pdu),
    ("request", request),
    ("room", room),
    ("transaction", transaction),
    ("x_matrix", x_matrix),
];

/// The first byte chooses a room version, the rest is the input: `a` is the first of the table.
fn versioned(data: &[u8]) -> Option<(&'static RoomVersion, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((pick(TABLE, *first), rest))
}

/// The item that a byte chooses: letters from `a` on count from 0, so that inputs can be read.
fn pick<T>(items: &[T], byte: u8) -> &T {
    &items[usize::from(byte.wrapping_sub(b'a')) % items.len()]
}
