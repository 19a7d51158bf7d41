//! `roomlet-diff --python PYTHON [--rooms N] [--from SEED] [--jobs N] [--every N] [--versions V,…]`: rooms from seeds, judged by
//! roomlet, by Synapse and by ruma.
//!
//! Compared are, of each event, its id, content hash, signature, redacted form, the verdict by its own auth events
//! and that by the state before it; of each merge, the resolved state. Prints how often each rule decided. Fails,
//! with the smallest room that shows it, if there is a difference that is not in `docs/differences.md`; also if a case of a
//! rule decided less often than `--every` says.
#![forbid(unsafe_code)]

mod compare;
mod content;
mod generate;
mod known;
mod oracle;
mod plan;
mod random;
mod report;
mod room;
mod ruma;
mod shrink;

use crate::{
    compare::{Difference, compare},
    oracle::Oracle,
    plan::Plan,
    report::Report,
    room::Room,
};
use roomlet_wire::{RoomVersion, version::TABLE};
use std::{env, io, path::Path, path::PathBuf, process::ExitCode, thread};

/// The versions compared, the offered ones first.
const VERSIONS: [&str; 14] = [
    "10",
    "11",
    "org.matrix.msc1767.10",
    "12",
    "I.1",
    "9",
    "8",
    "7",
    "6",
    "5",
    "4",
    "3",
    "2",
    "1",
];

/// How many failures are shrunk and printed.
const SHOWN: usize = 5;

struct Options {
    python: PathBuf,
    rooms: u64,
    from: u64,
    jobs: u64,
    every: u64,
    versions: Vec<&'static RoomVersion>,
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|arg| arg != name).nth(1)
}

fn options() -> Result<Options, String> {
    let number = |name: &str, default: u64| match option(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{name}: `{text}` is no number")),
    };
    let names = option("--versions").unwrap_or_else(|| VERSIONS.join(","));
    let versions = names.split(',').map(|name| {
        let known = TABLE.iter().find(|version| version.id == name);
        known.ok_or_else(|| format!("there is no room version `{name}`"))
    });
    Ok(Options {
        python: option("--python").ok_or("--python is missing")?.into(),
        rooms: number("--rooms", 1000)?,
        from: number("--from", 0)?,
        jobs: number("--jobs", 2)?.max(1),
        every: number("--every", 0)?,
        versions: versions.collect::<Result<_, _>>()?,
    })
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let reports: Vec<io::Result<Report>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..options.jobs)
            .map(|job| {
                scope.spawn({
                    let options = &options;
                    move || run(options, job)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .map(|outcome| outcome.unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
            .collect()
    });
    let mut total = Report::default();
    for report in reports {
        match report {
            Ok(report) => total.add(report),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    print!("{total}");
    let rare = total.rare(usize::try_from(options.every).unwrap_or(usize::MAX));
    for (case, count) in &rare {
        println!("RARE {case} decided {count} times, less than {}", options.every);
    }
    if total.failures.is_empty() && rare.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every `jobs`th room.
fn run(options: &Options, job: u64) -> io::Result<Report> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("synapse_oracle.py");
    let mut oracle = Oracle::start(&options.python, &script)?;
    let mut report = Report::default();
    for n in (0..options.rooms).filter(|n| n % options.jobs == job) {
        let seed = options.from + n;
        let version = options.versions[(n % options.versions.len() as u64) as usize];
        let plan = generate::plan(seed, version).map_err(io::Error::other)?;
        let room = Room::make(&plan).map_err(io::Error::other)?;
        let answers = oracle
            .ask(&room)
            .map_err(|error| io::Error::other(format!("seed {seed}: {error}\n{plan}")))?;
        let mut differences = compare(&room, &answers, "Synapse");
        // Events with numbers that are no canonical JSON ruma does not read at all (R9).
        if !room.has_odd_numbers() {
            differences.extend(compare(&room, &ruma::answers(&room), "ruma"));
        }
        report.count(&room, &answers, &differences);
        let Some(first) = differences.iter().find(|difference| difference.known.is_none()) else {
            continue;
        };
        let text = if report.failures.len() < SHOWN {
            smallest(&plan, first, &mut oracle)
        } else {
            first.to_string()
        };
        report
            .failures
            .push(format!("seed {seed}, version {}: {text}", version.id));
    }
    Ok(report)
}

/// The smallest room that shows a difference of the same sort.
fn smallest(plan: &Plan, difference: &Difference, oracle: &mut Oracle) -> String {
    let mut shown = String::new();
    let least = shrink::shrink(plan, |plan| {
        let Ok(room) = Room::make(plan) else { return false };
        if room.events.is_empty() {
            return false;
        }
        let answers = match difference.oracle {
            "ruma" if room.has_odd_numbers() => return false,
            "ruma" => ruma::answers(&room),
            _ => match oracle.ask(&room) {
                Ok(answers) => answers,
                Err(_) => return false,
            },
        };
        let differences = compare(&room, &answers, difference.oracle);
        let same = differences
            .iter()
            .find(|it| it.known.is_none() && it.about == difference.about);
        if let Some(same) = same {
            shown = same.to_string();
        }
        same.is_some()
    });
    format!("{shown}\n{least}")
}
