//! Steps 2 and 4: the iterative auth checks (SR-9).

use super::{
    conflict::Split,
    table::{Events, Local, NumTable},
};
use crate::{
    auth::{self, View, role_of},
    node::Role,
    slot::Slots,
};
use arrayvec::ArrayVec;
use roomlet_wire::{Result, SlotNum};

/// Nothing is at a slot.
const NOTHING: u32 = u32::MAX;

/// The state so far.
pub(super) struct Partial<'a, 'b> {
    /// What the checks start from, `None` for the empty state (SR-10).
    start: Option<&'b Split<'a>>,
    /// What the checks set over it, by slot.
    set: NumTable,
    /// What is at the slots that were looked at: the index of the event, or [`NOTHING`].
    known: NumTable,
}

impl<'a, 'b> Partial<'a, 'b> {
    pub(super) fn new(start: Option<&'b Split<'a>>) -> Self {
        Self {
            start,
            set: NumTable::new(),
            known: NumTable::new(),
        }
    }

    fn get(&mut self, slot: SlotNum, events: &mut Events<'_>) -> Result<Option<Local>> {
        if let Some(known) = self.known.get(slot.0) {
            return Ok((known != NOTHING).then_some(Local(known)));
        }
        let start = self.start.and_then(|start| start.unconflicted(slot));
        let event = start.map(|num| events.local(num)).transpose()?;
        self.known.set(slot.0, event.map_or(NOTHING, |event| event.0));
        Ok(event)
    }

    /// What holds a type and state key.
    pub(super) fn get_named(
        &mut self,
        kind: &str,
        key: &str,
        events: &mut Events<'_>,
        slots: &Slots,
    ) -> Result<Option<Local>> {
        let slot = slots.get(kind, key);
        slot.map_or(Ok(None), |slot| self.get(slot, events))
    }

    /// Sets each event, in this order, that the state so far allows; skips the others.
    pub(super) fn auth_checks(
        &mut self,
        order: &[Local],
        events: &mut Events<'_>,
        slots: &Slots,
        each: &mut dyn FnMut(bool),
    ) -> Result<()> {
        for event in order {
            let is_allowed = is_allowed(*event, |slot, events| self.get(slot, events), events, slots)?;
            let node = events.node(*event);
            if let Some(slot) = node.slot.filter(|_| is_allowed) {
                self.set.set(slot.0, node.num.0);
                self.known.set(slot.0, event.0);
            }
            each(is_allowed);
        }
        Ok(())
    }

    /// What the checks set, by slot.
    pub(super) fn set(&self) -> &NumTable {
        &self.set
    }
}

/// Whether a state allows an event: where it lacks what the rules read, the event's own auth events stand in, those not
/// rejected. An event that is no state event is of no use here, and not allowed.
pub(super) fn is_allowed<'e>(
    event: Local,
    mut get: impl FnMut(SlotNum, &mut Events<'e>) -> Result<Option<Local>>,
    events: &mut Events<'e>,
    slots: &Slots,
) -> Result<bool> {
    let node = events.node(event);
    if node.slot.is_none() {
        return Ok(false);
    }
    let reads: ArrayVec<_, { Role::COUNT }> = node.reads(slots).collect();
    let mut held = ArrayVec::<_, { Role::COUNT }>::new();
    for (role, slot) in &reads {
        if let Some(slot) = slot
            && let Some(event) = get(*slot, events)?
        {
            held.push((*role, event));
        }
    }
    let is_complete = held.len() == reads.len();
    if !is_complete {
        events.load_auth(event)?;
    }
    let node = events.node(event);
    let mut state = View::default();
    if !is_complete {
        let auth = events.auth(event).iter().map(|auth| events.node(*auth));
        for auth in auth.filter(|auth| !auth.rejected) {
            if let Some(role) = role_of(node, auth) {
                state.set(role, auth);
            }
        }
    }
    for (role, event) in held {
        state.set(role, events.node(event));
    }
    Ok(auth::check_in(node, state).is_ok())
}
