//! What events mean: authorization, state, state resolution, the event graph.
//!
//! Pure: no clock, no randomness, no I/O. Events come in through [`Source`]; verdicts and states come out.
//! Everything here gives the same answer on every server that holds the same events (EC-7).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that unwraps fails"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
pub mod graph;
pub mod ingest;
pub mod node;
pub mod resolve;
pub mod slot;
pub mod state;

pub use auth::{AuthState, Denied, Levels, Power};
pub use ingest::Verdict;
pub use node::{AuthContent, Node, Role, Source};
pub use slot::Slots;
pub use state::StateMap;
