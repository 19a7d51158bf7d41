//! Exclusive ownership of a store's file.

use super::private;
use roomlet_wire::{Code, Error, Result};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An exclusive lock of the operating system on the file `<store>.lock`, held while this lives; it ends with the
/// process, however that ends. The file stays: deleting it would let a second owner lock a new one.
///
/// Not on the store's file itself: closing any descriptor of that file would drop SQLite's own POSIX locks.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The process that took it: a process that `fork` made of it has it too, and is not its owner.
    process: u32,
}

impl Lock {
    /// # Errors
    /// [`Code::StoreLocked`] if it is held already, in this process or another; [`Code::StoreFull`],
    /// [`Code::Store`].
    pub(super) fn acquire(store: &Path) -> Result<Self> {
        let path = lock_path(store);
        let failed = |error: std::io::Error| {
            let code = if error.kind() == ErrorKind::StorageFull {
                Code::StoreFull
            } else {
                Code::Store
            };
            Error::new(
                code,
                format!("store {}: lock {}: {error}", store.display(), path.display()),
            )
        };
        let file = private::options().create(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                file,
                process: std::process::id(),
            }),
            Err(TryLockError::WouldBlock) => {
                let about = format!("store {}: open: another owner has it open", store.display());
                Err(Error::new(Code::StoreLocked, about))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // Closing the file would do, but for processes that were forked meanwhile: they would go on holding the lock.
            // If it fails, closing does what it can.
            let _ = self.file.unlock();
        }
    }
}

fn lock_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}
