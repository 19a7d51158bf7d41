//! `roomlet-sim [--seeds N] [--from SEED]`: runs seeds with two and three servers, prints what failed.
#![forbid(unsafe_code)]

use roomlet_sim::run;
use std::process::ExitCode;

fn option(name: &str, default: u64) -> u64 {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn main() -> ExitCode {
    let (seeds, from) = (option("--seeds", 300), option("--from", 0));
    let (mut failed, mut requests, mut events) = (0_u64, 0_u64, 0_usize);
    for seed in from..from + seeds {
        let servers = 2 + usize::from(seed % 2 == 1);
        match run(seed, servers) {
            Ok(report) => {
                requests += report.requests;
                events += report.events;
                // Every tenth seed is run again: the same seed must give the same run.
                if seed % 10 == 0 && run(seed, servers).as_ref() != Ok(&report) {
                    failed += 1;
                    println!("seed {seed}: a second run differs from the first");
                }
            }
            Err(failure) => {
                failed += 1;
                println!("{failure}");
            }
        }
    }
    println!("{seeds} seeds, {requests} requests, {events} events");
    println!("{} passed, {failed} failed", seeds - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
