//! Step 1 of an event's receipt: form, limits, event id (EV-1, EV-2, ID-11 … ID-15, CJ-2, CJ-5).

use super::{Event, Parsed, Pdu, Reading, Spans, Verified, verify};
use crate::{
    base64,
    error::{Code, Error, Result},
    hash,
    id::{EventId, RoomId, UserId},
    json::{self, Map, Members, Numbers, Object, Raw, Value},
    limits, redact,
    text::Text,
    version::{EventFormat, RoomVersion},
};
use alloc::{borrow::Cow, format, string::String, sync::Arc, vec::Vec};

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
    /// Reads one PDU from the bytes that a server sent (EV-1, ID-11 … ID-15, CJ-2, CJ-5). What stands in `unsigned` cannot
    /// make it fail, as that is taken away before canonical form and size are checked (EV-20).
    ///
    /// Bytes that are canonical already are read in one pass, without a tree.
    ///
    /// # Errors
    /// The first rule that the event breaks; it is dropped then (EV-21 step 1): [`Code::BadEvent`],
    /// [`Code::NotCanonical`], [`Code::BadJson`], [`Code::TooLarge`], [`Code::BadId`], naming field and rule.
    pub fn parse(bytes: &[u8], version: &'static RoomVersion) -> Result<Self> {
        from_bytes(bytes, version, Source::Peer)
    }

    /// As [`Pdu::parse`] for an event of a reply to `/backfill`, where the numbers of `prev_events` and `auth_events` are
    /// not limited (ID-13).
    ///
    /// # Errors
    /// As [`Pdu::parse`].
    pub fn parse_backfill(bytes: &[u8], version: &'static RoomVersion) -> Result<Self> {
        from_bytes(bytes, version, Source::Backfill)
    }

    /// Takes a PDU from an object that was already parsed, by [`json::parse_object_lenient`], so that a bad number dooms
    /// only its own event (EV-25).
    ///
    /// # Errors
    /// As [`Pdu::parse`].
    pub fn from_object(object: Map, version: &'static RoomVersion) -> Result<Self> {
        from_tree(object, version)
    }
}

impl Pdu<Verified> {
    /// Reads back an event that this server verified before it stored it. `bytes` is what
    /// [`Event::json`] gave; `hash_mismatch` is not kept (the stored form is already redacted).
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if it does not parse.
    pub fn from_store(bytes: &[u8], version: &'static RoomVersion) -> Result<Self> {
        let read = || {
            if let Ok(text) = core::str::from_utf8(bytes)
                && let Some(members) = scan(text, version)
            {
                return read(&members, text.into(), version, Source::Store, None);
            }
            let text = json::canonical(bytes, numbers(version))?;
            match scan(&text, version) {
                Some(members) => read(&members, Cow::Borrowed(&text), version, Source::Store, None),
                None => Err(Error::new(Code::BadJson, "the JSON is no object")),
            }
        };
        match read() {
            Ok((event, _)) => Ok(Pdu(event, ())),
            Err(error) => Err(Error::new(Code::StoreDamaged, format!("a stored event: {error}"))),
        }
    }
}

/// What becomes of numbers in events of a version (CJ-2, CJ-5).
fn numbers(version: &RoomVersion) -> Numbers {
    if version.strict_json {
        Numbers::Strict
    } else {
        Numbers::Python
    }
}

fn scan<'a>(text: &'a str, version: &RoomVersion) -> Option<Members<'a>> {
    Members::scan(text, numbers(version), limits::JSON_DEPTH)
}

fn from_bytes(bytes: &[u8], version: &'static RoomVersion, source: Source) -> Result<Pdu<Parsed>> {
    let mut unsigned = None;
    let text: Cow<'_, str> = match core::str::from_utf8(bytes)
        .ok()
        .and_then(|text| scan(text, version))
    {
        Some(members) => match members.get("unsigned") {
            None => return finish(&members, Cow::Borrowed(members.text()), version, source, None),
            Some(value) => {
                unsigned = Some(Unsigned::Canonical(value.text().into()));
                members.kept(|key| key != "unsigned").into()
            }
        },
        None => {
            unsigned = unsigned.or(Some(Unsigned::In(bytes)));
            json::canonical_without(bytes, "unsigned", numbers(version))
                .map_err(|error| explain(bytes, version).unwrap_or(error))?
                .into()
        }
    };
    let Some(members) = scan(&text, version) else {
        let unread = || Error::new(Code::BadEvent, "event: is no JSON object");
        return Err(explain(bytes, version).unwrap_or_else(unread));
    };
    finish(&members, Cow::Borrowed(&text), version, source, unsigned)
}

