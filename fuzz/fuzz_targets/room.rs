//! Random bytes for `roomlet_corpus::room`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::room(data));
