//! Random bytes for `roomlet_corpus::transaction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::transaction(data));
