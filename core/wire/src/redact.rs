//! What survives redaction (EV-10, EV-11).

use crate::{
    json::{self, Map, Members, Object, Raw},
    version::RoomVersion,
};
use alloc::string::String;

/// The redacted form of an event. Kept keys keep any value of any type (EV-11).
#[must_use]
pub fn redact(object: &Map, version: &'static RoomVersion) -> Map {
    let text = json::map_to_canonical(object);
    Object::trusted(&redact_json(Object::trusted(&text), version)).to_map()
}

/// The redacted form of an event, in canonical JSON.
#[must_use]
pub fn redact_json(event: Object<'_>, version: &'static RoomVersion) -> String {
    form(&Members::of(event), version, |_| true)
}

/// The canonical JSON of the redacted form without `signatures` and `unsigned`: what servers sign (EV-7) and what
/// the reference hash is taken of (EV-6).
#[must_use]
pub(crate) fn signing_form(event: &Members<'_>, version: &'static RoomVersion) -> String {
    form(event, version, |key| !matches!(key, "signatures" | "unsigned"))
}

/// As [`signing_form`], of an event as a tree.
pub(crate) fn signing_form_of_map(object: &Map, version: &'static RoomVersion) -> String {
    let text = json::map_to_canonical(object);
    signing_form(&Members::of(Object::trusted(&text)), version)
}

fn form(event: &Members<'_>, version: &'static RoomVersion, keep: impl Fn(&str) -> bool) -> String {
    let kind = event.iter().find(|(key, _, _)| *key == "type");
    let kind = kind.and_then(|(_, value, _)| value.as_str()).unwrap_or_default();
    let kept = Kept { kind: &kind, version };
    let mut out = String::with_capacity(768);
    out.push('{');
    for (key, value, member) in event.iter() {
        if !kept.top_level(key) || !keep(key) {
            continue;
        }
        separate(&mut out);
        match value.as_object() {
            Some(content) if key == "content" => {
                out.push_str("\"content\":");
                put_content(&mut out, content, &kept);
            }
            _ => out.push_str(member),
        }
    }
    out.push('}');
    out
}

/// A comma, unless an object was just opened.
fn separate(out: &mut String) {
    if out.as_bytes().last() != Some(&b'{') {
        out.push(',');
    }
}

fn put_content(out: &mut String, content: Object<'_>, kept: &Kept<'_>) {
    if kept.content_is_whole() {
        return out.push_str(content.text());
    }
    out.push('{');
    if kept.has_content() {
        for (key, value) in content.raw_iter() {
            match kept.content_key(key, value) {
                Fate::Dropped => {}
                Fate::Whole => put_member(out, key, value.text()),
                Fate::OnlySigned(None) => put_member(out, key, "{}"),
                Fate::OnlySigned(Some(signed)) => {
                    put_member(out, key, "{\"signed\":");
                    out.push_str(signed.text());
                    out.push('}');
                }
            }
        }
    }
    out.push('}');
}

/// `key` stands between quotes as it is.
fn put_member(out: &mut String, key: &str, value: &str) {
    separate(out);
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
    out.push_str(value);
}

/// The row of EV-10's table that holds for one event.
struct Kept<'a> {
    kind: &'a str,
    version: &'static RoomVersion,
}

/// What becomes of one key of `content`.
enum Fate<'a> {
    Dropped,
    Whole,
    /// Only its member `signed`, if there is one.
    OnlySigned(Option<Raw<'a>>),
}

impl Kept<'_> {
    fn top_level(&self, key: &str) -> bool {
        match key {
            "event_id" | "type" | "sender" | "state_key" | "content" | "hashes" | "signatures" | "depth"
            | "prev_events" | "auth_events" | "origin_server_ts" => true,
            // As in Synapse; ruma keeps it in a create event of version 12, which must not have one at all (AUTH-1).
            "room_id" => !(self.version.room_id_is_create_hash && self.kind == "m.room.create"),
            "prev_state" | "origin" | "membership" => !self.version.redaction_v11,
            _ => false,
        }
    }

    fn content_is_whole(&self) -> bool {
        self.version.redaction_v11 && self.kind == "m.room.create"
    }

    /// Whether any key of `content` can survive.
    fn has_content(&self) -> bool {
        matches!(
            self.kind,
            "m.room.member"
                | "m.room.create"
                | "m.room.join_rules"
                | "m.room.power_levels"
                | "m.room.aliases"
                | "m.room.history_visibility"
                | "m.room.redaction"
        )
    }

    fn content_key<'v>(&self, key: &str, value: Raw<'v>) -> Fate<'v> {
        let v = self.version;
        let whole = match self.kind {
            "m.room.member" => match key {
                "membership" => true,
                "join_authorised_via_users_server" => v.redaction_keeps_authorised_via,
                // An object without `signed` becomes `{}`, as by the text and in Synapse; ruma drops it.
                "third_party_invite" if v.redaction_v11 => {
                    return match value.as_object() {
                        Some(invite) => Fate::OnlySigned(invite.get("signed")),
                        None => Fate::Dropped,
                    };
                }
                _ => false,
            },
            "m.room.create" => key == "creator",
            "m.room.join_rules" => key == "join_rule" || (key == "allow" && v.restricted),
            "m.room.power_levels" => match key {
                "ban" | "events" | "events_default" | "kick" | "redact" | "state_default" | "users"
                | "users_default" => true,
                "invite" => v.redaction_v11,
                _ => false,
            },
            "m.room.aliases" => key == "aliases" && v.special_aliases,
            "m.room.history_visibility" => key == "history_visibility",
            "m.room.redaction" => key == "redacts" && v.redaction_v11,
            _ => false,
        };
        if whole { Fate::Whole } else { Fate::Dropped }
    }
}
