//! All that the core asks of the world outside.

use async_trait::async_trait;
use roomlet_wire::{
    Result,
    frame::{Request, Response},
};
use std::{fmt, sync::Arc};

/// Characters of a line of the log, at most: texts of other servers are in some.
const LINE_CHARS: usize = 500;

/// Carries requests to other servers. Called from many tasks at once.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Delivers `request` to its destination and gives the response, whatever its status.
    ///
    /// # Errors
    /// [`Code::Unreachable`](roomlet_wire::Code::Unreachable) if there is no response.
    async fn send(&self, request: Request) -> Result<Response>;
}

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// A source of random bytes, fit for keys.
pub trait Rng: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// How much a line of the log matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    /// Something is lost or broken.
    Error,
    /// Something between servers does not work now.
    Warn,
    /// Something to know.
    Info,
}

/// The developer's log. Called from many tasks at once, under no lock; returns soon.
pub trait Log: Send + Sync + 'static {
    /// Takes one line: without control characters, and cut where it would be too long.
    fn line(&self, level: LogLevel, line: &str);
}

/// A log that nobody reads.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl Log for NoLog {
    fn line(&self, _: LogLevel, _: &str) {}
}

/// The world, injected.
#[derive(Clone)]
pub struct Env {
    /// See [`Transport`].
    pub transport: Arc<dyn Transport>,
    /// See [`Clock`].
    pub clock: Arc<dyn Clock>,
    /// See [`Rng`].
    pub rng: Arc<dyn Rng>,
    /// See [`Log`].
    pub log: Arc<dyn Log>,
}

impl Env {
    /// Writes a line to the log. What others wrote goes last in it, where it is cut if it is long; and nobody can end the
    /// line to begin one of their own.
    pub fn log(&self, level: LogLevel, line: fmt::Arguments<'_>) {
        let line = line.to_string();
        let mut rest = line.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut short: String = rest.by_ref().take(LINE_CHARS).collect();
        if rest.next().is_some() {
            short.push('…');
        }
        self.log.line(level, &short);
    }
}
