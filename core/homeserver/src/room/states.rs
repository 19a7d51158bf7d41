//! The states of one room: numbered, persistent maps in memory, deltas with checkpoints in the store.

use roomlet_room::state::StateMap;
use roomlet_store::{StateRow, Store, Write};
use roomlet_wire::{Code, Error, EventNum, Result, RoomNum, SlotNum, StateNum};
use std::{collections::BTreeMap, sync::Arc};

/// States held in memory; a dropped one is read again from its deltas.
const STATES_IN_MEMORY: usize = 512;

#[derive(Clone)]
struct Held {
    map: StateMap,
    since_checkpoint: u32,
}

/// See the module.
pub(super) struct States {
    room: RoomNum,
    store: Arc<dyn Store>,
    held: BTreeMap<StateNum, Held>,
    next: StateNum,
}

impl States {
    pub(super) fn new(room: RoomNum, store: Arc<dyn Store>, next: StateNum) -> Self {
        Self {
            room,
            store,
            held: BTreeMap::new(),
            next,
        }
    }

    /// The next free number, for the room's record.
    pub(super) fn next(&self) -> StateNum {
        self.next
    }

    /// The map of a state.
    pub(super) fn get(&mut self, num: StateNum) -> Result<StateMap> {
        Ok(self.load(num)?.map)
    }

    fn load(&mut self, num: StateNum) -> Result<Held> {
        if let Some(held) = self.held.get(&num) {
            return Ok(held.clone());
        }
        let mut deltas: Vec<StateRow> = Vec::new();
        let mut at = num;
        let mut base = loop {
            if let Some(held) = self.held.get(&at) {
                break held.clone();
            }
            let row = self.store.state(self.room, at)?.ok_or_else(|| self.lost(at))?;
            match row.parent {
                Some(parent) => {
                    deltas.push(row);
                    at = parent;
                }
                None => {
                    break Held {
                        map: apply(StateMap::new(), &row.changes),
                        since_checkpoint: 0,
                    };
                }
            }
        };
        for row in deltas.iter().rev() {
            base = Held {
                map: apply(base.map, &row.changes),
                since_checkpoint: row.since_checkpoint,
            };
        }
        self.held.insert(num, base.clone());
        Ok(base)
    }

    fn lost(&self, num: StateNum) -> Error {
        Error::new(
            Code::StoreDamaged,
            format!(
                "state {} of room number {} is not in the store",
                num.0, self.room.0
            ),
        )
    }

    /// The number of the state `map`, close to the known state `parent`: `parent` itself where they are equal.
    pub(super) fn derive(
        &mut self,
        parent: StateNum,
        map: StateMap,
        writes: &mut Vec<Write>,
    ) -> Result<StateNum> {
        let from = self.load(parent)?;
        let changes: Vec<(SlotNum, Option<EventNum>)> = from
            .map
            .diff(&map)
            .into_iter()
            .map(|(slot, _, new)| (slot, new))
            .collect();
        if changes.is_empty() {
            return Ok(parent);
        }
        let since = from
            .since_checkpoint
            .saturating_add(u32::try_from(changes.len()).unwrap_or(u32::MAX));
        if since as usize > map.len().max(16) {
            return Ok(self.checkpoint(map, writes));
        }
        Ok(self.insert(Some(parent), changes, map, since, writes))
    }

    /// The number of a new state that is written whole.
    pub(super) fn checkpoint(&mut self, map: StateMap, writes: &mut Vec<Write>) -> StateNum {
        let changes = map.iter().map(|(slot, event)| (slot, Some(event))).collect();
        self.insert(None, changes, map, 0, writes)
    }

    fn insert(
        &mut self,
        parent: Option<StateNum>,
        changes: Vec<(SlotNum, Option<EventNum>)>,
        map: StateMap,
        since_checkpoint: u32,
        writes: &mut Vec<Write>,
    ) -> StateNum {
        let num = self.next;
        self.next = StateNum(num.0 + 1);
        let size = u32::try_from(map.len()).unwrap_or(u32::MAX);
        writes.push(Write::State {
            room: self.room,
            row: StateRow {
                num,
                parent,
                changes,
                size,
                since_checkpoint,
            },
        });
        self.held.insert(
            num,
            Held {
                map,
                since_checkpoint,
            },
        );
        num
    }

    /// Drops the oldest states beyond the limit; only after a commit, as what is not stored cannot be read again.
    pub(super) fn trim(&mut self, keep: StateNum) {
        while self.held.len() > STATES_IN_MEMORY {
            let Some(&oldest) = self.held.keys().find(|&&num| num != keep) else {
                return;
            };
            self.held.remove(&oldest);
        }
    }
}

fn apply(mut map: StateMap, changes: &[(SlotNum, Option<EventNum>)]) -> StateMap {
    for &(slot, event) in changes {
        match event {
            Some(event) => {
                map.insert(slot, event);
            }
            None => {
                map.remove(slot);
            }
        }
    }
    map
}
