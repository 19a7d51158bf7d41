//! Events as ruma sees them.

use roomlet_wire::RoomVersion;
use ruma_common::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    RoomVersionId, UserId,
    canonical_json::redact,
    room_version_rules::{EventIdFormatVersion, RoomVersionRules},
    serde::Base64,
};
use ruma_events::TimelineEventType;
use ruma_signatures::{PublicKeyMap, Verified, reference_hash, verify_event};
use ruma_state_res::check_pdu_format;
use serde_json::value::RawValue;

/// ruma's rules of a version; those of version 10 for the versions that ruma does not know.
///
/// # Panics
/// For a version that is neither.
#[must_use]
pub fn rules(version: &RoomVersion) -> RoomVersionRules {
    let name = if version.extensible_events {
        "10"
    } else {
        version.id
    };
    let id = RoomVersionId::try_from(name).expect("every name is a room version id");
    id.rules().expect("ruma knows versions 1 to 12")
}

/// The keys that signatures are checked with.
#[derive(Clone, Debug)]
pub struct Keys(PublicKeyMap);

impl Keys {
    /// One key of each of `servers`, the same for all.
    ///
    /// # Panics
    /// If `key` is no base64.
    #[must_use]
    pub fn new<'a>(servers: impl IntoIterator<Item = &'a str>, key_id: &str, key: &str) -> Self {
        let key: Base64 = Base64::parse(key).expect("a key in base64");
        let set = [(key_id.to_owned(), key)];
        let servers = servers.into_iter();
        Self(
            servers
                .map(|server| (server.to_owned(), set.clone().into()))
                .collect(),
        )
    }
}

/// An event, parsed for the rules.
#[derive(Clone, Debug)]
pub struct Event {
    id: OwnedEventId,
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    time: MilliSecondsSinceUnixEpoch,
    kind: TimelineEventType,
    content: Box<RawValue>,
    state_key: Option<String>,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    redacts: Option<OwnedEventId>,
    rejected: bool,
}

impl Event {
    /// From an event's JSON and its id.
    ///
    /// # Errors
    /// What ruma does not read.
    pub fn read(json: &CanonicalJsonObject, id: OwnedEventId, rejected: bool) -> Result<Self, String> {
        let field = |name: &str| json.get(name).ok_or(format!("{name} is missing"));
        let text = |name: &str| {
            let field = field(name)?.as_str();
            field.ok_or(format!("{name} is no string"))
        };
        let ids = |name: &str| -> Result<Vec<OwnedEventId>, String> {
            let list = field(name)?.as_array().ok_or(format!("{name} is no list"))?;
            // Versions 1 and 2 have pairs of id and hashes.
            let id = |item: &ruma_common::CanonicalJsonValue| {
                let id = item.as_str().or_else(|| item.as_array()?.first()?.as_str());
                let id = id.ok_or(format!("{name}: no event id"))?;
                OwnedEventId::try_from(id).map_err(|error| format!("{name}: {error}"))
            };
            list.iter().map(id).collect()
        };
        let content =
            serde_json::value::to_raw_value(field("content")?).map_err(|error| error.to_string())?;
        let room_id = match json.get("room_id") {
            None => None,
            Some(_) => Some(OwnedRoomId::try_from(text("room_id")?).map_err(|error| error.to_string())?),
        };
        let time = field("origin_server_ts")?.as_integer();
        let time = time.and_then(|time| i64::from(time).try_into().ok());
        let redacts = json.get("redacts").and_then(|id| id.as_str());
        Ok(Self {
            id,
            room_id,
            sender: OwnedUserId::try_from(text("sender")?).map_err(|error| error.to_string())?,
            time: MilliSecondsSinceUnixEpoch(time.ok_or("origin_server_ts is out of range")?),
            kind: text("type")?.into(),
            content,
            state_key: json
                .get("state_key")
                .and_then(|key| Some(key.as_str()?.to_owned())),
            prev_events: ids("prev_events")?,
            auth_events: ids("auth_events")?,
            redacts: redacts.and_then(|id| id.try_into().ok()),
            rejected,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// The event, rejected or not.
    #[must_use]
    pub fn with_rejected(mut self, rejected: bool) -> Self {
        self.rejected = rejected;
        self
    }
}

/// The id that follows from the reference hash; of versions 1 and 2 that on the wire.
///
/// # Errors
/// What ruma does not read.
pub fn id_of(json: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<OwnedEventId, String> {
    if rules.event_id_format == EventIdFormatVersion::V1 {
        let id = json.get("event_id").and_then(|id| id.as_str());
        return OwnedEventId::try_from(id.unwrap_or_default()).map_err(|error| error.to_string());
    }
    let hash = reference_hash(json, rules).map_err(|error| error.to_string())?;
    OwnedEventId::try_from(format!("${hash}")).map_err(|error| error.to_string())
}

/// The redacted form, as JSON text.
///
/// # Errors
/// What ruma does not read.
pub fn redacted(json: &CanonicalJsonObject, rules: &RoomVersionRules) -> Result<String, String> {
    let redacted = redact(json.clone(), &rules.redaction, None).map_err(|error| error.to_string())?;
    serde_json::to_string(&redacted).map_err(|error| error.to_string())
}

/// As [`redacted`], of JSON text.
///
/// # Errors
/// As there.
pub fn redacted_text(json: &str, rules: &RoomVersionRules) -> Result<String, String> {
    let json: CanonicalJsonObject = serde_json::from_str(json).map_err(|error| error.to_string())?;
    redacted(&json, rules)
}

/// An event of this id from JSON text, read only.
///
/// # Errors
/// What ruma does not read.
pub fn read(json: &str, id: &str) -> Result<Event, String> {
    let json: CanonicalJsonObject = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let id = OwnedEventId::try_from(id).map_err(|error| error.to_string())?;
    Event::read(&json, id, false)
}

/// Everything that is checked of one event on its receipt before the authorization rules: form, signatures, content
/// hash; with its id. Whether the content hash fits comes beside the event.
///
/// # Errors
/// What is wrong with it.
pub fn check(bytes: &[u8], keys: &Keys, rules: &RoomVersionRules) -> Result<(Event, bool), String> {
    let json: CanonicalJsonObject = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_pdu_format(&json, &rules.event_format)?;
    let verified = verify_event(&keys.0, &json, rules).map_err(|error| error.to_string())?;
    let id = id_of(&json, rules)?;
    Ok((Event::read(&json, id, false)?, verified == Verified::All))
}

impl ruma_state_res::Event for Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.id
    }
    fn room_id(&self) -> Option<&RoomId> {
        self.room_id.as_deref()
    }
    fn sender(&self) -> &UserId {
        &self.sender
    }
    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.time
    }
    fn event_type(&self) -> &TimelineEventType {
        &self.kind
    }
    fn content(&self) -> &RawValue {
        &self.content
    }
    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }
    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.prev_events.iter())
    }
    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.auth_events.iter())
    }
    fn redacts(&self) -> Option<&OwnedEventId> {
        self.redacts.as_ref()
    }
    fn rejected(&self) -> bool {
        self.rejected
    }
}
