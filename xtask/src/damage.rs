//! `damage` and `faults`: the homeserver's tests of what goes wrong below it, more of them than CI has time for.

use crate::{
    context::Context,
    process::{cargo, run},
};
use anyhow::Result;

/// Damages so many files of stores at random.
pub(crate) fn files(context: &Context, files: u32) -> Result<()> {
    test(context, "damage", ("ROOMLET_DAMAGED_FILES", &files.to_string()))
}

/// Lets each call of a store fail in turn.
pub(crate) fn faults(context: &Context) -> Result<()> {
    test(context, "faults", ("ROOMLET_EVERY_FAULT", "1"))
}

/// Runs one of the homeserver's test programs with a variable that makes it do more.
fn test(context: &Context, program: &str, (variable, value): (&str, &str)) -> Result<()> {
    let package = ["test", "--quiet", "--package", "roomlet-homeserver"];
    let mut test = cargo(&context.root, package);
    run(test.args(["--test", program]).env(variable, value))
}
