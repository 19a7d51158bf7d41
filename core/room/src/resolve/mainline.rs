//! Step 3: the events that do not decide about power, by the power levels that they were sent under (SR-11).

use super::table::{Events, NumTable};
use crate::node::Node;
use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;
use roomlet_wire::{EventNum, Result, pdu::Event};

/// The position of events that hang nowhere on the mainline: before all others.
const NOWHERE: u32 = u32::MAX;

/// The resolved power levels event at 0, the one that it cites at 1, and so on; and what is known of where others hang on
/// it.
pub(super) struct Mainline(NumTable);

impl Mainline {
    pub(super) fn of(power_levels: Option<EventNum>, events: &mut Events<'_>) -> Result<Self> {
        let mut positions = NumTable::new();
        let mut length = 0;
        let mut next = power_levels.map(|num| events.get(num)).transpose()?;
        while let Some(node) = next {
            positions.set(node.num.0, length);
            length += 1;
            next = events.cited(&node, Node::is_power_levels)?;
        }
        Ok(Self(positions))
    }

    /// Sorts events by their order.
    pub(super) fn sort(&mut self, list: &[EventNum], events: &mut Events<'_>) -> Result<Vec<EventNum>> {
        let mut keyed: Vec<(u32, Arc<Node>)> = Vec::with_capacity(list.len());
        for event in list {
            let node = events.get(*event)?;
            keyed.push((self.position(&node, events)?, node));
        }
        keyed.sort_unstable_by(|(a_position, a), (b_position, b)| {
            compare(*a_position, &a.pdu, *b_position, &b.pdu)
        });
        Ok(keyed.into_iter().map(|(_, node)| node.num).collect())
    }

    /// Where `node` hangs: how far back on the mainline. What lies on the way to it is known from then on.
    pub(super) fn position(&mut self, node: &Node, events: &mut Events<'_>) -> Result<u32> {
        let mut way = Vec::new();
        let mut next = events.cited(node, Node::is_power_levels)?;
        let found = loop {
            let Some(levels) = next else {
                break NOWHERE;
            };
            if let Some(position) = self.0.get(levels.num.0) {
                break position;
            }
            way.push(levels.num.0);
            next = events.cited(&levels, Node::is_power_levels)?;
        };
        for num in way {
            self.0.set(num, found);
        }
        Ok(found)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// The order of SR-11: by position on the mainline, from the oldest on, then by timestamp, then by id.
pub(super) fn compare(a_position: u32, a: &Event, b_position: u32, b: &Event) -> Ordering {
    let by_position = b_position.cmp(&a_position);
    let by_time = by_position.then_with(|| a.origin_server_ts.cmp(&b.origin_server_ts));
    by_time.then_with(|| a.id.cmp(&b.id))
}
