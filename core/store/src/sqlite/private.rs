//! Files that nobody but their owner may read: a store holds the keys that its server signs with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Result};
use std::path::Path;

/// How such a file is opened for writing. Permissions hold for one that this makes; one that is there keeps its own.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty file, unless there is one. SQLite gives the files that it puts beside it the same permissions.
pub(super) fn create(path: &Path) -> Result<()> {
    match options().create_new(true).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// As [`create`], behind a link that leads to no file yet.
pub(super) fn create_behind(link: &Path) -> Result<()> {
    options().create(true).open(link).map(|_| ())
}
