//! The store in one SQLite file: the embedded default.
//!
//! One connection writes, on a thread of its own, and a few read. The file is in WAL mode, so that readers never
//! wait for the writer, and `synchronous` is `FULL`: a commit is on the disk when it returns.

mod codec;
mod commit;
mod fault;
mod lock;
mod mend;
mod migrate;
mod packed;
mod page;
mod place;
mod private;
mod read;
mod row;
mod run;
mod run_ids;
mod runs;
mod schema;
mod writer;

use fault::Fault;
use lock::Lock;
use place::Place;
use read::Readers;
use roomlet_wire::{Code, Error, Result, StreamPos};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writer::{Committer, Writer};

use crate::model::Commit;

/// Bytes of a page of the file.
const PAGE_BYTES: u64 = 4096;
/// Distinct statements per connection are fewer than this, so each is compiled once.
const CACHED_STATEMENTS: usize = 80;
/// Another process with a lock is a foreign tool (a backup, a shell): it gets this long to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How to open a [`SqliteStore`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SqliteOptions {
    /// Commits run on the thread that calls, one after the other, instead of on a writer thread: each pays its own
    /// sync, and the order of things is that of the calls. For simulations that must repeat exactly.
    pub inline: bool,
    /// The most that the file may grow to, in bytes, rounded down to pages of 4096; `None`: what the disk has.
    /// See [`SqliteStore::set_max_bytes`].
    pub max_bytes: Option<u64>,
}

/// What a [`SqliteStore`] did since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SqliteStats {
    /// Commits that became durable.
    pub commits: u64,
    /// Transactions of SQLite in which they did; each syncs the disk once.
    pub transactions: u64,
}

/// What the writer and its owner share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// What was at the path when it was opened.
    place: Place,
    /// Bytes; `u64::MAX` for no limit.
    max_bytes: AtomicU64,
    commits: AtomicU64,
    transactions: AtomicU64,
}

/// A [`Store`](crate::Store) in one file (and, while it is open, `-wal`, `-shm` and `.lock` files beside it).
///
/// Owned by one value at a time, in all processes. The file has to stay where it is: if something else is there, or nothing,
/// commits fail until it is back (Unix). Any method from any thread. Dropping it is [`close`](Self::close).
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    committer: Committer,
    readers: Readers,
    lock: Mutex<Option<Lock>>,
}

