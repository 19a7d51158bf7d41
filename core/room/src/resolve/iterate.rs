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
    ) -> Result<()> {
        for event in order {
            let node = events.get(*event)?;
            let Some(slot) = node.slot else { continue };
            if auth::check(&node, &self.auth_state(&node, events, slots)?).is_ok() {
                self.set.set(slot.0, event.0);
            }
        }
        Ok(())
    }

    /// The event's own auth events, those not rejected, under the state so far.
    fn auth_state(&self, node: &Node, events: &mut Events<'_>, slots: &Slots) -> Result<AuthState> {
        let mut state = AuthState::empty();
        let mut complete = true;
        for (role, slot) in node.reads(slots) {
            match slot.and_then(|slot| self.get(slot)) {
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
        Ok(state)
    }

    /// What the checks set.
    pub(super) fn into_set(self) -> impl Iterator<Item = (SlotNum, EventNum)> {
        let entries: alloc::vec::Vec<(u32, u32)> = self.set.iter().collect();
        entries
            .into_iter()
            .map(|(slot, event)| (SlotNum(slot), EventNum(event)))
    }
}
