//! `parity`: every operation of the facade exists in every language, and that language's tests use it.
//!
//! `docs/operations.md` and `docs/toolkit.md` have the tables: a row an operation, a column a language, a cell the name
//! there.

use crate::context::Context;
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What a page lists: what is in a source file.
struct Page {
    file: &'static str,
    /// The heading of the table's first column.
    lists: &'static str,
    source: &'static str,
    /// The names in the source that have to have a row.
    names: fn(&str) -> BTreeSet<String>,
    /// The names that a source file of a language declares or uses.
    mentions: fn(&str) -> BTreeSet<String>,
}

const PAGES: [Page; 3] = [
    Page {
        file: "docs/operations.md",
        lists: "Operation",
        source: "core/homeserver/src/homeserver.rs",
        names: operations,
        mentions: calls,
    },
    Page {
        file: "docs/operations.md",
        lists: "Callback",
        source: "include/roomlet.layout",
        names: callbacks,
        mentions: words,
    },
    Page {
        file: "docs/toolkit.md",
        lists: "Operation",
        source: "core/toolkit/src/lib.rs",
        names: functions,
        mentions: calls,
    },
];

/// A cell of what a language does without, as the page says why.
const NONE: &str = "—";

/// Operations for Rust programs alone: what they take is a Rust trait.
const RUST_ONLY: &[&str] = &["open_with"];

/// A column of the table.
struct Language {
    name: &'static str,
    /// Files or folders, one of which has to declare the name.
    declared_in: &'static [&'static str],
    /// Files or folders, one of which has to use it.
    tested_in: &'static [&'static str],
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "C",
        declared_in: &["include/roomlet.h"],
        tested_in: &["bindings/c/tests"],
    },
    Language {
        name: "C++",
        declared_in: &["bindings/cpp/include"],
        tested_in: &["bindings/cpp/tests"],
    },
    Language {
        name: "Python",
        declared_in: &[
            "bindings/python/src/roomlet/homeserver.py",
            "bindings/python/src/roomlet/toolkit.py",
            "bindings/python/src/roomlet/types.py",
            "bindings/python/src/roomlet/_bridge.py",
        ],
        tested_in: &["bindings/python/tests"],
    },
    Language {
        name: "Kotlin",
        declared_in: &["bindings/kotlin/src/main"],
        tested_in: &["bindings/kotlin/src/test"],
    },
    Language {
        name: "Swift",
        declared_in: &["bindings/swift/Sources/Roomlet"],
        tested_in: &["bindings/swift/Tests"],
    },
];

/// Checks the tables against their sources and the languages; reports everything that is missing at once.
pub(crate) fn run(context: &Context) -> Result<()> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in &PAGES {
        count += check(context, page, &mut wrong)?;
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!(
        "{count} operations in {} languages: all there, all tested",
        LANGUAGES.len()
    );
    Ok(())
}

/// Checks one page; how many operations it has to list.
fn check(context: &Context, page: &Page, wrong: &mut Vec<String>) -> Result<usize> {
    let (file, source) = (page.file, page.source);
    let mut names = (page.names)(&read(&context.root.join(source))?);
    names.retain(|operation| !RUST_ONLY.contains(&operation.as_str()));
    let table = rows(&read(&context.root.join(file))?, page.lists).with_context(|| file.to_owned())?;
    for operation in names.iter().filter(|operation| !table.contains_key(*operation)) {
        wrong.push(format!("{file} has no row for `{operation}`"));
    }
    for operation in table.keys().filter(|operation| !names.contains(*operation)) {
        wrong.push(format!(
            "{file} has a row for `{operation}`, which {source} has not"
        ));
    }
    for (column, language) in LANGUAGES.iter().enumerate() {
        let declared = mentioned(context, language.declared_in, page.mentions)?;
        let tested = mentioned(context, language.tested_in, page.mentions)?;
        for (operation, cells) in &table {
            let name = &cells[column];
            if name == NONE {
                continue;
            }
            if !declared.contains(name) {
                wrong.push(format!(
                    "{}: `{operation}`: `{name}` is not declared",
                    language.name
                ));
            }
            if !tested.contains(name) {
                wrong.push(format!("{}: `{operation}`: no test uses `{name}`", language.name));
            }
        }
    }
    Ok(names.len())
}

/// The functions that a crate's root gives out.
fn functions(source: &str) -> BTreeSet<String> {
    let uses = source.split("pub use ").skip(1);
    let items = uses.filter_map(|item| item.split_once(';')).map(|(item, _)| item);
    items
        .flat_map(|item| {
            item.rsplit("::")
                .next()
                .unwrap_or_default()
                .split(|letter| !is_word(letter))
        })
        .filter(|name| name.starts_with(char::is_lowercase))
        .map(str::to_owned)
        .collect()
}

/// The public methods in the facade's source.
fn operations(source: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let line = line.trim_start();
        let rest = line
            .strip_prefix("pub async fn ")
            .or_else(|| line.strip_prefix("pub fn "))?;
        Some(rest.chars().take_while(|letter| is_word(*letter)).collect())
    };
    source.lines().filter_map(line).collect()
}

