//! Events in the order in which they can be taken, cited before citing; and which of them are history.

use roomlet_wire::{EventId, Pdu, Verified};
use std::collections::{BTreeMap, BTreeSet};

/// Which citations order events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Along {
    /// `auth_events`: for outliers.
    Auth,
    /// `prev_events` and `auth_events`: for history.
    Both,
}

fn cites(pdu: &Pdu<Verified>, along: Along) -> impl Iterator<Item = &EventId> {
    let prev: &[EventId] = if along == Along::Both {
        &pdu.prev_events
    } else {
        &[]
    };
    pdu.auth_events.iter().chain(prev)
}

/// The events, each once, cited before citing; among free ones create events first, which those of version 12 cite
/// without saying so (EV-4), then by depth, then by id. Cycles, which only versions with server-made ids allow, come
/// last.
pub(crate) fn causal(pdus: Vec<Pdu<Verified>>, along: Along) -> Vec<Pdu<Verified>> {
    let mut by_id: BTreeMap<EventId, Pdu<Verified>> = BTreeMap::new();
    for pdu in pdus {
        by_id.insert(pdu.id.clone(), pdu);
    }
    let mut waits: BTreeMap<&EventId, usize> = BTreeMap::new();
    let mut children: BTreeMap<&EventId, Vec<&EventId>> = BTreeMap::new();
    for pdu in by_id.values() {
        let parents: BTreeSet<&EventId> = cites(pdu, along).filter(|id| by_id.contains_key(*id)).collect();
        waits.insert(&pdu.id, parents.len());
        for parent in parents {
            children.entry(parent).or_default().push(&pdu.id);
        }
    }
    let place = |id: &EventId| (by_id[id].kind != "m.room.create", by_id[id].depth);
    let mut ready: BTreeSet<((bool, i64), &EventId)> = by_id
        .keys()
        .filter(|id| waits[id] == 0)
        .map(|id| (place(id), id))
        .collect();
    let mut order = Vec::with_capacity(by_id.len());
    while let Some((_, id)) = ready.pop_first() {
        order.push(id.clone());
        for child in children.get(id).into_iter().flatten() {
            if let Some(left) = waits.get_mut(child) {
                *left -= 1;
                if *left == 0 {
                    ready.insert((place(child), child));
                }
            }
        }
    }
    let mut sorted: Vec<Pdu<Verified>> = Vec::with_capacity(by_id.len());
    let mut left = by_id.clone();
    for id in order {
        sorted.extend(left.remove(&id));
    }
    sorted.extend(left.into_values());
    sorted
}

/// The ids of the events that are behind `from` along `prev_events`, those included. A server may tell others too, but
/// they would be taken for history, and not be heard when they come as the news that they are.
pub(crate) fn behind<'a>(
    from: &'a [EventId],
    pdus: &mut dyn Iterator<Item = &'a Pdu<Verified>>,
) -> BTreeSet<EventId> {
    let by_id: BTreeMap<&EventId, &Pdu<Verified>> = pdus.map(|pdu| (&pdu.id, pdu)).collect();
    let mut ahead: Vec<&EventId> = from.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = ahead.pop() {
        if let Some(pdu) = by_id.get(id)
            && seen.insert(id.clone())
        {
            ahead.extend(&pdu.prev_events);
        }
    }
    seen
}
