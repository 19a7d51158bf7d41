//! Steps 2 and 4: the iterative auth checks (SR-9).

use super::{
    conflict::Split,
    table::{Events, NumTable},
};
use crate::{
    auth::{self, AuthState, role_of},
    node::Node,
    slot::Slots,
};
use roomlet_wire::{EventNum, Result, SlotNum};

/// The state so far.
pub(super) struct Partial<'a, 'b> {
    /// What the checks start from, `None` for the empty state (SR-10).
    start: Option<&'b Split<'a>>,
    /// What the checks set over it, by slot.
    set: NumTable,
}

impl<'a, 'b> Partial<'a, 'b> {
    pub(super) fn new(start: Option<&'b Split<'a>>) -> Self {
        Self {
            start,
            set: NumTable::new(),
        }
    }

    fn get(&self, slot: SlotNum) -> Option<EventNum> {
        let set = self.set.get(slot.0).map(EventNum);
        set.or_else(|| self.start?.unconflicted(slot))
    }

    /// What holds a type and state key.
    pub(super) fn get_named(&self, kind: &str, key: &str, slots: &Slots) -> Option<EventNum> {
        self.get(slots.get(kind, key)?)
    }

    /// Sets each event, in this order, that the state so far allows; skips the others.
    pub(super) fn auth_checks(
        &mut self,
        order: &[EventNum],
        events: &mut Events<'_>,
        slots: &Slots,
        each: &mut dyn FnMut(bool),
    ) -> Result<()> {
        for event in order {
            let node = events.get(*event)?;
            let is_allowed = is_allowed(&node, |slot| self.get(slot), events, slots)?;
            if let Some(slot) = node.slot.filter(|_| is_allowed) {
                self.set.set(slot.0, event.0);
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
pub(super) fn is_allowed(
    node: &Node,
    get: impl Fn(SlotNum) -> Option<EventNum>,
    events: &mut Events<'_>,
    slots: &Slots,
) -> Result<bool> {
    if node.slot.is_none() {
        return Ok(false);
    }
    let mut state = AuthState::empty();
    let mut complete = true;
    for (role, slot) in node.reads(slots) {
        match slot.and_then(&get) {
            Some(num) => state.set(role, events.get(num)?),
            None => complete = false,
        }
    }
    if !complete {
        let held = state.clone();
        for num in &node.auth {
            let auth = events.get(*num)?;
            if let Some(role) = role_of(node, &auth).filter(|_| !auth.rejected)
                && held.get(role).is_none()
            {
                state.set(role, auth);
            }
        }
    }
    Ok(auth::check(node, &state).is_ok())
}
