//! What the faces give and take as JSON: one form of each record for all languages that read JSON.

use roomlet_homeserver::{
    Code, CreateRoom, Error, Imported, Member, Page, Preset, Result, RoomEvent, RoomSummary, RoomUpdate,
    StoreReport, StreamPos, Trust, UpdateEntry, UserId,
};
use roomlet_toolkit::{ParsedId, RoomVersionInfo, Verdict};
use roomlet_wire::{Excerpt, Map, Value, json};

/// A JSON object being written, its members in the order of the calls.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".into())
    }

    /// A member whose value is JSON already.
    fn raw(mut self, key: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    fn text(self, key: &str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(key, &value)
    }

    fn optional(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    json::to_canonical(&Value::from(text))
}

fn array(items: impl Iterator<Item = String>) -> String {
    let mut out = String::from("[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push(']');
    out
}

/// A list of ids as a JSON array of strings.
pub(crate) fn ids<T: AsRef<str>>(ids: &[T]) -> String {
    array(ids.iter().map(|id| quoted(id.as_ref())))
}

/// An event as an object: `event_id`, `room_id`, `sender`, `type`, `state_key`?, `origin_server_ts`, `content`,
/// `redacts`?, `redacted_by`?.
pub(crate) fn event(event: &RoomEvent) -> String {
    Object::new()
        .text("event_id", &event.event_id)
        .text("room_id", &event.room_id)
        .text("sender", &event.sender)
        .text("type", &event.kind)
        .optional("state_key", event.state_key.as_deref())
        .raw("origin_server_ts", &event.origin_server_ts.to_string())
        .raw("content", &event.content)
        .optional("redacts", event.redacts.as_deref())
        .optional("redacted_by", event.redacted_by.as_deref())
        .end()
}

/// A list of events as an array.
pub(crate) fn events(list: &[RoomEvent]) -> String {
    array(list.iter().map(event))
}

/// A page as an object: `events`, `next` (a token or null).
pub(crate) fn page(page: &Page) -> String {
    let next = page.next.as_deref().map_or_else(|| "null".into(), quoted);
    Object::new()
        .raw("events", &events(&page.events))
        .raw("next", &next)
        .end()
}

/// Members as an array of objects: `user_id`, `membership`.
pub(crate) fn members(list: &[Member]) -> String {
    array(list.iter().map(|member| {
        Object::new()
            .text("user_id", &member.user)
            .text("membership", &member.membership)
            .end()
    }))
}

/// Rooms as an array of objects: `room_id`, `membership`.
pub(crate) fn rooms(list: &[RoomSummary]) -> String {
    array(list.iter().map(|room| {
        Object::new()
            .text("room_id", &room.room_id)
            .text("membership", &room.membership)
            .end()
    }))
}

/// An update as an object: `kind` says which of the forms of [`RoomUpdate`] it is.
pub(crate) fn update(entry: &UpdateEntry) -> String {
    let object = Object::new().text("pos", &token(entry.pos));
    match &entry.update {
        RoomUpdate::Event(new) => object.text("kind", "event").raw("event", &event(new)),
        RoomUpdate::StateChanged {
            room_id,
            kind,
            state_key,
            event: now,
        } => object
            .text("kind", "state_changed")
            .text("room_id", room_id)
            .text("type", kind)
            .text("state_key", state_key)
            .raw("event", &now.as_ref().map_or_else(|| "null".into(), event)),
        RoomUpdate::Membership {
            room_id,
            user,
            membership,
            sender,
        } => object
            .text("kind", "membership")
            .text("room_id", room_id)
            .text("user_id", user)
            .text("membership", membership)
            .text("sender", sender),
        RoomUpdate::Redacted { room_id, event, by } => object
            .text("kind", "redacted")
            .text("room_id", room_id)
            .text("event_id", event)
            .text("redacted_by", by),
    }
    .end()
}

/// A position of the update stream as the token that hosts keep.
pub(crate) fn token(pos: StreamPos) -> String {
    pos.0.to_string()
}

/// Reads a token; the empty one is the beginning of the stream.
///
/// # Errors
/// [`Code::BadParam`] for text that is no token.
pub(crate) fn position(token: &str) -> Result<StreamPos> {
    if token.is_empty() {
        return Ok(StreamPos(0));
    }
    let bad = || {
        let about = format!(
            "the update token is not one that roomlet gave: {:?}",
            Excerpt(token)
        );
        Error::new(Code::BadParam, about)
    };
    if !token.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    token.parse().map(StreamPos).map_err(|_| bad())
}

/// Reads the options of a new room: an object of `preset` (`private`, `trusted_private`, `public`), `version`, `name`,
/// `topic`, `type`, `invite` (a list of user ids), `is_direct`, `additional_creators` (a list of user ids); all may be
/// absent. Empty text is an empty object.
///
/// # Errors
/// [`Code::BadJson`]; [`Code::BadParam`] for an unknown member or a value of the wrong type; [`Code::BadId`].
pub(crate) fn create_room(options: &[u8]) -> Result<CreateRoom> {
    let mut room = CreateRoom::default();
    if options.is_empty() {
        return Ok(room);
    }
    for (key, value) in json::parse_object(options).map_err(|error| error.context("options"))? {
        match key.as_str() {
            "preset" => room.preset = preset(&text(&key, &value)?)?,
            "version" => room.version = Some(text(&key, &value)?),
            "name" => room.name = Some(text(&key, &value)?),
            "topic" => room.topic = Some(text(&key, &value)?),
            "type" => room.room_type = Some(text(&key, &value)?),
            "invite" => room.invite = users(&key, &value)?,
            "additional_creators" => room.additional_creators = users(&key, &value)?,
            "is_direct" => room.is_direct = value.as_bool().ok_or_else(|| wrong(&key, "true or false"))?,
            _ => {
                return Err(Error::new(
                    Code::BadParam,
                    format!("options: {key:?} is no option of a new room"),
                ));
            }
        }
    }
    Ok(room)
}

/// Whether an archive's signatures are taken as right.
pub(crate) fn trust(trusted: bool) -> Trust {
    if trusted {
        Trust::Signatures
    } else {
        Trust::Nothing
    }
}

fn count(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

/// What a check found, as a JSON object.
pub(crate) fn report(report: &StoreReport) -> String {
    let faults = report.faults.iter().map(|fault| {
        let fault = object([
            ("kind", fault.kind.into()),
            ("about", fault.about.as_str().into()),
            ("repaired", Value::Bool(fault.is_repaired)),
        ]);
        Value::Object(fault)
    });
    json::map_to_canonical(&object([
        ("rooms", count(report.rooms)),
        ("events", count(report.events)),
        ("states", count(report.states)),
        ("faults", Value::Array(faults.collect())),
    ]))
}

/// What became of an archive, as a JSON object.
pub(crate) fn imported(imported: &Imported) -> String {
    let fault = imported.first_fault.as_deref().map_or(Value::Null, Value::from);
    json::map_to_canonical(&object([
        ("room_id", imported.room.as_str().into()),
        ("accepted", count(imported.accepted)),
        ("soft_failed", count(imported.soft_failed)),
        ("rejected", count(imported.rejected)),
        ("known", count(imported.known)),
        ("left_out", count(imported.left_out)),
        ("first_fault", fault),
    ]))
}

/// Texts, as a JSON list.
pub(crate) fn strings(texts: &[String]) -> String {
    let list = texts.iter().map(|text| Value::from(text.as_str()));
    json::to_canonical(&Value::Array(list.collect()))
}

/// Types and state keys, as a JSON list of pairs.
pub(crate) fn pairs(pairs: &[(String, String)]) -> String {
    let pair = |(kind, key): &(String, String)| Value::Array(vec![kind.as_str().into(), key.as_str().into()]);
    json::to_canonical(&Value::Array(pairs.iter().map(pair).collect()))
}

/// Reads states by the ids of their events: a JSON list of lists.
///
/// # Errors
/// [`Code::BadParam`].
pub(crate) fn states(states: &str) -> Result<Vec<Vec<String>>> {
    let wrong = || Error::new(Code::BadParam, "states: not a list of lists of event ids");
    let value = json::parse(states.as_bytes())
        .map_err(|error| Error::new(Code::BadParam, format!("states: {}", error.about())))?;
    let ids = |state: &Value| -> Result<Vec<String>> {
        let ids = state.as_array().ok_or_else(wrong)?.iter();
        ids.map(|id| Ok(id.as_str().ok_or_else(wrong)?.to_owned()))
            .collect()
    };
    value.as_array().ok_or_else(wrong)?.iter().map(ids).collect()
}

/// A verdict, as a JSON object.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let mut entries = object([("allowed", Value::Bool(verdict.is_allowed))]);
    let rule = verdict
        .rule
        .as_deref()
        .map(|rule| ("rule".to_owned(), rule.into()));
    let about = verdict
        .about
        .as_deref()
        .map(|about| ("about".to_owned(), about.into()));
    entries.extend(rule.into_iter().chain(about));
    json::map_to_canonical(&entries)
}

/// An identifier's parts, as a JSON object.
pub(crate) fn parsed_id(id: &ParsedId) -> String {
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let port = id.port.map_or(Value::Null, |port| Value::Int(port.into()));
    json::map_to_canonical(&object([
        ("local", id.local.as_str().into()),
        ("server", text(&id.server)),
        ("host", text(&id.host)),
        ("port", port),
    ]))
}

/// What a room version can do, as a JSON object.
pub(crate) fn room_version(version: &RoomVersionInfo) -> String {
    json::map_to_canonical(&object([
        ("id", version.id.as_str().into()),
        ("stable", Value::Bool(version.is_stable)),
        ("event_ids", version.event_ids.into()),
        ("state_resolution", version.state_resolution.into()),
        ("power_levels", version.power_levels.into()),
        (
            "strict_canonical_json",
            Value::Bool(version.strict_canonical_json),
        ),
        (
            "enforces_key_validity",
            Value::Bool(version.enforces_key_validity),
        ),
        ("special_aliases", Value::Bool(version.special_aliases)),
        ("knock", Value::Bool(version.knock)),
        ("restricted", Value::Bool(version.restricted)),
        ("knock_restricted", Value::Bool(version.knock_restricted)),
        ("redacts_in_content", Value::Bool(version.redacts_in_content)),
        ("creator_is_sender", Value::Bool(version.creator_is_sender)),
        (
            "room_id_is_create_hash",
            Value::Bool(version.room_id_is_create_hash),
        ),
        ("creators_rank_above", Value::Bool(version.creators_rank_above)),
        ("extensible_events", Value::Bool(version.extensible_events)),
    ]))
}

fn preset(name: &str) -> Result<Preset> {
    match name {
        "private" => Ok(Preset::Private),
        "trusted_private" => Ok(Preset::TrustedPrivate),
        "public" => Ok(Preset::Public),
        _ => Err(wrong("preset", "private, trusted_private or public")),
    }
}

fn users(key: &str, value: &Value) -> Result<Vec<UserId>> {
    let ids = || wrong(key, "a list of user ids");
    let list = value.as_array().ok_or_else(ids)?;
    list.iter()
        .map(|user| {
            let user = user.as_str().ok_or_else(ids)?;
            UserId::parse(user).map_err(|error| error.context(format!("options: {key}")))
        })
        .collect()
}

fn text(key: &str, value: &Value) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| wrong(key, "text"))
}

