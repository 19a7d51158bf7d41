//! The same fork with one event more: what of the resolution stays, and what is done again.
//!
//! An event that ends a branch is cited by nobody yet. If it does not decide about power, the power events and their
//! order stay, with the mainline; it takes its place in the order of the rest, and only checks that read what it, or
//! a check whose verdict changed by it, sets are made again. [`Fork::growth`] accepts no more than cases where that is
//! certain: whatever else happened, the resolution is made anew.

use super::{fork::Fork, iterate::is_allowed, power_order::is_power_event, table::Events};
use crate::{
    node::{AuthContent, Node, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::{sync::Arc, vec::Vec};
use roomlet_wire::{EventNum, Result, SlotNum};

/// How a fork grew.
pub(super) struct Growth {
    slot: SlotNum,
    /// The new event there, and what it replaces.
    event: EventNum,
    old: Option<Replaced>,
}

struct Replaced {
    event: Arc<Node>,
    /// Whether it was, and is, in the full conflicted set.
    was_in_full: bool,
    is_in_full: bool,
    /// Whether it is in the auth difference now.
    is_in_difference: bool,
}

impl Fork {
    /// How `sets` grew out of those of this fork; `None` if they did not, or in a way that has to be resolved anew.
    pub(super) fn growth(&self, sets: &[StateMap], source: &dyn Source) -> Result<Option<Growth>> {
        let Some((branch, slot, old, new)) = self.one_change(sets) else {
            return Ok(None);
        };
        if self.checks.is_worn() {
            return Ok(None);
        }
        // Nothing that any branch holds is newer, so nothing there cites it.
        let newer = |(index, set): (usize, &StateMap)| {
            set.iter_from(new).any(|(at, _)| index != branch || at != slot)
        };
        if sets.iter().enumerate().any(newer) {
            return Ok(None);
        }
        let event = source.node(new)?;
        if is_power_event(&event) || self.unknown_from.is_some_and(|from| slot >= from) {
            return Ok(None);
        }
        let was_conflicted = self.conflicted.binary_search(&slot).is_ok();
        if !was_conflicted && !self.starts_empty && self.power.reads(slot) {
            return Ok(None);
        }
        // What it cites is held in its branch: it leads to nothing that the branch did not lead to.
        let set = &sets[branch];
        let is_held = |num: EventNum| -> Result<bool> {
            let slot = source.node(num)?.slot;
            Ok(slot.is_some_and(|slot| set.get(slot) == Some(num)))
        };
        for cited in &event.auth {
            if Some(*cited) != old && !is_held(*cited)? || self.may_open_a_path(*cited) {
                return Ok(None);
            }
        }
        let Some(old) = old else {
            return Ok(Some(Growth {
                slot,
                event: new,
                old: None,
            }));
        };
        let is_cited = event.auth.contains(&old);
        let old = source.node(old)?;
        let mut others = sets.iter().enumerate().filter(|(index, _)| *index != branch);
        let is_held_elsewhere = others.any(|(_, set)| set.get(slot) == Some(old.num));
        if is_cited {
            // In version 2.1 there would be other paths.
            if self.starts_empty && was_conflicted != is_held_elsewhere {
                return Ok(None);
            }
        } else {
            // Nobody else may lead to it, and the branch has to lead to all that it cites without it.
            if !matches!(old.content, AuthContent::Other) {
                return Ok(None);
            }
            for cited in &old.auth {
                let stays = event.auth.contains(cited) || (!self.starts_empty && is_held(*cited)?);
                if !stays || self.may_open_a_path(*cited) {
                    return Ok(None);
                }
            }
        }
        let is_in_difference = match is_cited {
            true => self.difference.binary_search(&old.num).is_ok(),
            false => is_held_elsewhere,
        };
        let replaced = Replaced {
            was_in_full: self.full.binary_search(&old.num).is_ok(),
            is_in_full: is_held_elsewhere || is_in_difference,
            is_in_difference,
            event: old,
        };
        Ok(self.keeps_power(&replaced).then_some(Growth {
            slot,
            event: new,
            old: Some(replaced),
        }))
    }

    /// The one change of one set, if that is all: which set, the slot, what was there and what is.
    fn one_change(&self, sets: &[StateMap]) -> Option<(usize, SlotNum, Option<EventNum>, EventNum)> {
        if sets.len() != self.sets.len() {
            return None;
        }
        let mut unmatched: Vec<&StateMap> = self.sets.iter().collect();
        let mut changed = None;
        // From the end: in the order in which they stay, each is found at once.
        for (index, set) in sets.iter().enumerate().rev() {
            match unmatched.iter().rposition(|it| it.is_clone_of(set)) {
                Some(place) => _ = unmatched.swap_remove(place),
                None if changed.is_none() => changed = Some((index, set)),
                None => return None,
            }
        }
        let ((index, set), [was]) = (changed?, unmatched.as_slice()) else {
            return None;
        };
        match was.diff(set).as_slice() {
            [(slot, old, Some(new))] => Some((index, *slot, *old, *new)),
            _ => None,
        }
    }

    /// Whether a new path to an event might lead on to conflicted ones, for all that is known (SR-13).
    fn may_open_a_path(&self, cited: EventNum) -> bool {
        let is_old = self.above.first().is_none_or(|least| cited < *least);
        self.starts_empty && !is_old && self.above.binary_search(&cited).is_err()
    }

    /// Whether the power events stay the same where an event enters or leaves the full conflicted set.
    fn keeps_power(&self, old: &Replaced) -> bool {
        let num = old.event.num;
        match (old.was_in_full, old.is_in_full) {
            (false, true) => !is_power_event(&old.event) && !self.power.cites(num),
            (true, false) => self.power.events.binary_search(&num).is_err(),
            _ => true,
        }
    }

    /// The state that the fork resolves to now. After an error the fork is of no use.
    ///
    /// # Errors
    /// Those of `source`.
    pub(super) fn grow(
        &mut self,
        growth: Growth,
        sets: &[StateMap],
        source: &dyn Source,
        slots: &Slots,
    ) -> Result<StateMap> {
        let Growth { slot, event, old } = growth;
        let events = &mut Events::new(source);
        self.sets = sets.to_vec();
        let mut changed = Changed::default();
        if let Err(place) = self.conflicted.binary_search(&slot) {
            self.conflicted.insert(place, slot);
            // What all branches had there is no longer what the checks start from.
            changed.again(self.checks.readers(slot, None), self);
        }
        if let Some(old) = old {
            let num = old.event.num;
            set_membership(&mut self.difference, num, old.is_in_difference);
            set_membership(&mut self.full, num, old.is_in_full);
            match (old.was_in_full, old.is_in_full) {
                (true, false) => {
                    if let Some(check) = self.checks.of_event(slot, num) {
                        changed.again(self.checks.readers(slot, Some(check)), self);
                        self.checks.remove(check);
                        changed.checks.retain(|it| *it != check);
                    }
                }
                (false, true) => {
                    let old = events.local(num)?;
                    let check = self.add_check(old, false, events, slots)?;
                    changed.again([check], self);
                }
                _ => {}
            }
        }
        set_membership(&mut self.difference, event, true);
        set_membership(&mut self.full, event, true);
        if self.starts_empty {
            set_membership(&mut self.above, event, true);
        }
        let event = events.local(event)?;
        let check = self.add_check(event, false, events, slots)?;
        changed.again([check], self);
        changed.slots.push(slot);
        self.check_again(&mut changed, events, slots)?;
        for slot in changed.slots {
            self.set_resolved(slot);
        }
        Ok(self.resolved.clone())
    }

    /// Makes checks again, in their order, and those that read what changed by them.
    fn check_again(&mut self, changed: &mut Changed, events: &mut Events<'_>, slots: &Slots) -> Result<()> {
        // What is to be made again because of a check comes after it.
        let mut next = 0;
        while let Some(&check) = changed.checks.get(next) {
            next += 1;
            let event = events.local(self.checks.get(check).event)?;
            let before = |slot, events: &mut Events<'_>| {
                let found = self.checks.value(slot, Some(check)).or_else(|| self.start(slot));
                found.map(|num| events.local(num)).transpose()
            };
            let is_allowed = is_allowed(event, before, events, slots)?;
            let held = &mut self.checks.all[check as usize];
            if held.is_allowed != is_allowed
                && let Some(slot) = events.node(event).slot
            {
                held.is_allowed = is_allowed;
                changed.again(self.checks.readers(slot, Some(check)), self);
                changed.slots.push(slot);
            }
        }
        Ok(())
    }

    /// Takes over what the checks set at a slot, as the last step does.
    fn set_resolved(&mut self, slot: SlotNum) {
        let by_power = || self.by_power.get(slot.0).map(EventNum);
        let set = self.checks.value(slot, None).or_else(by_power);
        let is_conflicted = self.conflicted.binary_search(&slot).is_ok();
        let in_all = self.sets.first().and_then(|set| set.get(slot));
        match set {
            _ if !is_conflicted && in_all.is_some() => {}
            Some(event) => _ = self.resolved.insert(slot, event),
            None => _ = self.resolved.remove(slot),
        }
    }
}

/// What has to be done again.
#[derive(Default)]
struct Changed {
    /// Checks, in their order.
    checks: Vec<u32>,
    /// Slots whose resolved event may be another.
    slots: Vec<SlotNum>,
}

impl Changed {
    fn again(&mut self, checks: impl IntoIterator<Item = u32>, fork: &Fork) {
        for check in checks {
            let found = self.checks.binary_search_by(|it| fork.checks.compare(*it, check));
            if let Err(place) = found {
                self.checks.insert(place, check);
            }
        }
    }
}

/// Puts an event into a sorted list, or takes it out.
fn set_membership(list: &mut Vec<EventNum>, event: EventNum, is_member: bool) {
    match (list.binary_search(&event), is_member) {
        (Err(place), true) => list.insert(place, event),
        (Ok(place), false) => _ = list.remove(place),
        _ => {}
    }
}
