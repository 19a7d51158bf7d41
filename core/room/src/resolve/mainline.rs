//! Step 3: the events that do not decide about power, by the power levels that they were sent under (SR-11).

use super::table::{Events, NumTable};
use crate::node::Node;
use alloc::{sync::Arc, vec::Vec};
use roomlet_wire::{EventNum, Result};

/// The position of events that hang nowhere on the mainline: before all others.
const NOWHERE: u32 = u32::MAX;

/// Sorts events by their position on the mainline of `power_levels`, from the oldest on, then by timestamp,
/// then by id.
pub(super) fn sort(
    list: &[EventNum],
    power_levels: Option<EventNum>,
    events: &mut Events<'_>,
) -> Result<Vec<EventNum>> {
    let mut positions = mainline(power_levels, events)?;
    let mut keyed: Vec<(u32, Arc<Node>)> = Vec::with_capacity(list.len());
    for event in list {
        let node = events.get(*event)?;
        keyed.push((position(&node, &mut positions, events)?, node));
    }
    keyed.sort_unstable_by(|(a_position, a), (b_position, b)| {
        b_position
            .cmp(a_position)
            .then_with(|| a.pdu.origin_server_ts.cmp(&b.pdu.origin_server_ts))
            .then_with(|| a.pdu.id.cmp(&b.pdu.id))
    });
    Ok(keyed.into_iter().map(|(_, node)| node.num).collect())
}

/// The resolved power levels event at 0, the one that it cites at 1, and so on.
fn mainline(power_levels: Option<EventNum>, events: &mut Events<'_>) -> Result<NumTable> {
    let mut positions = NumTable::new();
    let mut length = 0;
    let mut next = power_levels.map(|num| events.get(num)).transpose()?;
    while let Some(node) = next {
        positions.set(node.num.0, length);
        length += 1;
        next = events.cited(&node, Node::is_power_levels)?;
    }
    Ok(positions)
}

/// Where `node` hangs: how far back on the mainline. `positions` has the mainline and learns what lies on the way to
/// it.
fn position(node: &Node, positions: &mut NumTable, events: &mut Events<'_>) -> Result<u32> {
    let mut way = Vec::new();
    let mut next = events.cited(node, Node::is_power_levels)?;
    let found = loop {
        let Some(levels) = next else {
            break NOWHERE;
        };
        if let Some(position) = positions.get(levels.num.0) {
            break position;
        }
        way.push(levels.num.0);
        next = events.cited(&levels, Node::is_power_levels)?;
    };
    for num in way {
        positions.set(num, found);
    }
    Ok(found)
}
