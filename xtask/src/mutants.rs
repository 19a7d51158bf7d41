//! `mutants`: errors made on purpose in the rules, and whether the tests catch them.
//!
//! `data/mutants.txt` lists them. Each is made in a copy of the tree, the tests of its crate are built and run, and they
//! have to fail.

use crate::{
    context::Context,
    process::{cargo, command, output},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

const LIST: &str = include_str!("../data/mutants.txt");
/// Fewer than that are no check of the tests.
const LEAST: usize = 40;

/// An error to be made.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    name: String,
    file: String,
    old: String,
    new: String,
}

/// What the tests made of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Caught,
    Survived,
    /// It does not compile, and so tells nothing about the tests.
    Unbuildable,
}

/// Makes each error whose name contains `only`, and fails if one survives.
pub(crate) fn run(context: &Context, only: &str) -> Result<()> {
    let mut mutants = read(LIST)?;
    ensure!(
        mutants.len() >= LEAST,
        "{} mutants, at least {LEAST}",
        mutants.len()
    );
    check_fresh(&context.root, &mutants)?;
    mutants.retain(|mutant| mutant.name.contains(only));
    ensure!(!mutants.is_empty(), "no mutant's name contains {only:?}");
    let work = context.target.join("mutants");
    let tree = copy_of_tree(context, &work)?;
    check_without(&tree, &work.join("target"), &mutants)?;
    let mut missed = Vec::new();
    for mutant in &mutants {
        let start = Instant::now();
        let fate = try_one(&tree, &work.join("target"), mutant)?;
        let said = match fate {
            Fate::Caught => "caught",
            Fate::Survived => "SURVIVED",
            Fate::Unbuildable => "DOES NOT BUILD",
        };
        println!(
            "{said:<15} {:>5.1} s  {}",
            start.elapsed().as_secs_f64(),
            mutant.name
        );
        if fate != Fate::Caught {
            missed.push(mutant.name.as_str());
        }
    }
    println!("{} of {} caught", mutants.len() - missed.len(), mutants.len());
    if !missed.is_empty() {
        bail!("not caught: {}", missed.join("; "));
    }
    Ok(())
}

/// Reads the list.
fn read(list: &str) -> Result<Vec<Mutant>> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let lines = list.lines().enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let at = || format!("mutants.txt, line {}", number + 1);
        if let Some(name) = line.strip_prefix("mutant ") {
            mutants.push(Mutant {
                name: name.to_owned(),
                file: String::new(),
                old: String::new(),
                new: String::new(),
            });
            continue;
        }
        let mutant = mutants.last_mut().with_context(at)?;
        let add = |text: &mut String, line: &str| {
            text.push_str(line.strip_prefix(' ').unwrap_or(line));
            text.push('\n');
        };
        if let Some(file) = line.strip_prefix("file ") {
            mutant.file = file.to_owned();
        } else if let Some(old) = line.strip_prefix('-') {
            add(&mut mutant.old, old);
        } else if let Some(new) = line.strip_prefix('+') {
            add(&mut mutant.new, new);
        } else {
            bail!("{}: {line:?}", at());
        }
    }
    for mutant in &mut mutants {
        ensure!(
            !mutant.file.is_empty() && !mutant.old.is_empty(),
            "mutant {:?} has no file or no text",
            mutant.name
        );
        // What is replaced may be a part of a line.
        mutant.old.pop();
        mutant.new.pop();
    }
    Ok(mutants)
}

/// Fails for mutants whose text is not there any more, or in several places.
fn check_fresh(root: &Path, mutants: &[Mutant]) -> Result<()> {
    let mut stale = Vec::new();
    for mutant in mutants {
        let source = fs::read_to_string(root.join(&mutant.file)).with_context(|| mutant.file.clone())?;
        let places = source.matches(&mutant.old).count();
        if places != 1 {
            stale.push(format!(
                "mutant {:?}: its text is {places} times in {}",
                mutant.name, mutant.file
            ));
        }
    }
    if !stale.is_empty() {
        bail!("{}", stale.join("\n"));
    }
    Ok(())
}

