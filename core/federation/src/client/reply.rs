//! What other servers answer, read from JSON.

use crate::error::ClientError;
use roomlet_wire::{
    EventId, Map, ServerName,
    json::{Object, Raw, RawValue},
};

/// A template of a membership event, which the asker finishes and signs (FED-30).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// `room_version`; absent for rooms of version 1 or 2.
    pub room_version: Option<String>,
    /// The event without hashes and signatures; little of it is the other server's to say.
    pub event: Map,
}

/// What a resident server answers to `send_join` (FED-31). Nothing in it has been checked but its shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinReply {
    /// The state before the join.
    pub state: Vec<RawValue>,
    /// The auth chain of the join and of `state`.
    pub auth_chain: Vec<RawValue>,
    /// The join as the resident has it, perhaps with its signature.
    pub event: Option<RawValue>,
    /// Whether members are missing in `state` (FED-34).
    pub members_omitted: bool,
}

/// The answer to `make_join` and `make_leave`.
pub(super) fn template(server: &ServerName, reply: Object<'_>) -> Result<Template, ClientError> {
    let Some(event) = reply.get("event").and_then(Raw::as_object) else {
        return Err(ClientError::bad_reply(server, "`event` is no object (FED-30)"));
    };
    let room_version = match reply.get("room_version").map(Raw::as_str) {
        None => None,
        Some(Some(version)) => Some(version.into_owned()),
        Some(None) => {
            return Err(ClientError::bad_reply(
                server,
                "`room_version` is no string (FED-30)",
            ));
        }
    };
    Ok(Template {
        room_version,
        event: event.to_map(),
    })
}

/// A field that has to be an array.
pub(super) fn list(server: &ServerName, reply: Object<'_>, key: &str) -> Result<Vec<RawValue>, ClientError> {
    match reply.get(key).and_then(Raw::as_array) {
        Some(items) => Ok(items.iter().map(RawValue::from).collect()),
        None => Err(ClientError::bad_reply(server, format!("`{key}` is no array"))),
    }
}

/// A field that has to be an array of event ids.
pub(super) fn ids(server: &ServerName, reply: Object<'_>, key: &str) -> Result<Vec<EventId>, ClientError> {
    let items = list(server, reply, key)?;
    let ids = items
        .iter()
        .map(|item| EventId::parse(&item.as_raw().as_str().unwrap_or_default()));
    ids.collect::<Result<_, _>>()
        .map_err(|error| ClientError::bad_reply(server, format!("`{key}`: {error}")))
}
