//! `sim`: federations of two and three servers in virtual time, from seeds.

use crate::{
    context::Context,
    process::{cargo, run as run_command},
};
use anyhow::Result;

/// Runs the simulation with so many seeds.
pub(crate) fn run(context: &Context, seeds: u32) -> Result<()> {
    let mut sim = cargo(
        &context.root,
        ["run", "--quiet", "--package", "roomlet-sim", "--", "--seeds"],
    );
    run_command(sim.arg(seeds.to_string()))
}
