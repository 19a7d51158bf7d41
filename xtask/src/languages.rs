//! `c`, `cpp`, `python`, `kotlin`, `swift`: the tests of each language, in its own test runner.

use crate::{
    context::Context,
    hosts,
    process::{command, run},
    setup::{self, Swift},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// C: the tests as they are and under valgrind, then with AddressSanitizer.
pub(crate) fn c(context: &Context) -> Result<()> {
    setup::run(context)?;
    hosts::build_library(context)?;
    ctest(context, "bindings/c", "c", &[])?;
    ctest(context, "bindings/c", "c-sanitized", &["-DROOMLET_SANITIZE=ON"])
}

/// C++.
pub(crate) fn cpp(context: &Context) -> Result<()> {
    setup::run(context)?;
    hosts::build_library(context)?;
    ctest(context, "bindings/cpp", "cpp", &[])
}

fn ctest(context: &Context, source: &str, name: &str, options: &[&str]) -> Result<()> {
    let build = hosts::build_cmake(context, source, name, options)?;
    run(command("ctest", ["--output-on-failure", "--no-tests=error", "--test-dir"]).arg(build))
}

/// Python: pytest over the package's tests, then the types of the package and of the tests across processes.
pub(crate) fn python(context: &Context) -> Result<()> {
    setup::run(context)?;
    prepare_python(context)?;
    for tool in [
        &["pytest", "-p", "no:cacheprovider"][..],
        &["mypy", "--cache-dir=/dev/null"],
    ] {
        let mut tool = command(context.python(), ["-m"].iter().chain(tool));
        run(tool.current_dir(context.root.join("bindings/python")))?;
    }
    let folders = ["support", "demo", "torture", "interop"];
    let mut types = command(context.python(), ["-m", "mypy", "--cache-dir=/dev/null"]);
    run(types.args(folders).current_dir(context.root.join("tests")))
}

/// Makes the Python package usable from the checkout: the library and its generated module go into it.
pub(crate) fn prepare_python(context: &Context) -> Result<()> {
    hosts::build_library(context)?;
    hosts::build_bindgen(context)?;
    let mut build = command(context.python(), ["bindings/python/build.py", "--library"]);
    build.arg(context.library_dir().join("libroomlet.so"));
    build
        .arg("--bindgen")
        .arg(context.library_dir().join("uniffi-bindgen"));
    run(build.current_dir(&context.root))
}

/// Kotlin: JUnit over `bindings/kotlin`, compiled together with the generated part.
pub(crate) fn kotlin(context: &Context) -> Result<()> {
    setup::run(context)?;
    let work = fresh(&context.target.join("kotlin"))?;
    let generated = work.join("generated");
    hosts::generate_bindings(context, "kotlin", &generated)?;
    let classes = work.join("classes");
    let jars = class_path(&files(&context.kotlin_jars(), "jar")?)?;
    let mut compile = command("java", ["-Xmx3g", "-cp"]);
    compile
        .arg(&jars)
        .arg("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler");
    compile
        .args(["-no-stdlib", "-no-reflect", "-jvm-target", "17", "-nowarn", "-cp"])
        .arg(&jars);
    compile
        .arg("-d")
        .arg(&classes)
        .arg(context.root.join("bindings/kotlin/src"))
        .arg(&generated);
    run(&mut compile)?;
    let mut junit = command("java", ["-Xmx512m", "-cp"]);
    junit.arg(&jars);
    junit.arg(format!("-Djna.library.path={}", context.library_dir().display()));
    junit.args([
        "org.junit.platform.console.ConsoleLauncher",
        "execute",
        "--disable-banner",
        "--include-classname=.*",
        "--class-path",
    ]);
    junit
        .arg(&classes)
        .arg("--scan-class-path")
        .arg("--fail-if-no-tests");
    run(&mut junit)
}

/// Swift: `swift test` over a copy of `bindings/swift` with the generated part and the library.
pub(crate) fn swift(context: &Context) -> Result<()> {
    setup::run(context)?;
    let swift = Swift::of(context);
    let generated = fresh(&context.target.join("swift"))?;
    hosts::generate_bindings(context, "swift", &generated)?;
    // Inside the other system if there is one, with the build output of the last time left in place.
    let (package, inside) = match &swift {
        Swift::Native => {
            let package = context.target.join("swift-package");
            let inside = package
                .to_str()
                .context("the checkout's name is UTF-8")?
                .to_owned();
            (package, inside)
        }
        Swift::Root(root) => (root.join("tmp/roomlet-swift"), "/tmp/roomlet-swift".to_owned()),
    };
    fs::create_dir_all(&package)?;
    for part in ["Sources", "Tests"] {
        let part = package.join(part);
        if part.exists() {
            fs::remove_dir_all(part)?;
        }
    }
    run(command("cp", ["-R"])
        .arg(context.root.join("bindings/swift/."))
        .arg(&package))?;
    copy(
        &generated.join("roomlet.swift"),
        &package.join("Sources/RoomletGenerated"),
    )?;
    copy(
        &generated.join("roomletFFI.h"),
        &package.join("Sources/roomletFFI"),
    )?;
    copy(&context.library_dir().join("libroomlet.so"), &package.join("lib"))?;
    run(&mut swift.command(&inside, &["test"])?)
}

fn fresh(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

fn copy(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::create_dir_all(folder)?;
    fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    Ok(())
}

fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "{} has no .{extension}", folder.display());
    Ok(found)
}

fn class_path(jars: &[PathBuf]) -> Result<String> {
    let joined = env::join_paths(jars)?;
    Ok(joined
        .to_str()
        .context("the cache folder's name is UTF-8")?
        .to_owned())
}
