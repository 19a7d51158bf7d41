//! Measures time and memory: see the library.
#![forbid(unsafe_code)]

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    roomlet_bench::run(&arguments);
}
