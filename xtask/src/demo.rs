//! `demo`: the story of two homeservers.

use crate::{context::Context, hosts, process::run as run_command, setup};
use anyhow::Result;

/// Plays `tests/demo/story.py`.
pub(crate) fn run(context: &Context) -> Result<()> {
    setup::run(context)?;
    hosts::build(context)?;
    run_command(&mut hosts::script(context, &["demo/story.py"]))
}
