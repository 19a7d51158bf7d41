//! Commands on the store as a whole.

use super::{
    bytes::roomlet_bytes,
    call::Command,
    error::{roomlet_code, roomlet_error},
    op::{roomlet_done, roomlet_op},
    result::Outcome,
    server::roomlet_server,
};
use crate::convert;
use std::{ffi::c_void, path::PathBuf};

/// Reads all that is stored, and reports what does not fit together; with `repair` not 0, what follows from other things
/// is put right, and events that cannot be read are deleted, so that the rest of their rooms can be used: make a copy of
/// the file first, if somebody may want to look at them. The result is a JSON object: `rooms`, `events` and `states`, how
/// many were looked at, and `faults`, a list of objects of `kind` (`file`, `index`, `lost-event`, `room`, `event-form`,
/// `event-id`, `slot`, `auth-event`, `event-state`, `state-parent`, `state-event`, `extremity`, `current-state`, `member`,
/// `missing-event`, `delivery`), `about` and `repaired`. Commands on a room wait while it is looked at. Any thread.
/// Errors: those of the store, where it cannot even be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_store_check(
    server: *mut roomlet_server,
    repair: i32,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |_, homeserver| {
        Ok(async move {
            let report = homeserver.check_store(repair != 0).await?;
            Ok(Outcome::text(convert::report(&report)))
        })
    })
}

/// Writes a copy of the store, as it is at one moment, to the new file `path`; commands go on meanwhile. The copy can be
/// opened as a store. The result is empty. Any thread.
/// Errors: ROOMLET_BAD_PARAM if there is such a file, or if the store is in memory; ROOMLET_STORE, ROOMLET_STORE_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_store_backup(
    server: *mut roomlet_server,
    path: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let path = PathBuf::from(args.text(path, "path")?);
        Ok(async move {
            homeserver.backup(&path).await?;
            Ok(Outcome::default())
        })
    })
}
