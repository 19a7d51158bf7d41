//! Giving up a room's past, or the whole room.

use super::open::OpenRoom;
use roomlet_room::state::StateMap;
use roomlet_store::{EventFlags, EventRow, OutboxItem, StateRow, Store, TimelinePos, Write};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, RoomNum, StateNum, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// The name under which the store has the number after that of every room that was forgotten.
const AFTER_FORGOTTEN: &str = "next_room";

/// The number of the next new room: none that a room had, also one that was forgotten, as a store may still hold what
/// users' commands came to in that one.
pub(super) fn next_room(store: &dyn Store) -> Result<RoomNum> {
    let after = store.meta(AFTER_FORGOTTEN)?;
    let after = after.and_then(|num| num.parse().ok()).unwrap_or(0);
    Ok(RoomNum(store.next_room()?.0.max(after)))
}

/// An event that stays as it is.
struct Kept {
    num: EventNum,
    prev: Vec<EventId>,
    states: [Option<StateNum>; 2],
}

impl OpenRoom {
    /// Deletes what came before `from` in the timeline, and tells how many events that was. What the rest needs stays:
    /// the events of its states and their auth chains, as outliers; extremities; and what is still to be delivered.
    ///
    /// # Errors
    /// `UnknownEvent` if `from` is no event that users may see.
    pub(crate) fn purge_history(&mut self, from: &EventId) -> Result<u64> {
        let held = self.find(from)?.filter(|held| held.is_shown()).ok_or_else(|| {
            let about = format!("event {from} is not in the timeline of room {}", self.id());
            Error::new(Code::UnknownEvent, about)
        })?;
        let kept = self.kept_from(held.pos())?;
        let mut states: BTreeSet<StateNum> = kept.iter().flat_map(|event| event.states).flatten().collect();
        // In every room the empty state has number 0.
        states.extend([StateNum(0), self.record.current_state]);
        let whole: BTreeSet<EventNum> = kept.iter().map(|event| event.num).collect();
        let mut needed = self.write_self_contained(&states)?;
        needed.extend(&whole);
        let needed = self.with_auth_chains(needed)?;
        for event in kept {
            for prev in event.prev {
                if self.num_of(&prev)?.is_none_or(|num| !whole.contains(&num)) {
                    self.missing_prev(prev, event.num)?;
                }
            }
        }

        let room = self.num();
        let mut events = Vec::new();
        let mut all = self.store.event_nums(room)?;
        all.retain(|num| !whole.contains(num));
        for num in all {
            if !needed.contains(&num) {
                events.push(num);
                continue;
            }
            let row = self.store.event_by_num(room, num)?;
            if let Some(row) = row.filter(|row| !row.flags.outlier) {
                let row = as_outlier(row);
                self.writes.push(Write::Event { room, row });
            }
        }
        let count = events.len() as u64;
        let mut unused = self.store.state_nums(room)?;
        unused.retain(|num| !states.contains(num));
        self.writes.push(Write::Purge {
            room,
            events,
            states: unused,
        });
        self.is_stale = true;
        Ok(count)
    }

    /// Events from a place in the timeline on, whether users see them or not; extremities, and what is owed to others.
    fn kept_from(&self, from: TimelinePos) -> Result<Vec<Kept>> {
        let mut always: BTreeSet<EventNum> = self.record.forward.iter().copied().collect();
        for destination in self.store.owed()? {
            for row in self.store.outbox(&destination, usize::MAX)? {
                if let OutboxItem::Pdu { room, event } = row.item
                    && room == self.num()
                {
                    always.insert(event);
                }
            }
        }
        let mut kept = Vec::new();
        for num in self.store.event_nums(self.num())? {
            let Some(row) = self.store.event_by_num(self.num(), num)? else {
                continue;
            };
            let pos = TimelinePos {
                depth: row.depth,
                num,
            };
            if row.flags.outlier || (pos < from && !always.contains(&num)) {
                continue;
            }
            let pdu = Pdu::from_store(row.json.as_bytes(), self.version())?;
            kept.push(Kept {
                num,
                prev: pdu.prev_events.clone(),
                states: [row.state_before, row.state_after],
            });
        }
        Ok(kept)
    }

