//! The same rooms as ruma holds them.

use super::rooms::{KEY, Room, SERVER};
use roomlet_room::StateMap;
use roomlet_ruma::{Event, Keys, State, check, rules};

/// The keys that ruma checks signatures of a room with.
pub(crate) fn keys(room: &Room) -> Keys {
    Keys::new([SERVER], KEY, &room.key.public().to_base64())
}

/// All events of a room, read by ruma from their bytes.
pub(crate) fn room(room: &Room) -> roomlet_ruma::Room {
    let mut theirs = roomlet_ruma::Room::new(rules(room.version));
    for node in &room.nodes {
        let json = serde_json::from_str(node.pdu.json()).expect("an event is JSON");
        let id = node.pdu.id.as_str().try_into().expect("an event id");
        theirs.hold(Event::read(&json, id, false).expect("ruma reads these events"));
    }
    theirs
}

/// The event that ruma reads from bytes.
pub(crate) fn event(
    json: &str,
    keys: &Keys,
    rules: &ruma_common::room_version_rules::RoomVersionRules,
) -> Event {
    let (event, fits) = check(json.as_bytes(), keys, rules).expect("the event is right");
    assert!(fits, "the content hash fits");
    event
}

/// A state by type, key and id.
pub(crate) fn state(room: &Room, state: &StateMap) -> State {
    let entries = state.iter().map(|(slot, num)| {
        let (kind, key) = room.slots.name(slot).expect("its own slots");
        let id = room.nodes[num.0 as usize].pdu.id.as_str();
        ((kind.into(), key.to_owned()), id.try_into().expect("an event id"))
    });
    entries.collect()
}
