//! What must hold when the fault is over and all had their say.

use crate::{
    common::{history, membership, rooms},
    servers::Node,
    story::{Told, pause, say},
};
use roomlet_homeserver::{EventId, RoomId, RoomUpdate};
use roomlet_store::Store;
use roomlet_world::{Present, StateIds, told_state, updates};
use std::{collections::BTreeMap, slice};

/// What a server takes to be the present of a room.
pub(crate) fn present(node: &Node, room: &RoomId) -> Present {
    Present::of(&*node.store, room)
}

/// What somebody knows of a room who reads nothing but updates.
#[derive(Default)]
struct Heard {
    state: StateIds,
    /// How often they heard of each.
    messages: BTreeMap<EventId, u32>,
    redacted: Vec<(EventId, EventId)>,
}

async fn told(node: &Node, room: &RoomId) -> Heard {
    let updates = updates(&node.hs).await;
    let mut heard = Heard {
        state: told_state(&updates, room),
        ..Heard::default()
    };
    for update in updates {
        match update {
            RoomUpdate::Event(event) if event.room_id == *room && event.state_key.is_none() => {
                *heard.messages.entry(event.event_id).or_default() += 1;
            }
            RoomUpdate::Redacted { room_id, event, by } if room_id == *room => {
                heard.redacted.push((event, by))
            }
            _ => {}
        }
    }
    heard
}

/// The last membership in each room that updates told a server's user of.
async fn told_rooms(node: &Node) -> BTreeMap<RoomId, String> {
    let mut rooms = BTreeMap::new();
    for update in updates(&node.hs).await {
        if let RoomUpdate::Membership {
            room_id, membership, ..
        } = update
        {
            rooms.insert(room_id, membership);
        }
    }
    rooms
}

/// Ends the fault of the store of one server, by its place, lets the world go quiet, and checks it.
pub(crate) async fn check(test: &Told, victim: usize) {
    for node in test.nodes() {
        node.faults.end();
        node.hs.wake();
    }
    pause().await;
    for node in test.nodes() {
        assert_eq!(node.store.owed().unwrap(), [], "{}", node.name);
        assert_eq!(node.store.staged(None).unwrap(), [], "{}", node.name);
    }
    // A server that fails when it is asked for a gap leaves Carol's with the state behind it, and the gap is history (EC-3).
    let is_open = has_gap(test);
    assert!(!is_open || victim != 2);
    converged(test, is_open);
    for (at, node) in test.nodes().into_iter().enumerate() {
        shown(test, node).await;
        streamed(test, node, at, is_open).await;
    }
    for node in test.nodes() {
        say(node, &test.room, "the end").await;
        pause().await;
    }
    converged(test, false);
    memberships(test).await;
    for node in test.nodes() {
        let report = node.hs.check_store(false).await.unwrap();
        assert_eq!(report.faults, [], "{}", node.name);
    }
}

/// Whether Carol's server lacks something that was said since she joined.
fn has_gap(test: &Told) -> bool {
    let (store, said) = (&test.c.store, &test.said[2..]);
    said.iter()
        .any(|(_, id)| store.find_event(id).unwrap().is_empty())
}

/// All have the same present; if a gap `is_open` at Carol's, but for what she takes to be the newest events.
fn converged(test: &Told, is_open: bool) {
    let expected = present(&test.a, &test.room);
    assert_eq!(present(&test.b, &test.room), expected);
    let of_carol = present(&test.c, &test.room);
    assert_eq!(of_carol.state, expected.state);
    assert!(is_open || of_carol.forward == expected.forward);
}

/// Users see what was acknowledged, each once.
async fn shown(test: &Told, node: &Node) {
    let events = history(&node.hs, &node.user, &test.room).await;
    let messages = events.iter().filter(|event| event.kind == "test.message");
    let mut messages: Vec<&EventId> = messages.map(|event| &event.event_id).collect();
    let mut said: Vec<&EventId> = test.said.iter().map(|(_, id)| id).collect();
    messages.sort();
    said.sort();
    assert_eq!(messages, said, "{}", node.name);
    let (target, by) = &test.redacted;
    let seen = events.iter().find(|event| event.event_id == *target).unwrap();
    assert_eq!(
        (seen.redacted_by.as_ref(), seen.content.as_str()),
        (Some(by), "{}"),
        "{}",
        node.name
    );
}

/// Who reads only updates knows the same.
async fn streamed(test: &Told, node: &Node, at: usize, is_open: bool) {
    let Heard {
        state,
        messages,
        redacted,
    } = told(node, &test.room).await;
    let current = present(node, &test.room).state;
    for (slot, event) in state {
        assert_eq!(current.get(&slot), Some(&event), "{slot:?} on {}", node.name);
    }
    // What came before a user did is history, which they page back to.
    let before = [0, 0, 2][at];
    for (body, id) in &test.said[before..] {
        let may_lack = is_open && at == 2 && body.starts_with("gap");
        assert!(may_lack || messages.contains_key(id), "{body} on {}", node.name);
    }
    assert!(messages.values().all(|&count| count == 1), "{}", node.name);
    if at < 2 {
        assert_eq!(redacted, slice::from_ref(&test.redacted), "{}", node.name);
    }
    let rooms: BTreeMap<_, _> = rooms(&node.hs, &node.user).await.into_iter().collect();
    for (room, membership) in told_rooms(node).await {
        let is = rooms.get(&room).map_or("leave", String::as_str);
        assert_eq!(is, membership, "room {room} of {}", node.user);
    }
}

async fn memberships(test: &Told) {
    let (a, room, other) = (&test.a, &test.room, &test.other);
    for (user, expected) in [(&test.b.user, "leave"), (&test.c.user, "leave")] {
        assert_eq!(membership(&a.hs, &a.user, other, user).await, expected);
    }
    assert_eq!(
        rooms(&test.c.hs, &test.c.user).await,
        [(room.clone(), "join".into())]
    );
    let tombstone = a.hs.state_event(&a.user, other, "m.room.tombstone", "").await;
    let content = tombstone.unwrap().unwrap().content;
    assert!(content.contains(test.upgraded.as_str()), "{content}");
    // From the archive, up to where it was written.
    let (mut imported, mut own) = (present(&test.b, other).state, present(a, other).state);
    for kind in ["m.room.tombstone", "m.room.power_levels"] {
        let slot = (kind.to_owned(), String::new());
        imported.remove(&slot);
        own.remove(&slot);
    }
    assert_eq!(imported, own);
}
