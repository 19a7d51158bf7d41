//! A room's working state: what its task needs in memory to take the next event.

use super::{
    cache::Budget,
    events::{Events, Held},
    forks::Forks,
    redactions::Redactions,
    states::States,
};
use roomlet_room::{
    node::{Node, Source},
    slot::Slots,
    state::StateMap,
};
use roomlet_store::{RoomRecord, Store, Write};
use roomlet_wire::{
    EventId, EventNum, Result, RoomId, RoomNum, RoomVersion, ServerName, SlotNum, StateNum, UserId,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What all rooms of a server share.
#[derive(Clone)]
pub(crate) struct Home {
    /// The server's name.
    pub(crate) me: ServerName,
    /// Where everything is.
    pub(crate) store: Arc<dyn Store>,
    /// What they may hold in memory.
    pub(crate) budget: Arc<Budget>,
}

/// See the module. Every change is in memory and in `writes` at once; the room's task commits these before it
/// answers, or reads the room anew if it cannot.
pub(crate) struct OpenRoom {
    pub(super) me: ServerName,
    pub(super) store: Arc<dyn Store>,
    pub(super) record: RoomRecord,
    pub(super) slots: Slots,
    pub(super) events: Events,
    pub(super) states: States,
    /// Redactions whose target is not held yet.
    pub(super) redactions: Redactions,
    /// The backward extremities, with the events that cite them; `None` until they are needed.
    pub(super) missing_prevs: Option<HashMap<EventId, Vec<EventNum>>>,
    pub(super) current: StateMap,
    /// Joined users by server, in the current state.
    pub(super) servers: BTreeMap<ServerName, u32>,
    pub(super) forks: Forks,
    /// When this server last merged the extremities, as far as this run knows; in milliseconds.
    pub(super) merged_at: i64,
    pub(super) writes: Vec<Write>,
    /// Users hear of memberships alone.
    pub(super) is_quiet: bool,
    /// The next commit changes what is in memory too: the room is read anew after it.
    pub(super) is_stale: bool,
    /// The next commit ends the room.
    pub(super) is_forgotten: bool,
}

impl OpenRoom {
    /// Reads a room from the store.
    pub(crate) fn load(home: &Home, record: RoomRecord) -> Result<Self> {
        let (num, store) = (record.num, &home.store);
        let slots = Slots::restore(store.slots(num)?)?;
        let mut room = Self {
            events: Events::new(num, record.version, home, false),
            states: States::new(num, home, record.next_state),
            redactions: Redactions::default(),
            missing_prevs: None,
            current: StateMap::new(),
            servers: store.joined_servers(num)?.into_iter().collect(),
            forks: Forks::new(home.budget.clone()),
            merged_at: i64::MIN,
            writes: Vec::new(),
            is_quiet: false,
            is_stale: false,
            is_forgotten: false,
            me: home.me.clone(),
            store: store.clone(),
            record,
            slots,
        };
        room.current = room.states.get(room.record.current_state)?;
        Ok(room)
    }

    /// A room that this server does not hold yet. State 0 is the empty one.
    pub(crate) fn create(
        home: &Home,
        num: RoomNum,
        id: RoomId,
        version: &'static RoomVersion,
    ) -> Result<Self> {
        let record = RoomRecord {
            num,
            id,
            version,
            forward: Vec::new(),
            current_state: StateNum(0),
            next_event: EventNum(0),
            next_state: StateNum(0),
            next_slot: SlotNum(0),
        };
        let mut writes = Vec::new();
        let mut states = States::new(num, home, record.next_state);
        states.checkpoint(StateMap::new(), &mut writes)?;
        Ok(Self {
            events: Events::new(num, version, home, true),
            states,
            redactions: Redactions::of_new_room(),
            missing_prevs: Some(HashMap::new()),
            current: StateMap::new(),
            servers: BTreeMap::new(),
            forks: Forks::new(home.budget.clone()),
            merged_at: i64::MIN,
            writes,
            is_quiet: false,
            is_stale: false,
            is_forgotten: false,
            me: home.me.clone(),
            store: home.store.clone(),
            slots: Slots::default(),
            record,
        })
    }

    /// The room's id.
    pub(crate) fn id(&self) -> &RoomId {
        &self.record.id
    }

    /// The room's version.
    pub(crate) fn version(&self) -> &'static RoomVersion {
        self.record.version
    }

    /// The room's number in the store.
    pub(crate) fn num(&self) -> RoomNum {
        self.record.num
    }

    /// The forward extremities.
    pub(crate) fn forward(&self) -> &[EventNum] {
        &self.record.forward
    }

    /// The servers with joined users in the current state.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &ServerName> {
        self.servers.keys()
    }

    /// Whether a server has joined users in the current state.
    pub(crate) fn has_server(&self, server: &ServerName) -> bool {
        self.servers.contains_key(server)
    }

    /// Whether this server is in the room.
    pub(crate) fn is_resident(&self) -> bool {
        self.has_server(&self.me)
    }

    /// The event `id`, if it is held.
    pub(crate) fn find(&self, id: &EventId) -> Result<Option<Held>> {
        self.num_of(id)?.map(|num| self.get(num)).transpose()
    }

    /// The number of the event `id`, if it is held.
    pub(crate) fn num_of(&self, id: &EventId) -> Result<Option<EventNum>> {
        self.events.find(id)
    }

    /// The event `num`, which is held.
    pub(crate) fn get(&self, num: EventNum) -> Result<Held> {
        self.events.get(num, &self.slots)
    }

    /// The map of a state.
    pub(crate) fn state(&mut self, num: StateNum) -> Result<StateMap> {
        self.states.get(num)
    }

    /// The number that the next new event gets.
    pub(crate) fn next_num(&self) -> EventNum {
        self.record.next_event
    }

    /// The current state.
    pub(crate) fn current(&self) -> &StateMap {
        &self.current
    }

    /// The event that a state holds at a slot.
    pub(crate) fn in_state(&self, state: &StateMap, kind: &str, state_key: &str) -> Result<Option<Held>> {
        match self.slots.get(kind, state_key).and_then(|slot| state.get(slot)) {
            Some(num) => Ok(Some(self.get(num)?)),
            None => Ok(None),
        }
    }

    /// The event that the current state holds at a slot.
    pub(crate) fn current_event(&self, kind: &str, state_key: &str) -> Result<Option<Held>> {
        self.in_state(&self.current, kind, state_key)
    }

    /// A user's membership in a state; `leave` where there is none.
    pub(crate) fn membership_in(&self, state: &StateMap, user: &UserId) -> Result<String> {
        let held = self.in_state(state, "m.room.member", user)?;
        Ok(held
            .and_then(|held| held.pdu().membership().map(str::to_owned))
            .unwrap_or_else(|| "leave".into()))
    }

    /// A user's membership in the current state.
    pub(crate) fn membership(&self, user: &UserId) -> Result<String> {
        self.membership_in(&self.current, user)
    }

    /// The number of a slot, which is written with the next commit if it is new.
    pub(super) fn intern(&mut self, kind: &str, state_key: &str) -> SlotNum {
        if let Some(slot) = self.slots.get(kind, state_key) {
            return slot;
        }
        let slot = self.slots.intern(kind, state_key);
        let (kind, state_key) = (kind.to_owned(), state_key.to_owned());
        self.writes.push(Write::Slot {
            room: self.record.num,
            slot,
            kind,
            state_key,
        });
        slot
    }

    /// Keeps an event in memory and writes it with the next commit.
    pub(super) fn put(&mut self, held: Held) -> Held {
        let (room, row) = (self.record.num, held.to_row());
        self.events.put(held.clone());
        self.writes.push(Write::Event { room, row });
        held
    }

    /// Takes what the next commit writes; a room without an event is not stored.
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        if self.record.next_event == EventNum(0) {
            return Vec::new();
        }
        let mut writes = std::mem::take(&mut self.writes);
        if !writes.is_empty() && !self.is_forgotten {
            self.record.next_state = self.states.next();
            self.record.next_slot = self.slots.next();
            writes.push(Write::Room(self.record.clone()));
        }
        writes
    }

    /// The event `missing` is held now: it is no backward extremity any more. Gives the events that waited for it.
    pub(super) fn found_prev(&mut self, missing: &EventId) -> Result<Vec<EventNum>> {
        let room = self.num();
        let waiting = self.missing_prevs()?;
        // Mostly nobody waits for any: then the id need not be hashed.
        let children = (!waiting.is_empty()).then(|| waiting.remove(missing));
        let Some(children) = children.flatten() else {
            return Ok(Vec::new());
        };
        let missing = missing.clone();
        self.writes.push(Write::FoundPrev { room, missing });
        Ok(children)
    }

    /// The event `child` cites one that is not held: a backward extremity.
    pub(super) fn missing_prev(&mut self, missing: EventId, child: EventNum) -> Result<()> {
        let room = self.num();
        let children = self.missing_prevs()?.entry(missing.clone()).or_default();
        children.push(child);
        self.writes.push(Write::MissingPrev { room, missing, child });
        Ok(())
    }

    /// The depth of the deepest event that cites one that is not held: what is less deep came before what is held.
    pub(crate) fn depth_of_history(&mut self) -> Result<i64> {
        let children: Vec<EventNum> = self.missing_prevs()?.values().flatten().copied().collect();
        children
            .into_iter()
            .try_fold(0, |deepest, child| Ok(self.get(child)?.pdu().depth.max(deepest)))
    }

    /// How deep in the timeline an event that is not held may stand: before the deepest of those that cite it.
    pub(crate) fn depth_before(&mut self, missing: &EventId) -> Result<i64> {
        let children = self.missing_prevs()?.get(missing).cloned().unwrap_or_default();
        let mut deepest = None;
        for child in children {
            deepest = deepest.max(Some(self.get(child)?.depth));
        }
        Ok(deepest.map_or(i64::MAX, |deepest| deepest.saturating_sub(1)))
    }

    fn missing_prevs(&mut self) -> Result<&mut HashMap<EventId, Vec<EventNum>>> {
        if self.missing_prevs.is_none() {
            let mut all: HashMap<EventId, Vec<EventNum>> = HashMap::new();
            for (missing, child) in self.store.missing_prevs(self.num())? {
                all.entry(missing).or_default().push(child);
            }
            self.missing_prevs = Some(all);
        }
        Ok(self.missing_prevs.get_or_insert_default())
    }

    /// Adds a write to the next commit.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Gives memory back in the middle of long work, unless something waits for a commit.
    pub(crate) fn trim_if_stored(&mut self) {
        if self.writes.is_empty() {
            self.trim();
        }
    }

    /// Gives memory back after a commit.
    pub(super) fn trim(&mut self) {
        self.events.trim();
        self.states.trim(self.record.current_state);
        self.redactions.trim();
        self.forks.trim();
    }
}

impl Source for OpenRoom {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        Ok(self.get(num)?.node)
    }
}
