//! The table is in `tests/`: a row is a test.
#![forbid(unsafe_code)]
