//! Swift: the machine's own, or Debian trixie's in a folder of its own (Debian 12 has none).

use super::{debian::as_root, once};
use crate::{
    context::Context,
    process::{command, installed, run_logged},
};
use anyhow::{Context as _, Result};
use std::{path::PathBuf, process::Command};

const SUITE: &str = "trixie";
const PACKAGES: &str = "swiftlang,libc6-dev,libstdc++-14-dev";
const MIRROR: &str = "http://deb.debian.org/debian";

/// Makes the folder, unless the machine has a Swift.
pub(super) fn install(context: &Context) -> Result<()> {
    if installed("swift") {
        return Ok(());
    }
    let folder = context.swift_root();
    let inputs = format!("{SUITE} {PACKAGES}");
    once(&folder, "Swift (Debian trixie, 3 GB)", &inputs, || {
        let path = folder.to_str().context("the cache folder's name is UTF-8")?;
        let log = context.cache.join("log/swift.log");
        // What an interrupted run left may still have the system's file systems mounted in it: leave those.
        run_logged(&mut as_root(["rm", "-rf", "--one-file-system", path]), &log)?;
        let include = format!("--include={PACKAGES}");
        let words = [
            "/usr/sbin/debootstrap",
            "--variant=minbase",
            &include,
            SUITE,
            path,
            MIRROR,
        ];
        run_logged(&mut as_root(words), &log)
    })
}

/// Where Swift runs.
pub(crate) enum Swift {
    /// On the machine itself.
    Native,
    /// In a system of its own, below this folder.
    Root(PathBuf),
}

/// Enters a root with a /proc, without which the compiler does not find its own libraries. Words: the root,
/// the folder to work in, the command.
const ENTER: &str = r#"mount -t proc proc "$1/proc" && exec chroot "$1" /usr/bin/env HOME=/root sh -c 'cd "$0" && exec "$@"' "${@:2}""#;

impl Swift {
    /// The one that [`install`] provides.
    pub(crate) fn of(context: &Context) -> Self {
        if installed("swift") {
            Self::Native
        } else {
            Self::Root(context.swift_root())
        }
    }

    /// A `swift` command in the folder `directory`, a path below the root if there is one.
    pub(crate) fn command(&self, directory: &str, arguments: &[&str]) -> Result<Command> {
        Ok(match self {
            Self::Native => {
                let mut swift = command("swift", arguments);
                swift.current_dir(directory);
                swift
            }
            Self::Root(root) => {
                let root = root.to_str().context("the cache folder's name is UTF-8")?;
                // The mount is seen in this namespace alone, and ends with it.
                let enter = [
                    "unshare", "--mount", "bash", "-c", ENTER, "enter", root, directory, "swift",
                ];
                as_root(enter.into_iter().chain(arguments.iter().copied()))
            }
        })
    }
}
