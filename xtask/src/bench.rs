//! `bench`: the speed claims, measured.
//!
//! The programs in `benches/` print what they like, and for each claim one line of tab-separated fields: `bench`, name,
//! value, unit, bound (`<=1.5`, `>=0.7`, or `-` where none is claimed). This collects those lines and adds the size of
//! the library.

use crate::{
    context::Context,
    process::{cargo, output},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::{fs, process::Stdio};

/// The largest stripped `libroomlet.so`, in megabytes.
const LIBRARY_MEGABYTES: f64 = 5.0;

/// A measured value, and the bound that is claimed for it.
struct Measure {
    name: String,
    value: f64,
    unit: String,
    bound: Bound,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    None,
}

/// Runs the benchmarks and prints their table, or one JSON object
/// `{name: {value, unit, bound, holds}}`. Fails if a bound does not hold.
pub(crate) fn run(context: &Context, json: bool) -> Result<()> {
    let mut measures = vec![library_size(context)?];
    eprintln!("building and running the benchmarks: some minutes");
    let mut printed = String::new();
    for program in ["roomlet-bench", "allocations"] {
        let mut bench = cargo(&context.root, ["run", "--profile", "measure", "--package"]);
        printed += &output(bench.args(["roomlet-bench", "--bin", program]))?;
    }
    for line in printed.lines() {
        if let Some(fields) = line.strip_prefix("bench\t") {
            measures.push(Measure::parse(fields).with_context(|| format!("bench line: {line}"))?);
        } else if !json {
            println!("{line}");
        }
    }
    if json {
        let object: Map<String, Value> = measures.iter().map(|it| (it.name.clone(), it.json())).collect();
        println!("{}", Value::Object(object));
    } else {
        println!(
            "\n{:<44} {:>12} {:<12} {:>8}  holds",
            "measure", "value", "unit", "bound"
        );
        for it in &measures {
            let holds = it
                .bound
                .holds(it.value)
                .map_or("", |holds| if holds { "yes" } else { "NO" });
            println!(
                "{:<44} {:>12.3} {:<12} {:>8}  {holds}",
                it.name,
                it.value,
                it.unit,
                it.bound.text()
            );
        }
    }
    let broken: Vec<&str> = measures
        .iter()
        .filter(|it| it.bound.holds(it.value) == Some(false))
        .map(|it| it.name.as_str())
        .collect();
    if !broken.is_empty() {
        bail!("out of bounds: {}", broken.join(", "));
    }
    Ok(())
}

/// Builds the library as it ships, stripped, and weighs it.
fn library_size(context: &Context) -> Result<Measure> {
    let mut build = cargo(&context.root, ["build", "--release", "--package", "roomlet-ffi"]);
    // Cargo's own words go to stderr, and so does ours: stdout is for the result.
    eprintln!("building the release library");
    let status = build.stdout(Stdio::null()).status().context("cargo build")?;
    ensure!(status.success(), "the release library does not build: {status}");
    let bytes = fs::metadata(context.target.join("release/libroomlet.so"))?.len();
    Ok(Measure {
        name: "size of libroomlet.so".into(),
        value: bytes as f64 / 1e6,
        unit: "MB".into(),
        bound: Bound::AtMost(LIBRARY_MEGABYTES),
    })
}

impl Measure {
    fn parse(fields: &str) -> Result<Self> {
        let fields: Vec<&str> = fields.split('\t').collect();
        let [name, value, unit, bound] = fields[..] else {
            bail!("{} fields instead of name, value, unit, bound", fields.len());
        };
        Ok(Self {
            name: name.into(),
            value: value.parse()?,
            unit: unit.into(),
            bound: Bound::parse(bound)?,
        })
    }

    fn json(&self) -> Value {
        let bound = match self.bound {
            Bound::None => Value::Null,
            bound => Value::String(bound.text()),
        };
        json!({ "value": self.value, "unit": self.unit, "bound": bound, "holds": self.bound.holds(self.value) })
    }
}

impl Bound {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text.split_at_checked(2) {
            Some(("<=", limit)) => Self::AtMost(limit.parse()?),
            Some((">=", limit)) => Self::AtLeast(limit.parse()?),
            _ if text == "-" => Self::None,
            _ => bail!("`{text}` is no bound"),
        })
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<={limit}"),
            Self::AtLeast(limit) => format!(">={limit}"),
            Self::None => "-".into(),
        }
    }

    /// Whether it holds; `None` if nothing is claimed.
    fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(value <= limit),
            Self::AtLeast(limit) => Some(value >= limit),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bench_lines_become_json_with_verdict() {
        let table = [
            (
                "a\t1.5\tx\t<=1.5",
                json!({"value": 1.5, "unit": "x", "bound": "<=1.5", "holds": true}),
            ),
            (
                "a\t1.51\tx\t<=1.5",
                json!({"value": 1.51, "unit": "x", "bound": "<=1.5", "holds": false}),
            ),
            (
                "a\t0.69\tx\t>=0.7",
                json!({"value": 0.69, "unit": "x", "bound": ">=0.7", "holds": false}),
            ),
            (
                "a\t12\tms\t-",
                json!({"value": 12.0, "unit": "ms", "bound": null, "holds": null}),
            ),
        ];
        for (line, expected) in table {
            assert_eq!(
                Measure::parse(line).expect("a measure").json(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn malformed_bench_lines_are_refused() {
        for line in ["a\t1\tx", "a\tone\tx\t-", "a\t1\tx\t<1", "a\t1\tx\t"] {
            assert!(Measure::parse(line).is_err(), "{line}");
        }
    }
}
