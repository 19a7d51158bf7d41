//! A running homeserver and its runtime; how calls are run on it, cancelled, and ended by closing.

use super::{
    error::RoomletError,
    foreign::{Log, LogLevel},
    operation::Operation,
};
use crate::{
    guard,
    runtime::{Process, Runtime, refuse_inside},
};
use roomlet_homeserver as core;
use roomlet_homeserver::Code;
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::{
    runtime::Handle,
    sync::oneshot::{self, error::RecvError},
    task::AbortHandle,
};

/// What all handles to one homeserver share.
pub(super) struct Shared {
    name: String,
    process: Process,
    live: Mutex<Option<Live>>,
    poisoned: AtomicBool,
    /// What closing came to, once it has ended.
    closed: OnceLock<core::Result<()>>,
    /// Empty once closing has ended: what the host's logger holds may hold this.
    log: Mutex<Log>,
}

/// A server, once it is open, and its runtime. Can be dropped anywhere, also on a thread that must not block.
struct Live {
    server: Option<core::Homeserver>,
    runtime: Option<Runtime>,
}

impl Drop for Live {
    fn drop(&mut self) {
        let (server, runtime) = (self.server.take(), self.runtime.take());
        let Some(runtime) = runtime else {
            return;
        };
        if runtime.process() == Process::current() {
            drop(server);
            runtime.abandon();
        } else {
            mem::forget((server, runtime));
        }
    }
}

/// Work that was started: what it comes to, and how it is ended before.
struct Task<T> {
    /// The outer error is a panic.
    result: oneshot::Receiver<core::Result<core::Result<T>>>,
    abort: AbortHandle,
}

/// Starts `work`. All work has one form for the runtime, whose machinery would be compiled for each result otherwise.
fn spawn<T: Send + 'static>(
    handle: &Handle,
    work: Pin<Box<dyn Future<Output = core::Result<T>> + Send>>,
) -> Task<T> {
    let (done, result) = oneshot::channel();
    let all: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        // Nobody may wait any more.
        let _ = done.send(guard::catch_async(work).await);
    });
    let abort = handle.spawn(all).abort_handle();
    Task { result, abort }
}

impl Shared {
    /// Opens a homeserver on a runtime of its own.
    pub(super) async fn open<Fut>(name: String, log: Log, opening: Fut) -> Result<Self, RoomletError>
    where
        Fut: Future<Output = core::Result<core::Homeserver>> + Send + 'static,
    {
        let runtime = Runtime::start()?;
        let process = runtime.process();
        let task = spawn(&runtime.handle(), Box::pin(opening));
        let mut live = Live {
            server: None,
            runtime: Some(runtime),
        };
        live.server = Some(task.result.await.map_err(|_| closed(&name))???);
        log.line(LogLevel::Info, || format!("server {name}: open"));
        Ok(Self {
            name,
            process,
            live: Mutex::new(Some(live)),
            poisoned: AtomicBool::new(false),
            closed: OnceLock::new(),
            log: Mutex::new(log),
        })
    }

