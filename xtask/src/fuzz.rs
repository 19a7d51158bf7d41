//! `fuzz`: random bytes for the targets in `tests/corpus`, with libFuzzer.

use crate::{
    context::Context,
    process::{cargo, installed, run as run_command},
};
use anyhow::{Result, bail, ensure};
use std::fs;

/// The version that the targets are known to run with.
const CARGO_FUZZ: &str = "0.13.2";

/// Fuzzes one target, or all one after the other, for so many seconds each.
///
/// It begins with the committed inputs; what it finds besides goes to `fuzz/corpus`, what breaks a target to
/// `fuzz/artifacts`, neither of which is committed.
pub(crate) fn run(context: &Context, seconds: u32, target: Option<&str>) -> Result<()> {
    if !installed("cargo-fuzz") {
        bail!("cargo-fuzz is missing: `cargo install --locked cargo-fuzz@{CARGO_FUZZ}` installs it");
    }
    let inputs = context.root.join("tests/corpus/inputs");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&inputs)? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    if let Some(target) = target {
        ensure!(
            targets.iter().any(|it| it == target),
            "there is no target `{target}`, only {}",
            targets.join(", ")
        );
        targets.retain(|it| it == target);
    }
    let fuzz = context.root.join("fuzz");
    for target in &targets {
        let found = fuzz.join("corpus").join(target);
        fs::create_dir_all(&found)?;
        let mut command = cargo(&context.root, ["fuzz", "run", "--target-dir"]);
        command
            .arg(context.target.join("fuzz"))
            .arg(target)
            .arg(found)
            .arg(inputs.join(target))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-dict={}", fuzz.join("dictionary").display()))
            .arg("-timeout=10");
        // Sanitizers are options of the nightly compiler.
        run_command(command.env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}
