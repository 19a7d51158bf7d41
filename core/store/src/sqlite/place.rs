//! Whether a path still leads to the file that was opened there.

use super::fault::Fault;
use std::path::Path;

/// The file that a path led to: its inode. Where a system keeps open files from being taken away, nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(Option<u64>);

impl Place {
    /// What is at `path` now.
    pub(super) fn of(path: &Path) -> Self {
        #[cfg(unix)]
        let inode = std::fs::metadata(path)
            .ok()
            .map(|file| std::os::unix::fs::MetadataExt::ino(&file));
        #[cfg(not(unix))]
        let inode = {
            let _ = path;
            None
        };
        Self(inode)
    }

    /// Fails if something else is at `path` now, or nothing: what was written would be in no file that anybody finds.
    /// SQLite looks for that without a WAL only.
    pub(super) fn check(self, path: &Path) -> Result<(), Fault> {
        if Self::of(path) == self {
            Ok(())
        } else {
            Err(Fault::Moved)
        }
    }
}
