//! The few events of a state by which one event is judged.

use crate::{
    node::{Node, Role, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::sync::Arc;
use roomlet_wire::{EventNum, Result};

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

    fn set(&mut self, role: Role, node: Arc<Node>) {
        self.0[role as usize] = Some(node);
    }

    pub(super) fn view(&self) -> View<'_> {
        View(self.0.each_ref().map(Option::as_deref))
    }
}

/// As [`AuthState`], of events that are held elsewhere.
#[derive(Clone, Copy, Default)]
pub(crate) struct View<'a>([Option<&'a Node>; Role::COUNT]);

impl<'a> View<'a> {
    pub(super) fn get(&self, role: Role) -> Option<&'a Node> {
        self.0[role as usize]
    }

    pub(crate) fn set(&mut self, role: Role, node: &'a Node) {
        self.0[role as usize] = Some(node);
    }

    /// See [`Read`].
    pub(crate) fn read(&self) -> Read {
        self.0.map(|node| node.map(|node| node.num))
    }
}

/// What the rules read of a state for one event, by number: two states with the same get the same verdict.
pub(crate) type Read = [Option<EventNum>; Role::COUNT];

/// What the rules read of `state` for `node`, by number.
pub(crate) fn read(node: &Node, state: &StateMap, slots: &Slots) -> Read {
    let mut found = Read::default();
    for (role, slot) in node.reads(slots) {
        found[role as usize] = slot.and_then(|slot| state.get(slot));
    }
    found
}

/// The events of what was read.
///
/// # Errors
/// Those of `source`.
pub(crate) fn load_read(read: &Read, source: &dyn Source) -> Result<AuthState> {
    let mut found = AuthState::empty();
    for (place, num) in found.0.iter_mut().zip(read) {
        *place = num.map(|num| source.node(num)).transpose()?;
    }
    Ok(found)
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
    load_read(&read(node, state, slots), source)
}
