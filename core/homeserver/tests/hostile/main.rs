//! What other servers cannot do to a homeserver, a fact a test.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "../facts/common.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod common;
mod forks;
mod history;
mod ids;
mod late;
mod lenient;
mod lies;
mod limits;
mod odd;
mod purged;
mod repeats;
mod shape;
mod slow;
mod waiting;
