//! The one connection that writes, and the ways to it.

use super::commit::{self, Counters};
use super::fault::Fault;
use super::{PAGE_BYTES, Shared, mend};
use crate::model::Commit;
use roomlet_wire::{Code, Error, Result, StreamPos};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Commits that share one transaction at most: it bounds how long the first of them waits.
const BATCH: usize = 256;
/// What is kept of the file between commits at most, in KiB: the indexes of a room of 100,000 events are that large.
const CACHE_KIB: i64 = 4000;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    counters: Counters,
    /// The limit that the connection has now, in pages.
    max_pages: u64,
}

impl Writer {
    pub(super) fn new(connection: Connection, shared: Arc<Shared>) -> Result<Self, Fault> {
        let counters = Counters::load(&connection)?;
        // What a large commit changes stays in memory until it is whole, instead of being written and read again.
        connection.pragma_update(None, "cache_spill", false)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // Numbers of events that a purge finds missing.
        connection.execute_batch("CREATE TEMP TABLE gone (num INTEGER PRIMARY KEY)")?;
        Ok(Self {
            connection,
            shared,
            counters,
            max_pages: UNLIMITED_PAGES,
        })
    }

    /// Makes each of `batch` durable or fails it, in order. All of them share one sync, unless one fails: then
    /// each gets a transaction of its own, so that none falls with another.
    fn run<'a>(&mut self, batch: impl Iterator<Item = &'a Commit> + Clone) -> Vec<Result<StreamPos>> {
        let together = match self.transact(batch.clone()) {
            Ok(positions) => return positions.into_iter().map(Ok).collect(),
            Err(fault) => fault,
        };
        if batch.clone().nth(1).is_none() {
            return vec![Err(together.at(&self.shared.path, "commit"))];
        }
        batch
            .map(|alone| match self.transact([alone].into_iter()) {
                Ok(positions) => Ok(positions.first().copied().unwrap_or(self.counters.update)),
                Err(fault) => Err(fault.at(&self.shared.path, "commit")),
            })
            .collect()
    }

    /// Applies `batch` in one transaction, whole or not at all; the position after each commit.
    fn transact<'a>(&mut self, batch: impl Iterator<Item = &'a Commit>) -> Result<Vec<StreamPos>, Fault> {
        let before = self.counters;
        let mut counters = before;
        let mut positions = Vec::new();
        let transaction = self.begin()?;
        for commit in batch {
            commit::apply(&transaction, &mut counters, commit)?;
            positions.push(counters.update);
        }
        if counters != before {
            counters.save(&transaction)?;
        }
        transaction.commit()?;
        self.counters = counters;
        self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        self.shared
            .commits
            .fetch_add(positions.len() as u64, Ordering::Relaxed);
        Ok(positions)
    }

    /// Begins to write, if the file is still the one that was opened.
    fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        self.shared.place.check(&self.shared.path)?;
        self.limit()?;
        let behavior = TransactionBehavior::Immediate;
        Ok(self.connection.transaction_with_behavior(behavior)?)
    }

    /// Moves what is in use to the front of the file, and cuts off the rest.
    fn shrink(&mut self) -> Result<()> {
        let shrunk = shrink(&self.connection);
        shrunk.map_err(|fault| fault.at(&self.shared.path, "shrink"))
    }

    /// See [`mend::mend`]; in one transaction.
    fn mend(&mut self) -> Result<()> {
        let mended = self.transact_mend();
        mended.map_err(|fault| fault.at(&self.shared.path, "mend"))
    }

    fn transact_mend(&mut self) -> Result<(), Fault> {
        let mut transaction = self.begin()?;
        mend::mend(&mut transaction)?;
        Ok(transaction.commit()?)
    }

    /// Takes over a limit that was changed meanwhile.
    fn limit(&mut self) -> Result<(), Fault> {
        let max_pages =
            (self.shared.max_bytes.load(Ordering::Relaxed) / PAGE_BYTES).clamp(1, UNLIMITED_PAGES);
        if max_pages != self.max_pages {
            let sql = format!("PRAGMA max_page_count = {max_pages}");
            self.connection.query_row(&sql, [], |_| Ok(()))?;
            self.max_pages = max_pages;
        }
        Ok(())
    }
}