fn from_tree(mut object: Map, version: &'static RoomVersion) -> Result<Pdu<Parsed>> {
    let unsigned = object.remove("unsigned").map(Unsigned::Tree);
    let checked = json::check_canonical_as(&object, numbers(version));
    checked.map_err(|error| error.context("event"))?;
    let mut text = json::map_to_canonical(&object);
    if !version.strict_json {
        text = json::canonical(text.as_bytes(), Numbers::Python)?.into_owned();
    }
    let Some(members) = scan(&text, version) else {
        return Err(Error::new(Code::NotCanonical, "event: no canonical JSON"));
    };
    finish(&members, Cow::Borrowed(&text), version, Source::Peer, unsigned)
}

/// Why bytes are no event that could be read at all. Takes its time: it is asked after a refusal only.
#[cold]
fn explain(bytes: &[u8], version: &RoomVersion) -> Option<Error> {
    if bytes.len() > limits::TREE_BYTES {
        return None;
    }
    let mut object = match json::parse_object_lenient(bytes) {
        Ok(object) => object,
        Err(error) => return Some(error),
    };
    object.remove("unsigned");
    let checked = json::check_canonical_as(&object, numbers(version));
    checked.err().map(|error| error.context("event"))
}

fn finish(
    members: &Members<'_>,
    text: Cow<'_, str>,
    version: &'static RoomVersion,
    source: Source,
    unsigned: Option<Unsigned<'_>>,
) -> Result<Pdu<Parsed>> {
    let size = text.len();
    if size > limits::PDU_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!("event: {size} bytes, at most {} (ID-11)", limits::PDU_BYTES),
        ));
    }
    let (event, reading) = read(members, text, version, source, unsigned)?;
    Ok(Pdu(event, reading))
}

