//! The numbers of a room's events by id, as far as they are in memory: 16 bytes an event.

use super::cache::{Budget, NumHasher, Share};
use roomlet_wire::{EventId, EventNum};
use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, RandomState},
    sync::Arc,
};

/// Beyond that many all are forgotten and asked of the store again, when the rooms hold more than they may.
const KEPT: usize = 65_536;

/// What is known of an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// If any, the event of this number has it; another id may lead here too.
    Maybe(EventNum),
    /// No event of the room has it.
    Absent,
    /// The store knows.
    Unknown,
}

/// By a keyed hash of the id, so that nobody can choose ids that collide, and one that does by chance is found out by
/// looking at the event.
pub(super) struct Ids {
    /// `None`: no event has it. The room's task alone adds events, so that stays true until it does.
    nums: HashMap<u64, Option<EventNum>, BuildHasherDefault<NumHasher>>,
    hasher: RandomState,
    /// All events of the room are here.
    complete: bool,
    share: Share,
}

impl Ids {
    /// Of a room without events, or of one that the store has.
    pub(super) fn new(is_new: bool, budget: Arc<Budget>) -> Self {
        Self {
            nums: HashMap::default(),
            hasher: RandomState::new(),
            complete: is_new,
            share: Share::new(budget),
        }
    }

    pub(super) fn get(&self, id: &EventId) -> Known {
        match self.nums.get(&self.hasher.hash_one(id.as_str())) {
            Some(Some(num)) => Known::Maybe(*num),
            Some(None) => Known::Absent,
            None if self.complete => Known::Absent,
            None => Known::Unknown,
        }
    }

    pub(super) fn put(&mut self, id: &EventId, num: Option<EventNum>) {
        self.nums.insert(self.hasher.hash_one(id.as_str()), num);
        self.share
            .set(self.nums.capacity() * (size_of::<(u64, Option<EventNum>)>() + 1));
    }

    /// Gives memory back if the rooms hold more than they may. Only after a commit.
    pub(super) fn trim(&mut self) {
        if self.nums.len() > KEPT && self.share.budget().is_exceeded() {
            self.nums = HashMap::default();
            self.complete = false;
            self.share.set(0);
        }
    }
}
