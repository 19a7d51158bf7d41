//! What goes wrong inside, before it is known to which file and operation.

use roomlet_wire::{Code, Error};
use rusqlite::{ErrorCode, ffi};
use std::path::Path;

/// A failure, without file and operation.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// What was read cannot have been written by roomlet.
    Damaged(String),
    /// The file has a schema of this version, which this build does not know.
    Newer(i64),
    /// The file was moved, deleted or replaced while it was open.
    Moved,
    /// A number or id that stands for something else already.
    Reused(String),
}

impl Fault {
    /// Whether what was to be read is damaged, rather than out of reach.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Fault::Sqlite(error) => code(error) == Code::StoreDamaged,
            Fault::Damaged(_) => true,
            Fault::Newer(_) | Fault::Moved | Fault::Reused(_) => false,
        }
    }

    /// The error of `operation` on the store at `path`.
    pub(super) fn at(self, path: &Path, operation: &str) -> Error {
        let code = match &self {
            Fault::Sqlite(error) => code(error),
            Fault::Damaged(_) => Code::StoreDamaged,
            Fault::Newer(_) => Code::StoreNewer,
            Fault::Moved | Fault::Reused(_) => Code::Store,
        };
        let about = self.text();
        Error::new(code, format!("store {}: {operation}: {about}", path.display()))
    }

    /// What is wrong.
    pub(super) fn text(&self) -> String {
        match self {
            Fault::Sqlite(error) => error.to_string(),
            Fault::Damaged(what) | Fault::Reused(what) => what.clone(),
            Fault::Moved => "the file was moved, deleted or replaced while it was open".to_owned(),
            Fault::Newer(version) => format!("a newer roomlet wrote it (schema {version})"),
        }
    }
}

fn code(error: &rusqlite::Error) -> Code {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => Code::StoreFull,
            // No room left for the index of the WAL, which SQLite does not report as a full disk.
            _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Code::StoreFull,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Code::StoreDamaged,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Code::StoreLocked,
            _ => Code::Store,
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => Code::StoreDamaged,
        _ => Code::Store,
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}
