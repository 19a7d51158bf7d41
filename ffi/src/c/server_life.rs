//! What the handles of one server share: whether it is open, what is under way, and whether it may be trusted.

use super::host::Host;
use crate::runtime::Process;
use roomlet_homeserver::{Code, Error, Homeserver, Result};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;

/// Shared by a server's handle, its commands and its update readers.
pub(super) struct Core {
    open: Mutex<Open>,
    /// Notified when a command ends.
    ended: Condvar,
    closing: watch::Sender<bool>,
    poisoned: AtomicBool,
    process: Process,
    /// The server's name, lent to C.
    pub(super) name: String,
    /// Where commands run.
    pub(super) spawner: tokio::runtime::Handle,
    /// The host's callbacks.
    pub(super) host: Arc<Host>,
}

struct Open {
    /// `None` once closing has begun.
    homeserver: Option<Homeserver>,
    /// Commands whose `done` has not returned.
    pending: usize,
}

impl Core {
    pub(super) fn new(
        homeserver: Homeserver,
        closing: watch::Sender<bool>,
        spawner: tokio::runtime::Handle,
        host: Arc<Host>,
    ) -> Self {
        Self {
            name: homeserver.server_name().as_str().to_owned(),
            open: Mutex::new(Open {
                homeserver: Some(homeserver),
                pending: 0,
            }),
            ended: Condvar::new(),
            closing,
            poisoned: AtomicBool::new(false),
            process: Process::current(),
            spawner,
            host,
        }
    }

    /// Begins a command: closing waits until its [`Ticket`] is dropped.
    ///
    /// # Errors
    /// [`Code::Poisoned`], [`Code::Closed`].
    pub(super) fn enter(self: &Arc<Self>) -> Result<(Homeserver, Ticket)> {
        self.check_process()?;
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Error::new(
                Code::Poisoned,
                format!("server {}: unusable since a panic", self.name),
            ));
        }
        let mut open = self.lock();
        let homeserver = open.homeserver.clone().ok_or_else(|| self.closed())?;
        open.pending += 1;
        Ok((homeserver, Ticket(Arc::clone(self))))
    }

    /// Refuses in a process that was forked from the server's.
    ///
    /// # Errors
    /// [`Code::Closed`].
    pub(super) fn check_process(&self) -> Result<()> {
        self.process.check(format_args!("server {}", self.name))
    }

    /// After a panic: nothing of this server is trusted any more.
    pub(super) fn poison(&self, error: &Error) {
        self.poisoned.store(true, Ordering::Release);
        self.log_error(error);
    }

    /// Tells the host's log of an error that is a bug.
    pub(super) fn log_error(&self, error: &Error) {
        self.host.log(super::host::ROOMLET_LOG_ERROR, error.about());
    }

    /// Waits until closing begins.
    pub(super) async fn closing(&self) {
        // The sender lives in `self`, so this cannot fail.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Ends all commands with [`Code::Closed`], lets no more begin, and gives the homeserver away; `None` if that was
    /// done before. Returns when each `done` has.
    pub(super) fn shut(&self) -> Option<Homeserver> {
        let homeserver = self.lock().homeserver.take();
        self.closing.send_replace(true);
        let mut open = self.lock();
        while open.pending > 0 {
            open = self.ended.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        homeserver
    }

    /// The error of what comes after closing.
    pub(super) fn closed(&self) -> Error {
        Error::new(Code::Closed, format!("server {}: closed", self.name))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command that is under way.
pub(super) struct Ticket(Arc<Core>);

impl Ticket {
    /// The server that the command is of.
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.lock().pending -= 1;
        self.0.ended.notify_all();
    }
}
