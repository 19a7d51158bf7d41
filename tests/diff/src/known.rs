//! The differences that `docs/differences.md` explains: each names its heading there.

use crate::{
    content::SCALARS,
    room::{Made, Room},
};
use roomlet_room::{Denied, auth::Action};
use roomlet_wire::{Value, json::Raw, version::PowerFormat};

const NO_JOIN_RULES: &str = "R1 rooms without join rules";
const CREATE_WITH_ROOM_ID: &str = "R5 create events with a room id";
const UNREAD_CONTENT: &str = "R2 contents that ruma does not read";
const KEYED_LEVELS: &str = "D2 power levels with a state key";

/// How ruma refuses levels that are text of integers beyond 53 bits.
const UNREAD_LEVELS: [&str; 2] = [
    "number too large to fit in target type",
    "number too small to fit in target type",
];

/// The difference that this is, if it is a known one. `theirs` is Synapse's verdict, `ours` the opposite.
pub(crate) fn reason(
    room: &Room,
    made: &Made,
    ours: &Result<(), Denied>,
    theirs: &str,
    oracle: &str,
) -> Option<&'static str> {
    if oracle == "ruma" {
        return of_ruma(made, ours, theirs);
    }
    let closed = || {
        let create = room.events.first().map(|create| create.node.pdu.content());
        create.is_some_and(|create| {
            create
                .get("m.federate")
                .is_some_and(|it| it.as_bool() != Some(true))
        })
    };
    match ours {
        Ok(()) if theirs.contains("unfederatable") && closed() => Some("D1 closed rooms"),
        Err(Denied::PowerChange { .. }) if made.node.pdu.state_key.as_deref() != Some("") => {
            Some(KEYED_LEVELS)
        }
        Err(Denied::PowerMalformed(fault)) if fault.want == "a user id" => {
            Some("D3 user ids in power levels")
        }
        Err(Denied::PowerMalformed(fault)) if is_python_integer(made, &fault.path) => {
            Some("D5 levels that Python reads")
        }
        Ok(()) if theirs.contains("You are not invited") && signatures(made) > 1 => {
            Some("D6 third-party invites with several signatures")
        }
        Err(Denied::PowerTooLow {
            action: Action::Redact,
            ..
        }) if !redacts_text(made) => Some("D9 redactions of nothing"),
        Ok(()) if theirs.contains("Invalid ID") && made.node.pdu.kind == "m.room.member" => {
            Some("D13 member events about what is no user")
        }
        Ok(()) if theirs.contains("AttributeError: state_key") && made.node.pdu.state_key.is_none() => {
            Some("D14 power levels that are no state event")
        }
        Ok(())
            if [
                "The key must be exactly 32 bytes long",
                "Invalid base64-encoded string",
            ]
            .iter()
            .any(|words| theirs.contains(words)) =>
        {
            Some("D15 keys of third-party invites that are none")
        }
        // It does not hold what it did not read.
        Ok(()) if theirs.contains("KeyError") && cites_unread_create(room, made) => {
            Some("D4 create events with a state key")
        }
        Ok(()) if theirs.contains("Invalid event JSON") && is_keyed_create(made) => {
            Some("D4 create events with a state key")
        }
        _ => None,
    }
}

/// As [`reason`], where `theirs` is ruma's verdict.
fn of_ruma(made: &Made, ours: &Result<(), Denied>, theirs: &str) -> Option<&'static str> {
    match ours {
        Ok(()) if theirs.contains("no `m.room.join_rules` event") => Some(NO_JOIN_RULES),
        Ok(()) if theirs.contains("maximum of 255 bytes") => Some("R3 identifiers of more than 255 bytes"),
        Ok(())
            if ["invalid", "missing field", "unknown variant"]
                .iter()
                .any(|word| theirs.contains(word)) =>
        {
            Some(UNREAD_CONTENT)
        }
        Ok(()) if UNREAD_LEVELS.iter().any(|words| theirs.contains(words)) => {
            Some("R9 levels that ruma does not read")
        }
        Ok(()) if SCALARS.iter().any(|scalar| theirs.ends_with(&changes(scalar))) => {
            Some("R8 power levels that were not there")
        }
        Err(Denied::CreateUnknownVersion) => Some("R4 versions that are not known"),
        Err(Denied::PowerMalformed(fault)) if fault.want == "a user id" => {
            Some("D3 user ids in power levels")
        }
        _ if made.node.pdu.oversized_ids => Some("R3 identifiers of more than 255 bytes"),
        _ => None,
    }
}

/// How ruma refuses the change of a level.
fn changes(level: &str) -> String {
    format!("does not have enough power to change the power level of `{level}`")
}

