//! Authorization of one event.

use crate::{
    event::believe,
    graph::{Graph, cited},
    json::parse_event,
};
use roomlet_room::{AuthState, Denied, Node, auth};
use roomlet_wire::{Code, Error, Result, RoomVersion};

/// What the authorization rules say of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether they allow it.
    pub is_allowed: bool,
    /// If not: the rule that refuses it, a name that stays. `docs/toolkit.md` lists them.
    pub rule: Option<String>,
    /// If not: the rule in words, with the values that decided.
    pub about: Option<String>,
}

impl From<std::result::Result<(), Denied>> for Verdict {
    fn from(verdict: std::result::Result<(), Denied>) -> Self {
        let denied = verdict.err();
        Self {
            is_allowed: denied.is_none(),
            rule: denied.as_ref().map(|denied| denied.rule().to_owned()),
            about: denied.map(|denied| denied.to_string()),
        }
    }
}

/// Whether an event is allowed by its own auth events (step 4 of its receipt): `auth_events` are the events that it
/// names, in version 12 with the create event, in any order. Signatures and hashes are not looked at: check them before
/// ([`verify_event`](crate::verify_event)).
///
/// # Errors
/// `UnknownEvent` for an auth event that is not among them; those of [`check_event`](crate::check_event), for any of
/// the events.
pub fn check_auth_events(event: &str, auth_events: &[String], version: &str) -> Result<Verdict> {
    let version = RoomVersion::named(version)?;
    let pdu = believe(event, version)?;
    let graph = Graph::of_leaves(version, auth_events.iter().map(String::as_str))?;
    let named = cited(&pdu);
    let named = named
        .iter()
        .map(|id| graph.get(id).cloned())
        .collect::<Result<Vec<_>>>()?;
    let node = graph.node_of(pdu);
    let verdict = check_ids(&node)
        .and_then(|()| auth::check_auth_events(&node, &named))
        .and_then(|()| auth::check(&node, &AuthState::of(&node, named)));
    Ok(verdict.into())
}

/// Whether an event is allowed in a state (steps 5 and 6 of its receipt): `state` are events of the state, of which those
/// that matter are used; others may be left out. As [`check_auth_events`] otherwise.
///
/// # Errors
/// Those of [`check_event`](crate::check_event), for any of the events.
pub fn check_auth(event: &str, state: &[String], version: &str) -> Result<Verdict> {
    let version = RoomVersion::named(version)?;
    let pdu = believe(event, version)?;
    let graph = Graph::of_leaves(version, state.iter().map(String::as_str))?;
    let node = graph.node_of(pdu);
    let state = AuthState::of(&node, graph.nodes().iter().cloned());
    Ok(check_ids(&node).and_then(|()| auth::check(&node, &state)).into())
}

/// An event with ids that are too long may be held, and is refused (ID-12).
fn check_ids(node: &Node) -> std::result::Result<(), Denied> {
    match node.pdu.oversized_ids {
        true => Err(Denied::OversizedId),
        false => Ok(()),
    }
}

/// The types and state keys of the state events that an event has to cite as auth events (AUTH-20). Of `event` only
/// `type`, `sender`, `state_key` and `content` are read: it need not be finished.
///
/// # Errors
/// `BadJson`, `NotCanonical`; `BadEvent` for a field that is missing; `UnknownRoomVersion`.
pub fn auth_types(event: &str, version: &str) -> Result<Vec<(String, String)>> {
    let version = RoomVersion::named(version)?;
    let event = parse_event(event, version)?;
    let text = |key: &str| {
        let text = event.get(key).and_then(|value| value.as_str());
        text.ok_or_else(|| Error::new(Code::BadEvent, format!("event: `{key}` is no string")))
    };
    let content = event.get("content").and_then(|content| content.as_object());
    let content = content.ok_or_else(|| Error::new(Code::BadEvent, "event: `content` is no object"))?;
    let state_key = match event.get("state_key") {
        Some(_) => Some(text("state_key")?),
        None => None,
    };
    Ok(auth::select(
        version,
        text("type")?,
        text("sender")?,
        state_key,
        content,
    ))
}

/// The ids of those events of `state` that an event has to cite as auth events. As [`auth_types`] otherwise.
///
/// # Errors
/// As there; those of [`check_event`](crate::check_event), for the events of the state.
pub fn select_auth_events(event: &str, state: &[String], version: &str) -> Result<Vec<String>> {
    let wanted = auth_types(event, version)?;
    let graph = Graph::of_leaves(RoomVersion::named(version)?, state.iter().map(String::as_str))?;
    let find = |(kind, key): &(String, String)| {
        let is_it = |pdu: &roomlet_wire::pdu::Event| pdu.is_state(kind, key);
        let found = graph.nodes().iter().rfind(|node| is_it(&node.pdu))?;
        Some(found.pdu.id.as_str().to_owned())
    };
    Ok(wanted.iter().filter_map(find).collect())
}
