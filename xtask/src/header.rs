//! `header`: writes the committed files of `include/` from the sources of the C face.

use crate::{
    context::Context,
    process::{cargo, run},
};
use anyhow::Result;

const TEST: [&str; 5] = ["test", "--package", "roomlet-ffi", "--lib", "c::header"];

/// Writes header, symbols and layout; commit them.
pub(crate) fn write(context: &Context) -> Result<()> {
    run(cargo(&context.root, TEST).env("ROOMLET_BLESS", "1"))
}

/// Fails where the committed files are not what the sources give.
pub(crate) fn check(context: &Context) -> Result<()> {
    run(&mut cargo(&context.root, TEST))
}