    /// Writes anew those of `states` whose parent is not one of them: as what differs from the nearest above that is one, so
    /// that they take no more place than before. Gives the events in all of them.
    fn write_self_contained(&mut self, states: &BTreeSet<StateNum>) -> Result<BTreeSet<EventNum>> {
        let room = self.num();
        let mut events = BTreeSet::new();
        // Of states that are none of these the nearest above that is.
        let mut above: BTreeMap<StateNum, Option<StateNum>> = BTreeMap::new();
        for &num in states {
            let map = self.states.get(num)?;
            let Some(row) = self.store.state(room, num)? else {
                continue;
            };
            let (mut base, mut way) = (row.parent, Vec::new());
            while let Some(parent) = base.filter(|parent| !states.contains(parent)) {
                way.push(parent);
                base = match above.get(&parent) {
                    Some(known) => *known,
                    None => self.store.state(room, parent)?.and_then(|row| row.parent),
                };
            }
            above.extend(way.into_iter().map(|state| (state, base)));
            let from = base.map_or(Ok(StateMap::new()), |base| self.states.get(base))?;
            let changes = from.diff(&map).into_iter().map(|(slot, _, event)| (slot, event));
            let changes: Vec<_> = changes.collect();
            events.extend(changes.iter().filter_map(|(_, event)| *event));
            if row.parent != base {
                let row = StateRow {
                    parent: base,
                    changes,
                    since_checkpoint: base.map_or(0, |_| row.since_checkpoint),
                    ..row
                };
                self.writes.push(Write::State { room, row });
            }
        }
        Ok(events)
    }

    /// Events and their auth chains.
    fn with_auth_chains(&self, mut events: BTreeSet<EventNum>) -> Result<BTreeSet<EventNum>> {
        let mut ahead: Vec<EventNum> = events.iter().copied().collect();
        while let Some(num) = ahead.pop() {
            let Some(row) = self.store.event_by_num(self.num(), num)? else {
                continue;
            };
            let pdu = Pdu::from_store(row.json.as_bytes(), self.version())?;
            for &auth in &self.events.auth_of(&pdu, |_| {})? {
                if events.insert(auth) {
                    ahead.push(auth);
                }
            }
        }
        Ok(events)
    }

    /// Whether what decides about a user's leaving is there: nobody leaves a room that lost it.
    fn may_leave(&self, user: &UserId) -> Result<bool> {
        for (kind, key) in [
            ("m.room.create", ""),
            ("m.room.power_levels", ""),
            ("m.room.member", user),
        ] {
            match self.current_event(kind, key) {
                Ok(_) => {}
                Err(error) if error.code() == Code::StoreDamaged => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Gives up the whole room with the next commit.
    ///
    /// # Errors
    /// `Denied` while a user of this server is in it who could leave.
    pub(crate) fn forget(&mut self) -> Result<()> {
        let joined = self.store.members(self.num(), Some("join"))?;
        if let Some(member) = joined
            .iter()
            .find(|member| member.user.server() == self.me.as_str())
            && self.may_leave(&member.user)?
        {
            let about = format!("room {} cannot be forgotten: {} is in it", self.id(), member.user);
            return Err(Error::new(Code::Denied, about));
        }
        self.writes.push(Write::Meta {
            name: AFTER_FORGOTTEN.into(),
            value: next_room(&*self.store)?.0.to_string(),
        });
        let (room, id) = (self.num(), self.id().clone());
        self.writes.push(Write::Forget { room, id });
        self.is_forgotten = true;
        Ok(())
    }
}

/// The event as one whose place in the timeline is not known.
fn as_outlier(row: EventRow) -> EventRow {
    EventRow {
        flags: EventFlags {
            outlier: true,
            rejected: row.flags.rejected,
            ..EventFlags::default()
        },
        state_before: None,
        state_after: None,
        ..row
    }
}
