//! `test`: every step, one after the other, and what came of it.

use crate::{
    abi, context::Context, demo, diff, interop, languages, layers, licenses, parity, protocol, readme, rust,
    setup, sim, torture,
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How many seeds of the simulation a test run takes.
const SEEDS: u32 = 300;
/// How many kills a test run does, and from which seed.
const KILLS: u32 = 50;
const TORTURE_SEED: u64 = 1;
/// How many generated rooms a test run compares with Synapse: less than a minute.
const DIFF_ROOMS: u64 = 480;

/// One step of `test`.
struct Step {
    name: &'static str,
    /// What it shows.
    about: &'static str,
    run: fn(&Context) -> Result<()>,
}

/// The steps that need only the Rust toolchain; what the others need is installed meanwhile.
const RUST_STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        run: rust::fmt,
    },
    Step {
        name: "layers",
        about: "the arrows between the crates point down",
        run: layers::run,
    },
    Step {
        name: "protocol",
        about: "the rules that are cited are told",
        run: protocol::run,
    },
    Step {
        name: "licenses",
        about: "the dependencies' licences and sources are allowed",
        run: licenses::run,
    },
    Step {
        name: "clippy",
        about: "no warnings",
        run: rust::clippy,
    },
    Step {
        name: "unit",
        about: "the tests of the crates",
        run: rust::test,
    },
    Step {
        name: "doc",
        about: "documentation builds, its examples run",
        run: rust::doc,
    },
    Step {
        name: "sim",
        about: "servers converge in virtual time",
        run: |context| sim::run(context, SEEDS),
    },
];

/// The steps that need compilers, packages and peers besides.
const OTHER_STEPS: &[Step] = &[
    Step {
        name: "abi",
        about: "header and symbols are as committed",
        run: abi::run,
    },
    Step {
        name: "parity",
        about: "every operation in every language",
        run: parity::run,
    },
    Step {
        name: "c",
        about: "C: plain, valgrind, AddressSanitizer",
        run: languages::c,
    },
    Step {
        name: "cpp",
        about: "C++",
        run: languages::cpp,
    },
    Step {
        name: "python",
        about: "Python",
        run: languages::python,
    },
    Step {
        name: "kotlin",
        about: "Kotlin",
        run: languages::kotlin,
    },
    Step {
        name: "swift",
        about: "Swift",
        run: languages::swift,
    },
    Step {
        name: "readme",
        about: "the programs of the README",
        run: readme::run,
    },
    Step {
        name: "diff",
        about: "generated rooms, judged as by Synapse",
        run: |context| diff::run(context, DIFF_ROOMS, 0, &[]),
    },
    Step {
        name: "interop",
        about: "both hosts beside Synapse",
        run: |context| interop::run(context, &[]),
    },
    Step {
        name: "torture",
        about: "nothing acknowledged is lost to SIGKILL",
        run: |context| torture::run(context, KILLS, TORTURE_SEED),
    },
    Step {
        name: "demo",
        about: "the story of two homeservers",
        run: demo::run,
    },
];

const SETUP: &str = "setup";

struct Outcome {
    name: &'static str,
    took: Duration,
    error: Option<anyhow::Error>,
}

/// Prints the names of the steps.
pub(crate) fn list() {
    for step in RUST_STEPS.iter().chain(OTHER_STEPS) {
        println!("{:<10} {}", step.name, step.about);
    }
}

/// Runs the steps that are `only` (all, if empty) without those to `skip`. Fails if one fails, after all have run.
pub(crate) fn run(context: &Context, only: &[String], skip: &[String]) -> Result<()> {
    for name in only.iter().chain(skip) {
        let known = RUST_STEPS
            .iter()
            .chain(OTHER_STEPS)
            .any(|step| step.name == *name);
        ensure!(
            known,
            "there is no step `{name}`; `cargo xtask test --list` prints them"
        );
    }
    let wanted = |step: &&Step| {
        (only.is_empty() || only.iter().any(|name| name == step.name))
            && !skip.iter().any(|name| name == step.name)
    };
    let others: Vec<&Step> = OTHER_STEPS.iter().filter(wanted).collect();
    let started = Instant::now();
    let installing = (!others.is_empty()).then(|| {
        let context = context.clone();
        thread::spawn(move || setup::run(&context))
    });

    let mut outcomes: Vec<Outcome> = RUST_STEPS
        .iter()
        .filter(wanted)
        .map(|step| take(step, context))
        .collect();
    if let Some(installing) = installing {
        heading(SETUP, "what the other languages and the peers need");
        let waited = Instant::now();
        let error = installing
            .join()
            .map_err(|_| anyhow::anyhow!("the installation panicked"))
            .flatten()
            .err();
        outcomes.push(finished(SETUP, waited.elapsed(), error));
        outcomes.extend(others.into_iter().map(|step| take(step, context)));
    }
    report(&outcomes, started.elapsed())
}

fn take(step: &Step, context: &Context) -> Outcome {
    heading(step.name, step.about);
    let started = Instant::now();
    let error = (step.run)(context).with_context(|| step.name).err();
    finished(step.name, started.elapsed(), error)
}

fn heading(name: &str, about: &str) {
    println!("\n=== {name}: {about}");
}

fn finished(name: &'static str, took: Duration, error: Option<anyhow::Error>) -> Outcome {
    match &error {
        None => println!("--- {name}: passed in {}", shown(took)),
        Some(error) => println!("--- {name}: FAILED in {}: {error:#}", shown(took)),
    }
    Outcome { name, took, error }
}

fn report(outcomes: &[Outcome], total: Duration) -> Result<()> {
    println!("\n{:<10} {:>8}  result", "step", "time");
    for outcome in outcomes {
        let result = if outcome.error.is_none() {
            "passed"
        } else {
            "FAILED"
        };
        println!("{:<10} {:>8}  {result}", outcome.name, shown(outcome.took));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    println!("{:<10} {:>8}", "total", shown(total));
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed > 0 {
        let names: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.error.is_some())
            .map(|outcome| outcome.name)
            .collect();
        bail!("failed: {}", names.join(", "));
    }
    Ok(())
}

fn shown(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
