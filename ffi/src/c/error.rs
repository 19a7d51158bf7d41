//! Errors as C sees them.

use super::{
    bytes::roomlet_bytes,
    handle::{self, Opaque},
};
use roomlet_homeserver::{Code, Error};
use std::sync::Arc;

/// What went wrong, as a number that never changes its meaning: `ROOMLET_OK` or one of the codes below.
pub type roomlet_code = i32;

/// It worked.
pub const ROOMLET_OK: roomlet_code = 0;

/// What went wrong with which thing. Owned by whoever got it from a call (`roomlet_error_free`), borrowed in a callback.
pub struct roomlet_error(());

impl Opaque for roomlet_error {
    type Inner = Error;
    const KIND: usize = 5;
}

/// An owned error handle.
pub(super) fn handle_of(error: Error) -> *mut roomlet_error {
    handle::put(Arc::new(error))
}

/// The error's code; `ROOMLET_OK` if `error` is NULL or was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_error_code(error: *const roomlet_error) -> roomlet_code {
    handle::get(error, "error").map_or(ROOMLET_OK, |error| error.code() as roomlet_code)
}

/// The Matrix errcode, as `M_FORBIDDEN`: what another server would see. Lives as long as the program; empty if `error`
/// is NULL or was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_error_errcode(error: *const roomlet_error) -> roomlet_bytes {
    handle::get(error, "error").map_or(roomlet_bytes::NONE, |error| {
        roomlet_bytes::lend(error.errcode().as_bytes())
    })
}

/// What was wrong with which thing, in English, for developers. Lives as long as `error`; empty if that is NULL or was
/// freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_error_message(error: *const roomlet_error) -> roomlet_bytes {
    handle::get(error, "error").map_or(roomlet_bytes::NONE, |error| {
        roomlet_bytes::lend(error.about().as_bytes())
    })
}

/// Frees an error that a call gave. NULL is fine, and so is one that was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_error_free(error: *mut roomlet_error) {
    // A second free finds nothing to free, and there is nobody to tell.
    let _ = handle::take(error, "error");
}

/// What a code means, in one English sentence. Lives as long as the program; empty for a number that is no code. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_code_meaning(code: roomlet_code) -> roomlet_bytes {
    if code == ROOMLET_OK {
        return roomlet_bytes::lend(b"It worked.");
    }
    Code::ALL
        .iter()
        .find(|known| **known as roomlet_code == code)
        .map_or(roomlet_bytes::NONE, |known| {
            roomlet_bytes::lend(known.meaning().as_bytes())
        })
}
