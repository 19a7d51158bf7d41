//! The few events of a state by which one event is judged.

use crate::{
    node::{Node, Role, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::sync::Arc;
use roomlet_wire::Result;

/// A state as the rules read it for one event: who has which role in its judgement. Meaningful for that event only.
#[derive(Clone, Debug, Default)]
pub struct AuthState([Option<Arc<Node>>; Role::COUNT]);

impl AuthState {
    /// The state that has nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Of `events`, which may be any state events, those that have a role for `node`; of several for the same the last.
    #[must_use]
    pub fn of(node: &Node, events: impl IntoIterator<Item = Arc<Node>>) -> Self {
        let mut state = Self::empty();
        for event in events {
            if let Some(role) = role_of(node, &event) {
                state.set(role, event);
            }
        }
        state
    }

    /// The event that has a role.
    #[must_use]
    pub fn get(&self, role: Role) -> Option<&Arc<Node>> {
        self.0[role as usize].as_ref()
    }

    pub(crate) fn set(&mut self, role: Role, node: Arc<Node>) {
        self.0[role as usize] = Some(node);
    }
}

/// The role that a state event has for `node`.
pub(crate) fn role_of(node: &Node, event: &Node) -> Option<Role> {
    let key = event.pdu.state_key.as_deref()?;
    let mut roles = node.reads.iter();
    let found = roles.find(|(role, slot)| match (slot, event.slot) {
        (Some(slot), Some(held)) => *slot == held,
        _ => node.role_name(*role) == (event.pdu.kind.as_str(), key),
    });
    found.map(|(role, _)| role)
}

/// What the rules read of `state` for `node`.
///
/// # Errors
/// Those of `source`.
pub fn load(node: &Node, state: &StateMap, source: &dyn Source, slots: &Slots) -> Result<AuthState> {
    let mut found = AuthState::empty();
    for (role, slot) in node.reads(slots) {
        if let Some(num) = slot.and_then(|slot| state.get(slot)) {
            found.set(role, source.node(num)?);
        }
    }
    Ok(found)
}
