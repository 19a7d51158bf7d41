//! What tests look at of a server: its store, and what it told of.

use roomlet_homeserver::{EventId, Homeserver, RoomId, RoomUpdate, StreamPos};
use roomlet_store::Store;
use std::collections::BTreeMap;

/// State events by type and state key.
pub type StateIds = BTreeMap<(String, String), EventId>;

/// What a server takes to be the present of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Present {
    /// The current state.
    pub state: StateIds,
    /// The forward extremities, sorted.
    pub forward: Vec<EventId>,
}

impl Present {
    /// Of a room in a store.
    ///
    /// # Panics
    /// If the store fails, does not hold the room, or has not all that this follows from.
    #[must_use]
    pub fn of(store: &dyn Store, room: &RoomId) -> Self {
        let held = "the store has what the room rests on";
        let record = store.room(room).expect(held).expect(held);
        let id = |num| store.event_by_num(record.num, num).expect(held).expect(held).id;
        let (mut deltas, mut at) = (Vec::new(), Some(record.current_state));
        while let Some(num) = at {
            let row = store.state(record.num, num).expect(held).expect(held);
            at = row.parent;
            deltas.push(row.changes);
        }
        let mut current = BTreeMap::new();
        for (slot, event) in deltas.into_iter().rev().flatten() {
            match event {
                Some(event) => current.insert(slot, event),
                None => current.remove(&slot),
            };
        }
        let slots = store.slots(record.num).expect(held).into_iter();
        let names: BTreeMap<_, _> = slots.map(|(slot, kind, key)| (slot, (kind, key))).collect();
        let state = current.into_iter();
        let state = state
            .map(|(slot, event)| (names[&slot].clone(), id(event)))
            .collect();
        let mut forward: Vec<EventId> = record.forward.iter().map(|num| id(*num)).collect();
        forward.sort_unstable();
        Self { state, forward }
    }
}

/// All events of a room as a store holds them, in the order of arrival.
///
/// # Panics
/// If the store fails or does not hold the room.
#[must_use]
pub fn events_of(store: &dyn Store, room: &RoomId) -> Vec<String> {
    let held = "the store has the room and its events";
    let room = store.room(room).expect(held).expect(held).num;
    let nums = store.event_nums(room).expect(held).into_iter();
    let row = |num| store.event_by_num(room, num).expect(held).expect(held);
    nums.map(|num| row(num).json.to_string()).collect()
}

/// All updates so far.
///
/// # Panics
/// If the server is closed.
pub async fn updates(hs: &Homeserver) -> Vec<RoomUpdate> {
    let mut updates = Vec::new();
    let mut pos = StreamPos(0);
    let last = hs.last_update().await.expect("the server is open");
    while pos < last {
        for entry in hs.updates(pos, 1_000).await.expect("the server is open") {
            pos = entry.pos;
            updates.push(entry.update);
        }
    }
    updates
}

/// The state of a room as somebody knows it who read nothing but these updates.
#[must_use]
pub fn told_state(updates: &[RoomUpdate], room: &RoomId) -> StateIds {
    let mut told = StateIds::new();
    for update in updates {
        match update {
            RoomUpdate::Event(event) if event.room_id == *room => {
                if let Some(key) = &event.state_key {
                    told.insert((event.kind.clone(), key.clone()), event.event_id.clone());
                }
            }
            RoomUpdate::StateChanged {
                room_id,
                kind,
                state_key,
                event,
            } if room_id == room => {
                let slot = (kind.clone(), state_key.clone());
                match event {
                    Some(event) => told.insert(slot, event.event_id.clone()),
                    None => told.remove(&slot),
                };
            }
            _ => {}
        }
    }
    told
}
