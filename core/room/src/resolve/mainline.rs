//! Step 3: the events that do not decide about power, by the power levels that they were sent under (SR-11).

use super::table::{Events, Kind, Local, NumTable};
use alloc::vec::Vec;
use core::cmp::Reverse;
use roomlet_wire::{EventId, Result};

/// The position of events that hang nowhere on the mainline: before all others.
const NOWHERE: u32 = u32::MAX;

/// The resolved power levels event at 0, the one that it cites at 1, and so on; and what is known of where others hang on
/// it.
pub(super) struct Mainline(NumTable);

impl Mainline {
    pub(super) fn of(power_levels: Option<Local>, events: &mut Events<'_>) -> Result<Self> {
        let mut positions = NumTable::new();
        let mut length = 0;
        let mut next = power_levels;
        while let Some(levels) = next {
            positions.set(events.node(levels).num.0, length);
            length += 1;
            next = events.cited(levels, Kind::PowerLevels)?;
        }
        Ok(Self(positions))
    }

    /// Sorts events by [`place`].
    pub(super) fn sort(&mut self, list: &[Local], events: &mut Events<'_>) -> Result<Vec<Local>> {
        let mut keyed: Vec<(u32, Local)> = Vec::with_capacity(list.len());
        for event in list {
            keyed.push((self.position(*event, events)?, *event));
        }
        let events = &*events;
        let place_of = |(position, event): &(u32, Local)| {
            let pdu = &events.node(*event).pdu;
            place(*position, pdu.origin_server_ts, &pdu.id)
        };
        keyed.sort_unstable_by(|a, b| place_of(a).cmp(&place_of(b)));
        Ok(keyed.into_iter().map(|(_, event)| event).collect())
    }

    /// Where an event hangs: how far back on the mainline. What lies on the way to it is known from then on.
    pub(super) fn position(&mut self, event: Local, events: &mut Events<'_>) -> Result<u32> {
        let mut way = Vec::new();
        let mut next = events.cited(event, Kind::PowerLevels)?;
        let found = loop {
            let Some(levels) = next else {
                break NOWHERE;
            };
            let num = events.node(levels).num.0;
            if let Some(position) = self.0.get(num) {
                break position;
            }
            way.push(num);
            next = events.cited(levels, Kind::PowerLevels)?;
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
