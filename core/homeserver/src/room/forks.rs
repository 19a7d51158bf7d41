//! What branches of the room resolve to, and what was found out about that before.

use super::{
    cache::{Budget, Share},
    open::OpenRoom,
};
use roomlet_room::{resolve::Resolver, state::StateMap};
use roomlet_wire::{Result, StateNum};
use std::{collections::BTreeMap, sync::Arc};

/// Results that are kept.
const KEPT: usize = 64;
/// Events in conflict from which on a fork is remembered: it costs more to resolve anew what grew by one event.
const REMEMBER_FROM: usize = 48;

/// See the module.
pub(super) struct Forks {
    /// By the sorted numbers of the states.
    known: BTreeMap<Vec<StateNum>, StateNum>,
    resolver: Resolver,
    /// What the resolver found last.
    last: Option<StateNum>,
    share: Share,
}

impl Forks {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            known: BTreeMap::new(),
            resolver: Resolver::new(REMEMBER_FROM),
            last: None,
            share: Share::new(budget),
        }
    }

    /// Forgets what was found out: an event is no longer what it was.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.forget_checks();
    }

    /// Forgets how the last fork was resolved.
    fn forget_checks(&mut self) {
        self.resolver = Resolver::new(REMEMBER_FROM);
        self.share.set(0);
    }

    /// Gives memory back.
    pub(super) fn trim(&mut self) {
        if self.known.len() > KEPT {
            self.known.clear();
        }
        self.share.set(self.resolver.bytes());
        if self.share.budget().is_exceeded() {
            self.forget_checks();
        }
    }
}

impl OpenRoom {
    /// The state that several states resolve to.
    pub(super) fn resolve(&mut self, states: impl IntoIterator<Item = StateNum>) -> Result<StateNum> {
        let mut states = states.into_iter();
        let Some(first) = states.next() else {
            return Ok(StateNum(0));
        };
        // One state after all of them, as nearly always, needs no list.
        let Some(other) = states.find(|state| *state != first) else {
            return Ok(first);
        };
        let mut states: Vec<StateNum> = [first, other].into_iter().chain(states).collect();
        states.sort_unstable();
        states.dedup();
        if let Some(&known) = self.forks.known.get(&states) {
            return Ok(known);
        }
        let maps = states
            .iter()
            .map(|&num| self.states.get(num))
            .collect::<Result<Vec<StateMap>>>()?;
        // Out of the room for as long as the room is what it reads from.
        let mut resolver = std::mem::replace(&mut self.forks.resolver, Resolver::new(REMEMBER_FROM));
        let map = resolver.resolve(self.version(), &maps, self, &self.slots)?;
        // What a fork that grew resolves to differs little from what it resolved to before.
        let parent = self.forks.last.filter(|_| resolver.has_grown());
        self.forks.resolver = resolver;
        let parent = parent.unwrap_or_else(|| states[nearest(&map, &maps)]);
        let num = self.states.derive(parent, map, &mut self.writes)?;
        self.forks.last = Some(num);
        self.forks.known.insert(states, num);
        Ok(num)
    }
}

/// The state whose map differs the least.
fn nearest(map: &StateMap, maps: &[StateMap]) -> usize {
    let distance = |other: &StateMap| other.diff(map).len();
    (0..maps.len()).min_by_key(|&i| distance(&maps[i])).unwrap_or(0)
}
