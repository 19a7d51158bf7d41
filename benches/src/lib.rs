//! The speed claims of roomlet, measured. `cargo xtask bench` runs this and collects its lines of tab-separated
//! fields: `bench`, name, value, unit, bound.
//!
//! Two programs: `roomlet-bench` measures time and memory, `allocations` counts allocations. They are apart, for what counts
//! makes each allocation slower, and by that whoever makes many of them.
//!
//! With names of benchmarks as arguments of `roomlet-bench` only those run: `pdu`, `auth`, `resolve` (the engine beside ruma's), `ingest`,
//! `large_room`, `memory`, `sends`, `transaction`, `join`, `room_size`, `startup`.
#![forbid(unsafe_code)]

mod archive;
mod bare;
mod engine;
mod ingest;
mod join;
mod large_room;
mod measure;
mod memory;
mod process;
mod remote;
mod room_size;
mod sends;
mod startup;
mod transaction;
mod world;

pub use engine::pdu::report_allocations;

use std::path::Path;

const BENCHMARKS: [(&str, fn()); 11] = [
    ("pdu", engine::pdu::run),
    ("auth", engine::auth::run),
    ("resolve", engine::resolve::run),
    ("ingest", ingest::run),
    ("large_room", large_room::run),
    ("memory", memory::run),
    ("sends", sends::run),
    ("transaction", transaction::run),
    ("join", join::run),
    ("room_size", room_size::run),
    ("startup", startup::run),
];

/// Runs the benchmarks that the arguments name, or all; or what one of them runs as a process of its own.
pub fn run(arguments: &[String]) {
    if let [mode, file, argument] = arguments {
        let (file, archive) = (Path::new(file), Path::new(argument));
        match mode.as_str() {
            startup::CHILD => return startup::open_and_answer(file, argument),
            memory::CHILD => return memory::open_and_tell(file, archive),
            memory::INGEST_CHILD => return memory::ingest_and_tell(file, archive),
            _ => {}
        }
    }
    for (name, run) in BENCHMARKS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            run();
        }
    }
}
