//! The task of one destination.

use super::{
    Shared, Signal,
    pace::{self, Bucket, backoff},
    transaction::Transaction,
};
use crate::{env::LogLevel, error::ClientError};
use roomlet_store::{Commit, DestinationRow, OutboxItem, OutboxRow, Write};
use roomlet_wire::{Result, ServerName, limits};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

/// Refusals (400, 413) of a transaction as such after which it is given up: it would hold up all that follows for ever.
/// The destination asks for events that it lacks when it sees later ones (EC-3).
const REFUSALS: u32 = 8;
/// News of more work, during a wait, between looks at how much is owed.
const NEWS_PER_LOOK: u32 = 64;

/// Delivers to one destination until nothing is owed.
pub(super) struct Delivery {
    shared: Arc<Shared>,
    destination: ServerName,
    signal: Arc<Signal>,
    bucket: Bucket,
    wakes: watch::Receiver<u64>,
    alive: watch::Receiver<u64>,
    /// What must be delivered before anything else: it was tried already.
    pending: Option<Transaction>,
    failures: u32,
    /// How often the pending one was refused as such. No sign of life forgets that.
    refusals: u32,
    /// Whether the last try failed: the log hears of the end of it.
    is_away: bool,
    /// Whether the store has a row of this destination that success must clear.
    is_noted: bool,
}

/// Why a wait ended.
#[derive(PartialEq, Eq)]
enum End {
    Over,
    Woken,
    /// The destination gave a sign of life.
    Alive,
}

impl Delivery {
    pub(super) fn new(shared: Arc<Shared>, destination: ServerName, signal: Arc<Signal>) -> Self {
        Self {
            bucket: Bucket::new(&shared.settings, Instant::now()),
            wakes: signal.wakes.subscribe(),
            alive: signal.alive.subscribe(),
            shared,
            destination,
            signal,
            pending: None,
            failures: 0,
            refusals: 0,
            is_away: false,
            is_noted: false,
        }
    }

    pub(super) async fn run(mut self) {
        while self.resume().await.is_err() {
            sleep(self.shared.settings.backoff_first).await;
        }
        loop {
            match self.next().await {
                Ok(Some(transaction)) => self.deliver(transaction).await,
                Ok(None) => {
                    if self.rest().await {
                        return;
                    }
                }
                // The store cannot be read: what is owed is still there, so wait and look again.
                Err(_) => sleep(self.shared.settings.backoff_first).await,
            }
        }
    }

    /// Takes up what an earlier run left.
    async fn resume(&mut self) -> Result<()> {
        let row = self.shared.store.destination(&self.destination)?;
        self.is_noted = row != DestinationRow::default();
        self.failures = row.failures;
        self.is_away = row.failures > 0;
        // One that cannot be read back is formed anew.
        self.pending = row
            .in_flight
            .and_then(|in_flight| Transaction::resume(in_flight).ok());
        let wait = row.retry_at.saturating_sub(self.shared.env.clock.now_ms());
        if let Ok(wait) = u64::try_from(wait) {
            // A clock that was set back must not silence a destination for years.
            let longest = pace::longest(&self.shared.settings);
            self.wait(Duration::from_millis(wait).min(longest)).await;
        }
        Ok(())
    }

    /// The next transaction, once the pace allows it.
    async fn next(&mut self) -> Result<Option<Transaction>> {
        if let Some(pending) = self.pending.take() {
            return Ok(Some(pending));
        }
        let max_pdus = self.bucket.capacity().min(limits::TRANSACTION_PDUS);
        let mut rows = self.outbox()?;
        let is_pdu = |row: &&OutboxRow| !matches!(row.item, OutboxItem::Edu(_));
        let owed = rows.iter().filter(is_pdu).count().min(max_pdus);
        let wait = self.bucket.wait_for(owed, Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
            // More may have come meanwhile, for which there is no room in the bucket yet.
            rows = self.outbox()?;
            return self.cut(rows, owed);
        }
        self.cut(rows, max_pdus)
    }

    fn outbox(&self) -> Result<Vec<OutboxRow>> {
        self.shared.store.outbox(
            &self.destination,
            limits::TRANSACTION_PDUS + limits::TRANSACTION_EDUS,
        )
    }

    fn cut(&self, rows: Vec<OutboxRow>, max_pdus: usize) -> Result<Option<Transaction>> {
        Transaction::cut(
            &*self.shared.store,
            self.shared.client.server_name(),
            rows,
            max_pdus,
        )
    }

    /// Tries once, and notes what came of it.
    async fn deliver(&mut self, transaction: Transaction) {
        let now = Instant::now();
        self.bucket.take(transaction.pdus(), now);
        self.wakes.mark_unchanged();
        self.alive.mark_unchanged();
        let result = if transaction.is_empty() {
            Ok(())
        } else {
            let content = transaction.content.clone();
            self.shared
                .client
                .send_transaction(&self.destination, &transaction.txn_id, content)
                .await
        };
        match result {
            Ok(()) => {
                if !transaction.is_empty() && std::mem::take(&mut self.is_away) {
                    self.shared.env.log(
                        LogLevel::Info,
                        format_args!("deliveries to {} work again", self.destination),
                    );
                }
                self.done(transaction.up_to).await;
            }
            Err(error) => self.failed(transaction, &error).await,
        }
    }