/// The functions among the fields of `roomlet_host`, by its layout.
fn callbacks(layout: &str) -> BTreeSet<String> {
    let host = layout
        .lines()
        .skip_while(|line| !line.starts_with("roomlet_host "));
    host.skip(1)
        .take_while(|line| line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().last())
        .filter(|field| !["struct_size", "user_data", "release"].contains(field))
        .map(str::to_owned)
        .collect()
}

/// The rows of the table whose heading has `lists` and the languages in their order: operation to names.
fn rows(page: &str, lists: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    let heading: Vec<&str> = std::iter::once(lists)
        .chain(LANGUAGES.iter().map(|it| it.name))
        .collect();
    let mut lines = page.lines().skip_while(|line| cells(line) != heading).skip(2);
    let mut table = BTreeMap::new();
    for line in lines.by_ref().take_while(|line| line.starts_with('|')) {
        let mut row = cells(line);
        ensure!(row.len() == heading.len(), "a row of {} cells: {line}", row.len());
        let operation = row.remove(0);
        ensure!(
            table.insert(operation.clone(), row).is_none(),
            "two rows for `{operation}`"
        );
    }
    ensure!(!table.is_empty(), "no table headed {}", heading.join(" | "));
    Ok(table)
}

/// The names that `mentions` finds in the source files below the paths.
fn mentioned(
    context: &Context,
    paths: &[&str],
    mentions: fn(&str) -> BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = paths.iter().map(|path| context.root.join(path)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if is_source(&path) {
            found.extend(mentions(&read(&path)?));
        }
    }
    Ok(found)
}

/// The words of a source that stand as functions or members do: before a parenthesis or after a dot; and those
/// with the prefix of the C API, which also go by pointer, and capitalized ones, which construct.
fn calls(source: &str) -> BTreeSet<String> {
    let found = source
        .split_inclusive(|letter| !is_word(letter))
        .scan('\n', |before, piece| {
            let word = piece.trim_end_matches(|letter| !is_word(letter));
            let after = piece[word.len()..].chars().next();
            let stands = after == Some('(')
                || *before == '.'
                || word.starts_with("roomlet_")
                || word.starts_with(char::is_uppercase);
            *before = after.unwrap_or('\n');
            Some(stands.then_some(word).filter(|word| !word.is_empty()))
        })
        .flatten();
    found.map(str::to_owned).collect()
}

/// All words of a source.
fn words(source: &str) -> BTreeSet<String> {
    source
        .split(|letter| !is_word(letter))
        .map(str::to_owned)
        .collect()
}

fn is_source(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    ["c", "cpp", "h", "hpp", "kt", "py", "rs", "swift"].contains(&extension)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_methods_of_the_facade_are_operations() {
        let source =
            "impl H {\n    pub async fn open(x: u8) {}\n    pub fn wake(&self) {}\n    fn hidden() {}\n}\n";
        assert_eq!(operations(source), ["open", "wake"].map(str::to_owned).into());
    }

    /// Every code block of the page is, line by line, in the test that the page names before it.
    #[test]
    fn the_examples_of_the_toolkit_are_parts_of_tests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = read(&root.join("docs/toolkit.md")).expect("the page");
        let mut examples = 0;
        let mut file = String::new();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            if let Some((_, rest)) = line.split_once("from [") {
                file = rest.split(']').next().unwrap_or_default().to_owned();
            } else if line.starts_with("```") {
                let source = read(&root.join(&file)).expect("the test");
                let source: BTreeSet<&str> = source.lines().map(str::trim).collect();
                for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                    let is_import = line == "from roomlet import toolkit";
                    assert!(
                        is_import || source.contains(line.trim()),
                        "{file} has no line {line:?}"
                    );
                }
                examples += 1;
            }
        }
        assert_eq!(examples, LANGUAGES.len());
    }

    #[test]
    fn functions_that_a_crate_gives_out_are_found() {
        let source =
            "mod a;\npub use a::{Verdict, check_auth,\n    redact};\npub use b::one;\npub use c::Two;\n";
        assert_eq!(
            functions(source),
            ["check_auth", "one", "redact"].map(str::to_owned).into()
        );
    }

    #[test]
    fn functions_of_the_host_are_callbacks() {
        let layout = "roomlet_config size 8\n  0 struct_size\nroomlet_host size 24\n  0 struct_size\n  8 user_data\n  16 send\n";
        assert_eq!(callbacks(layout), ["send"].map(str::to_owned).into());
    }

    #[test]
    fn cells_are_read_without_their_marks() {
        let page = "# Operations\n\n| Operation | C | C++ | Python | Kotlin | Swift |\n|---|---|---|---|---|---|\n\
                    | `open` | `a_open` | `b` | `c` | `d` | `e` |\n\nMore.\n";
        let table = rows(page, "Operation").expect("a table");
        assert_eq!(table["open"], ["a_open", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_page_without_the_table_is_refused() {
        assert!(rows("| Operation | C |\n|---|---|\n| `open` | `a` |\n", "Operation").is_err());
    }

    #[test]
    fn only_what_stands_as_a_call_counts() {
        let source = "state = server.rooms\njoin(roomlet_room_send, x.leave (y))";
        assert_eq!(
            calls(source),
            ["rooms", "join", "roomlet_room_send", "leave"]
                .map(str::to_owned)
                .into()
        );
    }
}
