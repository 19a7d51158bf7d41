//! The update stream.

use super::{
    bytes::roomlet_bytes,
    call::{Call, Command},
    error::{roomlet_code, roomlet_error},
    handle::{self, Opaque},
    op::{roomlet_done, roomlet_op},
    result::Outcome,
    server::roomlet_server,
    server_life::Core,
};
use crate::convert;
use roomlet_homeserver::{Code, Error, Result, StreamPos};
use std::{
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A reader of the update stream: a place in it that moves on with each batch.
pub struct roomlet_updates(());

impl Opaque for roomlet_updates {
    type Inner = Updates;
    const KIND: usize = 3;
}

/// What stands behind a `roomlet_updates`.
pub(super) struct Updates {
    core: Arc<Core>,
    handed_out: AtomicU64,
    reading: AtomicBool,
}

/// The one batch under way; others begin when it is dropped.
struct Reading(Arc<Updates>);

impl Reading {
    fn begin(updates: Arc<Updates>) -> Result<Self> {
        if updates.reading.swap(true, Ordering::AcqRel) {
            return Err(Error::new(Code::Busy, "`updates`: a batch is under way already"));
        }
        Ok(Self(updates))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.store(false, Ordering::Release);
    }
}

/// Opens a reader of what comes after the update with token `since` (empty: of everything that is kept). Keep the token
/// of what you have handled, and after a crash begin there: nothing is missed. Any thread. Errors: ROOMLET_BAD_PARAM for
/// text that is no token; ROOMLET_CLOSED, ROOMLET_POISONED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_updates_open(
    server: *const roomlet_server,
    since: roomlet_bytes,
    out: *mut *mut roomlet_updates,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let core = Arc::clone(&handle::get(server, "server")?.core);
        let _ticket = core.enter()?;
        let since = convert::position(args.text(since, "since")?)?;
        let out = args.out(out, "out")?;
        let updates = Updates {
            core,
            handed_out: AtomicU64::new(since.0),
            reading: AtomicBool::new(false),
        };
        out.write(handle::put(Arc::new(updates)));
        Ok(())
    })
}

/// Gives the next 1 to `max` updates (`max` is 1 to 1,000), as soon as there is one; waiting holds no thread. If it ends
/// with an error the reader has not moved.
///
/// The result has `roomlet_result_update_count` updates, each a token and an object with `pos` (the token), `kind` and
/// what belongs to it:
///   `event`          `event`: a new event, as `roomlet_room_event` gives it
///   `state_changed`  `room_id`, `type`, `state_key`, `event` (or null): merging histories changed the current state
///                    without a new event
///   `membership`     `room_id`, `user_id`, `membership`, `sender`: of a local user
///   `redacted`       `room_id`, `event_id`, `redacted_by`: an event lost its content
///
/// Any thread, one call at a time. Errors: ROOMLET_BUSY if the call before has not ended; ROOMLET_BAD_PARAM for a token beyond
/// the newest update, of another store or of a store that went back to a backup; ROOMLET_BAD_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_updates_next(
    updates: *mut roomlet_updates,
    max: usize,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    let core = || Ok(Arc::clone(&handle::get(updates, "updates")?.core));
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.start(core, |_, homeserver| {
        if !(1..=1000).contains(&max) {
            return Err(Error::new(
                Code::BadArgument,
                format!("`max`: {max} is not 1 to 1000"),
            ));
        }
        let reading = Reading::begin(handle::get(updates, "updates")?)?;
        Ok(async move {
            let after = StreamPos(reading.0.handed_out.load(Ordering::Acquire));
            let batch = homeserver.updates(after, max).await?;
            if let Some(last) = batch.last() {
                reading.0.handed_out.store(last.pos.0, Ordering::Release);
            }
            Ok(Outcome::updates(&batch))
        })
    })
}

/// Frees a reader; a batch under way is still handed out. NULL is fine, and so is one that was freed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_updates_free(updates: *mut roomlet_updates) {
    // A second free finds nothing to free, and there is nobody to tell.
    let _ = handle::take(updates, "updates");
}

/// Gives the token of the newest update: a reader opened with it begins with what comes next. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_updates_last(
    server: *const roomlet_server,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |_, homeserver| {
        Ok(async move { Ok(Outcome::text(convert::token(homeserver.last_update().await?))) })
    })
}

/// Forgets updates up to and with the one with token `up_to`, which every reader has handled; without this the stream only
/// grows. The result is empty. Any thread. Errors: ROOMLET_BAD_PARAM for text that is no token, and as `roomlet_updates_next`
/// for one beyond the newest update.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_updates_trim(
    server: *mut roomlet_server,
    up_to: roomlet_bytes,
    done: roomlet_done,
    user_data: *mut c_void,
    op_out: *mut *mut roomlet_op,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Command::new(done, user_data, op_out, err) }.of_server(server, |args, homeserver| {
        let up_to = convert::position(args.text(up_to, "up_to")?)?;
        Ok(async move {
            homeserver.trim_updates(up_to).await?;
            Ok(Outcome::default())
        })
    })
}
