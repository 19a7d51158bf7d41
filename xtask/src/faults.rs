//! `faults`: a store that fails at some moment, for each moment there is.

use crate::{
    context::Context,
    process::{cargo, run as run_command},
};
use anyhow::Result;

/// Plays the homeserver's test `faults` with every call of the store, of which the usual tests take some.
pub(crate) fn run(context: &Context) -> Result<()> {
    let test = [
        "test",
        "--quiet",
        "--package",
        "roomlet-homeserver",
        "--test",
        "faults",
        "--",
        "--ignored",
    ];
    run_command(&mut cargo(&context.root, test))
}
