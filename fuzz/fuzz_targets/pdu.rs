//! Random bytes for `roomlet_corpus::pdu`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| roomlet_corpus::pdu(data));
