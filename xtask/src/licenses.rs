//! `licenses`: every dependency comes from crates.io under a licence that deny.toml allows.

use crate::{
    context::Context,
    process::{cargo, installed, output, run as run_command},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks cargo's own metadata against deny.toml, and lets cargo-deny check the rest of it where it is installed.
pub(crate) fn run(context: &Context) -> Result<()> {
    let allowed = allowed(&fs::read_to_string(context.root.join("deny.toml")).context("deny.toml")?)?;
    let metadata = output(&mut cargo(
        &context.root,
        ["metadata", "--format-version", "1", "--locked"],
    ))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    let mut wrong = Vec::new();
    for package in packages {
        let name = format!("{} {}", text(package, "name"), text(package, "version"));
        if !satisfied(text(package, "license"), &allowed) {
            wrong.push(format!(
                "{name}: licence `{}` is not allowed",
                text(package, "license")
            ));
        }
        let source = package["source"].as_str();
        if source.is_some_and(|source| source != REGISTRY) {
            wrong.push(format!("{name}: comes from {}", text(package, "source")));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} packages: licences and sources allowed", packages.len());
    if installed("cargo-deny") {
        run_command(&mut cargo(
            &context.root,
            ["deny", "check", "licenses", "bans", "sources"],
        ))?;
    }
    Ok(())
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// The strings of the `allow` list under `[licenses]`.
fn allowed(deny: &str) -> Result<Vec<String>> {
    let section = deny
        .split("[licenses]")
        .nth(1)
        .context("deny.toml has no [licenses]")?;
    let list = section
        .split("allow = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    let list = list.context("[licenses] of deny.toml has no `allow`")?;
    let names: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    ensure!(!names.is_empty(), "deny.toml allows no licence");
    Ok(names)
}

/// Whether a licence expression can be met with allowed licences alone: `AND` needs both sides, `OR` (also
/// written `/`) needs one, and parentheses group.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    !words.is_empty() && any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = all_of(words, allowed);
    while let ["OR", rest @ ..] = words {
        *words = rest;
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut met = one(words, allowed);
    while let ["AND", rest @ ..] = words {
        *words = rest;
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any_of(words, allowed);
            if let [")", rest @ ..] = words {
                *words = rest;
            }
            met
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{name} WITH {exception}"))
        }
        [name, rest @ ..] => {
            *words = rest;
            allowed.iter().any(|allowed| allowed == name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_by_allowed_licences_alone() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(str::to_owned);
        let table = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("", false),
            ("GPL-3.0 OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(GPL-3.0 OR Apache-2.0) AND Unicode-3.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("MIT MIT", false),
        ];
        for (expression, met) in table {
            assert_eq!(satisfied(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn the_allow_list_is_read_from_the_licenses_section() {
        let deny = "[bans]\nallow = [\"x\"]\n[licenses]\nallow = [\n    \"MIT\",\n    \"ISC\",\n]\n";
        assert_eq!(allowed(deny).expect("a list"), ["MIT", "ISC"]);
    }
}
