//! Step 3: the events that do not decide about power, by the power levels that they were sent under (SR-11).

use crate::node::{Node, Source};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;
use roomlet_wire::{EventId, EventNum, Result};

/// How far back on the mainline an event hangs: 0 is the resolved power levels event; events that hang
/// nowhere come before all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Position {
    Index(usize),
    Nowhere,
}

/// Sorts events by their position on the mainline of `power_levels`, from the oldest on, then by timestamp,
/// then by id.
pub(super) fn sort(
    events: &BTreeSet<EventNum>,
    power_levels: Option<EventNum>,
    source: &dyn Source,
) -> Result<Vec<EventNum>> {
    let mut positions = mainline(power_levels, source)?;
    let mut keyed: Vec<(Reverse<Position>, i64, EventId, EventNum)> = Vec::with_capacity(events.len());
    for event in events {
        let node = source.node(*event)?;
        let position = position(&node, &mut positions, source)?;
        keyed.push((
            Reverse(position),
            node.pdu.origin_server_ts,
            node.pdu.id.clone(),
            *event,
        ));
    }
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(.., event)| event).collect())
}

/// The resolved power levels event and, from one to the next, those that it was sent under.
fn mainline(power_levels: Option<EventNum>, source: &dyn Source) -> Result<BTreeMap<EventNum, Position>> {
    let mut positions = BTreeMap::new();
    let mut next = power_levels.map(|num| source.node(num)).transpose()?;
    while let Some(node) = next {
        positions.insert(node.num, Position::Index(positions.len()));
        next = power_levels_of(&node, source)?;
    }
    Ok(positions)
}

/// Where `node` hangs. `positions` has the mainline and learns what lies on the way to it.
fn position(
    node: &Node,
    positions: &mut BTreeMap<EventNum, Position>,
    source: &dyn Source,
) -> Result<Position> {
    let mut way = Vec::new();
    let mut next = power_levels_of(node, source)?;
    let found = loop {
        let Some(levels) = next else {
            break Position::Nowhere;
        };
        if let Some(position) = positions.get(&levels.num) {
            break *position;
        }
        way.push(levels.num);
        next = power_levels_of(&levels, source)?;
    };
    positions.extend(way.into_iter().map(|num| (num, found)));
    Ok(found)
}

/// The power levels event among an event's auth events.
fn power_levels_of(node: &Node, source: &dyn Source) -> Result<Option<Arc<Node>>> {
    for num in &node.auth {
        let auth = source.node(*num)?;
        if auth.pdu.is_state("m.room.power_levels", "") {
            return Ok(Some(auth));
        }
    }
    Ok(None)
}