fn read(
    members: &Members<'_>,
    text: Cow<'_, str>,
    version: &'static RoomVersion,
    source: Source,
    unsigned: Option<Unsigned<'_>>,
) -> Result<(Arc<Event>, Reading)> {
    let fields = Fields::of(members);
    let mut ids = IdLengths {
        drops_long: version.drops_long_ids,
        oversized: false,
    };
    let kind = ids.check("type", string(fields.kind, "type")?)?;
    let sender = UserId::parse_any_length(&ids.check("sender", string(fields.sender, "sender")?)?)
        .map_err(|e| e.context("event: `sender`"))?;
    let state_key = match fields.state_key {
        None => None,
        key => Some(Text::from(&*ids.check("state_key", string(key, "state_key")?)?)),
    };
    let is_create = kind == "m.room.create";

    need_object(fields.content, "content")?;
    let signatures = need_object(fields.signatures, "signatures")?;
    let hashes = need_object(fields.hashes, "hashes")?;
    let claimed = hashes.get("sha256").and_then(Raw::as_str);
    let claimed = claimed.ok_or_else(|| bad_field("hashes.sha256", "must be a string (EV-1)"))?;
    // What was stored was read before: it stays readable.
    if source != Source::Store {
        check_signatures(signatures)?;
        if !all_strings(hashes) {
            return Err(bad_field("hashes", "has a value that is no string (EV-1)"));
        }
    }
    let origin_server_ts = integer(fields.origin_server_ts, "origin_server_ts", version)?;
    let depth = integer(fields.depth, "depth", version)?;
    if depth < 0 {
        return Err(bad_field("depth", "must not be negative (ID-15)"));
    }

    let cited = |value, field, limit| references(value, field, version, limit, source);
    let prev_events = cited(fields.prev_events, "prev_events", limits::PREV_EVENTS)?;
    let auth_events = cited(fields.auth_events, "auth_events", limits::AUTH_EVENTS)?;

    let signing_form = redact::signing_form(members, version);
    let id = match version.event_format {
        EventFormat::ServerIds => {
            let id = ids.check("event_id", string(fields.event_id, "event_id")?)?;
            let id = EventId::parse_any_length(&id).map_err(|e| e.context("event: `event_id`"))?;
            if id.domain().is_none() {
                return Err(bad_field("event_id", "has no `:` before a server name (ID-8)"));
            }
            id
        }
        EventFormat::HashIds | EventFormat::UrlSafeHashIds => {
            if fields.event_id.is_some() {
                return Err(bad_field(
                    "event_id",
                    "must not be sent in this room version (EV-2)",
                ));
            }
            hash::event_id_of(&signing_form, version)
        }
    };
    // A `room_id` in a create event of version 12 is not part of its redacted form, hence not of its id; the
    // authorization rules refuse it (AUTH-1).
    let room_id = if is_create && version.room_id_is_create_hash {
        RoomId::parse(&format!("!{}", &id[1..]))
    } else {
        RoomId::parse_any_length(&ids.check("room_id", string(fields.room_id, "room_id")?)?)
    }
    .map_err(|e| e.context("event: `room_id`"))?;

    let hash_fits = source == Source::Store
        || base64::decode_array::<32>(&claimed)
            .is_some_and(|claimed| claimed == hash::content_digest(members));
    let unsigned = unsigned.filter(|_| kind == "m.room.member");
    let event = Arc::new(Event {
        version,
        id,
        room_id,
        sender,
        state_key,
        prev_events,
        auth_events,
        depth,
        origin_server_ts,
        redacts: Event::find_redacts(Object::trusted(&text), &kind, version),
        hash_mismatch: false,
        oversized_ids: ids.oversized,
        preview: unsigned.and_then(Unsigned::preview),
        spans: Spans::of(members, &kind),
        kind: Text::from(&*kind),
        json: text.into(),
    });
    verify::check_authorising_user(&event)?;
    let reading = Reading {
        signing_form,
        hash_fits,
    };
    Ok((event, reading))
}

/// The members of an event that mean something, as they came.
#[derive(Default)]
struct Fields<'a> {
    auth_events: Option<Raw<'a>>,
    content: Option<Raw<'a>>,
    depth: Option<Raw<'a>>,
    event_id: Option<Raw<'a>>,
    hashes: Option<Raw<'a>>,
    origin_server_ts: Option<Raw<'a>>,
    prev_events: Option<Raw<'a>>,
    room_id: Option<Raw<'a>>,
    sender: Option<Raw<'a>>,
    signatures: Option<Raw<'a>>,
    state_key: Option<Raw<'a>>,
    kind: Option<Raw<'a>>,
}

impl<'a> Fields<'a> {
    fn of(members: &Members<'a>) -> Self {
        let mut fields = Self::default();
        for (key, value, _) in members.iter() {
            let field = match key {
                "auth_events" => &mut fields.auth_events,
                "content" => &mut fields.content,
                "depth" => &mut fields.depth,
                "event_id" => &mut fields.event_id,
                "hashes" => &mut fields.hashes,
                "origin_server_ts" => &mut fields.origin_server_ts,
                "prev_events" => &mut fields.prev_events,
                "room_id" => &mut fields.room_id,
                "sender" => &mut fields.sender,
                "signatures" => &mut fields.signatures,
                "state_key" => &mut fields.state_key,
                "type" => &mut fields.kind,
                _ => continue,
            };
            *field = Some(value);
        }
        fields
    }
}

fn bad_field(field: &str, rule: &str) -> Error {
    Error::new(Code::BadEvent, format!("event: `{field}` {rule}"))
}

#[cold]
fn wrong_type(value: Option<Raw<'_>>, field: &str, need: &str) -> Error {
    match value {
        None => bad_field(field, "is missing (EV-1)"),
        Some(value) => bad_field(field, &format!("is {}, must be {need} (EV-1)", value.kind())),
    }
}

fn string<'a>(value: Option<Raw<'a>>, field: &str) -> Result<Cow<'a, str>> {
    value
        .and_then(Raw::as_str)
        .ok_or_else(|| wrong_type(value, field, "a string"))
}

