//! Random bytes for `roomlet_corpus::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::request(data));
