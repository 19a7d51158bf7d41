//! What bytes mean: identifiers, canonical JSON, events on the wire, room versions, signatures, frames.
//!
//! Pure: no clock, no randomness, no I/O. The same input gives the same answer on every server.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod base64;
pub mod error;
pub mod frame;
pub mod hash;
pub mod id;
pub mod json;
pub mod limits;
pub mod num;
pub mod pdu;
pub mod redact;
pub mod sign;
pub mod text;
pub mod version;

pub use error::{Code, Error, Result};
pub use id::{EventId, Excerpt, KeyId, RoomAlias, RoomId, ServerName, UserId};
pub use json::{Map, Value};
pub use num::{EventNum, RoomNum, SlotNum, StateNum, StreamPos};
pub use pdu::{Parsed, Pdu, Verified};
pub use text::Text;
pub use version::RoomVersion;
