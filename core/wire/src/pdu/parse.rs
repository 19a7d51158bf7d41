//! Step 1 of an event's receipt: form, limits, event id (EV-1, EV-2, ID-11 … ID-15, CJ-2).

use super::{Event, Parsed, Pdu, Verified, verify};
use crate::{
    error::{Code, Error, Result},
    hash,
    id::{EventId, RoomId, UserId},
    json::{self, Map, Value},
    limits, redact,
    version::{EventFormat, RoomVersion},
};
use alloc::{format, string::String, vec::Vec};

/// Where an event comes from: not every limit holds everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Pushed, fetched or made here.
    Peer,
    /// From a reply to `/backfill`, whose events may cite any number of others (ID-13).
    Backfill,
    /// From this server's own store: all limits held when it was put there.
    Store,
}

impl Pdu<Parsed> {
    /// Reads one PDU from the bytes that a server sent (EV-1, ID-11 … ID-15, CJ-2). What stands in `unsigned` cannot
    /// make it fail, as that is taken away before canonical form and size are checked (EV-20).
    ///
    /// # Errors
    /// The first rule that the event breaks: see [`Pdu::from_object`]; it is dropped then (EV-21 step 1).
    pub fn parse(bytes: &[u8], version: &'static RoomVersion) -> Result<Self> {
        Self::from_object(json::parse_object_lenient(bytes)?, version)
    }

    /// Takes a PDU from an object that was already parsed, as those inside a transaction are: by
    /// [`json::parse_object_lenient`], so that a bad number dooms only its own event (EV-25).
    ///
    /// # Errors
    /// [`Code::BadEvent`], [`Code::NotCanonical`], [`Code::BadJson`], [`Code::TooLarge`], [`Code::BadId`], naming field
    /// and rule.
    pub fn from_object(object: Map, version: &'static RoomVersion) -> Result<Self> {
        read(object, version, Source::Peer).map(Self::new)
    }

    /// As [`Pdu::from_object`] for an event of a reply to `/backfill`, where the numbers of `prev_events` and
    /// `auth_events` are not limited (ID-13).
    ///
    /// # Errors
    /// As [`Pdu::from_object`].
    pub fn from_backfill(object: Map, version: &'static RoomVersion) -> Result<Self> {
        read(object, version, Source::Backfill).map(Self::new)
    }
}

impl Pdu<Verified> {
    /// Reads back an event that this server verified before it stored it. `bytes` is what
    /// [`Event::to_json`] gave; `hash_mismatch` is not kept (the stored form is already redacted).
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if it does not parse.
    pub fn from_store(bytes: &[u8], version: &'static RoomVersion) -> Result<Self> {
        json::parse_object(bytes)
            .and_then(|object| read(object, version, Source::Store))
            .map(Self::new)
            .map_err(|e| Error::new(Code::StoreDamaged, format!("a stored event: {e}")))
    }
}

fn read(mut object: Map, version: &'static RoomVersion, source: Source) -> Result<Event> {
    let unsigned = object.remove("unsigned");
    if source != Source::Store {
        json::check_canonical(&object).map_err(|e| e.context("event"))?;
        let size = json::map_to_canonical(&object).len();
        if size > limits::PDU_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!("event: {size} bytes, at most {} (ID-11)", limits::PDU_BYTES),
            ));
        }
    }

    let mut ids = IdLengths {
        drops_long: version.drops_long_ids,
        oversized: false,
    };
    let kind = ids.check("type", text(&object, "type")?)?;
    let sender = UserId::parse_any_length(ids.check("sender", text(&object, "sender")?)?)
        .map_err(|e| e.context("event: `sender`"))?;
    let state_key = match object.get("state_key") {
        None => None,
        Some(_) => Some(String::from(ids.check("state_key", text(&object, "state_key")?)?)),
    };
    let is_create = kind == "m.room.create";

    need_object(&object, "content")?;
    need_object(&object, "signatures")?;
    need_object(&object, "hashes")?;
    if object
        .get("hashes")
        .and_then(|h| h.get("sha256"))
        .and_then(Value::as_str)
        .is_none()
    {
        return Err(bad_field("hashes.sha256", "must be a string (EV-1)"));
    }
    let origin_server_ts = integer(&object, "origin_server_ts")?;
    let depth = integer(&object, "depth")?;
    if depth < 0 {
        return Err(bad_field("depth", "must not be negative (ID-15)"));
    }

    let limited = source == Source::Peer;
    let most = |limit: usize| if limited { limit } else { usize::MAX };
    let prev_events = references(&object, "prev_events", version, most(limits::PREV_EVENTS))?;
    let auth_events = references(&object, "auth_events", version, most(limits::AUTH_EVENTS))?;

    let id = match version.event_format {
        EventFormat::ServerIds => {
            let id = ids.check("event_id", text(&object, "event_id")?)?;
            let id = EventId::parse_any_length(id).map_err(|e| e.context("event: `event_id`"))?;
            if id.domain().is_none() {
                return Err(bad_field("event_id", "has no `:` before a server name (ID-8)"));
            }
            id
        }
        EventFormat::HashIds | EventFormat::UrlSafeHashIds => {
            if object.contains_key("event_id") {
                return Err(bad_field(
                    "event_id",
                    "must not be sent in this room version (EV-2)",
                ));
            }
            hash::event_id_of(&redact::signing_form(&object, version), version)
        }
    };
    // A `room_id` in a create event of version 12 is not part of its redacted form, hence not of its id; the
    // authorization rules refuse it (AUTH-1).
    let room_id = if is_create && version.room_id_is_create_hash {
        RoomId::parse(&format!("!{}", &id[1..]))
    } else {
        RoomId::parse_any_length(ids.check("room_id", text(&object, "room_id")?)?)
    }
    .map_err(|e| e.context("event: `room_id`"))?;

    let kind = String::from(kind);
    let event = Event {
        version,
        id,
        room_id,
        sender,
        state_key,
        prev_events,
        auth_events,
        depth,
        origin_server_ts,
        redacts: Event::find_redacts(&object, &kind, version),
        hash_mismatch: false,
        oversized_ids: ids.oversized,
        preview: unsigned.and_then(|unsigned| preview(&kind, unsigned)),
        kind,
        object,
    };
    verify::check_authorising_user(&event)?;
    Ok(event)
}

