//! `torture`: kills busy hosts at random moments.

use crate::{context::Context, hosts, process::run as run_command, setup};
use anyhow::Result;

/// Plays `tests/torture/torture.py` with so many kills, chosen by the seed.
pub(crate) fn run(context: &Context, kills: u32, seed: u64) -> Result<()> {
    setup::run(context)?;
    hosts::build(context)?;
    let mut script = hosts::script(context, &["torture/torture.py"]);
    run_command(
        script
            .arg("--kills")
            .arg(kills.to_string())
            .arg("--seed")
            .arg(seed.to_string()),
    )
}
