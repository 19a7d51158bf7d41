//! ruma's engine (the crates of ruma 0.17), as its documentation has it used: a peer for differential tests and
//! benchmarks.
#![forbid(unsafe_code)]

mod event;
mod room;

pub use event::{Event, Keys, check, id_of, read, redacted, redacted_text, rules};
pub use room::{Chain, Room, State, state};
