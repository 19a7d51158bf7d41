//! What rooms hold in memory of what the store has: what was used last, within one budget for the whole server.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// How many bytes the rooms of a server may hold together, and how many they do.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Whether they hold more than they may.
    pub(super) fn is_exceeded(&self) -> bool {
        self.used.load(Relaxed) > self.limit
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// Bytes that somebody holds of the budget; given back when this goes.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    pub(super) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes);
        } else {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Of numbers that nobody can choose to collide: those of one room are its own, others are hashes with a key.
#[derive(Default)]
pub(super) struct NumHasher(u64);

impl Hasher for NumHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, num: u32) {
        self.write_u64(u64::from(num));
    }

    fn write_u64(&mut self, num: u64) {
        self.0 = (self.0 ^ num).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type ByNum<V> = HashMap<u32, (V, u32), BuildHasherDefault<NumHasher>>;

/// Values by number. They are in two generations: what is used moves to the young one, and when that has half of the
/// budget, or a part of it where the rooms together hold too much, the old one goes and the young one is old.
pub(super) struct Cache<V> {
    young: ByNum<V>,
    old: ByNum<V>,
    young_bytes: usize,
    old_bytes: usize,
    share: Share,
}

impl<V: Clone> Cache<V> {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            young: ByNum::default(),
            old: ByNum::default(),
            young_bytes: 0,
            old_bytes: 0,
            share: Share::new(budget),
        }
    }

    pub(super) fn get(&mut self, num: u32) -> Option<V> {
        self.with(num, V::clone)
    }

    /// What `look` sees in the value.
    pub(super) fn with<T>(&mut self, num: u32, look: impl FnOnce(&V) -> T) -> Option<T> {
        if let Some((value, _)) = self.young.get(&num) {
            return Some(look(value));
        }
        let (value, bytes) = self.old.remove(&num)?;
        self.old_bytes -= bytes as usize;
        self.young_bytes += bytes as usize;
        let seen = look(&value);
        self.young.insert(num, (value, bytes));
        Some(seen)
    }

    /// Keeps a value of about `bytes`, in place of what was there.
    pub(super) fn put(&mut self, num: u32, value: V, bytes: usize) {
        let kept = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some((_, was)) = self.old.remove(&num) {
            self.old_bytes -= was as usize;
        }
        if let Some((_, was)) = self.young.insert(num, (value, kept)) {
            self.young_bytes -= was as usize;
        }
        self.young_bytes += kept as usize;
        self.share.set(self.young_bytes + self.old_bytes);
    }

    /// Gives memory back if the rooms hold more than they may. Only after a commit: what is not stored cannot be read
    /// again.
    pub(super) fn trim(&mut self) {
        let budget = self.share.budget();
        let part = if budget.is_exceeded() { 8 } else { 2 };
        if self.young_bytes > budget.limit / part {
            self.old = std::mem::take(&mut self.young);
            self.old_bytes = std::mem::take(&mut self.young_bytes);
            self.share.set(self.old_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_when_the_budget_is_exceeded() {
        let budget = Arc::new(Budget::new(50));
        let mut cache = Cache::new(budget.clone());
        for num in 0..3 {
            cache.put(num, num, 10);
            cache.trim();
        }
        assert_eq!(cache.get(1), Some(1));
        for num in 3..5 {
            cache.put(num, num, 10);
            cache.trim();
        }
        let held: Vec<Option<u32>> = (0..5).map(|num| cache.get(num)).collect();
        assert_eq!(held, [None, Some(1), None, Some(3), Some(4)]);
        assert!(!budget.is_exceeded());
    }

    #[test]
    fn a_value_is_counted_once_however_often_it_is_put() {
        let budget = Arc::new(Budget::new(15));
        let mut cache = Cache::new(budget.clone());
        cache.put(0, 'a', 10);
        cache.put(0, 'b', 10);
        assert!(!budget.is_exceeded());
        assert_eq!(cache.get(0), Some('b'));
        cache.put(1, 'c', 10);
        assert!(budget.is_exceeded());
        drop(cache);
        assert_eq!(budget.used.load(Relaxed), 0);
    }
}
