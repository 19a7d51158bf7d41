//! The threads of one server: a tokio runtime of its own, so that a busy or broken server slows no other.

use roomlet_homeserver::{Code, Error, Result};
use std::{cell::Cell, fmt::Display, future::Future};

/// Worker threads per server. Two: one may be inside a callback of the host while the other goes on.
const WORKERS: usize = 2;

thread_local! {
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is one of roomlet's, or inside a callback: where waiting for roomlet could wait for ever.
pub(crate) fn inside_roomlet() -> bool {
    INSIDE.get() > 0
}

/// Marks, while it lives, that the current thread is inside a callback of the host.
pub(crate) struct CallbackScope(());

impl CallbackScope {
    pub(crate) fn enter() -> Self {
        INSIDE.set(INSIDE.get() + 1);
        Self(())
    }
}

impl Drop for CallbackScope {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get() - 1);
    }
}

/// The error of a call that waits, made where it must not: `call` names it.
pub(crate) fn refuse_inside(call: &str) -> Result<()> {
    if inside_roomlet() {
        return Err(Error::new(
            Code::WrongThread,
            format!("{call}: waits, and must not be called from a callback"),
        ));
    }
    Ok(())
}

/// A tokio runtime whose threads know that they are roomlet's.
pub(crate) struct Runtime {
    tokio: tokio::runtime::Runtime,
    process: Process,
}

/// The process that something was made in. One that `fork` makes of it has the memory, but no thread: to wait there for
/// roomlet is to wait for ever, and what is freed there may be the parent's, as the lock of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// This process.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    /// Refuses `what` was made in another process than this one.
    ///
    /// # Errors
    /// [`Code::Closed`].
    pub(crate) fn check(self, what: impl Display) -> Result<()> {
        if self == Self::current() {
            return Ok(());
        }
        let about = format!("{what}: it belongs to the process that this one was forked from");
        Err(Error::new(Code::Closed, about))
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::current()
    }
}

impl Runtime {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Code::Busy`] if the system gives no more threads.
    pub(crate) fn start() -> Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("roomlet")
            .on_thread_start(|| INSIDE.set(1))
            .enable_all()
            .build()
            .map(|tokio| Self {
                tokio,
                process: Process::current(),
            })
            .map_err(|error| Error::new(Code::Busy, format!("no threads for a server: {error}")))
    }

    /// Where tasks are started.
    pub(crate) fn handle(&self) -> tokio::runtime::Handle {
        self.tokio.handle().clone()
    }

    /// The process that has the threads.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Runs `future` on the runtime's threads and waits for it. Not from one of these threads.
    ///
    /// # Errors
    /// Those of `future`; [`Code::Panic`] if it panicked.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let task = self.tokio.spawn(crate::guard::catch_async(future));
        self.tokio
            .block_on(task)
            .unwrap_or_else(|gone| Err(Error::new(Code::Panic, gone.to_string())))
            .and_then(|done| done)
    }

    /// Drops what still runs without waiting for it: for a thread that must not block.
    pub(crate) fn abandon(self) {
        self.tokio.shutdown_background();
    }

    /// Drops what still runs and waits for the threads to end. Not from one of these threads.
    pub(crate) fn stop(self) {
        drop(self.tokio);
    }
}
