//! The names of a room's state: (type, state key) pairs as small integers.

use alloc::{collections::BTreeMap, format, sync::Arc};
use roomlet_wire::{Code, Error, Result, SlotNum};

/// The slots of one room: each (type, state key) pair that its state ever had, numbered in the order of
/// appearance. A number is never reused.
#[derive(Clone, Default, Debug)]
pub struct Slots {
    nums: BTreeMap<Arc<str>, BTreeMap<Arc<str>, SlotNum>>,
    names: BTreeMap<SlotNum, (Arc<str>, Arc<str>)>,
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
    /// [`Code::StoreDamaged`] if a number or a pair is there twice.
    pub fn restore<K: AsRef<str>, S: AsRef<str>>(
        rows: impl IntoIterator<Item = (SlotNum, K, S)>,
    ) -> Result<Self> {
        let mut slots = Self::new();
        for (num, kind, key) in rows {
            let (kind, key) = (kind.as_ref(), key.as_ref());
            if slots.names.contains_key(&num) || slots.get(kind, key).is_some() {
                let about = format!("slot {} ({kind:?}, {key:?}) is there twice", num.0);
                return Err(Error::new(Code::StoreDamaged, about));
            }
            slots.insert(num, kind, key);
        }
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
        self.nums.get(kind)?.get(key).copied()
    }

    /// Type and state key of a slot.
    ///
    /// # Panics
    /// If `num` was given by another room's slots: that is a bug of the caller.
    #[must_use]
    pub fn name(&self, num: SlotNum) -> (&str, &str) {
        let (kind, key) = self
            .names
            .get(&num)
            .expect("slot numbers come from their own room's slots");
        (kind, key)
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
            .last_key_value()
            .map_or(SlotNum(0), |(num, _)| SlotNum(num.0 + 1))
    }

    /// The slots of one type, by state key.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, SlotNum)> {
        self.nums
            .get(kind)
            .into_iter()
            .flatten()
            .map(|(key, num)| (&**key, *num))
    }

    fn insert(&mut self, num: SlotNum, kind: &str, key: &str) {
        let key: Arc<str> = key.into();
        let kind: Arc<str> = match self.nums.get_key_value(kind) {
            Some((kind, _)) => kind.clone(),
            None => kind.into(),
        };
        self.nums
            .entry(kind.clone())
            .or_default()
            .insert(key.clone(), num);
        self.names.insert(num, (kind, key));
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
        assert_eq!(slots.name(member), ("m.room.member", "@a:x"));
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn restored_slots_may_have_gaps_and_go_on_after_the_last() {
        let mut slots = Slots::restore([(SlotNum(3), "a", "x"), (SlotNum(7), "a", "y")]).unwrap();
        assert_eq!(slots.get("a", "y"), Some(SlotNum(7)));
        assert_eq!(slots.intern("b", ""), SlotNum(8));
        assert_eq!(
            slots.of_kind("a").collect::<std::vec::Vec<_>>(),
            [("x", SlotNum(3)), ("y", SlotNum(7))]
        );
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
