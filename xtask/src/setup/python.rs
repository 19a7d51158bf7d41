//! A virtual environment with Synapse, pytest and what the Python package needs.

use super::once;
use crate::{
    context::Context,
    process::{command, run_logged},
};
use anyhow::{Context as _, Result};
use std::{fs, path::PathBuf};

/// The requirements of each part that runs in it; the first pins the versions of all.
const REQUIREMENTS: &[&str] = &[
    "tests/requirements.txt",
    "bindings/python/requirements-dev.txt",
    "bindings/python/requirements.txt",
];

/// Makes the virtual environment.
pub(super) fn install(context: &Context) -> Result<()> {
    let files: Vec<PathBuf> = REQUIREMENTS.iter().map(|file| context.root.join(file)).collect();
    let mut inputs = String::new();
    for file in &files {
        inputs += &fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    let folder = context.cache.join("venv");
    let log = context.cache.join("log/python.log");
    once(&folder, "Python packages and Synapse", &inputs, || {
        run_logged(command("python3", ["-m", "venv"]).arg(&folder), &log)?;
        let mut pip = command(
            context.python(),
            ["-m", "pip", "install", "--disable-pip-version-check"],
        );
        for file in &files {
            pip.arg("-r").arg(file);
        }
        run_logged(&mut pip, &log)
    })
}
