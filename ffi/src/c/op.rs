//! Commands under way: waiting for them, cancelling them.

use super::{
    call::Call,
    error::{self, roomlet_code, roomlet_error},
    handle::{self, Opaque},
    result::{self, Outcome, roomlet_result},
};
use crate::runtime::{self, Process};
use roomlet_homeserver::{Code, Error, Result};
use std::{
    ffi::c_void,
    ptr,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A command under way, or one that has ended. Freeing it does not stop the command.
pub struct roomlet_op(());

impl Opaque for roomlet_op {
    type Inner = Op;
    const KIND: usize = 2;
}

/// Takes what a command gave: `result`, or `error` and then `result` is NULL. Both are borrowed. Called once, on one of
/// roomlet's threads.
pub type roomlet_done = Option<
    unsafe extern "C" fn(user_data: *mut c_void, result: *const roomlet_result, error: *const roomlet_error),
>;

/// What stands behind a `roomlet_op`.
#[derive(Default)]
pub(super) struct Op {
    process: Process,
    cancel: Notify,
    ended: Mutex<Option<Result<Arc<Outcome>>>>,
    has_ended: Condvar,
}

impl Op {
    /// Waits until someone cancels.
    pub(super) async fn cancelled(&self) {
        self.cancel.notified().await;
    }

    /// Says that the command has ended.
    pub(super) fn end(&self, outcome: Result<Arc<Outcome>>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.has_ended.notify_all();
    }

    /// Blocks until the command has ended, or for `timeout`.
    fn wait(&self, timeout: Option<Duration>) -> Result<Arc<Outcome>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = &*ended {
                return outcome.clone();
            }
            ended = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.has_ended.wait(ended).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    return Err(Error::new(
                        Code::TimedOut,
                        "roomlet_op_wait: the command has not ended in time",
                    ));
                }
                Some(left) => {
                    self.has_ended
                        .wait_timeout(ended, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

/// The host's callback for the end of a command.
pub(super) struct Completion {
    pub(super) done: roomlet_done,
    pub(super) user_data: *mut c_void,
}

// SAFETY: roomlet never looks at `user_data`; the header says that callbacks come on other threads, so a host passes
// what may be used there.
unsafe impl Send for Completion {}

impl Completion {
    /// Calls `done`.
    pub(super) fn call(self, outcome: &Result<Arc<Outcome>>) {
        let Some(done) = self.done else { return };
        let _scope = runtime::CallbackScope::enter();
        // SAFETY (both calls): `done` is the host's function for exactly these arguments; the handles live until it
        // returns.
        match outcome {
            Ok(outcome) => result::lend(outcome, |lent| unsafe { done(self.user_data, lent, ptr::null()) }),
            Err(failed) => {
                let lent = error::handle_of(failed.clone());
                unsafe { done(self.user_data, ptr::null(), lent) };
                error::roomlet_error_free(lent);
            }
        }
    }
}

/// Waits until the command has ended and `done` has returned, at most `timeout_ms` milliseconds (below 0: for ever), and
/// gives what the command gave. `out` may be NULL. May be called again, also by several threads.
///
/// Not from a callback. Errors: those of the command; ROOMLET_TIMED_OUT; ROOMLET_WRONG_THREAD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_op_wait(
    op: *const roomlet_op,
    timeout_ms: i64,
    out: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let op = handle::get(op, "op")?;
        runtime::refuse_inside("roomlet_op_wait")?;
        op.process.check("`op`")?;
        let outcome = op.wait(u64::try_from(timeout_ms).ok().map(Duration::from_millis))?;
        if let Some(out) = args.optional_out(out) {
            out.write(handle::put(outcome));
        }
        Ok(())
    })
}

/// Asks the command to stop; it then ends with ROOMLET_CANCELLED. It may have taken effect all the same, or still take
/// effect where it waits for its room: with a transaction id, asking again is safe. Nothing if it has ended, and if `op` is
/// NULL or was freed. Any thread, also in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_op_cancel(op: *mut roomlet_op) {
    if let Ok(op) = handle::get(op, "op") {
        op.cancel.notify_one();
    }
}

/// Frees the handle; the command goes on. NULL is fine, and so is one that was freed. Any thread, also in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn roomlet_op_free(op: *mut roomlet_op) {
    // A second free finds nothing to free, and there is nobody to tell.
    let _ = handle::take(op, "op");
}
