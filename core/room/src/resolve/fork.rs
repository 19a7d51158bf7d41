//! What a resolution leaves behind: how it came to its state, indexed so that a change finds what it concerns.

use super::{
    mainline::{Mainline, Place, place},
    table::{Events, Local, NumTable},
};
use crate::{node::Role, slot::Slots, state::StateMap};
use alloc::{collections::BTreeMap, vec::Vec};
use arrayvec::ArrayVec;
use core::cmp::Ordering;
use roomlet_wire::{EventId, EventNum, Result, SlotNum};

/// A resolution that was made. Lists are sorted.
pub(super) struct Fork {
    /// What was resolved, and the state that came of it.
    pub(super) sets: Vec<StateMap>,
    pub(super) resolved: StateMap,
    /// The slots in conflict.
    pub(super) conflicted: Vec<SlotNum>,
    /// SR-5.
    pub(super) difference: Vec<EventNum>,
    /// The full conflicted set.
    pub(super) full: Vec<EventNum>,
    pub(super) power: PowerPhase,
    /// What step 2 set, by slot.
    pub(super) by_power: NumTable,
    /// Whether the checks started from nothing (SR-10).
    pub(super) starts_empty: bool,
    /// In version 2.1, where it was looked for paths between conflicted events.
    pub(super) above: Vec<EventNum>,
    pub(super) mainline: Mainline,
    /// If some check found that nothing ever held what it reads: the first slot that it does not know of.
    pub(super) unknown_from: Option<SlotNum>,
    pub(super) checks: Checks,
}

/// Steps 1 and 2: the power events and what belongs to them.
pub(super) struct PowerPhase {
    pub(super) events: Vec<EventNum>,
    /// What they cite, and the slots that their checks read: tables of keys alone.
    cited: NumTable,
    reads: NumTable,
    /// Whether one reads what nothing ever held.
    pub(super) reads_unknown: bool,
}

impl PowerPhase {
    pub(super) fn of(power: &[Local], events: &Events<'_>, slots: &Slots) -> Self {
        let (mut cited, mut reads) = (NumTable::new(), NumTable::new());
        let mut reads_unknown = false;
        let nodes = power.iter().map(|event| events.node(*event));
        for node in nodes.clone() {
            node.auth.iter().for_each(|num| cited.set(num.0, 0));
            for (_, slot) in node.reads(slots) {
                match slot {
                    Some(slot) => reads.set(slot.0, 0),
                    None => reads_unknown = true,
                }
            }
        }
        Self {
            events: nodes.map(|node| node.num).collect(),
            cited,
            reads,
            reads_unknown,
        }
    }

    /// Whether one of them cites an event.
    pub(super) fn cites(&self, num: EventNum) -> bool {
        self.cited.get(num.0).is_some()
    }

    /// Whether the check of one of them reads a slot.
    pub(super) fn reads(&self, slot: SlotNum) -> bool {
        self.reads.get(slot.0).is_some()
    }
}

/// The checks of step 4. An index in `all` names one.
#[derive(Default)]
pub(super) struct Checks {
    pub(super) all: Vec<Check>,
    removed: usize,
    of_slot: BTreeMap<SlotNum, OfSlot>,
}

/// One check: where it stands in the order of SR-11, and its verdict.
pub(super) struct Check {
    pub(super) event: EventNum,
    pub(super) slot: Option<SlotNum>,
    pub(super) is_allowed: bool,
    /// The slots that it reads, but those where only power events are.
    reads: ArrayVec<SlotNum, { Role::COUNT }>,
    position: u32,
    time: i64,
    id: EventId,
}

/// The checks that have to do with a slot, in their order.
#[derive(Default)]
struct OfSlot {
    /// Those that set it, if they allow their event.
    writers: Vec<u32>,
    readers: Vec<u32>,
}

impl Check {
    fn place(&self) -> Place<'_> {
        place(self.position, self.time, &self.id)
    }
}

impl Checks {
    pub(super) fn get(&self, check: u32) -> &Check {
        &self.all[check as usize]
    }

    /// The order of two checks.
    pub(super) fn compare(&self, a: u32, b: u32) -> Ordering {
        self.get(a).place().cmp(&self.get(b).place())
    }

    /// The place in `list` of the first that comes after `check`.
    fn after(&self, list: &[u32], check: u32) -> usize {
        list.partition_point(|it| self.compare(*it, check).is_le())
    }

    fn add(&mut self, check: Check) -> u32 {
        let (index, slot, reads) = (self.all.len() as u32, check.slot, check.reads.clone());
        self.all.push(check);
        for slot in reads {
            self.change(
                slot,
                |it| &mut it.readers,
                |place, list| list.insert(place, index),
                index,
            );
        }
        if let Some(slot) = slot {
            self.change(
                slot,
                |it| &mut it.writers,
                |place, list| list.insert(place, index),
                index,
            );
        }
        index
    }

