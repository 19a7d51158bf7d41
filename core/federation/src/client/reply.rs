//! What other servers answer, read from JSON.

use crate::error::ClientError;
use roomlet_wire::{EventId, Map, ServerName, Value};

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
    pub state: Vec<Value>,
    /// The auth chain of the join and of `state`.
    pub auth_chain: Vec<Value>,
    /// The join as the resident has it, perhaps with its signature.
    pub event: Option<Value>,
    /// Whether members are missing in `state` (FED-34).
    pub members_omitted: bool,
}

/// The answer to `make_join` and `make_leave`.
pub(super) fn template(server: &ServerName, mut reply: Map) -> Result<Template, ClientError> {
    let Some(Value::Object(event)) = reply.remove("event") else {
        return Err(ClientError::bad_reply(server, "`event` is no object (FED-30)"));
    };
    let room_version = match reply.remove("room_version") {
        None => None,
        Some(Value::String(version)) => Some(version),
        Some(_) => {
            return Err(ClientError::bad_reply(
                server,
                "`room_version` is no string (FED-30)",
            ));
        }
    };
    Ok(Template { room_version, event })
}

/// A field that has to be an array.
pub(super) fn list(server: &ServerName, reply: &mut Map, key: &str) -> Result<Vec<Value>, ClientError> {
    match reply.remove(key) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(ClientError::bad_reply(server, format!("`{key}` is no array"))),
    }
}

/// A field that has to be an array of event ids.
pub(super) fn ids(server: &ServerName, reply: &mut Map, key: &str) -> Result<Vec<EventId>, ClientError> {
    let items = list(server, reply, key)?;
    let ids = items
        .iter()
        .map(|item| EventId::parse(item.as_str().unwrap_or_default()));
    ids.collect::<Result<_, _>>()
        .map_err(|error| ClientError::bad_reply(server, format!("`{key}`: {error}")))
}
