//! Which state events decide about an event: what its `auth_events` must name (AUTH-20).

use super::AuthMap;
use crate::{
    node::{Member, Membership, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use roomlet_wire::{
    Result, RoomVersion,
    json::{Map, Object, RawValue},
    pdu::Event,
};

/// The (type, state key) pairs whose events, taken from the state before it, an event names in `auth_events`,
/// those that the state has (AUTH-20).
///
/// Works on a draft as well as on a finished event: it depends on type, sender, state key and content only.
#[must_use]
pub fn select(
    version: &RoomVersion,
    kind: &str,
    sender: &str,
    state_key: Option<&str>,
    content: &Map,
) -> Vec<(String, String)> {
    let content = RawValue::from(content);
    let content = content.as_object();
    content.map_or_else(Vec::new, |content| {
        select_raw(version, kind, sender, state_key, content)
    })
}

fn select_raw(
    version: &RoomVersion,
    kind: &str,
    sender: &str,
    state_key: Option<&str>,
    content: Object<'_>,
) -> Vec<(String, String)> {
    if kind == "m.room.create" {
        return Vec::new();
    }
    let mut slots: Vec<(String, String)> = Vec::new();
    let mut add = |kind: &str, key: &str| {
        if !slots.iter().any(|(k, s)| k == kind && s == key) {
            slots.push((kind.to_owned(), key.to_owned()));
        }
    };
    if !version.room_id_is_create_hash {
        add("m.room.create", "");
    }
    add("m.room.power_levels", "");
    add("m.room.member", sender);
    if kind == "m.room.member" {
        let member = Member::parse(content);
        if let Some(target) = state_key {
            add("m.room.member", target);
        }
        if matches!(
            member.membership,
            Some(Membership::Join | Membership::Invite | Membership::Knock)
        ) {
            add("m.room.join_rules", "");
        }
        if member.membership == Some(Membership::Invite)
            && let Some(token) = member
                .third_party_invite
                .as_ref()
                .and_then(|invite| invite.token())
        {
            add("m.room.third_party_invite", token);
        }
        if member.membership == Some(Membership::Join)
            && version.restricted
            && let Some(user) = &member.authorised_via
        {
            add("m.room.member", user);
        }
    }
    slots
}

/// The (type, state key) pairs that the rules may read for an event: its selection and always the create.
pub(crate) fn needed(event: &Event) -> Vec<(String, String)> {
    let state_key = event.state_key.as_deref();
    let selected = select_raw(
        event.version,
        &event.kind,
        &event.sender,
        state_key,
        event.content(),
    );
    if event.version.room_id_is_create_hash && event.kind != "m.room.create" {
        let mut all = vec![("m.room.create".to_owned(), String::new())];
        all.extend(selected);
        return all;
    }
    selected
}

/// What the rules may read of `state` for `event`.
///
/// # Errors
/// Those of `source`.
pub fn load(event: &Event, state: &StateMap, source: &dyn Source, slots: &Slots) -> Result<AuthMap> {
    let mut map = AuthMap::new();
    for (kind, key) in needed(event) {
        if let Some(num) = slots.get(&kind, &key).and_then(|slot| state.get(slot)) {
            map.set(source.node(num)?);
        }
    }
    Ok(map)
}