/// Copies the files that belong to the repository.
fn copy_of_tree(context: &Context, work: &Path) -> Result<PathBuf> {
    let tree = work.join("tree");
    let mut list = command("git", ["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = output(list.current_dir(&context.root))?;
    let belonging: BTreeSet<PathBuf> = files.lines().map(|file| tree.join(file)).collect();
    remove_others(&tree, &belonging)?;
    for file in files.lines() {
        let (from, to) = (context.root.join(file), tree.join(file));
        let Ok(text) = fs::read(&from) else { continue };
        // A file that is as it was keeps its time, so that nothing is built anew for it.
        if fs::read(&to).is_ok_and(|there| there == text) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::write(&to, text)?;
    }
    Ok(tree)
}

/// Removes what an earlier copy has and the repository no longer: as a module, it would be in the way of the one that took
/// its place.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Fails if the tests fail without any error made: then they would seem to catch everything.
fn check_without(tree: &Path, target: &Path, mutants: &[Mutant]) -> Result<()> {
    let mut checked: Vec<&[&str]> = Vec::new();
    for mutant in mutants {
        let packages = packages(&mutant.file)?;
        if !checked.contains(&packages) {
            let fate = test(tree, target, packages)?;
            ensure!(
                fate == Fate::Survived,
                "the tests of {} fail as they are",
                packages.join(", ")
            );
            checked.push(packages);
        }
    }
    Ok(())
}

fn try_one(tree: &Path, target: &Path, mutant: &Mutant) -> Result<Fate> {
    let path = tree.join(&mutant.file);
    let source = fs::read_to_string(&path)?;
    fs::write(&path, source.replacen(&mutant.old, &mutant.new, 1))?;
    let fate = test(tree, target, packages(&mutant.file)?);
    fs::write(&path, source)?;
    fate
}

/// Whose tests have to catch an error in a file.
fn packages(file: &str) -> Result<&'static [&'static str]> {
    Ok(match file.split('/').nth(1) {
        Some("wire") => &["roomlet-wire", "roomlet-room"],
        Some("room") => &["roomlet-room"],
        Some("homeserver") => &["roomlet-homeserver"],
        _ => bail!("{file} is in no crate that has mutants"),
    })
}

fn test(tree: &Path, target: &Path, packages: &[&str]) -> Result<Fate> {
    let cargo_test = |more: &[&str]| -> Result<bool> {
        let mut test = cargo(tree, ["test", "--quiet"]);
        for package in packages {
            test.args(["--package", package]);
        }
        test.args(more)
            .env("CARGO_TARGET_DIR", target)
            .env("RUSTFLAGS", "-Awarnings");
        test.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(test.status().context("cargo test")?.success())
    };
    if !cargo_test(&["--no-run"])? {
        return Ok(Fate::Unbuildable);
    }
    Ok(if cargo_test(&["--tests"])? {
        Fate::Survived
    } else {
        Fate::Caught
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_long_enough_and_fits_the_sources() {
        let mutants = read(LIST).expect("the list can be read");
        assert!(mutants.len() >= LEAST, "{}", mutants.len());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        check_fresh(&root, &mutants).expect("every text is there once");
        let mut names: Vec<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), mutants.len(), "two have one name");
    }

    #[test]
    fn a_block_is_a_name_a_file_and_two_texts() {
        let list = "# about\n\nmutant a b\nfile x/y.rs\n- old\n-   line\n+ new\n\nmutant c\nfile z\n- gone\n";
        let read = read(list).expect("a list");
        let mutant = |name: &str, file: &str, old: &str, new: &str| Mutant {
            name: name.into(),
            file: file.into(),
            old: old.into(),
            new: new.into(),
        };
        assert_eq!(
            read,
            [
                mutant("a b", "x/y.rs", "old\n  line", "new"),
                mutant("c", "z", "gone", "")
            ]
        );
    }
}
