//! The face for Kotlin, Swift and Python: the facade's operations as async methods.
//!
//! Only conversion happens here. Work runs on the homeserver's own runtime and an export merely awaits it, so a
//! host that stops waiting leaves no command half done. Each export returns a `Result`: Swift cannot catch a
//! panic in one that does not.

mod config;
mod error;
mod foreign;
mod homeserver;
mod operation;
mod records;
mod rooms;
mod shared;
pub mod toolkit;

pub use config::{Config, Limits, default_limits};
pub use error::{ErrorCode, HostError, RoomletError, TransportError, error_codes};
pub use foreign::{HostPolicy, LogLevel, Logger, Transport};
pub use homeserver::Homeserver;
pub use operation::Operation;
pub use records::{
    CreateRoom, Direction, Member, Page, Preset, Request, Response, RoomEvent, RoomSummary, RoomUpdate,
    UpdateEntry,
};
