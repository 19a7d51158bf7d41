//! A room as a peer knows it: enough to make events that fit, and then to spoil them.

use roomlet_room::auth;
use roomlet_wire::{EventId, Map, RoomId, RoomVersion, UserId, Value, hash, version::EventFormat};
use std::collections::BTreeMap;

/// See the module. It believes whatever it is given.
#[derive(Clone, Debug)]
pub struct PeerRoom {
    /// Its id.
    pub id: RoomId,
    /// Its version.
    pub version: &'static RoomVersion,
    /// The current state, by type and state key.
    pub state: BTreeMap<(String, String), EventId>,
    /// Every event that it was given.
    pub events: BTreeMap<EventId, Map>,
    /// The newest events, which the next one follows.
    pub latest: Vec<EventId>,
    /// The greatest depth so far.
    pub depth: i64,
}

impl PeerRoom {
    /// A room without events.
    #[must_use]
    pub fn new(id: RoomId, version: &'static RoomVersion) -> Self {
        Self {
            id,
            version,
            state: BTreeMap::new(),
            events: BTreeMap::new(),
            latest: Vec::new(),
            depth: 0,
        }
    }

    /// An event after the newest ones with the auth events that it needs, not hashed and not signed.
    #[must_use]
    pub fn draft(&self, sender: &UserId, kind: &str, state_key: Option<&str>, content: Map, now: i64) -> Map {
        let wanted = auth::select(self.version, kind, sender, state_key, &content);
        let cited: Vec<_> = wanted
            .into_iter()
            .filter_map(|slot| self.state.get(&slot))
            .collect();
        let list = |ids: &[&EventId]| Value::Array(ids.iter().map(|id| self.reference(id)).collect());
        let latest: Vec<_> = self.latest.iter().collect();
        let mut event = Map::from([
            ("auth_events".to_owned(), list(&cited)),
            ("content".to_owned(), content.into()),
            ("depth".to_owned(), (self.depth + 1).into()),
            ("origin_server_ts".to_owned(), now.into()),
            ("prev_events".to_owned(), list(&latest)),
            ("room_id".to_owned(), self.id.as_str().into()),
            ("sender".to_owned(), sender.as_str().into()),
            ("type".to_owned(), kind.into()),
        ]);
        if let Some(key) = state_key {
            event.insert("state_key".into(), key.into());
        }
        event
    }

    /// The id of an event of this room.
    #[must_use]
    pub fn id_of(&self, event: &Map) -> EventId {
        id_of(event, self.version)
    }

    /// An event as one that cites it names it; without its hash, which versions 1 and 2 let stand beside.
    fn reference(&self, id: &EventId) -> Value {
        match self.version.event_format {
            EventFormat::ServerIds => Value::Array(vec![id.as_str().into(), Map::new().into()]),
            _ => id.as_str().into(),
        }
    }

    /// Keeps an event without making it part of the present.
    pub fn keep(&mut self, event: &Map) -> EventId {
        let id = self.id_of(event);
        self.events.insert(id.clone(), event.clone());
        id
    }

    /// Keeps an event as the newest.
    pub fn push(&mut self, event: &Map) -> EventId {
        let id = self.keep(event);
        self.set_state(event, &id);
        self.depth = self
            .depth
            .max(event.get("depth").and_then(Value::as_int).unwrap_or(0));
        self.latest = vec![id.clone()];
        id
    }

    /// Makes an event part of the current state, if it is a state event.
    pub(crate) fn set_state(&mut self, event: &Map, id: &EventId) {
        let text = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
        if let (Some(kind), Some(key)) = (text("type"), text("state_key")) {
            self.state.insert((kind, key), id.clone());
        }
    }

    /// The event at a slot of the current state.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn state_id(&self, kind: &str, key: &str) -> EventId {
        self.state
            .get(&(kind.to_owned(), key.to_owned()))
            .expect("the room has this state")
            .clone()
    }

    /// The events of the current state.
    #[must_use]
    pub fn state_events(&self) -> Vec<Value> {
        self.state
            .values()
            .filter_map(|id| self.events.get(id))
            .cloned()
            .map(Value::Object)
            .collect()
    }
}

/// The id of an event, which in versions 1 and 2 it says itself.
pub(crate) fn id_of(event: &Map, version: &'static RoomVersion) -> EventId {
    match (
        version.event_format,
        event.get("event_id").and_then(Value::as_str),
    ) {
        (EventFormat::ServerIds, Some(id)) => EventId::parse(id).expect("an event id"),
        _ => hash::event_id(event, version),
    }
}
