//! The C API. `include/roomlet.h` is generated from these files and is the manual; `abi.rs` begins it.

// C's naming conventions hold for what C sees.
#![allow(non_camel_case_types)]
// Every function has the same safety contract; the header states it once, at its top (`abi::PREAMBLE`).
#![allow(clippy::missing_safety_doc)]

pub mod abi;
pub mod bytes;
mod call;
pub mod config;
pub mod error;
pub mod exchange;
mod handle;
#[cfg(test)]
mod header;
pub mod host;
pub mod op;
pub mod read;
pub mod result;
pub mod room;
pub mod server;
mod server_life;
pub mod store;
pub mod toolkit;
pub mod updates;
