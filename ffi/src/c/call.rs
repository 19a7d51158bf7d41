//! How every exported function runs: guarded against panics, its error handed out, its command started.

use super::{
    bytes::Args,
    error::{self, ROOMLET_OK, roomlet_code, roomlet_error},
    handle,
    op::{Completion, Op, roomlet_done, roomlet_op},
    result::Outcome,
    server::roomlet_server,
    server_life::{Core, Ticket},
};
use crate::guard;
use roomlet_homeserver::{Code, Error, Homeserver, Result};
use std::{ffi::c_void, future::Future, pin::Pin, sync::Arc};

/// A call that answers at once.
pub(super) struct Call {
    args: Args,
    err: *mut *mut roomlet_error,
}

impl Call {
    /// # Safety
    /// Each pointer of the call keeps the header's rules, until [`run`](Self::run) returns.
    pub(super) unsafe fn new(err: *mut *mut roomlet_error) -> Self {
        // SAFETY: the same promise.
        Self {
            args: unsafe { Args::promised() },
            err,
        }
    }

    /// Runs `body` and hands out its error.
    pub(super) fn run(self, body: impl FnOnce(&Args) -> Result<()>) -> roomlet_code {
        match guard::catch(|| body(&self.args)) {
            Ok(()) => ROOMLET_OK,
            Err(error) => {
                let code = error.code() as roomlet_code;
                if let Some(err) = self.args.optional_out(self.err) {
                    err.write(error::handle_of(error));
                }
                code
            }
        }
    }
}

/// A call that starts a command.
pub(super) struct Command {
    call: Call,
    completion: Completion,
    op_out: *mut *mut roomlet_op,
}

impl Command {
    /// # Safety
    /// Each pointer of the call keeps the header's rules.
    pub(super) unsafe fn new(
        done: roomlet_done,
        user_data: *mut c_void,
        op_out: *mut *mut roomlet_op,
        err: *mut *mut roomlet_error,
    ) -> Self {
        // SAFETY: the same promise.
        Self {
            call: unsafe { Call::new(err) },
            completion: Completion { done, user_data },
            op_out,
        }
    }

    /// Starts a command of `server`: `prepare` reads the arguments and gives what is to run.
    pub(super) fn of_server<F>(
        self,
        server: *const roomlet_server,
        prepare: impl FnOnce(&Args, Homeserver) -> Result<F>,
    ) -> roomlet_code
    where
        F: Future<Output = Result<Outcome>> + Send + 'static,
    {
        self.start(|| Ok(Arc::clone(&handle::get(server, "server")?.core)), prepare)
    }

    /// Starts a command of the server that `core` finds.
    pub(super) fn start<F>(
        self,
        core: impl FnOnce() -> Result<Arc<Core>>,
        prepare: impl FnOnce(&Args, Homeserver) -> Result<F>,
    ) -> roomlet_code
    where
        F: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let Self {
            call,
            completion,
            op_out,
        } = self;
        call.run(|args| {
            let (homeserver, ticket) = core()?.enter()?;
            let future =
                guard::catch(|| prepare(args, homeserver)).inspect_err(|error| unprepared(&ticket, error))?;
            let op = Arc::new(Op::default());
            if let Some(out) = args.optional_out(op_out) {
                out.write(handle::put(Arc::clone(&op)));
            }
            let spawner = ticket.core().spawner.clone();
            // One form for all: each would be compiled with all of the runtime's machinery otherwise.
            let future: Pin<Box<dyn Future<Output = Result<Outcome>> + Send>> = Box::pin(future);
            let all: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(run(ticket, op, completion, future));
            spawner.spawn(all);
            Ok(())
        })
    }
}

/// Runs a command to its end, whatever that is, and tells the host.
async fn run(
    ticket: Ticket,
    op: Arc<Op>,
    completion: Completion,
    future: Pin<Box<dyn Future<Output = Result<Outcome>> + Send>>,
) {
    let outcome = tokio::select! {
        biased;
        outcome = guard::catch_async(future) => match outcome {
            Ok(outcome) => outcome.inspect_err(|error| notice(&ticket, error)),
            Err(panicked) => {
                ticket.core().poison(&panicked);
                Err(panicked)
            }
        },
        () = ticket.core().closing() => Err(ticket.core().closed()),
        () = op.cancelled() => Err(Error::new(Code::Cancelled, "the command was cancelled")),
    };
    let outcome = outcome.map(Arc::new);
    completion.call(&outcome);
    op.end(outcome);
}

