//! `readme`: what the README shows is true: its programs are the files that it names, and print what it says.

use crate::{
    context::Context,
    hosts, languages,
    process::{command, output},
    setup,
};
use anyhow::{Context as _, Result, ensure};
use std::{collections::BTreeMap, fs, process::Command};

/// How many lines a minimal program may have.
const MOST_LINES: usize = 30;

/// A program that the README shows in full.
struct Program {
    file: &'static str,
    /// All that it prints.
    prints: &'static str,
    /// Builds it; the command runs it.
    build: fn(&Context, &str) -> Result<Command>,
}

const ALICE_READS: &str = "@alice:one.example reads {\"m.text\":[{\"body\":\"hello from alice\"}]}\n";
const BOB_READS: &str = "@bob:two.example reads {\"m.text\":[{\"body\":\"hello from alice\"}]}\n";

const PROGRAMS: &[Program] = &[
    Program {
        file: "examples/minimal/minimal.c",
        prints: ALICE_READS,
        build: |context, _| built_by_cmake(context, "minimal_c"),
    },
    Program {
        file: "examples/minimal/minimal.cpp",
        prints: BOB_READS,
        build: |context, _| built_by_cmake(context, "minimal_cpp"),
    },
    Program {
        file: "examples/minimal/minimal.py",
        prints: BOB_READS,
        build: python,
    },
    Program {
        file: "bindings/kotlin/examples/Minimal.kt",
        prints: BOB_READS,
        build: |context, file| languages::kotlin_program(context, file, "MinimalKt"),
    },
    Program {
        file: "bindings/swift/Examples/Minimal.swift",
        prints: BOB_READS,
        build: |context, _| languages::swift_program(context, "Minimal"),
    },
];

/// Compares the README with the files that it shows and links to, and runs its programs.
pub(crate) fn run(context: &Context) -> Result<()> {
    let readme = fs::read_to_string(context.root.join("README.md")).context("README.md")?;
    for target in links(&readme) {
        ensure!(
            context.root.join(target).exists(),
            "README.md links to {target}, which is not there"
        );
    }
    let shown = shown_files(&readme)?;
    let named: Vec<&str> = shown.keys().copied().collect();
    for (file, text) in &shown {
        let held = fs::read_to_string(context.root.join(file)).with_context(|| (*file).to_owned())?;
        ensure!(*text == held, "README.md does not show {file} as it is");
    }
    for program in PROGRAMS {
        let text = shown
            .get(program.file)
            .with_context(|| format!("README.md shows {named:?}, not {}", program.file))?;
        let lines = text.lines().count();
        ensure!(
            lines <= MOST_LINES,
            "{} has {lines} lines, more than {MOST_LINES}",
            program.file
        );
        ensure!(
            readme.contains(program.prints.trim_end()),
            "README.md does not say what {} prints",
            program.file
        );
    }

    setup::run(context)?;
    hosts::build_library(context)?;
    for program in PROGRAMS {
        let printed = output(&mut (program.build)(context, program.file)?)?;
        ensure!(
            printed == program.prints,
            "{} printed {printed:?} instead of {:?}",
            program.file,
            program.prints
        );
        print!("{}: {printed}", program.file);
    }
    Ok(())
}

fn built_by_cmake(context: &Context, program: &str) -> Result<Command> {
    let folder = hosts::build_cmake(context, "examples/minimal", "minimal", &[])?;
    Ok(Command::new(folder.join(program)))
}

fn python(context: &Context, file: &str) -> Result<Command> {
    languages::prepare_python(context)?;
    let mut python = command(context.python(), [file]);
    python
        .current_dir(&context.root)
        .env("PYTHONPATH", "bindings/python/src")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}

/// The code blocks that stand below a line `[file](file)`, by that file's name.
fn shown_files(markdown: &str) -> Result<BTreeMap<&str, String>> {
    let mut shown = BTreeMap::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(file) = file_named_by(line) else {
            continue;
        };
        let opening = lines.find(|line| !line.is_empty()).unwrap_or_default();
        ensure!(
            opening.starts_with("```"),
            "README.md: `{opening}` follows {file} instead of its code"
        );
        let code = lines.by_ref().take_while(|line| *line != "```");
        let text = code.flat_map(|line| [line, "\n"]).collect();
        ensure!(shown.insert(file, text).is_none(), "README.md shows {file} twice");
    }
    Ok(shown)
}

/// The file that a line consisting of `[file](file)` names.
fn file_named_by(line: &str) -> Option<&str> {
    let (text, target) = line.strip_prefix('[')?.strip_suffix(')')?.split_once("](")?;
    (text == target).then_some(text)
}

/// The files that a text links to, outside of its code, without those of other sites.
fn links(markdown: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    let prose = markdown.lines().filter(move |line| {
        let fence = line.starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    prose
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::{links, shown_files};

    #[test]
    fn code_below_a_line_that_names_a_file_is_that_files() {
        let text =
            "Look:\n\n[a/b.c](a/b.c)\n\n```c\nint x;\n\nint y;\n```\n\n[other](a/b.h)\n\n```\nno\n```\n";
        let shown = shown_files(text).unwrap();
        assert_eq!(
            shown.into_iter().collect::<Vec<_>>(),
            [("a/b.c", "int x;\n\nint y;\n".to_owned())]
        );
    }

    #[test]
    fn name_of_a_file_without_code_is_refused() {
        let error = shown_files("[a.c](a.c)\n\ntext\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "README.md: `text` follows a.c instead of its code"
        );
    }

    #[test]
    fn links_are_those_to_files_outside_of_code() {
        let text = "[a](docs/a.md), [site](https://matrix.org), [below](#b)\n```cpp\n[x](int y) {}\n```\n[b](b.md)\n";
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md", "b.md"]);
    }
}
