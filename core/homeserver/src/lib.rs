//! A Matrix homeserver core that lives inside another program: the facade [`Homeserver`] and what serves it.
//!
//! A program hands it an [`Env`], which carries its requests and tells it the time, and a [`Policy`]:
//!
//! ```
//! use roomlet_homeserver::*;
//! use std::{fs::File, io::Read, sync::Arc, time::SystemTime};
//!
//! struct Host;
//!
//! #[async_trait::async_trait]
//! impl Transport for Host {
//!     // A real host sends the request by HTTP to `request.destination`.
//!     async fn send(&self, request: Request) -> Result<Response> {
//!         Err(Error::new(Code::Unreachable, format!("no network to {}", request.destination)))
//!     }
//! }
//! impl Clock for Host {
//!     fn now_ms(&self) -> i64 {
//!         let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
//!         i64::try_from(now.as_millis()).expect("a clock before the year 292,000,000")
//!     }
//! }
//! impl Rng for Host {
//!     fn fill(&self, bytes: &mut [u8]) {
//!         let source = File::open("/dev/urandom");
//!         source.and_then(|mut source| source.read_exact(bytes)).expect("the system's randomness");
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let host = Arc::new(Host);
//! let env = Env { transport: host.clone(), clock: host.clone(), rng: host, log: Arc::new(NoLog) };
//! let config = Config::new(ServerName::parse("one.example")?, StoreKind::Memory);
//! let server = Homeserver::open(config, env, Arc::new(AllowAll)).await?;
//!
//! let alice = server.create_account("alice").await?;
//! let room = server.create_room(&alice, CreateRoom::default()).await?;
//! let hello = r#"{"m.text":[{"body":"hello from alice"}]}"#;
//! server.send(&alice, &room, "m.message", hello, None).await?;
//! let page = server.timeline(&alice, &room, None, Direction::Backward, 1).await?;
//! assert_eq!(page.events[0].content, hello);
//! server.close().await;
//! # Ok(())
//! # }
//! ```
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