fn bad_field(field: &str, rule: &str) -> Error {
    Error::new(Code::BadEvent, format!("event: `{field}` {rule}"))
}

fn wrong_type(object: &Map, field: &str, need: &str) -> Error {
    match object.get(field) {
        None => bad_field(field, "is missing (EV-1)"),
        Some(value) => bad_field(field, &format!("is {}, must be {need} (EV-1)", value.kind())),
    }
}

fn text<'a>(object: &'a Map, field: &str) -> Result<&'a str> {
    object
        .get(field)
        .and_then(Value::as_str)
        .ok_or_else(|| wrong_type(object, field, "a string"))
}

fn integer(object: &Map, field: &str) -> Result<i64> {
    object
        .get(field)
        .and_then(Value::as_int)
        .ok_or_else(|| wrong_type(object, field, "an integer"))
}

fn need_object(object: &Map, field: &str) -> Result<()> {
    match object.get(field) {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(wrong_type(object, field, "an object")),
    }
}

/// The lengths of the five limited fields (ID-12).
struct IdLengths {
    drops_long: bool,
    oversized: bool,
}

impl IdLengths {
    fn check<'a>(&mut self, field: &str, text: &'a str) -> Result<&'a str> {
        if text.len() > limits::FIELD_BYTES {
            if self.drops_long || text.chars().count() > limits::FIELD_BYTES {
                return Err(Error::new(
                    Code::TooLarge,
                    format!("event: `{field}` has {} bytes, at most 255 (ID-12)", text.len()),
                ));
            }
            self.oversized = true;
        }
        Ok(text)
    }
}

/// `prev_events` or `auth_events`: ids, or pairs of id and hashes in versions 1 and 2 (EV-2).
fn references(object: &Map, field: &str, version: &RoomVersion, limit: usize) -> Result<Vec<EventId>> {
    let Some(Value::Array(items)) = object.get(field) else {
        return Err(wrong_type(object, field, "an array"));
    };
    if items.len() > limit {
        let rule = format!("has {} entries, at most {limit} (ID-13)", items.len());
        return Err(bad_field(field, &rule));
    }
    items
        .iter()
        .map(|item| {
            let id = match (version.event_format, item) {
                (EventFormat::ServerIds, Value::Array(pair)) => match pair.as_slice() {
                    [Value::String(id), Value::Object(_)] => Some(id),
                    _ => None,
                },
                (EventFormat::ServerIds, _) => None,
                (_, Value::String(id)) => Some(id),
                _ => None,
            };
            let id =
                id.ok_or_else(|| bad_field(field, "has an entry that is no reference to an event (EV-2)"))?;
            EventId::parse(id).map_err(|e| e.context(format!("event: `{field}`")))
        })
        .collect()
}

/// What is kept of a member event's `unsigned` (EV-20). Unauthenticated: what is unusable is left out, not refused.
fn preview(kind: &str, unsigned: Value) -> Option<Vec<Value>> {
    if kind != "m.room.member" {
        return None;
    }
    let Value::Object(mut unsigned) = unsigned else {
        return None;
    };
    let entries = ["invite_room_state", "knock_room_state"]
        .into_iter()
        .find_map(|key| unsigned.remove(key))?;
    let Value::Array(mut entries) = entries else {
        return None;
    };
    entries.retain(|entry| {
        entry
            .as_object()
            .is_some_and(|e| json::check_canonical(e).is_ok())
    });
    Some(entries)
}
