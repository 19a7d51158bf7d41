//! The state of a room as a persistent map: a changed copy shares all that did not change.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use roomlet_wire::{EventNum, SlotNum};

/// Bits of a slot number that one level of the trie looks at. 16 entries make a node of 128 bytes: a change
/// in a room of 50 000 slots copies four of them.
const BITS: u32 = 4;
const WIDTH: usize = 1 << BITS;

/// A map from slots to the events that hold them. Cloning is O(1); inserting and removing copy one path,
/// O(log₁₆ of the greatest slot number).
#[derive(Clone, Default)]
pub struct StateMap {
    root: Option<Arc<Trie>>,
    /// Levels of branches above the leaves.
    height: u32,
    len: usize,
}

/// No node is without entries.
#[derive(Clone)]
struct Trie {
    /// The greatest event number below, so that the newest entries are found without looking at the others.
    newest: u32,
    entries: Entries,
}

#[derive(Clone)]
enum Entries {
    Branch([Option<Arc<Trie>>; WIDTH]),
    /// Event numbers; [`NONE`] where a slot is free.
    Leaf([u32; WIDTH]),
}

/// No event in a state has this number.
const NONE: u32 = u32::MAX;

/// A slot that differs between two states: what the first and what the second hold there.
pub type Change = (SlotNum, Option<EventNum>, Option<EventNum>);

impl StateMap {
    /// The empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many slots are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The event that holds `slot`.
    #[must_use]
    pub fn get(&self, slot: SlotNum) -> Option<EventNum> {
        if !fits(slot, self.height) {
            return None;
        }
        let mut level = self.height;
        let mut trie = self.root.as_ref()?;
        loop {
            match &trie.entries {
                Entries::Branch(children) => trie = children[digit(slot.0, level)].as_ref()?,
                Entries::Leaf(events) => return event(events[digit(slot.0, 0)]),
            }
            level = level.saturating_sub(1);
        }
    }

    /// Sets what holds `slot`; returns what held it.
    pub fn insert(&mut self, slot: SlotNum, event: EventNum) -> Option<EventNum> {
        while !fits(slot, self.height) {
            if let Some(root) = self.root.take() {
                self.root = Some(Arc::new(Trie::above(root)));
            }
            self.height += 1;
        }
        let old = insert(&mut self.root, slot.0, self.height, event.0);
        self.len += usize::from(old.is_none());
        old
    }

    /// Makes `slot` free; returns what held it.
    pub fn remove(&mut self, slot: SlotNum) -> Option<EventNum> {
        // Looking first keeps a map shared that has nothing to remove.
        let old = self.get(slot)?;
        remove(&mut self.root, slot.0, self.height);
        self.len -= 1;
        Some(old)
    }

    /// All entries, by ascending slot.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        let mut stack = Vec::new();
        if let Some(root) = &self.root {
            stack.push((&**root, 0, 0));
        }
        Iter { stack, least: 0 }
    }

    /// The entries whose events have at least this number, by ascending slot. Costs what it finds, not what is held.
    #[must_use]
    pub fn iter_from(&self, least: EventNum) -> Iter<'_> {
        Iter {
            least: least.0,
            ..self.iter()
        }
    }

    /// Whether one is a clone of the other that has not changed: then they hold the same. Costs nothing; others may hold
    /// the same, too.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    /// Where two states differ, by ascending slot. What they share in memory is skipped, so that a state and
    /// one made from it are compared in about the size of their difference.
    #[must_use]
    pub fn diff(&self, other: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let (a, b) = (self.raised(other.height), other.raised(self.height));
        diff(a.root.as_ref(), b.root.as_ref(), 0, &mut changes);
        changes
    }

    /// The same map with at least `height` levels of branches.
    fn raised(&self, height: u32) -> Self {
        let mut map = self.clone();
        while map.height < height {
            if let Some(root) = map.root.take() {
                map.root = Some(Arc::new(Trie::above(root)));
            }
            map.height += 1;
        }
        map
    }
}

impl Trie {
    fn empty(level: u32) -> Self {
        let entries = if level == 0 {
            Entries::Leaf([NONE; WIDTH])
        } else {
            Entries::Branch([const { None }; WIDTH])
        };
        Self { newest: 0, entries }
    }

