//! Cancellation that does not depend on the host language's own.

use std::sync::Arc;
use tokio::sync::watch;

/// Cancels calls. Those made through `homeserver.under(operation)` end soon after `cancel` with the error code 701
/// (`Cancelled`), if their work was not already done; what was durable by then stays, so a command that was
/// cancelled may still have taken effect.
#[derive(Debug, uniffi::Object)]
pub struct Operation {
    cancelled: watch::Sender<bool>,
}

#[uniffi::export]
impl Operation {
    /// An operation that nothing has cancelled yet.
    #[uniffi::constructor]
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            cancelled: watch::Sender::new(false),
        })
    }

    /// Cancels the calls under way and all later ones. From any thread; again has no effect.
    ///
    /// # Errors
    /// None.
    pub fn cancel(&self) -> Result<(), super::RoomletError> {
        self.cancelled.send_replace(true);
        Ok(())
    }
}

impl Operation {
    /// Waits until [`cancel`](Self::cancel) was called.
    pub(super) async fn cancelled(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender lives as long as `self`, so the wait ends only with the value.
        let _ = cancelled.wait_for(|&cancelled| cancelled).await;
    }
}
