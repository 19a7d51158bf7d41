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

/// The events that a resolution has looked at, numbered in the order in which it did.
pub(super) struct Events<'a> {
    source: &'a dyn Source,
    locals: NumTable,
    nodes: Vec<Arc<Node>>,
}

impl<'a> Events<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            locals: NumTable::new(),
            nodes: Vec::new(),
        }
    }

    /// The local number of an event.
    pub(super) fn local(&mut self, num: EventNum) -> Result<usize> {
        if let Some(local) = self.locals.get(num.0) {
            return Ok(local as usize);
        }
        let local = self.nodes.len();
        self.nodes.push(self.source.node(num)?);
        self.locals.set(num.0, local as u32);
        Ok(local)
    }

    /// An event.
    pub(super) fn get(&mut self, num: EventNum) -> Result<Arc<Node>> {
        let local = self.local(num)?;
        Ok(self.nodes[local].clone())
    }

    /// An event by its local number.
    pub(super) fn node(&self, local: usize) -> &Arc<Node> {
        &self.nodes[local]
    }

    /// The event that `node` cites and that is as wanted.
    pub(super) fn cited(&mut self, node: &Node, wanted: impl Fn(&Node) -> bool) -> Result<Option<Arc<Node>>> {
        for num in &node.auth {
            let local = self.local(*num)?;
            if wanted(&self.nodes[local]) {
                return Ok(Some(self.nodes[local].clone()));
            }
        }
        Ok(None)
    }
}

/// A set of events by their local numbers.
#[derive(Default)]
pub(super) struct LocalSet(Vec<bool>);

impl LocalSet {
    pub(super) fn contains(&self, local: usize) -> bool {
        self.0.get(local).copied().unwrap_or(false)
    }

    /// Whether it was not there before.
    pub(super) fn insert(&mut self, local: usize) -> bool {
        if self.0.len() <= local {
            self.0.resize(local + 1, false);
        }
        !core::mem::replace(&mut self.0[local], true)
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
