//! Random bytes for `roomlet_corpus::id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::id(data));