/// As [`reason`], for signatures: what ruma says of them.
pub(crate) fn of_signature(made: &Made, theirs: &str, oracle: &str) -> Option<&'static str> {
    if oracle != "ruma" {
        return None;
    }
    if has_needless_room_id(made) {
        return Some(CREATE_WITH_ROOM_ID);
    }
    if theirs.contains("cannot contain the `m.room.create` event ID") {
        return Some("R7 create events among auth events");
    }
    if theirs.contains("maximum of 255 bytes") {
        return Some("R3 identifiers of more than 255 bytes");
    }
    theirs.contains("Invalid JSON").then_some(UNREAD_CONTENT)
}

/// As [`reason`], for a redacted form.
pub(crate) fn of_redaction(made: &Made, oracle: &str) -> Option<&'static str> {
    if oracle != "ruma" {
        return None;
    }
    if has_needless_room_id(made) {
        return Some(CREATE_WITH_ROOM_ID);
    }
    // As it came: where the hash does not fit, the event was redacted already.
    let content = made.raw.get("content").and_then(Value::as_object);
    let invite = content.and_then(|content| content.get("third_party_invite"));
    let signed = invite
        .and_then(Value::as_object)
        .and_then(|invite| invite.get("signed"));
    (made.node.pdu.version.redaction_v11 && invite.is_some() && signed.is_none())
        .then_some("R6 redacted third-party invites without `signed`")
}

/// Whether it is a create event with what version 12 took from them.
fn has_needless_room_id(made: &Made) -> bool {
    let pdu = &made.node.pdu;
    pdu.version.room_id_is_create_hash && pdu.kind == "m.room.create" && made.raw.contains_key("room_id")
}

/// Whether the room has an event by whose content ruma fails where it is part of a state.
fn has_unread_content(room: &Room) -> bool {
    room.events.iter().any(|made| {
        let pdu = &made.node.pdu;
        let is_text = |key: &str| {
            pdu.content()
                .get(key)
                .is_some_and(|value| value.as_str().is_some())
        };
        pdu.kind == "m.room.join_rules" && !is_text("join_rule")
    })
}

/// How many servers signed the third-party invite that the event is made of.
fn signatures(made: &Made) -> usize {
    let invite = made.node.pdu.content().get("third_party_invite");
    let signatures = invite.and_then(|invite| invite.get("signed")?.get("signatures")?.as_object());
    signatures.map_or(0, |servers| servers.iter().count())
}

/// As [`reason`], for a content hash.
pub(crate) fn of_hash(made: &Made, oracle: &str) -> Option<&'static str> {
    let left_out = ["age_ts", "outlier", "destinations"];
    let any = left_out.iter().any(|key| made.raw.contains_key(*key));
    (any && oracle == "Synapse").then_some("D7 keys left out of the content hash")
}

/// Whether the event, as it is judged, says what it redacts, as text.
fn redacts_text(made: &Made) -> bool {
    let redacts = made.node.pdu.object().get("redacts");
    redacts.is_some_and(|redacts| redacts.as_str().is_some())
}

/// Whether the event cites a create event that Synapse does not read.
fn cites_unread_create(room: &Room, made: &Made) -> bool {
    let mut cited = room
        .events
        .iter()
        .filter(|it| made.node.auth.contains(&it.node.num));
    cited.any(|it| is_keyed_create(it) || has_needless_room_id(it))
}

fn is_keyed_create(made: &Made) -> bool {
    let pdu = &made.node.pdu;
    pdu.kind == "m.room.create" && pdu.state_key.as_deref() != Some("") && pdu.version.room_id_is_create_hash
}

/// Whether the level at `path` in `users` is no level by the text, but for Python's `int()`.
fn is_python_integer(made: &Made, path: &str) -> bool {
    let pdu = &made.node.pdu;
    let user = path.strip_prefix("users.").unwrap_or_default();
    let level = pdu.content().get("users").and_then(|users| users.get(user));
    pdu.version.power != PowerFormat::Integers && level.and_then(Raw::as_bool).is_some()
}

/// As [`reason`], for a resolved state, given the ids of the events that only one side has.
pub(crate) fn of_merge<'a>(
    room: &Room,
    mut differing: impl Iterator<Item = &'a String>,
    oracle: &str,
) -> Option<&'static str> {
    let keyed_levels = |id: &String| {
        let made = room.events.iter().find(|made| made.node.pdu.id.as_str() == id);
        made.is_some_and(|made| {
            let pdu = &made.node.pdu;
            pdu.kind == "m.room.power_levels" && pdu.state_key.as_deref() != Some("")
        })
    };
    if oracle == "ruma" {
        return has_unread_content(room).then_some(UNREAD_CONTENT);
    }
    differing.all(keyed_levels).then_some(KEYED_LEVELS)
}
