//! Random bytes for `roomlet_corpus::x_matrix`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::x_matrix(data));
