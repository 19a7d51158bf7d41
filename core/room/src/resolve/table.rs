//! What a resolution looks up again and again: numbers by number, events fetched once.

use crate::node::{Node, Source};
use alloc::{sync::Arc, vec, vec::Vec};
use roomlet_wire::{EventNum, Result};

/// No event and no slot has this number.
const FREE: u32 = u32::MAX;

/// A map from numbers to numbers. The keys are this server's own numbering, so nobody can choose them to collide.
#[derive(Clone)]
pub(super) struct NumTable {
    /// Keys with their values; a power of two of places, at most half of them taken.
    places: Vec<(u32, u32)>,
    taken: usize,
}

impl NumTable {
    pub(super) fn new() -> Self {
        Self {
            places: vec![(FREE, 0); 32],
            taken: 0,
        }
    }

    /// The place of a key: where it is, or would go.
    fn place(&self, key: u32) -> usize {
        let mask = self.places.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B1) >> 7) as usize & mask;
        while self.places[at].0 != key && self.places[at].0 != FREE {
            at = (at + 1) & mask;
        }
        at
    }

    pub(super) fn get(&self, key: u32) -> Option<u32> {
        let (held, value) = self.places[self.place(key)];
        (held == key).then_some(value)
    }

    pub(super) fn set(&mut self, key: u32, value: u32) {
        if 2 * (self.taken + 1) > self.places.len() {
            let larger = vec![(FREE, 0); 4 * self.places.len()];
            let old = core::mem::replace(&mut self.places, larger);
            for (key, value) in old.into_iter().filter(|(key, _)| *key != FREE) {
                let at = self.place(key);
                self.places[at] = (key, value);
            }
        }
        let at = self.place(key);
        self.taken += usize::from(self.places[at].0 == FREE);
        self.places[at] = (key, value);
    }

    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u32, u32)>()
    }

    /// The entries, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.places.iter().copied().filter(|(key, _)| *key != FREE)
    }
}

/// An event that a resolution has looked at, by the order in which it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Local(pub(super) u32);

impl Local {
    /// Its place in arrays of all that were looked at.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What other events are cited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The room's `m.room.create`.
    Create,
    /// The room's `m.room.power_levels`.
    PowerLevels,
    Other,
}

/// The events that a resolution has looked at.
pub(super) struct Events<'a> {
    source: &'a dyn Source,
    locals: NumTable,
    /// By [`Local`].
    held: Vec<Held>,
    /// The auth events of those for which they were looked up, one event's after the other's.
    auth: Vec<Local>,
}

struct Held {
    node: Arc<Node>,
    kind: Kind,
    /// Where its auth events are in [`Events::auth`], if they were looked up.
    auth: Option<(u32, u32)>,
}

impl<'a> Events<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            locals: NumTable::new(),
            held: Vec::new(),
            auth: Vec::new(),
        }
    }

    /// An event by its number.
    pub(super) fn local(&mut self, num: EventNum) -> Result<Local> {
        if let Some(local) = self.locals.get(num.0) {
            return Ok(Local(local));
        }
        let local = self.held.len() as u32;
        let node = self.source.node(num)?;
        self.held.push(Held {
            kind: match &*node {
                node if node.is_power_levels() => Kind::PowerLevels,
                node if node.is_create() => Kind::Create,
                _ => Kind::Other,
            },
            node,
            auth: None,
        });
        self.locals.set(num.0, local);
        Ok(Local(local))
    }

    /// Events by their numbers.
    pub(super) fn local_all(&mut self, nums: &[EventNum]) -> Result<Vec<Local>> {
        nums.iter().map(|num| self.local(*num)).collect()
    }

    /// How many were looked at so far.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn node(&self, event: Local) -> &Node {
        &self.held[event.index()].node
    }

    /// Looks up the events that an event cites.
    pub(super) fn load_auth(&mut self, event: Local) -> Result<()> {
        if self.held[event.index()].auth.is_none() {
            let start = self.auth.len() as u32;
            for index in 0..self.node(event).auth.len() {
                let num = self.node(event).auth[index];
                let cited = self.local(num)?;
                self.auth.push(cited);
            }
            self.held[event.index()].auth = Some((start, self.auth.len() as u32));
        }
        Ok(())
    }

    /// The events that an event cites, after [`Events::load_auth`] of it.
    pub(super) fn auth(&self, event: Local) -> &[Local] {
        let (start, end) = self.held[event.index()].auth.unwrap_or_default();
        &self.auth[start as usize..end as usize]
    }

    /// The first event of a kind that an event cites.
    pub(super) fn cited(&mut self, event: Local, kind: Kind) -> Result<Option<Local>> {
        self.load_auth(event)?;
        let mut cited = self.auth(event).iter().copied();
        Ok(cited.find(|cited| self.held[cited.index()].kind == kind))
    }
}

/// A set of events.
#[derive(Default)]
pub(super) struct LocalSet(Vec<bool>);

impl LocalSet {
    pub(super) fn contains(&self, event: Local) -> bool {
        self.0.get(event.index()).copied().unwrap_or(false)
    }

    /// Whether it was not there before.
    pub(super) fn insert(&mut self, event: Local) -> bool {
        if self.0.len() <= event.index() {
            self.0.resize(event.index() + 1, false);
        }
        !core::mem::replace(&mut self.0[event.index()], true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn a_table_is_a_map() {
        let (mut table, mut model) = (NumTable::new(), BTreeMap::new());
        for i in 0..5000_u32 {
            let key = i.wrapping_mul(i) % 3000;
            assert_eq!(table.get(key), model.get(&key).copied());
            table.set(key, i);
            model.insert(key, i);
        }
        assert_eq!(table.iter().collect::<BTreeMap<_, _>>(), model);
    }
}
