//! The events of one room that are in memory, read from the store when asked for.

use super::{
    cache::Cache,
    ids::{Ids, Known},
    open::Home,
};
use roomlet_room::{
    node::{AuthNums, Node},
    slot::Slots,
};
use roomlet_store::{EventFlags, EventRow, Store, TimelinePos};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, RoomNum, RoomVersion, StateNum, Verified};
use std::{cell::RefCell, sync::Arc};

/// What an event takes in memory besides its JSON, about, in bytes.
const EVENT_BYTES: usize = 900;

/// An event and what this server thinks of it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Held {
    /// The event, for authorization and resolution.
    pub(crate) node: Arc<Node>,
    /// See [`EventFlags`].
    pub(crate) flags: EventFlags,
    /// Its depth in the timeline.
    pub(super) depth: i64,
    /// The state before it; `None` for outliers.
    pub(crate) state_before: Option<StateNum>,
    /// The state after it.
    pub(crate) state_after: Option<StateNum>,
    /// The redaction that was applied to it.
    pub(crate) redacted_by: Option<Arc<EventId>>,
}

impl Held {
    /// The event itself.
    pub(crate) fn pdu(&self) -> &Pdu<Verified> {
        &self.node.pdu
    }

    /// Whether users may see it, history visibility apart.
    pub(crate) fn is_shown(&self) -> bool {
        self.flags.is_shown()
    }

    /// Whether it is rejected or soft-failed: nothing is built upon it.
    pub(super) fn is_refused(&self) -> bool {
        self.flags.rejected || self.flags.soft_failed
    }

    /// Its place in the timeline.
    pub(super) fn pos(&self) -> TimelinePos {
        TimelinePos {
            depth: self.depth,
            num: self.node.num,
        }
    }

    /// The row that stores it.
    pub(super) fn to_row(&self) -> EventRow {
        let pdu = self.pdu();
        EventRow {
            num: self.node.num,
            id: pdu.id.clone(),
            json: pdu.shared_json(),
            depth: self.depth,
            flags: self.flags,
            state_before: self.state_before,
            state_after: self.state_after,
            redacted_by: self.redacted_by.as_deref().cloned(),
        }
    }
}

/// See the module.
pub(super) struct Events {
    room: RoomNum,
    version: &'static RoomVersion,
    store: Arc<dyn Store>,
    /// The room's task alone looks here; the cells only let it share `&self`.
    held: RefCell<Cache<Held>>,
    ids: RefCell<Ids>,
}

impl Events {
    /// Of a room without events (`is_new`), or of one that the store has.
    pub(super) fn new(room: RoomNum, version: &'static RoomVersion, home: &Home, is_new: bool) -> Self {
        Self {
            room,
            version,
            store: home.store.clone(),
            held: RefCell::new(Cache::new(home.budget.clone())),
            ids: RefCell::new(Ids::new(is_new, home.budget.clone())),
        }
    }

    /// The number of the event `id`, if it is held. Reads no event: that would need the numbers of those that it cites,
    /// and theirs in turn, down a chain that others make as long as they like.
    pub(super) fn find(&self, id: &EventId) -> Result<Option<EventNum>> {
        let known = self.ids.borrow().get(id);
        let is_it = |num: EventNum| {
            let is_it = self.held.borrow_mut().with(num.0, |held| held.pdu().id == *id);
            is_it.unwrap_or(false)
        };
        match known {
            Known::Absent => return Ok(None),
            Known::Maybe(num) if is_it(num) => return Ok(Some(num)),
            Known::Maybe(_) | Known::Unknown => {}
        }
        let found = self.store.find_event(id)?.into_iter();
        let found = found
            .filter(|(room, _)| *room == self.room)
            .map(|(_, num)| num)
            .next();
        if known == Known::Unknown {
            self.ids.borrow_mut().put(id, found);
        }
        Ok(found)
    }

    /// The event `num`, which is held.
    pub(super) fn get(&self, num: EventNum, slots: &Slots) -> Result<Held> {
        if let Some(held) = self.held.borrow_mut().get(num.0) {
            return Ok(held);
        }
        let row = self.store.event_by_num(self.room, num)?.ok_or_else(|| {
            let about = format!(
                "event {} of room number {} is not in the store",
                num.0, self.room.0
            );
            Error::new(Code::StoreDamaged, about)
        })?;
        let held = self.read(row, slots)?;
        self.put(held.clone());
        Ok(held)
    }

    fn read(&self, row: EventRow, slots: &Slots) -> Result<Held> {
        let pdu = Pdu::from_store(row.json.as_bytes(), self.version)?;
        let auth = self.auth_of(&pdu, |_| {})?;
        let node = Node::new(row.num, pdu, slots, auth, row.flags.rejected)?;
        Ok(Held {
            node: Arc::new(node),
            flags: row.flags,
            depth: row.depth,
            state_before: row.state_before,
            state_after: row.state_after,
            redacted_by: row.redacted_by.map(Arc::new),
        })
    }

    /// The auth events of an event, as far as they are held; `missing` gets the others.
    pub(super) fn auth_of(&self, pdu: &Pdu<Verified>, mut missing: impl FnMut(&EventId)) -> Result<AuthNums> {
        let mut auth = AuthNums::default();
        for id in &pdu.auth_events {
            match self.find(id)? {
                Some(num) => auth.push(num),
                None => missing(id),
            }
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
        Ok(auth)
    }

    /// Keeps an event in memory, in place of what was known of it.
    pub(super) fn put(&self, held: Held) {
        let (num, pdu) = (held.node.num, held.pdu());
        self.ids.borrow_mut().put(&pdu.id, Some(num));
        let bytes = pdu.json().len() + EVENT_BYTES;
        self.held.borrow_mut().put(num.0, held, bytes);
    }

    /// Gives memory back; only after a commit.
    pub(super) fn trim(&self) {
        self.held.borrow_mut().trim();
        self.ids.borrow_mut().trim();
    }
}
