//! The steps that are cargo's own.

use crate::{
    context::Context,
    process::{cargo, run},
};
use anyhow::Result;

/// `cargo fmt --check`.
pub(crate) fn fmt(context: &Context) -> Result<()> {
    run(&mut cargo(&context.root, ["fmt", "--all", "--check"]))
}

/// Clippy over the whole workspace; a warning fails.
pub(crate) fn clippy(context: &Context) -> Result<()> {
    run(&mut cargo(
        &context.root,
        ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    ))
}

/// The unit and integration tests; documentation examples are [`doc`]'s.
pub(crate) fn test(context: &Context) -> Result<()> {
    run(&mut cargo(
        &context.root,
        ["test", "--workspace", "--lib", "--bins", "--tests"],
    ))
}

/// The documentation without broken links, and its examples.
pub(crate) fn doc(context: &Context) -> Result<()> {
    let mut build = cargo(
        &context.root,
        ["doc", "--workspace", "--no-deps", "--document-private-items"],
    );
    run(build.env("RUSTDOCFLAGS", "-D warnings"))?;
    run(&mut cargo(&context.root, ["test", "--workspace", "--doc"]))
}