impl SqliteStore {
    /// Opens the store at `path`; makes it if there is no file or an empty one. The folder must be there.
    ///
    /// # Errors
    /// [`Code::StoreLocked`] at once if another value, in this process or another, has it open;
    /// [`Code::StoreDamaged`] if the file is damaged or is no store of roomlet; [`Code::StoreNewer`] if a newer
    /// version of roomlet wrote it; [`Code::StoreFull`], [`Code::Store`]. The file is unchanged then.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        // One file, one lock: whatever link or relative path it was reached by.
        if path.is_symlink() && !path.exists() {
            // A link to a file that is yet to be made has no other name before it is. If it cannot be made, see below.
            let _ = private::create_behind(path);
        }
        let path = path.canonicalize().or_else(|_| absolute(path))?;
        let lock = Lock::acquire(&path)?;
        // If it cannot be made, SQLite tells why, in its own codes.
        let _ = private::create(&path);
        let at = |fault: Fault| fault.at(&path, "open");
        let mut connection = connect(&path).map_err(at)?;
        migrate::migrate(&mut connection).map_err(at)?;
        let readers = Readers::open(&path).map_err(at)?;
        let shared = Arc::new(Shared {
            path: path.clone(),
            place: Place::of(&path),
            max_bytes: AtomicU64::new(options.max_bytes.unwrap_or(u64::MAX)),
            commits: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
        });
        let writer = Writer::new(connection, shared.clone()).map_err(at)?;
        let committer = if options.inline {
            Committer::inline(writer)
        } else {
            Committer::thread(writer)?
        };
        Ok(Self {
            shared,
            committer,
            readers,
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Finishes the commits that wait, moves the WAL into the file and lets go of it; later calls fail with
    /// [`Code::Closed`]. Blocks until done. Closing again does nothing.
    pub fn close(&self) {
        self.committer.close();
        self.readers.close();
        // Last, for now another owner may come.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Reads the whole file and checks its structure, indexes included. Takes time in proportion to its size, so
    /// opening does not do it; damage that a read meets is reported by that read.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`], with the first finding of SQLite; [`Code::Store`], [`Code::Closed`].
    pub fn check(&self) -> Result<()> {
        self.read("check", |connection| {
            let finding: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if finding == "ok" {
                Ok(())
            } else {
                Err(Fault::Damaged(finding))
            }
        })
    }

    /// Limits the file's growth from the next transaction on, as [`SqliteOptions::max_bytes`] does. A limit below
    /// its present size stops growth, and a commit that needs a page more fails with [`Code::StoreFull`], as on a
    /// full disk.
    pub fn set_max_bytes(&self, max_bytes: Option<u64>) {
        self.shared
            .max_bytes
            .store(max_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it did since it was opened.
    #[must_use]
    pub fn stats(&self) -> SqliteStats {
        SqliteStats {
            commits: self.shared.commits.load(Ordering::Relaxed),
            transactions: self.shared.transactions.load(Ordering::Relaxed),
        }
    }

    /// Gives the pages that are free back.
    async fn give_back(&self) -> Result<()> {
        let done = self.committer.shrink().await;
        done.unwrap_or_else(|| Err(self.closed("shrink")))
    }

    /// Puts right what is wrong with what follows from other things.
    async fn put_right(&self) -> Result<()> {
        let done = self.committer.mend().await;
        done.unwrap_or_else(|| Err(self.closed("mend")))
    }

    /// Copies the store into a new file, under another name until it is whole.
    fn copy_to(&self, to: &Path) -> Result<()> {
        let fault = |code, about: &str| {
            let path = self.shared.path.display();
            Error::new(code, format!("store {path}: backup to {}: {about}", to.display()))
        };
        if to.exists() {
            return Err(fault(Code::BadParam, "the file is there already"));
        }
        let mut part = to.as_os_str().to_owned();
        part.push(".part");
        let part = absolute(Path::new(&part))?;
        // SQLite takes the name as text.
        let Some(name) = part.to_str() else {
            return Err(fault(Code::BadParam, "the path is no UTF-8"));
        };
        // What an earlier attempt left, if it was killed.
        let _ = std::fs::remove_file(&part);
        // On a connection of its own, as those for reads may not write anywhere; while a read is open the store is.
        let copied = self.read("backup", |_| {
            self.shared.place.check(&self.shared.path)?;
            let connection = connect(&self.shared.path)?;
            // As above.
            let _ = private::create(&part);
            connection.execute("VACUUM INTO ?1", [name])?;
            Ok(())
        });
        let synced = copied.and_then(|()| {
            let file = std::fs::File::open(&part).and_then(|file| file.sync_all());
            file.and_then(|()| std::fs::rename(&part, to))
                .and_then(|()| sync_folder(to))
                .map_err(|error| fault(Code::Store, &error.to_string()))
        });
        if synced.is_err() {
            // It is of no use, and there may be none.
            let _ = std::fs::remove_file(&part);
        }
        synced
    }

    async fn write(&self, commit: Commit) -> Result<StreamPos> {
        self.committer
            .commit(commit)
            .await
            .unwrap_or_else(|| Err(self.closed("commit")))
    }

    /// Runs `read` on a connection that sees every commit that returned.
    fn read<T>(&self, operation: &str, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let result = self.readers.with(read).ok_or_else(|| self.closed(operation))?;
        result.map_err(|fault| fault.at(&self.shared.path, operation))
    }

    /// As [`read`](Self::read), for several statements that have to see one moment.
    fn snapshot<T>(&self, operation: &str, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        self.read(operation, |connection| {
            let moment = Moment::begin(connection)?;
            read(moment.0)
        })
    }

    fn closed(&self, operation: &str) -> Error {
        Error::new(
            Code::Closed,
            format!(
                "store {}: {operation}: the store was closed",
                self.shared.path.display()
            ),
        )
    }
}

/// A transaction that only reads, until this goes.
struct Moment<'a>(&'a Connection);

impl<'a> Moment<'a> {
    fn begin(connection: &'a Connection) -> Result<Self, Fault> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // It has nothing to lose.
        let end = self.0.prepare_cached("COMMIT");
        let _ = end.and_then(|mut end| end.execute([]));
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the name of a file as durable as the file.
fn sync_folder(of: &Path) -> std::io::Result<()> {
    // Elsewhere folders cannot be opened, and need no sync.
    #[cfg(unix)]
    {
        let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = of;
    Ok(())
}

/// The path from the root: to SQLite `:memory:` and what begins with `file:` are no files, and a relative path is another
/// file once the process has changed its folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Error::new(Code::BadParam, format!("path {}: {error}", path.display())))
}

/// A connection to the file at `path`, set up as all of them are. Writes nothing, and makes no file.
fn connect(path: &Path) -> Result<Connection, Fault> {
    // Each connection is used by one thread at a time, so SQLite needs no mutex of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Without it SQLite compiles a statement anew whenever a value is bound that its plan might have been made for.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // A phone may have no folder for temporary files.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}
