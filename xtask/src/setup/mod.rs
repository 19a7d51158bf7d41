//! `setup`: installs what a fresh Debian 12 with the Rust toolchain lacks; elsewhere says what is missing.
//!
//! Everything but Debian's own packages goes to the cache folder. Each part leaves a stamp with what it was
//! made from, and is made again when that changes.

mod debian;
mod kotlin;
mod python;
mod swift;

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, thread, time::Instant};

pub(crate) use swift::Swift;

type Install = fn(&Context) -> Result<()>;

/// Installs everything; the parts that do not need each other at the same time.
pub(crate) fn run(context: &Context) -> Result<()> {
    fs::create_dir_all(context.cache.join("log"))
        .with_context(|| format!("cannot write to {}", context.cache.display()))?;
    debian::install(context)?;
    let parts: [(&str, Install); 3] = [
        ("Python", python::install),
        ("Kotlin", kotlin::install),
        ("Swift", swift::install),
    ];
    let failures: Vec<String> = thread::scope(|scope| {
        let running = parts.map(|(name, install)| (name, scope.spawn(move || install(context))));
        let mut failures = Vec::new();
        for (name, part) in running {
            match part.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failures.push(format!("{name}: {error:#}")),
                Err(_) => failures.push(format!("{name}: the installation panicked")),
            }
        }
        failures
    });
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    println!("setup: everything is there ({})", context.cache.display());
    Ok(())
}

/// Runs `make` unless the stamp in `folder` says that it is made from `inputs` already.
fn once(folder: &Path, what: &str, inputs: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join(".roomlet-stamp");
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == inputs) {
        return Ok(());
    }
    println!("setup: {what}: installing into {}", folder.display());
    let started = Instant::now();
    fs::create_dir_all(folder)?;
    make()?;
    fs::write(&stamp, inputs)?;
    println!(
        "setup: {what}: installed in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
