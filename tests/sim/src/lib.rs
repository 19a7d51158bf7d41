//! Whole federations in one process, on virtual time, from one seed: the network loses, delays, doubles and reorders
//! requests, servers stop and start, and in the end all that are in a room must agree on it.
#![forbid(unsafe_code)]

mod network;
mod random;
mod story;
mod world;

pub use story::{Report, run};
