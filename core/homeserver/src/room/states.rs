//! The states of one room: numbered, persistent maps in memory, deltas with checkpoints in the store.

use super::{cache::Cache, open::Home};
use roomlet_room::state::StateMap;
use roomlet_store::{StateRow, Store, Write};
use roomlet_wire::{Code, Error, EventNum, Result, RoomNum, SlotNum, StateNum};
use std::sync::Arc;

/// What a change of a state takes in memory, about, in bytes: the nodes on the way to it.
const CHANGE_BYTES: usize = 400;
/// What an entry of a state that shares nothing takes.
const ENTRY_BYTES: usize = 10;

#[derive(Clone)]
struct Held {
    map: StateMap,
    since_checkpoint: u32,
}

/// See the module.
pub(super) struct States {
    room: RoomNum,
    store: Arc<dyn Store>,
    held: Cache<Held>,
    next: StateNum,
}

impl States {
    pub(super) fn new(room: RoomNum, home: &Home, next: StateNum) -> Self {
        Self {
            room,
            store: home.store.clone(),
            held: Cache::new(home.budget.clone()),
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
        if let Some(held) = self.held.get(num.0) {
            return Ok(held);
        }
        let mut deltas: Vec<StateRow> = Vec::new();
        let mut at = num;
        let mut bytes = 0;
        let mut base = loop {
            if let Some(held) = self.held.get(at.0) {
                break held;
            }
            let row = self.store.state(self.room, at)?.ok_or_else(|| self.lost(at))?;
            match row.parent {
                // Parents are older: no way from one to the next goes on for ever.
                Some(parent) if parent >= at => return Err(self.lost(parent)),
                Some(parent) => {
                    deltas.push(row);
                    at = parent;
                }
                None => {
                    bytes = row.changes.len() * ENTRY_BYTES;
                    break Held {
                        map: apply(StateMap::new(), &row.changes),
                        since_checkpoint: 0,
                    };
                }
            }
        };
        for row in deltas.iter().rev() {
            bytes += row.changes.len() * CHANGE_BYTES;
            base = Held {
                map: apply(base.map, &row.changes),
                since_checkpoint: row.since_checkpoint,
            };
        }
        self.held.put(num.0, base.clone(), bytes);
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
            return self.checkpoint(map, writes);
        }
        self.insert(Some(parent), changes, map, since, writes)
    }

    /// The number of a new state that is written whole.
    pub(super) fn checkpoint(&mut self, map: StateMap, writes: &mut Vec<Write>) -> Result<StateNum> {
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
    ) -> Result<StateNum> {
        let num = self.next;
        let next = num.0.checked_add(1).ok_or_else(|| {
            let about = format!(
                "room number {} has as many states as can be numbered",
                self.room.0
            );
            Error::new(Code::Store, about)
        })?;
        self.next = StateNum(next);
        let bytes = match parent {
            Some(_) => changes.len() * CHANGE_BYTES,
            None => changes.len() * ENTRY_BYTES,
        };
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
        let held = Held {
            map,
            since_checkpoint,
        };
        self.held.put(num.0, held, bytes);
        Ok(num)
    }

    /// Gives memory back; only after a commit. `keep` stays: the current state shares its memory.
    pub(super) fn trim(&mut self, keep: StateNum) {
        self.held.trim();
        self.held.get(keep.0);
    }
}

/// The map after changes.
pub(super) fn apply(mut map: StateMap, changes: &[(SlotNum, Option<EventNum>)]) -> StateMap {
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
