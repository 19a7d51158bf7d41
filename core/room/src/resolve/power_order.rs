//! Step 1: the events that decide about power, ancestors first (SR-6, SR-7, SR-8).

use super::table::{Events, Kind, Local, LocalSet};
use crate::{
    auth::{Levels, Power},
    node::{AuthContent, Membership, Node},
};
use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::cmp::Ordering;
use roomlet_wire::Result;

/// The power events of the full conflicted set, with those that lead to them inside the set (SR-7), and the rest of the
/// set; each ascending, as `full` is.
///
/// The walk ends where a path leaves the set, as in Synapse and ruma.
pub(super) fn split_off(full: &[Local], events: &mut Events<'_>) -> Result<(Vec<Local>, Vec<Local>)> {
    let mut in_full = LocalSet::default();
    let mut found = LocalSet::default();
    let mut ahead = Vec::new();
    for event in full {
        in_full.insert(*event);
        if is_power_event(events.node(*event)) {
            found.insert(*event);
            ahead.push(*event);
        }
    }
    while let Some(event) = ahead.pop() {
        events.load_auth(event)?;
        for parent in events.auth(event) {
            if in_full.contains(*parent) && found.insert(*parent) {
                ahead.push(*parent);
            }
        }
    }
    Ok(full.iter().partition(|event| found.contains(**event)))
}

/// SR-6, with the create event, as Synapse and ruma have it.
pub(super) fn is_power_event(node: &Node) -> bool {
    let key = node.pdu.state_key.as_deref();
    match (&node.content, key) {
        (AuthContent::Create(_) | AuthContent::PowerLevels(_) | AuthContent::JoinRules(_), key) => {
            key == Some("")
        }
        (AuthContent::Member(member), Some(target)) => {
            matches!(member.membership, Some(Membership::Leave | Membership::Ban))
                && target != node.pdu.sender.as_str()
        }
        _ => false,
    }
}

/// An event that may come next.
struct Free<'n> {
    power: Power,
    node: &'n Node,
    place: usize,
}

/// The greatest is next: the greatest power of the sender, then the smallest timestamp, then the smallest id.
impl Ord for Free<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.node.pdu, &other.node.pdu);
        self.power
            .cmp(&other.power)
            .then_with(|| b.origin_server_ts.cmp(&a.origin_server_ts))
            .then_with(|| b.id.cmp(&a.id))
    }
}
impl PartialOrd for Free<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Free<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Free<'_> {}

#[derive(Clone, Copy)]
struct Citation {
    by: usize,
    /// The one before it of the same event.
    before: Option<usize>,
}

/// The order of SR-8: ancestors first; of those that are free, as [`Free`] has it.
pub(super) fn sort(list: &[Local], events: &mut Events<'_>) -> Result<Vec<Local>> {
    let mut powers = Vec::with_capacity(list.len());
    for event in list {
        powers.push(sender_power(*event, events)?);
    }
    let events = &*events;
    let mut places = vec![None; events.len()];
    for (place, event) in list.iter().enumerate() {
        places[event.index()] = Some(place);
    }
    // The events that cite one, by its place: a chain of indices of `citations`.
    let mut last_citation = vec![None; list.len()];
    let mut citations: Vec<Citation> = Vec::with_capacity(4 * list.len());
    let mut waits_for = vec![0_usize; list.len()];
    for (place, event) in list.iter().enumerate() {
        for parent in events
            .auth(*event)
            .iter()
            .filter_map(|parent| places[parent.index()])
        {
            let last: &mut Option<usize> = &mut last_citation[parent];
            // An event that cites another twice waits for it once.
            if last.is_none_or(|last| citations[last].by != place) {
                let before = last.replace(citations.len());
                citations.push(Citation { by: place, before });
                waits_for[place] += 1;
            }
        }
    }
    let free = |place: usize| Free {
        power: powers[place],
        node: events.node(list[place]),
        place,
    };
    let unbound = (0..list.len()).filter(|place| waits_for[*place] == 0);
    let mut next: BinaryHeap<Free<'_>> = unbound.map(free).collect();
    let mut order = Vec::with_capacity(list.len());
    while let Some(Free { place, .. }) = next.pop() {
        order.push(list[place]);
        let mut citation = last_citation[place];
        while let Some(Citation { by, before }) = citation.map(|index| citations[index]) {
            waits_for[by] -= 1;
            if waits_for[by] == 0 {
                next.push(free(by));
            }
            citation = before;
        }
    }
    Ok(order)
}

/// The sender's power by the event's own auth events (SR-8).
fn sender_power(event: Local, events: &mut Events<'_>) -> Result<Power> {
    let create = events.cited(event, Kind::Create)?;
    let levels = events.cited(event, Kind::PowerLevels)?;
    let node = |event: Option<Local>| event.map(|event| events.node(event));
    Ok(Levels::new(node(create), node(levels)).of_user(&events.node(event).pdu.sender))
}