    /// Changes a list of a slot at the place after `check`.
    fn change(
        &mut self,
        slot: SlotNum,
        list_of: fn(&mut OfSlot) -> &mut Vec<u32>,
        change: impl FnOnce(usize, &mut Vec<u32>),
        check: u32,
    ) {
        let mut list = core::mem::take(list_of(self.of_slot.entry(slot).or_default()));
        change(self.after(&list, check), &mut list);
        *list_of(self.of_slot.entry(slot).or_default()) = list;
    }

    /// The check of an event of a slot.
    pub(super) fn of_event(&self, slot: SlotNum, event: EventNum) -> Option<u32> {
        let writers = &self.of_slot.get(&slot)?.writers;
        writers.iter().copied().find(|it| self.get(*it).event == event)
    }

    /// What the checks before `check`, or all of them, set at a slot.
    pub(super) fn value(&self, slot: SlotNum, before: Option<u32>) -> Option<EventNum> {
        let writers = &self.of_slot.get(&slot)?.writers;
        let end = before.map_or(writers.len(), |check| {
            writers.partition_point(|it| self.compare(*it, check).is_lt())
        });
        let allowed = writers[..end].iter().rev().map(|it| self.get(*it));
        allowed.filter(|it| it.is_allowed).map(|it| it.event).next()
    }

    /// The checks that read a slot after `check`, or from the first on, up to where it is set anew.
    pub(super) fn readers(&self, slot: SlotNum, after: Option<u32>) -> Vec<u32> {
        let Some(of_slot) = self.of_slot.get(&slot) else {
            return Vec::new();
        };
        let from = |list: &[u32]| after.map_or(0, |check| self.after(list, check));
        let mut later = of_slot.writers[from(&of_slot.writers)..].iter();
        let next = later.find(|it| self.get(**it).is_allowed);
        let readers = of_slot.readers[from(&of_slot.readers)..].iter().copied();
        // What sets the slot may have read it before.
        let in_time = |reader: &u32| next.is_none_or(|next| self.compare(*reader, *next).is_le());
        readers.take_while(in_time).collect()
    }

    /// Takes a check out of the order.
    pub(super) fn remove(&mut self, check: u32) {
        self.removed += 1;
        let take_out = |place: usize, list: &mut Vec<u32>| _ = list.remove(place - 1);
        for slot in self.get(check).reads.clone() {
            self.change(slot, |it| &mut it.readers, take_out, check);
        }
        if let Some(slot) = self.get(check).slot {
            self.change(slot, |it| &mut it.writers, take_out, check);
        }
    }

    /// Whether most are out of the order: what it takes to keep them costs more than to begin anew.
    pub(super) fn is_worn(&self) -> bool {
        2 * self.removed > self.all.len() + 64
    }

    fn bytes(&self) -> usize {
        let lists: usize = self
            .of_slot
            .values()
            .map(|it| it.writers.capacity() + it.readers.capacity())
            .sum();
        self.all.capacity() * size_of::<Check>()
            + lists * size_of::<u32>()
            + self.of_slot.len() * 2 * size_of::<(SlotNum, OfSlot)>()
    }
}

impl Fork {
    /// Adds the check of an event, with its verdict.
    pub(super) fn add_check(
        &mut self,
        event: Local,
        is_allowed: bool,
        events: &mut Events<'_>,
        slots: &Slots,
    ) -> Result<u32> {
        let position = self.mainline.position(event, events)?;
        let node = events.node(event);
        let mut reads = ArrayVec::new();
        for (role, slot) in node.reads(slots) {
            match slot {
                // Only power events are there: no check of this step changes them.
                _ if matches!(role, Role::Create | Role::PowerLevels | Role::JoinRules) => {}
                // Two roles may be one event's.
                Some(slot) if reads.contains(&slot) => {}
                Some(slot) => reads.push(slot),
                None => self.unknown_from = self.unknown_from.or_else(|| Some(slots.next())),
            }
        }
        let check = Check {
            event: node.num,
            slot: node.slot,
            is_allowed,
            reads,
            position,
            time: node.pdu.origin_server_ts,
            id: node.pdu.id.clone(),
        };
        Ok(self.checks.add(check))
    }

    /// What step 4 started from at a slot.
    pub(super) fn start(&self, slot: SlotNum) -> Option<EventNum> {
        if let Some(set) = self.by_power.get(slot.0) {
            return Some(EventNum(set));
        }
        if self.starts_empty || self.conflicted.binary_search(&slot).is_ok() {
            return None;
        }
        self.sets.first()?.get(slot)
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = [&self.difference, &self.full, &self.power.events, &self.above];
        let events: usize = lists.iter().map(|list| list.capacity()).sum();
        events * size_of::<EventNum>()
            + self.conflicted.capacity() * size_of::<SlotNum>()
            + self.power.cited.bytes()
            + self.power.reads.bytes()
            + self.by_power.bytes()
            + self.mainline.bytes()
            + self.checks.bytes()
    }
}
