//! All that the core asks of the world outside.

use async_trait::async_trait;
use roomlet_wire::{
    Result,
    frame::{Request, Response},
};
use std::sync::Arc;

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

/// The world, injected.
#[derive(Clone)]
pub struct Env {
    /// See [`Transport`].
    pub transport: Arc<dyn Transport>,
    /// See [`Clock`].
    pub clock: Arc<dyn Clock>,
    /// See [`Rng`].
    pub rng: Arc<dyn Rng>,
}
