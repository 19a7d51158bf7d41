//! One room: its working state in memory, the task that alone writes it, and the registry of open rooms.

mod cache;
mod check;
mod current;
mod events;
mod forks;
mod ids;
mod ingest;
mod join;
mod local;
mod open;
mod purge;
mod read;
mod redactions;
mod registry;
mod staged;
mod states;
mod task;
mod told;

pub(crate) use cache::Budget;
pub(crate) use events::Held;
pub(crate) use ingest::{Arrival, Missing, Outcome};
pub(crate) use local::{DUMMY_EVENT, Ingest, Outgoing};
pub(crate) use open::{Home, OpenRoom};
pub(crate) use registry::{RoomHandle, Rooms};
pub(crate) use staged::{Party, Place, Waiting};
pub(crate) use told::Claim;
