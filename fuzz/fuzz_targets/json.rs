//! Random bytes for `roomlet_corpus::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::json(data));
