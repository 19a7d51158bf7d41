//! What a homeserver does for its users and towards other servers, a fact a test.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod archives;
mod check;
mod common;
mod delivery;
mod gaps;
mod invites;
mod life;
mod log;
mod maintenance;
mod members;
mod mend;
mod policy;
mod redactions;
mod restricted;
mod rooms;
mod timeline;
mod transactions;
mod updates;
mod upgrades;
mod versions;
mod visibility;
