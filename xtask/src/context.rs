//! Where things are.

use anyhow::{Context as _, Result};
use std::{env, path::PathBuf};

/// The places that the commands work in.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Downloads and tools, shared by all checkouts: `$ROOMLET_CACHE`, or `~/.cache/roomlet`.
    pub(crate) cache: PathBuf,
    /// Cargo's build output.
    pub(crate) target: PathBuf,
}

impl Context {
    /// Finds them from the environment.
    pub(crate) fn new() -> Result<Self> {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .parent()
            .context("xtask lies in the workspace")?
            .to_owned();
        let cache = match env::var_os("ROOMLET_CACHE") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(env::var_os("HOME").context("HOME is not set; set ROOMLET_CACHE")?)
                .join(".cache/roomlet"),
        };
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root, cache, target })
    }

    /// The Python of the tests' virtual environment.
    pub(crate) fn python(&self) -> PathBuf {
        self.cache.join("venv/bin/python")
    }

    /// Where cargo puts the development build of `libroomlet`.
    pub(crate) fn library_dir(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// The folder with the jars of the Kotlin compiler, JUnit, coroutines and JNA.
    pub(crate) fn kotlin_jars(&self) -> PathBuf {
        self.cache.join("kotlin/jars")
    }

    /// The root of the system that Swift runs in where the machine has none of its own.
    pub(crate) fn swift_root(&self) -> PathBuf {
        self.cache.join("swift-trixie")
    }
}
