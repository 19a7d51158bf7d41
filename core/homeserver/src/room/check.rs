//! Whether what is stored of a room fits together.

use super::open::OpenRoom;
use crate::maintenance::{Findings, StoreFault};
use roomlet_store::{Direction, EventRow, Write};
use roomlet_wire::{Code, EventNum, Pdu, Result, SlotNum, StateNum, UserId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

impl OpenRoom {
    /// Looks at every event and state of the room. With `repair`, what follows from other things is written anew. After some
    /// of its events may have been lost (`has_lost`), what is in memory is read anew, and what cites them waits for them.
    ///
    /// # Errors
    /// Of the store, where it cannot even be read.
    pub(crate) fn check(&mut self, repair: bool, has_lost: bool) -> Result<Findings> {
        self.is_stale |= has_lost;
        let mut found = Findings::default();
        let states: BTreeSet<StateNum> = self.store.state_nums(self.num())?.into_iter().collect();
        let held = self.check_events(&states, &mut found)?;
        self.check_states(&states, &held, &mut found)?;
        self.check_extremities(&held, repair, &mut found)?;
        if !states.contains(&self.record.current_state) {
            let about = format!("room {}: there is no current state", self.id());
            found.faults.push(StoreFault::new("current-state", about));
        }
        self.check_members(repair, &mut found)?;
        self.check_missing_prevs(&held, repair, &mut found)?;
        if has_lost {
            self.list_lost_prevs(&held)?;
        }
        Ok(found)
    }

    fn check_events(&self, states: &BTreeSet<StateNum>, found: &mut Findings) -> Result<HashSet<EventNum>> {
        let mut held = HashSet::new();
        for num in self.store.event_nums(self.num())? {
            let row = match self.store.event_by_num(self.num(), num) {
                Ok(Some(row)) => row,
                Ok(None) => continue,
                // The store found that too.
                Err(error) if error.code() == Code::StoreDamaged => continue,
                Err(error) => return Err(error),
            };
            held.insert(num);
            found.events += 1;
            if let Some((kind, what)) = self.event_fault(&row, states)? {
                let about = format!("room {}: event {}: {what}", self.id(), row.id);
                found.faults.push(StoreFault::new(kind, about));
            }
        }
        Ok(held)
    }

    fn event_fault(
        &self,
        row: &EventRow,
        states: &BTreeSet<StateNum>,
    ) -> Result<Option<(&'static str, String)>> {
        let pdu = match Pdu::from_store(row.json.as_bytes(), self.version()) {
            Ok(pdu) => pdu,
            Err(error) => return Ok(Some(("event-form", error.about().to_owned()))),
        };
        if pdu.id != row.id {
            return Ok(Some(("event-id", format!("its JSON is that of {}", pdu.id))));
        }
        if let Some(key) = &pdu.state_key
            && self.slots.get(&pdu.kind, key).is_none()
        {
            return Ok(Some(("slot", "its type and state key have no number".into())));
        }
        let mut missing = None;
        self.events.auth_of(&pdu, |id| missing = Some(id.clone()))?;
        if let Some(id) = missing {
            return Ok(Some(("auth-event", format!("its auth event {id} is not held"))));
        }
        for state in [row.state_before, row.state_after] {
            let is_there = match state {
                Some(num) => states.contains(&num),
                None => row.flags.outlier,
            };
            if !is_there {
                return Ok(Some(("event-state", "a state beside it is not there".into())));
            }
        }
        Ok(None)
    }

    fn check_states(
        &self,
        states: &BTreeSet<StateNum>,
        held: &HashSet<EventNum>,
        found: &mut Findings,
    ) -> Result<()> {
        for &num in states {
            let Some(row) = self.store.state(self.num(), num)? else {
                continue;
            };
            found.states += 1;
            let mut fault = |kind, what: String| {
                let about = format!("room {}: state {} {what}", self.id(), num.0);
                found.faults.push(StoreFault::new(kind, about));
            };
            // A parent is older, so that no circle can come about.
            if row
                .parent
                .is_some_and(|parent| parent >= num || !states.contains(&parent))
            {
                fault("state-parent", "rests on one that is not there".into());
            }
            let mut events = row.changes.iter().filter_map(|(_, event)| *event);
            if let Some(event) = events.find(|event| !held.contains(event)) {
                let what = format!("names event number {}, which is not held", event.0);
                fault("state-event", what);
            }
            let mut slots = row.changes.iter().map(|(slot, _)| *slot);
            if let Some(slot) = slots.find(|slot| self.slots.name(*slot).is_err()) {
                let what = format!("has an event at slot {}, which is not there", slot.0);
                fault("slot", what);
            }
        }
        Ok(())
    }

    /// Where an extremity is lost, those that are left are all there are; where none is left, the last event that users see.
    /// The current state follows from them.
    fn check_extremities(
        &mut self,
        held: &HashSet<EventNum>,
        repair: bool,
        found: &mut Findings,
    ) -> Result<()> {
        let forward = self.record.forward.clone();
        let (mut left, lost): (Vec<_>, Vec<_>) = forward.into_iter().partition(|num| held.contains(num));
        if lost.is_empty() {
            return Ok(());
        }
        if repair && left.is_empty() {
            let last = self.store.timeline(self.num(), None, Direction::Backward, 1)?;
            left.extend(last.into_iter().map(|row| row.num));
        }
        let is_repaired = repair && !left.is_empty();
        for num in lost {
            let about = format!("room {}: extremity number {} is not held", self.id(), num.0);
            found.faults.push(StoreFault {
                is_repaired,
                ..StoreFault::new("extremity", about)
            });
        }
        if is_repaired {
            let after = self.states_after(&left)?;
            let state = self.resolve(after)?;
            let current = self.states.get(state)?;
            // Members are looked at next.
            for (slot, _, is) in self.current.diff(&current) {
                if is.is_none_or(|num| held.contains(&num)) {
                    self.tell_of_state(slot, is)?;
                }
            }
            (self.record.forward, self.record.current_state, self.current) = (left, state, current);
            self.writes.push(Write::Room(self.record.clone()));
            self.is_stale = true;
        }
        Ok(())
    }

    /// The members follow from the current state.
    fn check_members(&mut self, repair: bool, found: &mut Findings) -> Result<()> {
        let slots: Vec<(SlotNum, EventNum)> = self.current.iter().collect();
        let rows = self.store.members(self.num(), None)?;
        let listed: BTreeMap<UserId, (String, EventNum)> = rows
            .into_iter()
            .map(|row| (row.user, (row.membership, row.event)))
            .collect();
        let mut wanted = BTreeMap::new();
        for (slot, num) in slots {
            // One that has no name was found before.
            let Ok(("m.room.member", key)) = self.slots.name(slot) else {
                continue;
            };
            let Ok(user) = UserId::parse(key) else { continue };
            // One that cannot be read was found before. What is listed is all that is known of it.
            let membership = match self.get(num) {
                Ok(event) => event.pdu().membership().map(str::to_owned),
                Err(_) => listed
                    .get(&user)
                    .filter(|(_, of)| *of == num)
                    .map(|row| row.0.clone()),
            };
            wanted.extend(membership.map(|membership| (user, (membership, num))));
        }
        let users: BTreeSet<&UserId> = wanted.keys().chain(listed.keys()).collect();
        let wrong = users
            .into_iter()
            .filter(|user| wanted.get(*user) != listed.get(*user));
        for user in wrong {
            let about = format!(
                "room {}: member {user} is listed as {}, by the current state {}",
                self.id(),
                listed.get(user).map_or("none", |(membership, _)| membership),
                wanted.get(user).map_or("none", |(membership, _)| membership),
            );
            found.faults.push(StoreFault {
                is_repaired: repair,
                ..StoreFault::new("member", about)
            });
            if repair {
                self.writes.push(Write::Member {
                    room: self.record.num,
                    user: user.clone(),
                    membership: wanted.get(user).cloned(),
                });
                self.is_stale = true;
            }
        }
        Ok(())
    }

    /// What was lost and is cited by events that are held is missing: other servers may have it.
    fn list_lost_prevs(&mut self, held: &HashSet<EventNum>) -> Result<()> {
        for &num in held {
            let Some(row) = self.store.event_by_num(self.num(), num)? else {
                continue;
            };
            // One whose JSON is no event was found before.
            let Ok(pdu) = Pdu::from_store(row.json.as_bytes(), self.version()) else {
                continue;
            };
            for prev in pdu.prev_events.iter().filter(|_| !row.flags.outlier) {
                if !self.holds_fully(prev)? {
                    self.missing_prev(prev.clone(), num)?;
                }
            }
        }
        Ok(())
    }

    /// A backward extremity is cited by an event that is held, and is not held itself.
    fn check_missing_prevs(
        &mut self,
        held: &HashSet<EventNum>,
        repair: bool,
        found: &mut Findings,
    ) -> Result<()> {
        for (missing, child) in self.store.missing_prevs(self.num())? {
            if held.contains(&child) && !self.holds_fully(&missing)? {
                continue;
            }
            let about = format!(
                "room {}: event {missing} is listed as missing and is not, or nothing that is held cites it",
                self.id()
            );
            found.faults.push(StoreFault {
                is_repaired: repair,
                ..StoreFault::new("missing-event", about)
            });
            if repair {
                let room = self.num();
                self.writes.push(Write::FoundPrev { room, missing });
                self.is_stale = true;
            }
        }
        Ok(())
    }
}
