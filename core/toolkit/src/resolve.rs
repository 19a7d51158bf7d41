//! Resolution of states by the ids of their events.

use crate::{
    event::believe,
    graph::{Graph, cited, missing},
};
use roomlet_room::{StateMap, resolve};
use roomlet_wire::{Code, Error, EventId, Pdu, Result, RoomVersion, Verified};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Events of one resolution, at most: a source must not be able to go on for ever.
const EVENTS: usize = 1 << 20;

/// The ids of the events of the state that several states resolve to, by type and state key of their events. Each of
/// `states` is given by the ids of its events; `events` has all of these and their auth chains, and may have more.
/// Signatures and hashes are not looked at: check them before.
///
/// # Errors
/// `UnknownEvent` for an event that is needed and not given, `BadEvent` for two events of a state with the same type and
/// state key; those of [`check_event`](crate::check_event).
pub fn resolve_state(version: &str, states: &[Vec<String>], events: &[String]) -> Result<Vec<String>> {
    let known_version = RoomVersion::named(version)?;
    let mut by_id: HashMap<String, &str> = HashMap::with_capacity(events.len());
    for event in events {
        by_id.insert(believe(event, known_version)?.id.as_str().to_owned(), event);
    }
    let given = |ids: Vec<String>| {
        let find = |id: &String| by_id.get(id).map(|event| (*event).to_owned());
        Ok(ids.iter().filter_map(find).collect())
    };
    resolve_state_from(version, states, given)
}

/// As [`resolve_state`], where `source` gives events when they are needed: it is called with ids, a round for each step
/// into the auth chains, and gives these events in any order.
///
/// # Errors
/// As there; what `source` gives; `BadEvent` if it gives what was not asked for, or more than a million events.
pub fn resolve_state_from(
    version: &str,
    states: &[Vec<String>],
    mut source: impl FnMut(Vec<String>) -> Result<Vec<String>>,
) -> Result<Vec<String>> {
    let version = RoomVersion::named(version)?;
    let states = states
        .iter()
        .map(|ids| ids.iter().map(|id| EventId::parse(id)).collect())
        .collect::<Result<Vec<Vec<EventId>>>>()?;
    let events = fetch(version, states.iter().flatten().cloned().collect(), &mut source)?;
    let graph = Graph::of_chains(events)?;
    let maps = states
        .iter()
        .map(|ids| state_map(ids, &graph))
        .collect::<Result<Vec<StateMap>>>()?;
    let resolved = resolve::resolve(version, &maps, &graph, &graph.slots)?;
    let mut named: Vec<(&str, &str, &str)> = Vec::with_capacity(resolved.len());
    for (slot, num) in resolved.iter() {
        let (kind, key) = graph.slots.name(slot)?;
        named.push((kind, key, &graph.nodes()[num.0 as usize].pdu.id));
    }
    named.sort_unstable();
    Ok(named.into_iter().map(|(.., id)| id.to_owned()).collect())
}

/// Gets events and all that they lead to.
fn fetch(
    version: &'static RoomVersion,
    mut wanted: BTreeSet<EventId>,
    source: &mut dyn FnMut(Vec<String>) -> Result<Vec<String>>,
) -> Result<BTreeMap<EventId, Pdu<Verified>>> {
    let mut events = BTreeMap::new();
    while !wanted.is_empty() {
        let ids = wanted.iter().map(|id| id.as_str().to_owned()).collect();
        let mut next = BTreeSet::new();
        for event in source(ids)? {
            let pdu = believe(&event, version)?;
            if !wanted.remove(&pdu.id) {
                let about = format!("event {} was given and not asked for", pdu.id);
                return Err(Error::new(Code::BadEvent, about));
            }
            next.extend(cited(&pdu));
            events.insert(pdu.id.clone(), pdu);
        }
        if let Some(id) = wanted.first() {
            return Err(missing(id));
        }
        next.retain(|id| !events.contains_key(id));
        if events.len() + next.len() > EVENTS {
            let about = format!("more than {EVENTS} events lead to these states");
            return Err(Error::new(Code::BadEvent, about));
        }
        wanted = next;
    }
    Ok(events)
}

fn state_map(ids: &[EventId], graph: &Graph) -> Result<StateMap> {
    let mut map = StateMap::new();
    for id in ids {
        let node = graph.get(id)?;
        let slot = node.slot.ok_or_else(|| {
            let about = format!("event {id} of a state is no state event");
            Error::new(Code::BadEvent, about)
        })?;
        if map.insert(slot, node.num).is_some_and(|other| other != node.num) {
            let about = format!("event {id}: the state has another event of its type and state key");
            return Err(Error::new(Code::BadEvent, about));
        }
    }
    Ok(map)
}
