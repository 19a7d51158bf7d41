//! `protocol`: each rule that sources and pages cite by its number, as EV-21, is told in `docs/protocol.md`.

use crate::context::Context;
use anyhow::{Context as _, Result, bail};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The page that tells the rules.
const PAGE: &str = "docs/protocol.md";
/// Where rules are cited.
const CITING: [&str; 6] = ["ARCHITECTURE.md", "README.md", "core", "docs", "ffi", "include"];

/// Fails if a rule is cited that the page does not have, and names where.
pub(crate) fn run(context: &Context) -> Result<()> {
    let page = fs::read_to_string(context.root.join(PAGE)).context(PAGE)?;
    let told: BTreeSet<&str> = told(&page).collect();
    let families: BTreeSet<&str> = told.iter().filter_map(|rule| rule.split('-').next()).collect();
    let mut files = Vec::new();
    for place in CITING {
        collect(&context.root.join(place), &mut files)?;
    }
    let mut unknown = Vec::new();
    for file in files {
        let file = file.strip_prefix(&context.root)?.display().to_string();
        let text = fs::read_to_string(context.root.join(&file)).with_context(|| file.clone())?;
        let cited: BTreeSet<&str> = rules(&text)
            .filter(|rule| families.contains(family(rule)) && !told.contains(rule))
            .collect();
        unknown.extend(cited.into_iter().map(|rule| format!("{rule} in {file}")));
    }
    if unknown.is_empty() {
        println!("protocol: {} rules are told", told.len());
        return Ok(());
    }
    bail!("{PAGE} does not have {}", unknown.join(", "))
}

/// Rules that begin an entry of the page: an item of a list, a row of a table, or the title of one.
fn told(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| {
        let entry = line.trim_start_matches(['-', '|', ' ', '*']);
        let rule = rules(entry).next().filter(|rule| entry.starts_with(rule));
        rule.filter(|_| entry.len() < line.len())
    })
}

/// The sources and pages at or under `place`.
fn collect(place: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if place.is_dir() {
        for entry in fs::read_dir(place)? {
            collect(&entry?.path(), files)?;
        }
    } else if let Some("rs" | "md" | "h" | "hpp") = place.extension().and_then(|ending| ending.to_str()) {
        files.push(place.to_owned());
    }
    Ok(())
}

/// All that looks like the number of a rule: capitals and digits, a hyphen, digits.
fn rules(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'))
        .filter(|word| {
            let Some((family, number)) = word.split_once('-') else {
                return false;
            };
            family.starts_with(|first: char| first.is_ascii_uppercase())
                && family
                    .bytes()
                    .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
                && number.starts_with(|first: char| first.is_ascii_digit())
        })
        .map(|word| word.trim_end_matches(|letter: char| !letter.is_ascii_digit()))
}

fn family(rule: &str) -> &str {
    rule.split_once('-').map_or(rule, |(family, _)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_in_running_text() {
        let text = "as by EV-21 step 6 (AUTH-8d), I1-13; not UTF-x, ed25519-1 or A-B.";
        assert_eq!(rules(text).collect::<Vec<_>>(), ["EV-21", "AUTH-8", "I1-13"]);
    }

    #[test]
    fn the_page_tells_rules_at_the_beginning_of_entries() {
        let page = "EV-0 in text\n- **EV-1** Required: see **EV-2**.\n| EV-3 | trap |\n**EV-4 Kept keys**\n- As EV-5\n";
        assert_eq!(told(page).collect::<Vec<_>>(), ["EV-1", "EV-3", "EV-4"]);
    }
}
