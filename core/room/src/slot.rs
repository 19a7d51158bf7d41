//! The names of a room's state: (type, state key) pairs as small integers.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};
use roomlet_wire::{Code, Error, Result, SlotNum};

/// The slots of one room: each (type, state key) pair that its state ever had, numbered in the order of
/// appearance. A number is never reused. A pair is found at the same cost however many there are, and takes about 50
/// bytes besides its state key.
#[derive(Clone, Default, Debug)]
pub struct Slots {
    /// By ascending number.
    names: Vec<Name>,
    /// The state keys, one after another.
    keys: String,
    /// A room's state has few types, unless somebody makes many: refused events have slots, too.
    kinds: Vec<Box<str>>,
    /// Indices of `kinds`, by hash.
    kind_index: HashTable<u32>,
    /// Indices of `names`, by hash of the pair.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    num: SlotNum,
    /// Index of `kinds`.
    kind: u32,
    /// Where its state key is in `keys`.
    start: usize,
    len: u32,
}

impl Slots {
    /// No slots.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The slots that a store kept; their numbers may have gaps.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if a number or a pair is there twice, or if after a number there is no other.
    pub fn restore<K: AsRef<str>, S: AsRef<str>>(
        rows: impl IntoIterator<Item = (SlotNum, K, S)>,
    ) -> Result<Self> {
        let mut rows: Vec<(SlotNum, K, S)> = rows.into_iter().collect();
        rows.sort_unstable_by_key(|(num, ..)| *num);
        let mut slots = Self::new();
        for (num, kind, key) in rows {
            let (kind, key) = (kind.as_ref(), key.as_ref());
            if num.0 == u32::MAX {
                let about = format!("slot {} ({kind:?}, {key:?}): its number is none", num.0);
                return Err(Error::new(Code::StoreDamaged, about));
            }
            if slots.next() > num || slots.get(kind, key).is_some() {
                let about = format!("slot {} ({kind:?}, {key:?}) is there twice", num.0);
                return Err(Error::new(Code::StoreDamaged, about));
            }
            slots.insert(num, kind, key);
        }
        slots.keys.shrink_to_fit();
        Ok(slots)
    }

    /// The number of the pair; a new one, greater than all before, if it has none yet.
    pub fn intern(&mut self, kind: &str, key: &str) -> SlotNum {
        if let Some(num) = self.get(kind, key) {
            return num;
        }
        let num = self.next();
        self.insert(num, kind, key);
        num
    }

    /// The number of the pair, if it has one.
    #[must_use]
    pub fn get(&self, kind: &str, key: &str) -> Option<SlotNum> {
        let hash = self.hasher.hash_one((kind, key));
        let is_it = |index: &u32| self.pair(&self.names[*index as usize]) == (kind, key);
        let index = self.index.find(hash, is_it)?;
        Some(self.names[*index as usize].num)
    }

    /// Type and state key of a slot.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if it is none of these slots: the store lost it.
    pub fn name(&self, num: SlotNum) -> Result<(&str, &str)> {
        // Without gaps a number is its index.
        let at_index = self.names.get(num.0 as usize).filter(|name| name.num == num);
        let name = at_index.or_else(|| {
            let found = self.names.binary_search_by_key(&num, |name| name.num);
            found.ok().map(|index| &self.names[index])
        });
        let name = name.ok_or_else(|| {
            let about = format!("slot {} has no type and state key", num.0);
            Error::new(Code::StoreDamaged, about)
        })?;
        Ok(self.pair(name))
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number that the next new pair gets.
    #[must_use]
    pub fn next(&self) -> SlotNum {
        self.names
            .last()
            .map_or(SlotNum(0), |name| SlotNum(name.num.0 + 1))
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let indices = self.index.allocation_size() + self.kind_index.allocation_size();
        self.names.capacity() * size_of::<Name>() + self.keys.capacity() + indices
    }

    fn pair(&self, name: &Name) -> (&str, &str) {
        let key = &self.keys[name.start..name.start + name.len as usize];
        (&self.kinds[name.kind as usize], key)
    }

    /// The index of a type.
    fn kind(&mut self, kind: &str) -> u32 {
        let Self {
            kinds,
            kind_index,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(kind);
        if let Some(index) = kind_index.find(hash, |index| *kinds[*index as usize] == *kind) {
            return *index;
        }
        let index = kinds.len() as u32;
        kinds.push(kind.into());
        kind_index.insert_unique(hash, index, |other| hasher.hash_one(&*kinds[*other as usize]));
        index
    }

    fn insert(&mut self, num: SlotNum, kind: &str, key: &str) {
        let kind_number = self.kind(kind);
        let (index, start) = (self.names.len() as u32, self.keys.len());
        self.keys.push_str(key);
        // Types and keys have at most 255 bytes, and there are no more slots than numbers.
        self.names.push(Name {
            num,
            kind: kind_number,
            start,
            len: key.len() as u32,
        });
        let hash = self.hasher.hash_one((kind, key));
        let Self {
            names,
            keys,
            kinds,
            hasher,
            ..
        } = self;
        self.index.insert_unique(hash, index, |other| {
            let name = &names[*other as usize];
            let key = &keys[name.start..name.start + name.len as usize];
            hasher.hash_one((&*kinds[name.kind as usize], key))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_keeps_its_number() {
        let mut slots = Slots::new();
        let create = slots.intern("m.room.create", "");
        let member = slots.intern("m.room.member", "@a:x");
        assert_eq!((create, member), (SlotNum(0), SlotNum(1)));
        assert_eq!(slots.intern("m.room.create", ""), create);
        assert_eq!(slots.get("m.room.member", "@b:x"), None);
        assert_eq!(slots.name(member).unwrap(), ("m.room.member", "@a:x"));
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn restored_slots_may_have_gaps_and_go_on_after_the_last() {
        let mut slots = Slots::restore([(SlotNum(3), "a", "x"), (SlotNum(7), "a", "y")]).unwrap();
        assert_eq!(slots.get("a", "y"), Some(SlotNum(7)));
        assert_eq!(slots.intern("b", ""), SlotNum(8));
        assert_eq!(slots.name(SlotNum(3)).unwrap(), ("a", "x"));
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn as_many_types_as_anybody_makes_are_told_apart() {
        let count = 50_000;
        let kind = |num: u32| format!("type.{num}");
        let slots = Slots::restore((0..count).map(|num| (SlotNum(num), kind(num), ""))).unwrap();
        for num in 0..count {
            assert_eq!(slots.get(&kind(num), ""), Some(SlotNum(num)));
        }
        assert_eq!(slots.get("type", ""), None);
    }

    #[test]
    fn a_pair_stored_twice_is_damage() {
        for rows in [
            [(SlotNum(1), "a", "x"), (SlotNum(2), "a", "x")],
            [(SlotNum(1), "a", "x"), (SlotNum(1), "a", "y")],
        ] {
            assert_eq!(Slots::restore(rows).unwrap_err().code(), Code::StoreDamaged);
        }
    }
}
