//! A Matrix homeserver core that lives inside another program: the facade [`Homeserver`] and what serves it.
#![forbid(unsafe_code)]

mod accounts;
mod acl;
mod commands;
pub mod config;
mod create;
mod fetch;
mod handshake;
pub mod homeserver;
mod import;
mod inbound;
mod inner;
mod invite;
mod join;
mod leave;
mod maintenance;
mod order;
pub mod policy;
mod reads;
mod repair;
mod restricted;
mod room;
mod template;
mod timeline;
mod transaction;
pub mod types;
mod updates;
mod upgrade;
mod verify;

pub use config::{Config, Limits, StoreKind};
pub use homeserver::Homeserver;
pub use import::{Imported, Trust};
pub use maintenance::{StoreFault, StoreReport};
pub use policy::{AllowAll, Policy};
pub use types::*;

pub use roomlet_federation::env::{Clock, Env, Log, LogLevel, NoLog, Rng, Transport};
pub use roomlet_wire::{
    Code, Error, EventId, Result, RoomId, RoomVersion, ServerName, StreamPos, UserId,
    frame::{Request, Response},
};
