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
    process::Command,
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

/// Kotlin: JUnit over `bindings/kotlin`.
pub(crate) fn kotlin(context: &Context) -> Result<()> {
    setup::run(context)?;
    let mut kotlin = Kotlin::package(context)?;
    let source = context.root.join("bindings/kotlin");
    // The tests see what is internal to the package.
    let friend = format!("-Xfriend-paths={}", kotlin.work.join(MAIN).display());
    let sources = [source.join("src/test"), source.join("examples")];
    let tests = kotlin.compile("test", &["-Werror", &friend], &sources)?;
    let mut junit = kotlin.java()?;
    junit.args([
        "org.junit.platform.console.ConsoleLauncher",
        "execute",
        "--disable-banner",
        "--disable-ansi-colors",
        "--fail-if-no-tests",
        "--scan-class-path",
    ]);
    junit.arg(tests);
    run(&mut junit)
}

/// Compiles a Kotlin program of one file against the package; the command runs it.
pub(crate) fn kotlin_program(context: &Context, file: &str, main_class: &str) -> Result<Command> {
    let mut kotlin = Kotlin::package(context)?;
    kotlin.compile("program", &["-Werror"], &[context.root.join(file)])?;
    let mut program = kotlin.java()?;
    program.arg(main_class);
    Ok(program)
}

/// The part of a Kotlin build that is the package itself.
const MAIN: &str = "main";

/// A Kotlin build: parts, each of which sees those before it.
struct Kotlin {
    jars: PathBuf,
    library: PathBuf,
    work: PathBuf,
    parts: Vec<PathBuf>,
}

impl Kotlin {
    /// Compiles the package. The generated part comes first, alone: its warnings are not ours to cure.
    fn package(context: &Context) -> Result<Self> {
        let work = fresh(&context.target.join("kotlin"))?;
        let generated = work.join("generated");
        hosts::generate_bindings(context, "kotlin", &generated)?;
        let mut kotlin = Self {
            jars: context.kotlin_jars(),
            library: context.library_dir(),
            work,
            parts: Vec::new(),
        };
        kotlin.compile("ffi", &["-nowarn"], &[generated])?;
        let strict = ["-Werror", "-Xexplicit-api=strict"];
        kotlin.compile(MAIN, &strict, &[context.root.join("bindings/kotlin/src/main")])?;
        Ok(kotlin)
    }

    /// Compiles one more part and returns the folder of its classes.
    fn compile(&mut self, part: &str, options: &[&str], sources: &[PathBuf]) -> Result<PathBuf> {
        let classes = self.work.join(part);
        let mut class_path = files(&self.jars, "jar")?;
        class_path.extend(self.parts.iter().cloned());
        // In a file, as the compiler takes no pattern and the command would fill the screen.
        let arguments = self.work.join(format!("{part}.arguments"));
        fs::write(&arguments, format!("-cp \"{}\"", joined(&class_path)?))?;
        let mut compiler = command("java", ["-Xmx3g", "-cp"]);
        compiler
            .arg(self.jars.join("*"))
            .arg("org.jetbrains.kotlin.cli.jvm.K2JVMCompiler");
        compiler.args(["-no-stdlib", "-no-reflect", "-jvm-target", "17"]);
        compiler.arg(format!("@{}", arguments.display())).args(options);
        run(compiler.arg("-d").arg(&classes).args(sources))?;
        self.parts.push(classes.clone());
        Ok(classes)
    }

    /// Java with all parts on its class path; the name of a class is to follow.
    fn java(&self) -> Result<Command> {
        let mut class_path = vec![self.jars.join("*")];
        class_path.extend(self.parts.iter().cloned());
        let mut java = command("java", ["-Xmx512m", "-cp"]);
        java.arg(joined(&class_path)?);
        java.arg(format!("-Djna.library.path={}", self.library.display()));
        Ok(java)
    }
}

/// Swift: `swift test` in the package.
pub(crate) fn swift(context: &Context) -> Result<()> {
    setup::run(context)?;
    let (swift, package) = swift_package(context)?;
    run(&mut swift.command(&package, &["test"])?)
}

/// Builds an executable of the Swift package; the command runs it.
pub(crate) fn swift_program(context: &Context, product: &str) -> Result<Command> {
    let (swift, package) = swift_package(context)?;
    run(&mut swift.command(&package, &["build", "--product", product])?)?;
    swift.command(&package, &["run", "--skip-build", product])
}

/// Copies `bindings/swift` with the generated part and the library to where Swift runs; returns Swift and the folder.
fn swift_package(context: &Context) -> Result<(Swift, String)> {
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
    for part in ["Sources", "Tests", "Examples"] {
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
    Ok((swift, inside))
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

fn joined(class_path: &[PathBuf]) -> Result<String> {
    let joined = env::join_paths(class_path)?;
    Ok(joined
        .to_str()
        .context("the cache folder's name is UTF-8")?
        .to_owned())
}
