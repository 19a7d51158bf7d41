//! `damage`: files of stores, damaged at random.

use crate::{
    context::Context,
    process::{cargo, run as run_command},
};
use anyhow::Result;

/// Plays the homeserver's test `damage` with so many files.
pub(crate) fn run(context: &Context, files: u32) -> Result<()> {
    let test = [
        "test",
        "--quiet",
        "--package",
        "roomlet-homeserver",
        "--test",
        "damage",
    ];
    run_command(cargo(&context.root, test).env("ROOMLET_DAMAGED_FILES", files.to_string()))
}
