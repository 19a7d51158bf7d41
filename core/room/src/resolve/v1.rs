//! The algorithm of version 1 (SR-2, SR-3): slot by slot, by depth.

use super::sha1::sha1;
use crate::{
    auth,
    node::{Node, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;
use roomlet_wire::{EventNum, Result, SlotNum};

/// The conflicted slots with their events, in the order in which they are resolved: a class each for power
/// levels, join rules, members and the rest.
type Classes = [BTreeMap<SlotNum, BTreeSet<EventNum>>; 4];

/// The class of what takes no part in authorization.
const REST: usize = 3;

pub(super) fn resolve(
    first: &StateMap,
    others: &[StateMap],
    source: &dyn Source,
    slots: &Slots,
) -> Result<StateMap> {
    let (mut resolved, classes) = split(first, others, slots)?;
    for (class, conflicts) in classes.into_iter().enumerate() {
        let mut winners = Vec::new();
        for (slot, events) in conflicts {
            let nodes = by_depth(&events, source)?;
            let winner = if class == REST {
                first_allowed(nodes, &resolved, source, slots)?
            } else {
                last_of_allowed_row(nodes, slot, &resolved, source, slots)?
            };
            winners.extend(winner.map(|winner| (slot, winner)));
        }
        // A class enters the state as a whole (SR-3).
        for (slot, winner) in winners {
            resolved.insert(slot, winner);
        }
    }
    Ok(resolved)
}

/// SR-3: what no two states disagree about, absence being no disagreement; and the rest.
fn split(first: &StateMap, others: &[StateMap], slots: &Slots) -> Result<(StateMap, Classes)> {
    let mut agreed = first.clone();
    let mut classes = Classes::default();
    // A state that does not differ from the first at a slot adds no event there.
    let mut differing: BTreeMap<SlotNum, BTreeSet<EventNum>> = BTreeMap::new();
    for (slot, of_first, of_other) in others.iter().flat_map(|set| first.diff(set)) {
        let events = differing.entry(slot).or_default();
        events.extend(of_first.into_iter().chain(of_other));
    }
    for (slot, events) in differing {
        if let (1, Some(only)) = (events.len(), events.first()) {
            agreed.insert(slot, *only);
            continue;
        }
        agreed.remove(slot);
        let class = match slots.name(slot)? {
            ("m.room.power_levels", "") => 0,
            ("m.room.join_rules", _) => 1,
            ("m.room.member", _) => 2,
            _ => REST,
        };
        classes[class].insert(slot, events);
    }
    Ok((agreed, classes))
}

/// By ascending depth, of equal depth the greater SHA-1 of the id first.
fn by_depth(events: &BTreeSet<EventNum>, source: &dyn Source) -> Result<Vec<Arc<Node>>> {
    let mut nodes = events
        .iter()
        .map(|num| source.node(*num))
        .collect::<Result<Vec<_>>>()?;
    nodes.sort_by_cached_key(|node| (node.pdu.depth, Reverse(sha1(node.pdu.id.as_bytes()))));
    Ok(nodes)
}

/// Each event replaces the one before if it is allowed after it; the first that is not ends the row.
fn last_of_allowed_row(
    nodes: Vec<Arc<Node>>,
    slot: SlotNum,
    resolved: &StateMap,
    source: &dyn Source,
    slots: &Slots,
) -> Result<Option<EventNum>> {
    let mut state = resolved.clone();
    let mut winner = None;
    for node in nodes {
        if winner.is_some() && !is_allowed(&node, &state, source, slots)? {
            break;
        }
        winner = Some(node.num);
        state.insert(slot, node.num);
    }
    Ok(winner)
}

/// The deepest event that is allowed; if none is, the last one tried, as in Synapse.
fn first_allowed(
    nodes: Vec<Arc<Node>>,
    resolved: &StateMap,
    source: &dyn Source,
    slots: &Slots,
) -> Result<Option<EventNum>> {
    let last = nodes.first().map(|node| node.num);
    for node in nodes.iter().rev() {
        if is_allowed(node, resolved, source, slots)? {
            return Ok(Some(node.num));
        }
    }
    Ok(last)
}

fn is_allowed(node: &Node, state: &StateMap, source: &dyn Source, slots: &Slots) -> Result<bool> {
    Ok(auth::check(node, &auth::load(node, state, source, slots)?).is_ok())
}
