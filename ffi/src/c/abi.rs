//! The version of the C API, and what holds for all of it.

use super::{bytes::roomlet_bytes, handle};

/// The rules that hold for every function, at the top of the header.
pub const PREAMBLE: &str = "\
/* roomlet: a Matrix homeserver core that lives inside another program.
 *
 * This file is generated from ffi/src/c; it is also the manual. C99 and C++17.
 *
 * Handles    Pointers to opaque types, from a call to its `_free` (NULL is fine there). Any order of freeing is safe: what
 *            still needs a server keeps its memory. A freed handle gives ROOMLET_FREED_HANDLE; a handle of another kind
 *            or a stray pointer, ROOMLET_BAD_ARGUMENT.
 * Bytes      roomlet_bytes is pointer and length, UTF-8 if it is text, not NUL-terminated. What you pass is read before
 *            the call returns and never kept. Neither side frees the other's memory.
 * Calls      return ROOMLET_OK or a code, and write outputs only on ROOMLET_OK. With another code, `*err` gets an error to
 *            free, if `err` is not NULL. There is no \"last error\".
 * Commands   have `done`, `user_data`, `op_out`; each may be NULL. If the call returns ROOMLET_OK the command runs on
 *            roomlet's threads and `done` runs exactly once, also after cancel or close; perhaps before the call returns,
 *            never inside it on the calling thread. If it returns another code, `done` never runs. `*op_out` is the
 *            command's handle, to wait, cancel and free. A command's answer is durable on this device when it is given.
 *            Besides its own errors each command can give ROOMLET_CLOSED, ROOMLET_CANCELLED, ROOMLET_POISONED,
 *            ROOMLET_PANIC, and those of the store, ROOMLET_STORE to ROOMLET_STORE_NEWER.
 * Threads    Any handle from any thread, unless a function says otherwise. Callbacks come on roomlet's threads, hold no
 *            lock, may call roomlet except where a function waits (that gives ROOMLET_WRONG_THREAD), must not throw, and
 *            should return soon: a server has two threads.
 * Forks      A process that `fork` makes has no threads of roomlet, and no servers: calls on those of its parent give
 *            ROOMLET_CLOSED, freeing one frees the handle alone. Do not fork inside a callback.
 * Growth     Structs that you fill begin with `struct_size`; set the whole struct to zero first. New fields go last; zero
 *            means \"as before\". Functions and codes are only added; the ABI version rises when one is removed.
 * Panics     are bugs in roomlet. None crosses into your code: the call gives ROOMLET_PANIC. Of one in the work on a room
 *            nothing is kept, and all else goes on; after any other that server gives ROOMLET_POISONED. Others live on.
 */";

/// The version of the ABI that this header describes.
pub const ROOMLET_ABI_VERSION: u32 = 1;

/// The version of the ABI of the library that was loaded: compare it with `ROOMLET_ABI_VERSION`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_abi_version() -> u32 {
    ROOMLET_ABI_VERSION
}

/// The version of the library, as `0.1.0`. Lives as long as the program. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_version() -> roomlet_bytes {
    roomlet_bytes::lend(env!("CARGO_PKG_VERSION").as_bytes())
}

/// How many handles are not freed, of all kinds: for tests that look for leaks. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_live_handles() -> usize {
    handle::live()
}
