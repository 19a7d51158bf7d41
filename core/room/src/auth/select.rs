//! Which state events decide about an event: what its `auth_events` must name (AUTH-20).

use crate::node::{Member, Membership};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use roomlet_wire::{
    RoomVersion,
    json::{Map, RawValue},
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
        let Some(content) = content.as_object() else {
            return slots;
        };
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