    /// The server's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The server and its runtime, unless it was closed or a panic made it unusable.
    pub(super) fn live(&self) -> Result<(core::Homeserver, Handle), RoomletError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(RoomletError::new(
                Code::Poisoned,
                format!("server {}: unusable since a panic", self.name),
            ));
        }
        self.process.check(format_args!("server {}", self.name))?;
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = live
            .as_ref()
            .and_then(|live| Some((live.server.clone()?, live.runtime.as_ref()?.handle())));
        parts.ok_or_else(|| closed(&self.name))
    }

    /// Runs `work` on the server's runtime to its end, whether or not the caller goes on waiting. Only `operation`
    /// stops it.
    pub(super) async fn run<T, Fut>(
        &self,
        operation: Option<&Operation>,
        work: impl FnOnce(core::Homeserver) -> Fut,
    ) -> Result<T, RoomletError>
    where
        T: Send + 'static,
        Fut: Future<Output = core::Result<T>> + Send + 'static,
    {
        let (server, handle) = self.live()?;
        self.finish(operation, spawn(&handle, Box::pin(work(server))))
            .await
    }

    /// As [`run`](Self::run), but ends `work` when the caller no longer waits: for work that changes nothing.
    pub(super) async fn watch<T, Fut>(
        &self,
        operation: Option<&Operation>,
        work: impl FnOnce(core::Homeserver) -> Fut,
    ) -> Result<T, RoomletError>
    where
        T: Send + 'static,
        Fut: Future<Output = core::Result<T>> + Send + 'static,
    {
        let (server, handle) = self.live()?;
        let task = spawn(&handle, Box::pin(work(server)));
        let _end = AbortOnDrop(task.abort.clone());
        self.finish(operation, task).await
    }

    async fn finish<T>(&self, operation: Option<&Operation>, mut task: Task<T>) -> Result<T, RoomletError> {
        let mut cancelled = false;
        if let Some(operation) = operation {
            tokio::select! {
                biased;
                ended = &mut task.result => return self.settle(ended, false),
                () = operation.cancelled() => {}
            }
            cancelled = true;
            task.abort.abort();
        }
        self.settle(task.result.await, cancelled)
    }

    fn settle<T>(
        &self,
        ended: Result<core::Result<core::Result<T>>, RecvError>,
        cancelled: bool,
    ) -> Result<T, RoomletError> {
        match ended {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(self.failed(error, false)),
            Ok(Err(panic)) => Err(self.failed(panic, true)),
            Err(_) if cancelled => Err(RoomletError::new(Code::Cancelled, "the operation was cancelled")),
            Err(_) => Err(closed(&self.name)),
        }
    }

    /// An error as the host gets it. One of a panic goes to the log, and makes the server unusable if the core has not
    /// stopped it.
    #[cold]
    fn failed(&self, error: core::Error, is_loose: bool) -> RoomletError {
        if is_loose {
            self.poisoned.store(true, Ordering::Release);
        }
        if error.code() == Code::Panic {
            // The host's logger is called under no lock.
            let log = self.log().clone();
            log.line(LogLevel::Error, || format!("server {}: {error}", self.name));
        }
        error.into()
    }

    /// Closes the server, then ends its runtime. On a thread of its own: it may block, and ends also when
    /// the caller no longer waits.
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), RoomletError> {
        self.process.check(format_args!("server {}", self.name))?;
        if let Some(closed) = self.closed.get() {
            return Ok(closed.clone()?);
        }
        let (done, quiet) = oneshot::channel();
        let shared = Arc::clone(self);
        thread::Builder::new()
            .name("roomlet-close".into())
            .spawn(move || {
                let _ = done.send(shared.shut());
            })
            .map_err(|error| RoomletError::new(Code::Busy, format!("no thread to close on: {error}")))?;
        let closed = quiet
            .await
            .map_err(|_| RoomletError::new(Code::Panic, "a bug in roomlet: closing panicked"))?;
        Ok(closed?)
    }

    /// As [`close`](Self::close), on the caller's thread.
    pub(super) fn close_blocking(&self) -> Result<(), RoomletError> {
        refuse_inside("close_blocking")?;
        Ok(self.shut()?)
    }

    /// Closes the server and blocks meanwhile; whoever calls this at the same time waits for the same end.
    fn shut(&self) -> core::Result<()> {
        self.process.check(format_args!("server {}", self.name))?;
        let shut = || {
            let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).take();
            let parts = live.and_then(|mut live| Some((live.server.take()?, live.runtime.take()?)));
            let Some((server, runtime)) = parts else {
                return Ok(());
            };
            // The future takes the server along, which holds the host's callbacks: they are free before the host
            // hears that it is closed.
            let closed = runtime.run(async move {
                server.close().await;
                Ok(())
            });
            runtime.stop();
            let log = mem::replace(&mut *self.log(), Log(None));
            log.line(LogLevel::Info, || format!("server {}: closed", self.name));
            closed
        };
        self.closed.get_or_init(shut).clone()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn closed(name: &str) -> RoomletError {
    RoomletError::new(Code::Closed, format!("server {name}: closed"))
}
