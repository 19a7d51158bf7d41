//! Durable state: the [`Store`] trait at the level of the domain, a reference in memory, and SQLite.
#![forbid(unsafe_code)]

mod invite;
pub mod memory;
pub mod model;
pub mod sqlite;
pub mod store;

pub use memory::MemoryStore;
pub use model::*;
pub use sqlite::{SqliteOptions, SqliteStats, SqliteStore};
pub use store::Store;