/// Poisons the server if `error` is a panic: nothing has begun that the core could have stopped.
fn unprepared(ticket: &Ticket, error: &Error) {
    if error.code() == Code::Panic {
        ticket.core().poison(error);
    }
}

/// Tells the log if `error` is of a panic that the core has stopped: the server goes on.
fn notice(ticket: &Ticket, error: &Error) {
    if error.code() == Code::Panic {
        ticket.core().log_error(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::c::{
        bytes::{Zeroed, roomlet_bytes},
        config::roomlet_config,
        error::{roomlet_error_code, roomlet_error_free},
        exchange::{roomlet_reply, roomlet_request},
        host::roomlet_host,
        op::{roomlet_op_free, roomlet_op_wait},
        server::{roomlet_accounts, roomlet_server_free, roomlet_server_open},
    };
    use std::ptr;

    unsafe extern "C" fn send_nowhere(_: *mut c_void, _: *const roomlet_request, _: *mut roomlet_reply) {}

    fn open(name: &'static str) -> *mut roomlet_server {
        let mut config = roomlet_config::zeroed();
        config.struct_size = size_of::<roomlet_config>();
        config.server_name = roomlet_bytes::lend(name.as_bytes());
        let mut host = roomlet_host::zeroed();
        host.struct_size = size_of::<roomlet_host>();
        host.send = Some(send_nowhere);
        let mut server = ptr::null_mut();
        // SAFETY: all pointers are valid.
        let code = unsafe {
            roomlet_server_open(
                &raw const config,
                &raw const host,
                &raw mut server,
                ptr::null_mut(),
            )
        };
        assert_eq!(code, ROOMLET_OK);
        server
    }

    /// Starts a command that does `prepare`, waits for it, and gives the code of the start and of the end.
    fn codes<F>(server: *mut roomlet_server, prepare: impl FnOnce() -> F) -> (roomlet_code, roomlet_code)
    where
        F: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let (mut op, mut err) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: all pointers are valid or NULL.
        unsafe {
            let command = Command::new(None, ptr::null_mut(), &raw mut op, &raw mut err);
            let started = command.of_server(server, |_, _| Ok(prepare()));
            if started != ROOMLET_OK {
                assert_eq!(roomlet_error_code(err), started);
                roomlet_error_free(err);
                return (started, started);
            }
            let ended = roomlet_op_wait(op, -1, ptr::null_mut(), ptr::null_mut());
            roomlet_op_free(op);
            (started, ended)
        }
    }

    fn accounts(server: *mut roomlet_server) -> roomlet_code {
        // SAFETY: all pointers are valid or NULL.
        unsafe { roomlet_accounts(server, None, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) }
    }

    #[test]
    fn panic_in_a_command_poisons_its_server_and_no_other() {
        let (broken, other) = (open("broken.example"), open("other.example"));
        let ends = codes(broken, || async { panic!("while running") });
        assert_eq!(ends, (ROOMLET_OK, Code::Panic as roomlet_code));
        assert_eq!(accounts(broken), Code::Poisoned as roomlet_code);
        assert_eq!(accounts(other), ROOMLET_OK);
        roomlet_server_free(broken);
        roomlet_server_free(other);
    }

    #[test]
    fn panic_that_the_core_stopped_leaves_its_server_usable() {
        let server = open("patient.example");
        let ends = codes(server, || async {
            Err(Error::new(Code::Panic, "the work on a room"))
        });
        assert_eq!(ends, (ROOMLET_OK, Code::Panic as roomlet_code));
        assert_eq!(accounts(server), ROOMLET_OK);
        roomlet_server_free(server);
    }

    #[test]
    fn panic_before_a_command_starts_poisons_its_server() {
        let server = open("early.example");
        let ends = codes(server, || -> std::future::Ready<Result<Outcome>> {
            panic!("while reading arguments")
        });
        assert_eq!(ends.0, Code::Panic as roomlet_code);
        assert_eq!(accounts(server), Code::Poisoned as roomlet_code);
        roomlet_server_free(server);
    }

    #[test]
    fn command_that_never_ends_is_closed_with_its_server() {
        let server = open("waiting.example");
        let mut op = ptr::null_mut();
        // SAFETY: all pointers are valid or NULL.
        unsafe {
            let command = Command::new(None, ptr::null_mut(), &raw mut op, ptr::null_mut());
            let started = command.of_server(server, |_, _| Ok(std::future::pending()));
            assert_eq!(started, ROOMLET_OK);
            roomlet_server_free(server);
            assert_eq!(
                roomlet_op_wait(op, 0, ptr::null_mut(), ptr::null_mut()),
                Code::Closed as roomlet_code
            );
            roomlet_op_free(op);
        }
    }
}