    /// One level more, for slots that have no place in `root`.
    fn above(root: Arc<Self>) -> Self {
        let newest = root.newest;
        let mut children = [const { None }; WIDTH];
        children[0] = Some(root);
        Self {
            newest,
            entries: Entries::Branch(children),
        }
    }

    /// Looks anew for what is newest; whether anything is there.
    fn refresh(&mut self) -> bool {
        let newest = match &self.entries {
            Entries::Branch(children) => children.iter().flatten().map(|child| child.newest).max(),
            Entries::Leaf(events) => events.iter().copied().filter(|num| *num != NONE).max(),
        };
        self.newest = newest.unwrap_or(0);
        newest.is_some()
    }
}

fn event(num: u32) -> Option<EventNum> {
    (num != NONE).then_some(EventNum(num))
}

/// Whether `slot` has a place in a trie of this height.
fn fits(slot: SlotNum, height: u32) -> bool {
    u64::from(slot.0) >> (BITS * (height + 1)) == 0
}

fn digit(slot: u32, level: u32) -> usize {
    (slot >> (BITS * level)) as usize % WIDTH
}

/// Recursion as deep as the trie: at most 8.
fn insert(place: &mut Option<Arc<Trie>>, slot: u32, level: u32, num: u32) -> Option<EventNum> {
    let trie = Arc::make_mut(place.get_or_insert_with(|| Arc::new(Trie::empty(level))));
    let old = match &mut trie.entries {
        Entries::Branch(children) => insert(
            &mut children[digit(slot, level)],
            slot,
            level.saturating_sub(1),
            num,
        ),
        Entries::Leaf(events) => event(core::mem::replace(&mut events[digit(slot, 0)], num)),
    };
    if num >= trie.newest {
        trie.newest = num;
    } else if old.is_some_and(|old| old.0 == trie.newest) {
        trie.refresh();
    }
    old
}

/// Recursion as deep as the trie: at most 8.
fn remove(place: &mut Option<Arc<Trie>>, slot: u32, level: u32) {
    let Some(trie) = place else { return };
    let trie = Arc::make_mut(trie);
    match &mut trie.entries {
        Entries::Branch(children) => remove(&mut children[digit(slot, level)], slot, level.saturating_sub(1)),
        Entries::Leaf(events) => events[digit(slot, 0)] = NONE,
    }
    if !trie.refresh() {
        *place = None;
    }
}

/// Both tries have the same height and stand for the slots that begin with `prefix`.
fn diff(a: Option<&Arc<Trie>>, b: Option<&Arc<Trie>>, prefix: u32, changes: &mut Vec<Change>) {
    let (a, b) = match (a, b) {
        (None, None) => return,
        (Some(a), Some(b)) if Arc::ptr_eq(a, b) => return,
        (a, b) => (a.map(|a| &**a), b.map(|b| &**b)),
    };
    let is_leaf = a
        .or(b)
        .is_some_and(|trie| matches!(trie.entries, Entries::Leaf(_)));
    for (i, low) in (0..WIDTH).zip(0u32..) {
        let prefix = (prefix << BITS) | low;
        if is_leaf {
            let (a, b) = (a.and_then(|a| a.event(i)), b.and_then(|b| b.event(i)));
            if a != b {
                changes.push((SlotNum(prefix), a, b));
            }
        } else {
            diff(
                a.and_then(|a| a.child(i)),
                b.and_then(|b| b.child(i)),
                prefix,
                changes,
            );
        }
    }
}

impl Trie {
    fn child(&self, i: usize) -> Option<&Arc<Trie>> {
        match &self.entries {
            Entries::Branch(children) => children[i].as_ref(),
            Entries::Leaf(_) => None,
        }
    }

    fn event(&self, i: usize) -> Option<EventNum> {
        match &self.entries {
            Entries::Leaf(events) => event(events[i]),
            Entries::Branch(_) => None,
        }
    }
}

/// The entries of a [`StateMap`], by ascending slot.
pub struct Iter<'a> {
    /// Nodes from the root down, each with the next entry to look at and the prefix of its slots.
    stack: Vec<(&'a Trie, usize, u32)>,
    /// Entries with smaller event numbers are passed over.
    least: u32,
}