    /// Removes what was delivered from the outbox.
    async fn done(&mut self, up_to: u64) {
        self.failures = 0;
        self.refusals = 0;
        let destination = || self.destination.clone();
        let mut writes = vec![Write::OutboxDone {
            destination: destination(),
            up_to,
        }];
        if self.is_noted {
            writes.push(Write::Destination {
                destination: destination(),
                row: DestinationRow::default(),
            });
        }
        // Until this is durable nothing else can go out, or it would be sent twice.
        while self
            .shared
            .store
            .commit(Commit {
                writes: writes.clone(),
            })
            .await
            .is_err()
        {
            sleep(self.shared.settings.backoff_first).await;
        }
        self.is_noted = false;
    }

    /// Notes the transaction for a repetition and waits, or gives it up.
    async fn failed(&mut self, transaction: Transaction, error: &ClientError) {
        self.failures = self.failures.saturating_add(1);
        self.is_away = true;
        if matches!(error.status(), Some(400 | 413)) {
            self.refusals += 1;
            if self.refusals >= REFUSALS {
                self.shared.env.log(
                    LogLevel::Error,
                    format_args!(
                        "transaction {} to {} is given up after {} refusals: {error}",
                        transaction.txn_id, self.destination, self.refusals
                    ),
                );
                return self.done(transaction.up_to).await;
            }
        }
        if self.wakes.has_changed().unwrap_or(false) || self.alive.has_changed().unwrap_or(false) {
            // The attempt began before the world changed: it says little about now.
            self.failures = 1;
        }
        let wait = backoff(&self.shared.settings, self.failures, &*self.shared.env.rng);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.shared.env.log(
            LogLevel::Warn,
            format_args!(
                "deliveries to {} wait for {wait_ms} ms after failure {}: {error}",
                self.destination, self.failures
            ),
        );
        let row = DestinationRow {
            in_flight: Some(transaction.in_flight()),
            failures: self.failures,
            retry_at: self.shared.env.clock.now_ms().saturating_add_unsigned(wait_ms),
        };
        let note = Write::Destination {
            destination: self.destination.clone(),
            row,
        };
        // If this fails, a restart forms the transaction anew, and knows nothing of the failure; this run goes on.
        self.is_noted |= self
            .shared
            .store
            .commit(Commit { writes: vec![note] })
            .await
            .is_ok();
        self.pending = Some(transaction);
        self.collapse_if_long().await;
        self.wait(wait).await;
    }

    /// Waits after a failure. A sign of life shortens the wait to the first one, a wake ends it; both forget the
    /// failures.
    async fn wait(&mut self, wait: Duration) {
        let begin = Instant::now();
        let mut until = begin + wait;
        loop {
            match self.pause(until).await {
                End::Over => return,
                End::Woken => {
                    self.failures = 0;
                    return;
                }
                End::Alive => {
                    self.failures = 0;
                    until = until.min(begin + self.shared.settings.backoff_first);
                }
            }
        }
    }

    async fn pause(&mut self, until: Instant) -> End {
        let over = tokio::time::sleep_until(until);
        tokio::pin!(over);
        let mut news = 0;
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.wakes.changed() => return End::Woken,
                Ok(()) = self.alive.changed() => return End::Alive,
                () = &mut over => return End::Over,
                () = self.signal.work.notified() => news += 1,
            }
            if news >= NEWS_PER_LOOK {
                news = 0;
                self.collapse_if_long().await;
            }
        }
    }

    /// Too much is owed to a destination that fails: keeps what lets it catch up by itself (EC-5).
    async fn collapse_if_long(&self) {
        let owed = self.shared.store.outbox_len(&self.destination);
        if owed.is_ok_and(|owed| owed > self.shared.settings.outbox_per_destination) {
            let collapse = Write::OutboxCollapse {
                destination: self.destination.clone(),
            };
            // If this fails, all that was owed is still owed; the next failure tries again.
            drop(
                self.shared
                    .store
                    .commit(Commit {
                        writes: vec![collapse],
                    })
                    .await,
            );
        }
    }

    /// Nothing is owed: waits for more as long as the pace must be remembered. `true`: nothing came, the task ends.
    async fn rest(&mut self) -> bool {
        if timeout(self.bucket.refill_time(), self.signal.work.notified())
            .await
            .is_ok()
        {
            return false;
        }
        // What came since the last look has left a permit with `work`.
        let signal = self.signal.clone();
        self.shared.retire(&self.destination, || {
            let mut work = std::pin::pin!(signal.work.notified());
            work.as_mut().enable()
        })
    }
}
