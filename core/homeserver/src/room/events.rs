//! The events of one room that are in memory, read from the store when asked for.

use roomlet_room::{node::Node, slot::Slots};
use roomlet_store::{EventFlags, EventRow, Store};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, RoomNum, RoomVersion, StateNum, Verified};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Events held in memory of one room; beyond that all are dropped and read again when needed.
const EVENTS_IN_MEMORY: usize = 16_384;
/// Their JSON, in bytes: events may have 64 KiB each.
const EVENT_BYTES_IN_MEMORY: usize = 32 << 20;

/// An event and what this server thinks of it.
pub(crate) struct Held {
    /// The event, for authorization and resolution.
    pub(crate) node: Arc<Node>,
    /// See [`EventFlags`].
    pub(crate) flags: EventFlags,
    /// The state before it; `None` for outliers.
    pub(crate) state_before: Option<StateNum>,
    /// The state after it.
    pub(crate) state_after: Option<StateNum>,
    /// The redaction that was applied to it.
    pub(crate) redacted_by: Option<EventId>,
}

impl Held {
    /// The event itself.
    pub(crate) fn pdu(&self) -> &Pdu<Verified> {
        &self.node.pdu
    }

    /// Whether users may see it, history visibility apart.
    pub(crate) fn is_shown(&self) -> bool {
        !(self.flags.outlier || self.flags.rejected || self.flags.soft_failed)
    }

    /// The row that stores it.
    pub(super) fn to_row(&self) -> EventRow {
        let pdu = self.pdu();
        EventRow {
            num: self.node.num,
            id: pdu.id.clone(),
            json: pdu.to_json().into_boxed_str(),
            depth: pdu.depth,
            flags: self.flags,
            state_before: self.state_before,
            state_after: self.state_after,
            redacted_by: self.redacted_by.clone(),
        }
    }
}

#[derive(Default)]
struct Cache {
    by_num: BTreeMap<EventNum, Arc<Held>>,
    /// `None`: not held. The room's task alone adds events, so that stays true until it [`put`](Events::put)s one.
    by_id: HashMap<EventId, Option<EventNum>>,
    /// The JSON of the events in `by_num`, as they were put.
    bytes: usize,
}

/// See the module. Inside the room's task there is no contention; the lock only lets readers share `&self`.
pub(super) struct Events {
    room: RoomNum,
    version: &'static RoomVersion,
    store: Arc<dyn Store>,
    cache: Mutex<Cache>,
}

impl Events {
    pub(super) fn new(room: RoomNum, version: &'static RoomVersion, store: Arc<dyn Store>) -> Self {
        Self {
            room,
            version,
            store,
            cache: Mutex::default(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the event `id`, if it is held.
    pub(super) fn find(&self, id: &EventId) -> Result<Option<EventNum>> {
        if let Some(&found) = self.cache().by_id.get(id) {
            return Ok(found);
        }
        let found = self
            .store
            .find_event(id)?
            .into_iter()
            .find(|(room, _)| *room == self.room)
            .map(|(_, num)| num);
        self.cache().by_id.insert(id.clone(), found);
        Ok(found)
    }

    /// The event `num`, which is held.
    pub(super) fn get(&self, num: EventNum, slots: &Slots) -> Result<Arc<Held>> {
        if let Some(held) = self.cache().by_num.get(&num) {
            return Ok(held.clone());
        }
        let row = self.store.event_by_num(self.room, num)?.ok_or_else(|| {
            let about = format!(
                "event {} of room number {} is not in the store",
                num.0, self.room.0
            );
            Error::new(Code::StoreDamaged, about)
        })?;
        let bytes = row.json.len();
        let held = Arc::new(self.read(row, slots)?);
        self.put(&held, bytes);
        Ok(held)
    }

    fn read(&self, row: EventRow, slots: &Slots) -> Result<Held> {
        let pdu = Pdu::from_store(row.json.as_bytes(), self.version)?;
        let node = self.node(row.num, pdu, row.flags.rejected, slots)?;
        Ok(Held {
            node: Arc::new(node),
            flags: row.flags,
            state_before: row.state_before,
            state_after: row.state_after,
            redacted_by: row.redacted_by,
        })
    }

    /// A node for an event whose auth events are held.
    pub(super) fn node(
        &self,
        num: EventNum,
        pdu: Pdu<Verified>,
        rejected: bool,
        slots: &Slots,
    ) -> Result<Node> {
        let mut auth = Vec::with_capacity(pdu.auth_events.len() + 1);
        for id in &pdu.auth_events {
            auth.extend(self.find(id)?);
        }
        // The implicit edge of EV-4.
        if self.version.room_id_is_create_hash
            && pdu.kind != "m.room.create"
            && let Ok(create) = EventId::parse(&format!("${}", &pdu.room_id[1..]))
            && let Some(create) = self.find(&create)?
            && !auth.contains(&create)
        {
            auth.push(create);
        }
        Ok(Node::unplaced(num, pdu, slots, auth, rejected))
    }

    /// Keeps an event, whose JSON has `bytes`, in memory, in place of what was known of it.
    pub(super) fn put(&self, held: &Arc<Held>, bytes: usize) {
        let mut cache = self.cache();
        cache.bytes += bytes;
        cache.by_id.insert(held.pdu().id.clone(), Some(held.node.num));
        cache.by_num.insert(held.node.num, held.clone());
    }

    /// Drops everything beyond the limit; only after a commit.
    pub(super) fn trim(&self) {
        let mut cache = self.cache();
        let large = cache.by_num.len() > EVENTS_IN_MEMORY || cache.bytes > EVENT_BYTES_IN_MEMORY;
        if large || cache.by_id.len() > 4 * EVENTS_IN_MEMORY {
            *cache = Cache::default();
        }
    }
}
