//! The differences that `docs/differences.md` explains: each names its heading there.

use crate::room::{Made, Room};
use roomlet_room::Denied;
use roomlet_wire::{json::Raw, version::PowerFormat};

const KEYED_LEVELS: &str = "D2 power levels with a state key";

/// The difference that this is, if it is a known one. `theirs` is Synapse's verdict, `ours` the opposite.
pub(crate) fn reason(
    room: &Room,
    made: &Made,
    ours: &Result<(), Denied>,
    theirs: &str,
) -> Option<&'static str> {
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
        Ok(()) if theirs.contains("Invalid event JSON") && is_keyed_create(made) => {
            Some("D4 create events with a state key")
        }
        _ => None,
    }
}

/// How many servers signed the third-party invite that the event is made of.
fn signatures(made: &Made) -> usize {
    let invite = made.node.pdu.content().get("third_party_invite");
    let signatures = invite.and_then(|invite| invite.get("signed")?.get("signatures")?.as_object());
    signatures.map_or(0, |servers| servers.iter().count())
}

/// As [`reason`], for a content hash.
pub(crate) fn of_hash(made: &Made) -> Option<&'static str> {
    let left_out = ["age_ts", "outlier", "destinations"];
    let any = left_out.iter().any(|key| made.raw.contains_key(*key));
    any.then_some("D7 keys left out of the content hash")
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
) -> Option<&'static str> {
    let keyed_levels = |id: &String| {
        let made = room.events.iter().find(|made| made.node.pdu.id.as_str() == id);
        made.is_some_and(|made| {
            let pdu = &made.node.pdu;
            pdu.kind == "m.room.power_levels" && pdu.state_key.as_deref() != Some("")
        })
    };
    differing.all(keyed_levels).then_some(KEYED_LEVELS)
}
