//! One event as servers exchange it: parsed once, then only ever moved on in its stages.

mod draft;
mod parse;
mod verify;

pub use draft::Draft;

use crate::{
    id::{EventId, RoomId, UserId},
    json::{self, Map, Value},
    version::RoomVersion,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, marker::PhantomData, ops::Deref};

/// A stage in the life of a [`Pdu`]; each is reached from the one before only.
pub trait Stage: private::Sealed {}
/// Form, limits and event id are right; nothing is known of signatures or hash.
#[derive(Clone, Copy, Debug)]
pub enum Parsed {}
/// All required signatures verify; where the content hash differed the event was redacted (EV-21 steps 1–3).
#[derive(Clone, Copy, Debug)]
pub enum Verified {}
impl Stage for Parsed {}
impl Stage for Verified {}
mod private {
    pub trait Sealed {}
    impl Sealed for super::Parsed {}
    impl Sealed for super::Verified {}
}

/// An event in a stage; cheap to clone.
pub struct Pdu<S: Stage>(Arc<Event>, PhantomData<S>);

impl<S: Stage> Pdu<S> {
    fn new(event: Event) -> Self {
        Self(Arc::new(event), PhantomData)
    }
}

impl<S: Stage> Clone for Pdu<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
impl<S: Stage> Deref for Pdu<S> {
    type Target = Event;
    fn deref(&self) -> &Event {
        &self.0
    }
}
impl<S: Stage> fmt::Debug for Pdu<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.id, self.0.kind)
    }
}
impl<S: Stage> PartialEq for Pdu<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.object == other.0.object
    }
}
impl<S: Stage> Eq for Pdu<S> {}

/// The fields of an event, each of the right type (EV-1).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The room version whose rules the event was read by.
    pub version: &'static RoomVersion,
    /// Its id; from version 3 on its reference hash (EV-6).
    pub id: EventId,
    /// Its room; for a create event of version 12 derived from its id.
    pub room_id: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// `type`.
    pub kind: String,
    /// Present, even if empty, exactly for state events.
    pub state_key: Option<String>,
    /// The events it follows.
    pub prev_events: Vec<EventId>,
    /// The events that it says allow it.
    pub auth_events: Vec<EventId>,
    /// The sender's claim of its depth.
    pub depth: i64,
    /// The sender's clock, in milliseconds.
    pub origin_server_ts: i64,
    /// The event that a redaction redacts, wherever the version keeps that; `None` if it is no event id.
    pub redacts: Option<EventId>,
    /// Whether the content hash differed, so that the event is here in its redacted form.
    pub hash_mismatch: bool,
    /// Whether one of `sender`, `room_id`, `state_key`, `type`, `event_id` has more than 255 bytes, though not more
    /// than 255 code points, in a version that keeps such an event: it is to be rejected (ID-12).
    pub oversized_ids: bool,
    /// The event as JSON: with `hashes` and `signatures`, without `unsigned`; `event_id` only in versions 1–2.
    pub object: Map,
    /// `invite_room_state` or `knock_room_state` of `unsigned`, all that is kept of it (EV-20): those entries that are
    /// objects in canonical JSON.
    pub preview: Option<Vec<Value>>,
}

impl Event {
    /// `content`, an object.
    #[must_use]
    pub fn content(&self) -> &Map {
        self.object
            .get("content")
            .and_then(Value::as_object)
            .expect("parsing checks that `content` is an object, redaction keeps it one")
    }

    /// The canonical JSON of the federation form: with signatures, without `unsigned`.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::map_to_canonical(&self.object)
    }

    /// The server of the sender.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.sender.server()
    }

    /// Whether this is the state event of this type with this key.
    #[must_use]
    pub fn is_state(&self, kind: &str, state_key: &str) -> bool {
        self.kind == kind && self.state_key.as_deref() == Some(state_key)
    }

    /// `content.membership` of a member event.
    #[must_use]
    pub fn membership(&self) -> Option<&str> {
        if self.kind != "m.room.member" {
            return None;
        }
        self.content().get("membership")?.as_str()
    }

    /// Reads `redacts` from where the version keeps it.
    fn find_redacts(object: &Map, kind: &str, version: &RoomVersion) -> Option<EventId> {
        if kind != "m.room.redaction" {
            return None;
        }
        let value = if version.redacts_in_content {
            object.get("content")?.get("redacts")?
        } else {
            object.get("redacts")?
        };
        EventId::parse(value.as_str()?).ok()
    }
}
