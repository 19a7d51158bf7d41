//! The primitives of Matrix rooms, for programs that need no server: canonical JSON, signatures, events, authorization,
//! state resolution, identifiers, room versions.
//!
//! Functions without state: text in, text out, nothing is kept and nothing is fetched. Any thread. Events are JSON in
//! federation form. `docs/toolkit.md` has each in every language.
#![forbid(unsafe_code)]

mod auth;
mod event;
mod graph;
mod id;
mod json;
mod resolve;
mod version;

pub use auth::{Verdict, auth_types, check_auth, check_auth_events, select_auth_events};
pub use event::{check_event, content_hash, event_id, redact, required_signers, sign_event, verify_event};
pub use id::{IdKind, ParsedId, parse_id};
pub use json::{canonical_json, public_key, sign_json, verify_json};
pub use resolve::{resolve_state, resolve_state_from};
pub use version::{RoomVersionInfo, room_version, room_versions};

pub use roomlet_wire::{Code, Error, Result};
