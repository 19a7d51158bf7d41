//! Federation: typed requests and their frames, request authentication, server keys, delivery.
//!
//! In: [`receive`] turns a frame into an [`Inbound`] request and its authenticated sender. Out: [`Client`] asks other
//! servers and waits for the answer; [`Sender`] delivers what the store says they are owed. [`KeyCache`] serves both.
//! All of it reaches the world through [`Env`] alone.
#![forbid(unsafe_code)]

pub mod client;
pub mod env;
pub mod error;
mod exchange;
pub mod keys;
mod percent;
pub mod request_auth;
pub mod route;
pub mod sender;

pub use client::Client;
pub use env::{Clock, Env, Log, LogLevel, NoLog, Rng, Transport};
pub use error::ClientError;
pub use keys::{KeyCache, KeySettings};
pub use request_auth::{authenticate, receive};
pub use route::Inbound;
pub use sender::{Sender, SenderSettings};
