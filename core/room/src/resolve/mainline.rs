//! Step 3: the events that do not decide about power, by the power levels that they were sent under (SR-11).

use super::table::{Events, NumTable};
use crate::node::Node;
use alloc::{sync::Arc, vec::Vec};
use core::cmp::Reverse;
use roomlet_wire::{EventId, EventNum, Result};

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

    /// Sorts events by [`place`].
    pub(super) fn sort(&mut self, list: &[EventNum], events: &mut Events<'_>) -> Result<Vec<EventNum>> {
        let mut keyed: Vec<(u32, Arc<Node>)> = Vec::with_capacity(list.len());
        for event in list {
            let node = events.get(*event)?;
            keyed.push((self.position(&node, events)?, node));
        }
        fn place_of((position, node): &(u32, Arc<Node>)) -> Place<'_> {
            place(*position, node.pdu.origin_server_ts, &node.pdu.id)
        }
        keyed.sort_unstable_by(|a, b| place_of(a).cmp(&place_of(b)));
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

/// Where an event comes in the order of SR-11: by position on the mainline, from the oldest on, then by timestamp, then by
/// id.
pub(super) type Place<'a> = (Reverse<u32>, i64, &'a EventId);

pub(super) fn place(position: u32, origin_server_ts: i64, id: &EventId) -> Place<'_> {
    (Reverse(position), origin_server_ts, id)
}