/// An integer: of 64 bits where a version does not hold numbers to canonical JSON (ID-15, ID-16).
fn integer(value: Option<Raw<'_>>, field: &str, version: &RoomVersion) -> Result<i64> {
    let read = |value: Raw<'_>| match version.strict_json {
        true => value.as_int(),
        false => value.as_number()?.parse().ok(),
    };
    value
        .and_then(read)
        .ok_or_else(|| wrong_type(value, field, "an integer"))
}

fn need_object<'a>(value: Option<Raw<'a>>, field: &str) -> Result<Object<'a>> {
    value
        .and_then(Raw::as_object)
        .ok_or_else(|| wrong_type(value, field, "an object"))
}

/// That there are signatures by server, then by key (EV-1). An event with one that is no string is refused by its schema
/// and by Synapse, whoever that signature is said to be by.
fn check_signatures(signatures: Object<'_>) -> Result<()> {
    for (_, of_server) in signatures.raw_iter() {
        if !of_server.as_object().is_some_and(all_strings) {
            let rule = "has a value that is no object of strings (EV-1)";
            return Err(bad_field("signatures", rule));
        }
    }
    Ok(())
}

fn all_strings(object: Object<'_>) -> bool {
    object.raw_iter().all(|(_, value)| value.text().starts_with('"'))
}

/// The lengths of the five limited fields (ID-12).
struct IdLengths {
    drops_long: bool,
    oversized: bool,
}

impl IdLengths {
    fn check<'a>(&mut self, field: &str, text: Cow<'a, str>) -> Result<Cow<'a, str>> {
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
fn references(
    value: Option<Raw<'_>>,
    field: &str,
    version: &RoomVersion,
    limit: usize,
    source: Source,
) -> Result<Vec<EventId>> {
    let Some(items) = value.and_then(Raw::as_array) else {
        return Err(wrong_type(value, field, "an array"));
    };
    let mut ids = Vec::with_capacity((items.text().len() / ID_BYTES + 1).min(limits::PREV_EVENTS));
    for item in items.iter() {
        if ids.len() == limit && source == Source::Peer {
            let rule = format!("has {} entries, at most {limit} (ID-13)", items.len());
            return Err(bad_field(field, &rule));
        }
        let id = match version.event_format {
            EventFormat::ServerIds => paired_id(item, source),
            EventFormat::HashIds | EventFormat::UrlSafeHashIds => item.as_str(),
        };
        let id =
            id.ok_or_else(|| bad_field(field, "has an entry that is no reference to an event (EV-2)"))?;
        ids.push(EventId::parse(&id).map_err(|e| e.context(format!("event: `{field}`")))?);
    }
    Ok(ids)
}

/// What an event id takes in a list, in bytes.
const ID_BYTES: usize = 47;

/// The id of a reference `[id, hashes]`.
fn paired_id(item: Raw<'_>, source: Source) -> Option<Cow<'_, str>> {
    let mut pair = item.as_array()?.iter();
    let id = pair.next()?.as_str()?;
    let hashes = pair.next()?.as_object()?;
    if source != Source::Store && !all_strings(hashes) {
        return None;
    }
    pair.next().is_none().then_some(id)
}

/// Where an event's `unsigned` is to be found.
enum Unsigned<'a> {
    /// Its canonical text.
    Canonical(String),
    /// Somewhere in the event's bytes, if it is there.
    In(&'a [u8]),
    Tree(Value),
}

impl Unsigned<'_> {
    /// What is kept of a member event's `unsigned` (EV-20). Unauthenticated: what is unusable is left out, not refused.
    fn preview(self) -> Option<Vec<Value>> {
        let unsigned = match self {
            Self::Canonical(text) if text.len() <= limits::TREE_BYTES => {
                json::parse_lenient(text.as_bytes()).ok()
            }
            Self::In(bytes) if bytes.len() <= limits::TREE_BYTES => {
                json::parse_object_lenient(bytes).ok()?.remove("unsigned")
            }
            Self::Canonical(_) | Self::In(_) => None,
            Self::Tree(value) => Some(value),
        };
        let Value::Object(mut unsigned) = unsigned? else {
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
}
