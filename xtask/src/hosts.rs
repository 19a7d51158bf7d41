//! The library, its generated bindings, and the example hosts: what the tests across processes run.

use crate::{
    context::Context,
    languages,
    process::{cargo, command, run},
};
use anyhow::Result;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `libroomlet`, shared and static, for development.
pub(crate) fn build_library(context: &Context) -> Result<()> {
    run(&mut cargo(&context.root, ["build", "--package", "roomlet-ffi"]))
}

/// Builds the generator of the UniFFI bindings.
pub(crate) fn build_bindgen(context: &Context) -> Result<()> {
    run(&mut cargo(
        &context.root,
        ["build", "--package", "roomlet-uniffi-bindgen"],
    ))
}

/// Generates the UniFFI bindings of a language into a folder, from the library, which it builds.
pub(crate) fn generate_bindings(context: &Context, language: &str, out: &Path) -> Result<()> {
    build_library(context)?;
    build_bindgen(context)?;
    let mut bindgen = command(
        context.library_dir().join("uniffi-bindgen"),
        ["generate", "--no-format"],
    );
    bindgen.args(["--language", language, "--out-dir"]).arg(out);
    run(bindgen
        .arg(context.library_dir().join("libroomlet.so"))
        .current_dir(&context.root))
}

/// Builds both example hosts.
pub(crate) fn build(context: &Context) -> Result<()> {
    build_library(context)?;
    build_cmake(context, "examples/c-chat", "c-chat", &[])?;
    languages::prepare_python(context)
}

/// Builds a CMake project of the repository in a folder of its own below the build output; returns that folder.
pub(crate) fn build_cmake(context: &Context, source: &str, name: &str, options: &[&str]) -> Result<PathBuf> {
    let build = context.target.join("cmake").join(name);
    let mut configure = command("cmake", ["-S"]);
    configure.arg(context.root.join(source)).arg("-B").arg(&build);
    configure.arg(format!("-DROOMLET_LIB_DIR={}", context.library_dir().display()));
    run(configure.arg("-DCMAKE_BUILD_TYPE=Debug").args(options))?;
    run(command("cmake", ["--build"]).arg(&build))?;
    Ok(build)
}

/// A Python script of `tests/`, with the driver on its path and the hosts' command lines in its environment.
pub(crate) fn script(context: &Context, words: &[&str]) -> Command {
    let mut python = command(context.python(), words);
    let c_host = context.target.join("cmake/c-chat/c-chat");
    let python_host = context.root.join("examples/python-service/service.py");
    python
        .current_dir(context.root.join("tests"))
        .env(
            "PYTHONPATH",
            format!("support:{}", context.root.join("bindings/python/src").display()),
        )
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ROOMLET_C_HOST", quoted(&[c_host]))
        .env("ROOMLET_PYTHON_HOST", quoted(&[context.python(), python_host]));
    python
}

/// Words as a shell would need them.
fn quoted(words: &[PathBuf]) -> String {
    words
        .iter()
        .map(|word| format!("'{}'", word.display()))
        .collect::<Vec<_>>()
        .join(" ")
}