impl Iterator for Iter<'_> {
    type Item = (SlotNum, EventNum);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((trie, next, prefix)) = self.stack.last_mut() {
            let i = *next;
            if i == WIDTH {
                self.stack.pop();
                continue;
            }
            *next += 1;
            let slot = (*prefix << BITS) | i as u32;
            match &trie.entries {
                Entries::Branch(children) => {
                    if let Some(child) = &children[i]
                        && child.newest >= self.least
                    {
                        self.stack.push((child, 0, slot));
                    }
                }
                Entries::Leaf(events) => {
                    if let Some(event) = event(events[i])
                        && event.0 >= self.least
                    {
                        return Some((SlotNum(slot), event));
                    }
                }
            }
        }
        None
    }
}

impl<'a> IntoIterator for &'a StateMap {
    type Item = (SlotNum, EventNum);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<(SlotNum, EventNum)> for StateMap {
    fn from_iter<I: IntoIterator<Item = (SlotNum, EventNum)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (slot, event) in entries {
            map.insert(slot, event);
        }
        map
    }
}

impl PartialEq for StateMap {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.diff(other).is_empty()
    }
}

impl Eq for StateMap {}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(slot, event)| (slot.0, event.0)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};

    /// xorshift64*: the same numbers on each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32 % limit
        }

        /// Mostly small, sometimes from the whole range.
        fn slot(&mut self) -> u32 {
            match self.below(8) {
                0 => self.below(u32::MAX),
                1 => u32::MAX - self.below(20),
                2 => self.below(5000),
                _ => self.below(60),
            }
        }
    }

    fn entries(model: &BTreeMap<u32, u32>) -> Vec<(SlotNum, EventNum)> {
        model
            .iter()
            .map(|(slot, event)| (SlotNum(*slot), EventNum(*event)))
            .collect()
    }

    #[test]
    fn behaves_like_a_btree_map_and_leaves_its_clones_alone() {
        for seed in 1..=60 {
            let mut random = Random(seed);
            let (mut map, mut model) = (StateMap::new(), BTreeMap::new());
            let mut snapshots = Vec::new();
            for step in 0..400 {
                let slot = random.slot();
                if random.below(3) == 0 {
                    assert_eq!(map.remove(SlotNum(slot)), model.remove(&slot).map(EventNum));
                } else {
                    let event = random.below(1000);
                    let old = map.insert(SlotNum(slot), EventNum(event));
                    assert_eq!(old, model.insert(slot, event).map(EventNum));
                }
                let probe = random.slot();
                assert_eq!(map.get(SlotNum(probe)), model.get(&probe).copied().map(EventNum));
                assert_eq!(map.len(), model.len());
                if step % 50 == 0 {
                    snapshots.push((map.clone(), model.clone()));
                }
            }
            snapshots.push((map, model));
            for (map, model) in &snapshots {
                assert_eq!(map.iter().collect::<Vec<_>>(), entries(model));
                for (other, other_model) in &snapshots {
                    let slots: BTreeSet<u32> = model.keys().chain(other_model.keys()).copied().collect();
                    let expected: Vec<Change> = slots
                        .into_iter()
                        .map(|s| {
                            (
                                SlotNum(s),
                                model.get(&s).copied().map(EventNum),
                                other_model.get(&s).copied().map(EventNum),
                            )
                        })
                        .filter(|(_, a, b)| a != b)
                        .collect();
                    assert_eq!(map.diff(other), expected);
                    assert_eq!(map == other, expected.is_empty());
                }
            }
        }
    }

    #[test]
    fn maps_built_in_different_ways_are_equal() {
        let mut tall = StateMap::new();
        tall.insert(SlotNum(1_000_000), EventNum(1));
        tall.insert(SlotNum(3), EventNum(2));
        tall.remove(SlotNum(1_000_000));
        let flat: StateMap = [(SlotNum(3), EventNum(2))].into_iter().collect();
        assert_eq!(tall, flat);
        assert_eq!(
            tall.diff(&StateMap::new()),
            [(SlotNum(3), Some(EventNum(2)), None)]
        );
    }
}
