//! roomlet for other languages: the C API of `include/roomlet.h` and the UniFFI face, in one library.
//!
//! Both faces only convert; what they do is [`roomlet_homeserver::Homeserver`].

// Each face uses its own part of what they share.
#![cfg_attr(not(all(feature = "c", feature = "uniffi")), allow(dead_code))]

mod convert;
mod guard;
mod runtime;
mod world;

#[cfg(feature = "c")]
pub mod c;
#[cfg(feature = "uniffi")]
pub mod uniffi_face;

#[cfg(feature = "uniffi")]
uniffi::setup_scaffolding!("roomlet");
