//! The speed claims of roomlet, measured. `cargo xtask bench` runs this and collects its lines of tab-separated
//! fields: `bench`, name, value, unit, bound.
//!
//! With names of benchmarks as arguments only those run: `pdu`, `auth`, `resolve` (the engine beside ruma's), `ingest`,
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

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, file, argument] = &arguments[..] {
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
