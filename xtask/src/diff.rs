//! `diff`: rooms from seeds, judged by roomlet, by Synapse and by ruma.

use crate::{
    context::Context,
    process::{cargo, run as run_command},
};
use anyhow::{Result, ensure};

/// From how many rooms on an optimized build takes less time than it saves.
const WORTH_OPTIMIZING: u64 = 5_000;
/// From how many rooms on every case of every rule has to have decided [`OFTEN`].
const ENOUGH_FOR_RARE_RULES: u64 = 100_000;
/// See there.
const OFTEN: &str = "100";

/// Compares so many rooms, from this seed on; of some room versions only, if any are named.
pub(crate) fn run(context: &Context, rooms: u64, from: u64, versions: &[String]) -> Result<()> {
    let python = context.python();
    ensure!(
        python.is_file(),
        "{} is missing; `cargo xtask setup` installs it",
        python.display()
    );
    let mut diff = cargo(&context.root, ["run", "--quiet", "--package", "roomlet-diff"]);
    if rooms >= WORTH_OPTIMIZING {
        diff.arg("--release");
    }
    diff.args(["--", "--python"]).arg(python);
    diff.args(["--rooms", &rooms.to_string(), "--from", &from.to_string()]);
    if versions.is_empty() && rooms >= ENOUGH_FOR_RARE_RULES {
        diff.args(["--every", OFTEN]);
    }
    if !versions.is_empty() {
        diff.args(["--versions", &versions.join(",")]);
    }
    run_command(&mut diff)
}
