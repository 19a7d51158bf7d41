//! `abi`: the committed C ABI is the one that the library has.

use crate::{
    context::Context,
    header, hosts,
    process::{command, output, run as run_command},
};
use anyhow::{Context as _, Result, ensure};
use std::{collections::BTreeSet, fs};

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];

/// Compares header, symbols and layout with the sources, compiles the header alone as C99 and as C++17, and
/// compares what the shared library exports with the committed list.
pub(crate) fn run(context: &Context) -> Result<()> {
    header::check(context)?;
    let header = context.root.join("include/roomlet.h");
    for (compiler, language, standard) in [("gcc", "c", "-std=c99"), ("g++", "c++", "-std=c++17")] {
        let mut compile = command(compiler, ["-x", language, standard]);
        run_command(compile.args(WARNINGS).arg("-fsyntax-only").arg(&header))?;
    }
    hosts::build_library(context)?;
    let listed =
        fs::read_to_string(context.root.join("include/roomlet.symbols")).context("roomlet.symbols")?;
    let listed: BTreeSet<&str> = listed.lines().collect();
    let mut nm = command("nm", ["--dynamic", "--defined-only", "--format=posix"]);
    let exported = output(nm.arg(context.library_dir().join("libroomlet.so")))?;
    let exported: BTreeSet<&str> = exported
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| name.starts_with("roomlet_"))
        .collect();
    let missing: Vec<_> = listed.difference(&exported).collect();
    let unlisted: Vec<_> = exported.difference(&listed).collect();
    ensure!(
        missing.is_empty() && unlisted.is_empty(),
        "libroomlet.so does not export {missing:?}; include/roomlet.symbols does not list {unlisted:?}"
    );
    println!("{} functions exported, all listed", exported.len());
    Ok(())
}
