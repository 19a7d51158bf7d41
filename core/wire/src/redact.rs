//! What survives redaction (EV-10, EV-11).

use crate::{
    json::{self, Map, Value},
    version::RoomVersion,
};
use alloc::string::{String, ToString};

/// The redacted form of an event. Kept keys keep any value of any type (EV-11).
#[must_use]
pub fn redact(object: &Map, version: &'static RoomVersion) -> Map {
    let kept = Kept::of(object, version);
    object
        .iter()
        .filter(|(key, _)| kept.top_level(key))
        .map(|(key, value)| match value {
            Value::Object(content) if key == "content" => {
                (key.clone(), Value::Object(redact_content(content, &kept)))
            }
            value => (key.clone(), value.clone()),
        })
        .collect()
}

fn redact_content(content: &Map, kept: &Kept) -> Map {
    let mut out = Map::new();
    for (key, value) in content {
        let value = match kept.content_key(key, value) {
            Fate::Dropped => continue,
            Fate::Whole => value.clone(),
            Fate::OnlySigned(signed) => {
                let signed = signed.map(|s| ("signed".to_string(), s.clone()));
                Value::Object(signed.into_iter().collect())
            }
        };
        out.insert(key.clone(), value);
    }
    out
}

/// The canonical JSON of the redacted form without `signatures` and `unsigned`: what servers sign (EV-7) and what
/// the reference hash is taken of (EV-6). Printed straight from the full event, copying no value.
#[must_use]
pub(crate) fn signing_form(object: &Map, version: &'static RoomVersion) -> String {
    let kept = Kept::of(object, version);
    let mut out = String::with_capacity(1024);
    out.push('{');
    let start = out.len();
    for (key, value) in object {
        if !kept.top_level(key) || matches!(key.as_str(), "signatures" | "unsigned") {
            continue;
        }
        json::put_key(&mut out, start, key);
        match value {
            Value::Object(content) if key == "content" => put_content(&mut out, content, &kept),
            value => json::put_value(&mut out, value),
        }
    }
    out.push('}');
    out
}

fn put_content(out: &mut String, content: &Map, kept: &Kept) {
    out.push('{');
    let start = out.len();
    for (key, value) in content {
        match kept.content_key(key, value) {
            Fate::Dropped => {}
            Fate::Whole => {
                json::put_key(out, start, key);
                json::put_value(out, value);
            }
            Fate::OnlySigned(signed) => {
                json::put_key(out, start, key);
                out.push('{');
                if let Some(signed) = signed {
                    json::put_string(out, "signed");
                    out.push(':');
                    json::put_value(out, signed);
                }
                out.push('}');
            }
        }
    }
    out.push('}');
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
    OnlySigned(Option<&'a Value>),
}

impl<'a> Kept<'a> {
    fn of(object: &'a Map, version: &'static RoomVersion) -> Self {
        Self {
            kind: object.get("type").and_then(Value::as_str).unwrap_or_default(),
            version,
        }
    }

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

    fn content_key<'v>(&self, key: &str, value: &'v Value) -> Fate<'v> {
        let v = self.version;
        let whole = match self.kind {
            "m.room.member" => match key {
                "membership" => true,
                "join_authorised_via_users_server" => v.redaction_keeps_authorised_via,
                // An object without `signed` becomes `{}`, as by the text and in Synapse; ruma drops it.
                "third_party_invite" if v.redaction_v11 => {
                    return match value {
                        Value::Object(invite) => Fate::OnlySigned(invite.get("signed")),
                        _ => Fate::Dropped,
                    };
                }
                _ => false,
            },
            "m.room.create" => v.redaction_v11 || key == "creator",
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
