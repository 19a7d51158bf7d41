//! Compilers, libraries and tools from Debian's packages.

use crate::{
    context::Context,
    process::{command, installed, output, run_logged},
};
use anyhow::{Result, bail};
use std::{path::Path, process::Command};

/// Something that the tests need.
struct Need {
    kind: Kind,
    /// The Debian package that has it.
    package: &'static str,
    /// What for.
    purpose: &'static str,
}

enum Kind {
    /// A program on the path.
    Program(&'static str),
    /// A library that pkg-config knows.
    Library(&'static str),
    /// A Python module of the system's Python.
    Module(&'static str),
}
use Kind::{Library, Module, Program};

const NEEDS: &[Need] = &[
    Need {
        kind: Program("gcc"),
        package: "gcc",
        purpose: "C tests",
    },
    Need {
        kind: Program("g++"),
        package: "g++",
        purpose: "C++ tests",
    },
    Need {
        kind: Program("make"),
        package: "make",
        purpose: "builds by CMake",
    },
    Need {
        kind: Program("cmake"),
        package: "cmake",
        purpose: "building the C and C++ programs",
    },
    Need {
        kind: Program("pkg-config"),
        package: "pkg-config",
        purpose: "finding C libraries",
    },
    Need {
        kind: Program("valgrind"),
        package: "valgrind",
        purpose: "memory checks",
    },
    Need {
        kind: Library("libcurl"),
        package: "libcurl4-openssl-dev",
        purpose: "the C host",
    },
    Need {
        kind: Library("libmicrohttpd"),
        package: "libmicrohttpd-dev",
        purpose: "the C host",
    },
    Need {
        kind: Program("python3"),
        package: "python3",
        purpose: "Python tests, Synapse",
    },
    Need {
        kind: Module("ensurepip"),
        package: "python3-venv",
        purpose: "Python tests, Synapse",
    },
    Need {
        kind: Program("java"),
        package: "default-jdk-headless",
        purpose: "Kotlin tests",
    },
    Need {
        kind: Program("mvn"),
        package: "maven",
        purpose: "Kotlin tests",
    },
];

/// What makes the Swift system where there is no Swift.
const SWIFT_NEEDS: &[Need] = &[Need {
    kind: Program("debootstrap"),
    package: "debootstrap",
    purpose: "Swift tests",
}];

/// Installs the missing packages, or says what is missing where that is not Debian.
pub(super) fn install(context: &Context) -> Result<()> {
    let swift: &[Need] = if installed("swift") { &[] } else { SWIFT_NEEDS };
    let missing = || {
        NEEDS
            .iter()
            .chain(swift)
            .filter(|need| !need.is_met())
            .collect::<Vec<_>>()
    };
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() || !installed("apt-get") {
        bail!("this is not a Debian system; please install:\n{}", list(&wanted));
    }
    let mut packages: Vec<&str> = wanted.iter().map(|need| need.package).collect();
    packages.dedup();
    println!("setup: Debian packages: installing {}", packages.join(" "));
    let log = context.cache.join("log/apt.log");
    run_logged(&mut as_root(["apt-get", "update"]), &log)?;
    let install = ["apt-get", "install", "-y", "--no-install-recommends"]
        .into_iter()
        .chain(packages);
    run_logged(&mut as_root(install), &log)?;
    let missing = missing();
    if !missing.is_empty() {
        bail!("still missing after the installation:\n{}", list(&missing));
    }
    println!("setup: Debian packages: installed");
    Ok(())
}

/// A command that runs as root: as it is if we are root, else by sudo.
pub(super) fn as_root<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let is_root = output(&mut command("id", ["-u"])).is_ok_and(|id| id.trim() == "0");
    let prefix: &[&str] = if is_root { &["env"] } else { &["sudo", "env"] };
    let mut words: Vec<&str> = prefix
        .iter()
        .copied()
        .chain(["DEBIAN_FRONTEND=noninteractive"])
        .chain(words)
        .collect();
    let program = words.remove(0);
    command(program, words)
}

impl Need {
    fn is_met(&self) -> bool {
        match self.kind {
            Program(name) => installed(name) || Path::new("/usr/sbin").join(name).is_file(),
            Library(name) => succeeds(&mut command("pkg-config", ["--exists", name])),
            Module(name) => succeeds(&mut command("python3", ["-c", &format!("import {name}")])),
        }
    }

    fn what(&self) -> String {
        match self.kind {
            Program(name) => format!("program {name}"),
            Library(name) => format!("library {name} (with its pkg-config file)"),
            Module(name) => format!("Python module {name}"),
        }
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn list(needs: &[&Need]) -> String {
    let line = |need: &&Need| format!("  {} ({}; Debian: {})", need.what(), need.purpose, need.package);
    needs.iter().map(line).collect::<Vec<_>>().join("\n")
}
