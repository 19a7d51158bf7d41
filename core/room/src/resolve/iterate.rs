//! Steps 2 and 4: the iterative auth checks (SR-9).

use crate::{
    auth::{self, AuthMap},
    node::{Node, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::collections::BTreeMap;
use roomlet_wire::{EventNum, Result, SlotNum};

/// The state so far.
pub(super) struct Partial {
    start: StateMap,
    /// What the checks set over `start`.
    set: BTreeMap<SlotNum, EventNum>,
}

impl Partial {
    pub(super) fn new(start: StateMap) -> Self {
        Self {
            start,
            set: BTreeMap::new(),
        }
    }

    fn get(&self, slot: SlotNum) -> Option<EventNum> {
        self.set.get(&slot).copied().or_else(|| self.start.get(slot))
    }

    /// What holds a type and state key.
    pub(super) fn get_named(&self, kind: &str, key: &str, slots: &Slots) -> Option<EventNum> {
        self.get(slots.get(kind, key)?)
    }

    /// Sets each event, in this order, that the state so far allows; skips the others.
    pub(super) fn auth_checks(
        &mut self,
        events: &[EventNum],
        source: &dyn Source,
        slots: &Slots,
    ) -> Result<()> {
        for event in events {
            let node = source.node(*event)?;
            let Some(slot) = node.slot else { continue };
            if auth::check(&node, &self.auth_state(&node, source, slots)?).is_ok() {
                self.set.insert(slot, *event);
            }
        }
        Ok(())
    }

    /// The event's own auth events, those not rejected, under the state so far.
    fn auth_state(&self, node: &Node, source: &dyn Source, slots: &Slots) -> Result<AuthMap> {
        let mut state = AuthMap::new();
        for num in &node.auth {
            let auth = source.node(*num)?;
            if !auth.rejected {
                state.set(auth);
            }
        }
        for (kind, key) in auth::needed(&node.pdu) {
            if let Some(num) = self.get_named(&kind, &key, slots) {
                state.set(source.node(num)?);
            }
        }
        Ok(state)
    }

    /// The state so far, with `unconflicted` over it.
    pub(super) fn under(self, unconflicted: StateMap) -> StateMap {
        let mut state = unconflicted;
        for (slot, event) in self.set {
            if state.get(slot).is_none() {
                state.insert(slot, event);
            }
        }
        state
    }
}
