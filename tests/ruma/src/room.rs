//! A room's events as ruma's rules ask for them.

use crate::event::Event;
use ruma_common::{EventId, OwnedEventId, room_version_rules::RoomVersionRules};
use ruma_events::StateEventType;
use ruma_state_res::{
    StateMap, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    utils::event_id_set::EventIdSet,
};
use std::collections::HashMap;

/// A state: what ruma keeps as a map from type and state key to event id.
pub type State = StateMap<OwnedEventId>;
/// An auth chain.
pub type Chain = EventIdSet<OwnedEventId>;

/// See the module.
#[derive(Debug)]
pub struct Room {
    /// The rules of its version.
    pub rules: RoomVersionRules,
    events: HashMap<OwnedEventId, Event>,
}

impl Room {
    /// A room without events.
    #[must_use]
    pub fn new(rules: RoomVersionRules) -> Self {
        Self {
            rules,
            events: HashMap::new(),
        }
    }

    /// Holds an event.
    pub fn hold(&mut self, event: Event) {
        let id = ruma_state_res::Event::event_id(&event).clone();
        self.events.insert(id, event);
    }

    /// An event.
    #[must_use]
    pub fn event(&self, id: &EventId) -> Option<&Event> {
        self.events.get(id)
    }

    /// Whether an event stands by its own auth events.
    ///
    /// # Errors
    /// Why not.
    pub fn check_own(&self, event: &Event) -> Result<(), String> {
        let fetch = |id: &EventId| self.event(id);
        check_state_independent_auth_rules(&self.rules.authorization, event, fetch)?;
        let mut state: HashMap<(StateEventType, String), &Event> = HashMap::new();
        for id in ruma_state_res::Event::auth_events(event) {
            let held = self.event(id).ok_or("an auth event is missing")?;
            state.insert(slot(held), held);
        }
        if self.rules.authorization.room_create_event_id_as_room_id
            && let Some(create) = self.create_of(event)
        {
            state.insert(slot(create), create);
        }
        let fetch_state =
            |kind: &StateEventType, key: &str| state.get(&(kind.clone(), key.to_owned())).copied();
        check_state_dependent_auth_rules(&self.rules.authorization, event, fetch_state)
    }

    fn create_of(&self, event: &Event) -> Option<&Event> {
        let room = ruma_state_res::Event::room_id(event)?;
        let id = OwnedEventId::try_from(room.as_str().replacen('!', "$", 1)).ok()?;
        self.event(&id)
    }

    /// Whether a state allows an event.
    ///
    /// # Errors
    /// Why not.
    pub fn check_in(&self, event: &Event, state: &State) -> Result<(), String> {
        let fetch_state = |kind: &StateEventType, key: &str| {
            let id = state.get(&(kind.clone(), key.to_owned()))?;
            self.event(id)
        };
        check_state_dependent_auth_rules(&self.rules.authorization, event, fetch_state)
    }

    /// The auth chain of a state's events; with `own` the events themselves, too.
    #[must_use]
    pub fn chain(&self, state: &State, own: bool) -> Chain {
        let mut chain = Chain::new();
        let mut ahead: Vec<&OwnedEventId> = state.values().collect();
        if own {
            chain.extend(state.values().cloned());
        }
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = ahead.pop() {
            let Some(event) = self.events.get(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            let implicit = self
                .rules
                .authorization
                .room_create_event_id_as_room_id
                .then(|| self.create_of(event))
                .flatten()
                .map(ruma_state_res::Event::event_id);
            for cited in ruma_state_res::Event::auth_events(event).chain(implicit) {
                if cited != id {
                    chain.insert(cited.clone());
                    ahead.push(cited);
                }
            }
        }
        chain
    }

    /// The state that several resolve to. `None` for versions whose algorithm ruma does not have.
    ///
    /// # Errors
    /// What ruma says.
    pub fn resolve(&self, states: &[State], chains: Vec<Chain>) -> Option<Result<State, String>> {
        let rules = self.rules.state_res.v2_rules()?;
        let resolved = ruma_state_res::resolve(
            &self.rules.authorization,
            rules,
            states,
            chains,
            |id| self.event(id),
            |conflicted| Some(self.subgraph(conflicted.values().flatten())),
        );
        Some(resolved.map_err(|error| error.to_string()))
    }

    /// The conflicted state subgraph: what lies on paths between conflicted events, both ends included.
    fn subgraph<'a>(&'a self, conflicted: impl Iterator<Item = &'a OwnedEventId>) -> Chain {
        let conflicted: Vec<&OwnedEventId> = conflicted.collect();
        let ends: std::collections::HashSet<&OwnedEventId> = conflicted.iter().copied().collect();
        let mut found = Chain::new();
        let mut leads: HashMap<&OwnedEventId, bool> = HashMap::new();
        for start in conflicted {
            self.leads_to_end(start, &ends, &mut leads);
        }
        let mut ahead: Vec<&OwnedEventId> = ends.iter().copied().collect();
        while let Some(id) = ahead.pop() {
            if leads.get(id) != Some(&true) || !found.insert(id.clone()) {
                continue;
            }
            if let Some(event) = self.events.get(id) {
                ahead.extend(ruma_state_res::Event::auth_events(event));
            }
        }
        found
    }

    /// Notes for what is reached from `start` whether it leads to, or is, one of `ends`.
    fn leads_to_end<'a>(
        &'a self,
        start: &'a OwnedEventId,
        ends: &std::collections::HashSet<&OwnedEventId>,
        leads: &mut HashMap<&'a OwnedEventId, bool>,
    ) {
        // Each event is looked at twice: before and after what it cites.
        let mut ahead = vec![(start, false)];
        while let Some((id, is_done)) = ahead.pop() {
            let Some(event) = self.events.get(id) else {
                continue;
            };
            let mut cited = ruma_state_res::Event::auth_events(event);
            if is_done {
                let found = ends.contains(id) || cited.any(|id| leads.get(id) == Some(&true));
                leads.insert(id, found);
            } else if !leads.contains_key(id) {
                leads.insert(id, ends.contains(id));
                ahead.push((id, true));
                ahead.extend(cited.map(|id| (id, false)));
            }
        }
    }
}

/// A state of these events: type, state key and id.
///
/// # Panics
/// If an id is not an event id.
#[must_use]
pub fn state<'a>(events: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> State {
    let entry = |(kind, key, id): (&str, &str, &str)| {
        let id = OwnedEventId::try_from(id).expect("an event id");
        ((kind.into(), key.to_owned()), id)
    };
    events.map(entry).collect()
}

/// Type and state key of a state event.
fn slot(event: &Event) -> (StateEventType, String) {
    let kind = ruma_state_res::Event::event_type(event).to_string();
    let key = ruma_state_res::Event::state_key(event).unwrap_or_default();
    (kind.into(), key.to_owned())
}
