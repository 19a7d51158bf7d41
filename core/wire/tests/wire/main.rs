//! Tests of what bytes mean, against vectors, serde_json and properties.
#![allow(clippy::unwrap_used)]

mod common;
mod examples;
mod forms;
mod frame;
mod id;
mod json;
mod pdu;
mod peers;
mod redact;
mod signing;
mod verify;