fn shrink(connection: &Connection) -> Result<(), Fault> {
    let incremental = 2;
    let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if mode == incremental {
        let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    } else {
        // A file of the first schema: rewritten once, by way of a file, for it may be larger than the memory.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA temp_store = FILE; VACUUM")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Only tidies up: without it the next open moves the WAL into the file.
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

/// The most pages that SQLite has numbers for.
const UNLIMITED_PAGES: u64 = 4_294_967_294;

/// Work that waits, and who waits for it.
#[derive(Debug)]
pub(super) enum Job {
    Commit(Commit, oneshot::Sender<Result<StreamPos>>),
    Shrink(oneshot::Sender<Result<()>>),
    Mend(oneshot::Sender<Result<()>>),
}

/// The way to the writer; `None` inside once it is closed.
#[derive(Debug)]
pub(super) enum Committer {
    /// On the calling thread.
    Inline(Mutex<Option<Writer>>),
    /// On a thread that ends when the sender is gone and the queue is empty.
    Thread(Mutex<Option<(Sender<Job>, JoinHandle<()>)>>),
}

impl Committer {
    pub(super) fn inline(writer: Writer) -> Self {
        Self::Inline(Mutex::new(Some(writer)))
    }

    /// # Errors
    /// [`Code::Store`] if there is no thread to be had.
    pub(super) fn thread(writer: Writer) -> Result<Self> {
        let shared = writer.shared.clone();
        let (sender, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("roomlet-store".to_owned())
            .spawn(move || serve(writer, &queue));
        let thread = thread.map_err(|error| {
            Error::new(
                Code::Store,
                format!("store {}: open: writer thread: {error}", shared.path.display()),
            )
        })?;
        Ok(Self::Thread(Mutex::new(Some((sender, thread)))))
    }

    /// `None` if it is closed. A caller that stops waiting does not undo its commit.
    pub(super) async fn commit(&self, commit: Commit) -> Option<Result<StreamPos>> {
        match self {
            Self::Inline(writer) => lock(writer).as_mut()?.run([&commit].into_iter()).pop(),
            Self::Thread(thread) => {
                let (done, result) = oneshot::channel();
                lock(thread).as_ref()?.0.send(Job::Commit(commit, done)).ok()?;
                result.await.ok()
            }
        }
    }

    /// Gives the pages that are free back; `None` if it is closed.
    pub(super) async fn shrink(&self) -> Option<Result<()>> {
        self.alone(Writer::shrink, Job::Shrink).await
    }

    /// Puts right what follows from other things; `None` if it is closed.
    pub(super) async fn mend(&self) -> Option<Result<()>> {
        self.alone(Writer::mend, Job::Mend).await
    }

    async fn alone(
        &self,
        inline: fn(&mut Writer) -> Result<()>,
        job: fn(oneshot::Sender<Result<()>>) -> Job,
    ) -> Option<Result<()>> {
        match self {
            Self::Inline(writer) => Some(inline(lock(writer).as_mut()?)),
            Self::Thread(thread) => {
                let (done, result) = oneshot::channel();
                lock(thread).as_ref()?.0.send(job(done)).ok()?;
                result.await.ok()
            }
        }
    }

    /// Returns once what waits is done and the connection is closed.
    pub(super) fn close(&self) {
        match self {
            Self::Inline(writer) => drop(lock(writer).take()),
            Self::Thread(thread) => {
                let Some((sender, thread)) = lock(thread).take() else {
                    return;
                };
                drop(sender);
                // A panic there has already shown itself to those who waited.
                let _ = thread.join();
            }
        }
    }
}

/// Work that is no commit, and who waits for it.
type Alone = (fn(&mut Writer) -> Result<()>, oneshot::Sender<Result<()>>);

/// The writer thread: takes all commits that wait, and makes them durable together.
fn serve(mut writer: Writer, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut batch = Vec::new();
        let mut alone: Option<Alone> = None;
        for job in std::iter::once(first).chain(queue.try_iter().take(BATCH - 1)) {
            match job {
                Job::Commit(commit, done) => batch.push((commit, done)),
                // After the commits that came with it: they free more, if anything.
                Job::Shrink(done) => alone = Some((Writer::shrink, done)),
                Job::Mend(done) => alone = Some((Writer::mend, done)),
            }
            if alone.is_some() {
                break;
            }
        }
        let results = match batch.is_empty() {
            true => Vec::new(),
            false => writer.run(batch.iter().map(|(commit, _)| commit)),
        };
        for ((_, done), result) in batch.into_iter().zip(results) {
            // Whoever no longer waits does not want to know.
            let _ = done.send(result);
        }
        if let Some((work, done)) = alone {
            let _ = done.send(work(&mut writer));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