fn wrong(key: &str, wanted: &str) -> Error {
    Error::new(Code::BadParam, format!("options: {key:?} is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use roomlet_homeserver::{EventId, RoomId};

    fn message() -> RoomEvent {
        RoomEvent {
            event_id: EventId::parse("$e:x.example").unwrap(),
            room_id: RoomId::parse("!r:x.example").unwrap(),
            sender: UserId::parse("@a:x.example").unwrap(),
            kind: "m.\"quoted\"".into(),
            state_key: None,
            origin_server_ts: -1,
            content: "{\"n\":1}".into(),
            redacts: None,
            redacted_by: None,
        }
    }

    const MESSAGE: &str = "{\"event_id\":\"$e:x.example\",\"room_id\":\"!r:x.example\",\"sender\":\"@a:x.example\",\
        \"type\":\"m.\\\"quoted\\\"\",\"origin_server_ts\":-1,\"content\":{\"n\":1}}";

    #[test]
    fn event_is_printed_with_the_fields_that_it_has() {
        assert_eq!(event(&message()), MESSAGE);
        let state = RoomEvent {
            state_key: Some(String::new()),
            ..message()
        };
        assert_eq!(
            event(&state),
            MESSAGE.replace(",\"origin", ",\"state_key\":\"\",\"origin")
        );
    }

    #[test]
    fn page_without_a_next_one_says_null() {
        let last = Page {
            events: vec![message(), message()],
            next: None,
        };
        assert_eq!(
            page(&last),
            format!("{{\"events\":[{MESSAGE},{MESSAGE}],\"next\":null}}")
        );
    }

    #[test]
    fn update_tells_of_state_that_is_gone() {
        let gone = RoomUpdate::StateChanged {
            room_id: RoomId::parse("!r:x.example").unwrap(),
            kind: "m.room.topic".into(),
            state_key: String::new(),
            event: None,
        };
        assert_eq!(
            update(&UpdateEntry {
                pos: StreamPos(7),
                update: gone
            }),
            "{\"pos\":\"7\",\"kind\":\"state_changed\",\"room_id\":\"!r:x.example\",\"type\":\"m.room.topic\",\
             \"state_key\":\"\",\"event\":null}"
        );
    }

    #[test]
    fn token_is_digits_that_fit() {
        assert_eq!(position("").unwrap(), StreamPos(0));
        assert_eq!(position("18446744073709551615").unwrap(), StreamPos(u64::MAX));
        for bad in ["+1", "-1", "1 ", "18446744073709551616"] {
            assert_eq!(position(bad).unwrap_err().code(), Code::BadParam, "{bad:?}");
        }
        let long = position(&"9".repeat(1_000_000)).unwrap_err();
        let about = format!(
            "the update token is not one that roomlet gave: \"{}\"… (1000000 bytes)",
            "9".repeat(60)
        );
        assert_eq!(long.about(), about);
    }
}
