//! `layers`: the crates depend on each other only downwards, the pure ones on nothing impure, and every
//! outside dependency has its reason written down.

use crate::{
    context::Context,
    process::{cargo, output},
};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

/// A crate of the core and the ones below it that it may use.
struct Layer {
    name: &'static str,
    folder: &'static str,
    may_use: &'static [&'static str],
    /// `no_std`: nothing impure can be named in it.
    pure: bool,
}

const WIRE: &str = "roomlet-wire";
const ROOM: &str = "roomlet-room";
const STORE: &str = "roomlet-store";
const CONTENT: &str = "roomlet-content";
const FEDERATION: &str = "roomlet-federation";
const HOMESERVER: &str = "roomlet-homeserver";
const TOOLKIT: &str = "roomlet-toolkit";

/// The layers, from the bottom up: the diagram of ARCHITECTURE.md.
const LAYERS: &[Layer] = &[
    Layer {
        name: WIRE,
        folder: "core/wire",
        may_use: &[],
        pure: true,
    },
    Layer {
        name: ROOM,
        folder: "core/room",
        may_use: &[WIRE],
        pure: true,
    },
    Layer {
        name: STORE,
        folder: "core/store",
        may_use: &[WIRE],
        pure: false,
    },
    Layer {
        name: CONTENT,
        folder: "core/content",
        may_use: &[WIRE],
        pure: false,
    },
    Layer {
        name: FEDERATION,
        folder: "core/federation",
        may_use: &[WIRE, STORE],
        pure: false,
    },
    Layer {
        name: HOMESERVER,
        folder: "core/homeserver",
        may_use: &[WIRE, ROOM, STORE, CONTENT, FEDERATION],
        pure: false,
    },
    Layer {
        name: TOOLKIT,
        folder: "core/toolkit",
        may_use: &[WIRE, ROOM],
        pure: false,
    },
    Layer {
        name: "roomlet-ffi",
        folder: "ffi",
        may_use: &[HOMESERVER, TOOLKIT, WIRE],
        pure: false,
    },
];

/// Checks arrows, purity and reasons; reports everything that is wrong at once.
pub(crate) fn run(context: &Context) -> Result<()> {
    let metadata = output(&mut cargo(
        &context.root,
        ["metadata", "--format-version", "1", "--no-deps"],
    ))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let page = fs::read_to_string(context.root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let reasons = explained(&page);
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for layer in LAYERS {
        let package = packages
            .iter()
            .find(|package| package["name"] == layer.name)
            .with_context(|| format!("there is no crate {}", layer.name))?;
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            if dependency["kind"] == "dev" {
                continue;
            }
            arrows += 1;
            let name = dependency["name"].as_str().context("a dependency has a name")?;
            if dependency.get("path").is_some_and(Value::is_string) {
                if !layer.may_use.contains(&name) {
                    wrong.push(format!("{} must not depend on {name}", layer.name));
                }
            } else if !reasons.contains(name) {
                wrong.push(format!(
                    "{} depends on {name}, which ARCHITECTURE.md gives no reason for",
                    layer.name
                ));
            }
        }
        wrong.extend(missing_attributes(context, layer)?);
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} crates, {arrows} arrows: all allowed", LAYERS.len());
    Ok(())
}

/// The crates in the first column of the table below the heading "Dependencies".
fn explained(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().skip_while(|line| *line != "## Dependencies").skip(1);
    lines
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .flat_map(|cell| cell.split([',', ' ', '(', ')', '`']))
        .filter(|word| !word.is_empty())
        .collect()
}

fn missing_attributes(context: &Context, layer: &Layer) -> Result<Vec<String>> {
    let path = context.root.join(layer.folder).join("src/lib.rs");
    let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut wanted = Vec::new();
    if layer.pure {
        wanted.push("#![no_std]");
    }
    if layer.folder.starts_with("core/") {
        wanted.push("#![forbid(unsafe_code)]");
    }
    let missing = wanted
        .into_iter()
        .filter(|attribute| !source.lines().any(|line| line == *attribute));
    Ok(missing
        .map(|attribute| format!("{} lacks {attribute}", path.display()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explained_crates_are_those_of_the_dependency_table() {
        let page = "| other | x |\n## Dependencies\nText, tokio.\n\n| crate | why |\n|---|---|\n\
                    | a-b, `c` (bundled) | because of d |\n## Next\n| e | f |\n";
        let found = explained(page);
        for (name, there) in [
            ("a-b", true),
            ("c", true),
            ("tokio", false),
            ("d", false),
            ("e", false),
        ] {
            assert_eq!(found.contains(name), there, "{name}");
        }
    }
}
