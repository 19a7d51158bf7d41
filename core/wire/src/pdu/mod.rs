//! One event as servers exchange it: parsed once, then only ever moved on in its stages.

mod draft;
mod parse;
mod verify;

pub use draft::Draft;

use crate::{
    hash,
    id::{EventId, RoomId, UserId},
    json::{Map, Members, Object, RawValue, Value},
    limits,
    text::Text,
    version::RoomVersion,
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{fmt, ops::Deref};

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
    use alloc::string::String;

    /// What the next step needs of the reading of an event.
    #[derive(Clone)]
    pub struct Reading {
        /// What its signatures are over.
        pub(crate) signing_form: String,
        /// Whether the content hash is that which the event claims.
        pub(crate) hash_fits: bool,
    }

    pub trait Sealed {
        /// What is known in this stage only.
        type Known: Clone;
    }
    impl Sealed for super::Parsed {
        type Known = Reading;
    }
    impl Sealed for super::Verified {
        type Known = ();
    }
}
use private::Reading;

/// An event in a stage; cheap to clone once it is [`Verified`].
pub struct Pdu<S: Stage>(Arc<Event>, S::Known);

impl<S: Stage> Clone for Pdu<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
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
        self.0.id == other.0.id && self.0.json == other.0.json
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
    pub kind: Text,
    /// Present, even if empty, exactly for state events.
    pub state_key: Option<Text>,
    /// The events it follows.
    pub prev_events: Vec<EventId>,
    /// The events that it says allow it.
    pub auth_events: Vec<EventId>,
    /// The sender's claim of its depth: up to 2^63 − 1 in versions 1 to 5, to 2^53 − 1 in others (ID-15).
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
    /// `invite_room_state` or `knock_room_state` of `unsigned`, all that is kept of it (EV-20): those entries that are
    /// objects in canonical JSON.
    pub preview: Option<Vec<Value>>,
    /// The event in canonical JSON: with `hashes` and `signatures`, without `unsigned`; `event_id` only in versions 1–2.
    json: Arc<str>,
    spans: Spans,
}

/// Where the values that are looked at stand in an event's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Spans {
    content: (u32, u32),
    signatures: (u32, u32),
    /// Of a member event, in `content`: `membership`, `join_authorised_via_users_server`, `third_party_invite`.
    membership: Option<(u32, u32)>,
    authoriser: Option<(u32, u32)>,
    third_party_invite: Option<(u32, u32)>,
}

impl Spans {
    /// Those of an event whose `content` and `signatures` are objects, as parsing checks.
    fn of(members: &Members<'_>, kind: &str) -> Self {
        let mut spans = Self::default();
        for (key, span) in members.spans_of_objects() {
            match key {
                "content" => spans.content = span,
                "signatures" => spans.signatures = span,
                _ => {}
            }
        }
        if kind == "m.room.member" {
            let (start, end) = spans.content;
            let content = Object::trusted(&members.text()[start as usize..end as usize]);
            for (key, (from, to)) in content.spans() {
                let span = Some((start + from, start + to));
                match key {
                    "membership" => spans.membership = span,
                    "join_authorised_via_users_server" => spans.authoriser = span,
                    "third_party_invite" => spans.third_party_invite = span,
                    _ => {}
                }
            }
        }
        spans
    }
}

impl Event {
    /// The canonical JSON of the federation form: with signatures, without `unsigned`.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// As [`Event::json`], as text of its own.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.json.as_ref().into()
    }

    /// As [`Event::json`], shared: nothing is copied.
    #[must_use]
    pub fn shared_json(&self) -> Arc<str> {
        self.json.clone()
    }

    /// The event as a value that is printed as it is.
    #[must_use]
    pub fn to_raw(&self) -> RawValue {
        self.object().to_raw()
    }

    /// The event as an object.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        Object::trusted(&self.json)
    }

    /// The event as a tree.
    #[must_use]
    pub fn to_map(&self) -> Map {
        self.object().to_map()
    }

    /// `content`.
    #[must_use]
    pub fn content(&self) -> Object<'_> {
        Object::trusted(self.text_at(self.spans.content))
    }

    /// `signatures`.
    #[must_use]
    pub fn signatures(&self) -> Object<'_> {
        Object::trusted(self.text_at(self.spans.signatures))
    }

    fn text_at(&self, (start, end): (u32, u32)) -> &str {
        &self.json[start as usize..end as usize]
    }

    /// Its reference hash, which events of versions 1 and 2 that cite it name beside its id (EV-2, EV-6).
    #[must_use]
    pub fn reference_hash(&self) -> String {
        hash::reference_hash(&self.to_map(), self.version)
    }

    /// The depth that it has in the order of a timeline: no event is placed behind those that are made here after it,
    /// which claim 2^53 − 1 at most (ID-15).
    #[must_use]
    pub fn place_depth(&self) -> i64 {
        self.depth.min(limits::MAX_INT)
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

    /// `content.membership` of a member event; as it stands in JSON, where no value that means anything is escaped.
    #[must_use]
    pub fn membership(&self) -> Option<&str> {
        let text = self.text_at(self.spans.membership?);
        text.strip_prefix('"')?.strip_suffix('"')
    }

    /// This event with another text, of which all but `content`, `signatures` and what redaction takes is the same.
    fn with_json(&self, json: String) -> Self {
        let object = Object::trusted(&json);
        let redacts = Self::find_redacts(object, &self.kind, self.version);
        let spans = Spans::of(&Members::of(object), &self.kind);
        Self {
            version: self.version,
            id: self.id.clone(),
            room_id: self.room_id.clone(),
            sender: self.sender.clone(),
            kind: self.kind.clone(),
            state_key: self.state_key.clone(),
            prev_events: self.prev_events.clone(),
            auth_events: self.auth_events.clone(),
            depth: self.depth,
            origin_server_ts: self.origin_server_ts,
            redacts,
            hash_mismatch: self.hash_mismatch,
            oversized_ids: self.oversized_ids,
            preview: self.preview.clone(),
            json: json.into(),
            spans,
        }
    }

    /// Reads `redacts` from where the version keeps it.
    fn find_redacts(object: Object<'_>, kind: &str, version: &RoomVersion) -> Option<EventId> {
        if kind != "m.room.redaction" {
            return None;
        }
        let value = if version.redacts_in_content {
            object.get("content")?.get("redacts")?
        } else {
            object.get("redacts")?
        };
        EventId::parse(&value.as_str()?).ok()
    }
}
