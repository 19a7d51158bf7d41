//! `interop`: both example hosts beside Synapse.

use crate::{context::Context, hosts, process::run as run_command, setup};
use anyhow::Result;

/// Runs `tests/interop`, all of it or what the arguments for pytest choose.
pub(crate) fn run(context: &Context, pytest: &[String]) -> Result<()> {
    setup::run(context)?;
    hosts::build(context)?;
    let mut script = hosts::script(context, &["-m", "pytest", "interop", "-p", "no:cacheprovider"]);
    run_command(script.args(pytest))
}
