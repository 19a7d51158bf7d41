//! Step 1: the events that decide about power, ancestors first (SR-6, SR-7, SR-8).

use super::table::{Events, LocalSet, NumTable};
use crate::{
    auth::{Levels, Power},
    node::{AuthContent, Membership, Node},
};
use alloc::{collections::BinaryHeap, sync::Arc, vec, vec::Vec};
use core::cmp::Ordering;
use roomlet_wire::{EventNum, Result};

/// The power events of the full conflicted set, with those that lead to them inside the set (SR-7), and the rest of the
/// set; each ascending, as `full` is.
///
/// The walk ends where a path leaves the set, as in Synapse and ruma.
pub(super) fn split_off(
    full: &[EventNum],
    events: &mut Events<'_>,
) -> Result<(Vec<EventNum>, Vec<EventNum>)> {
    let mut in_full = LocalSet::default();
    for event in full {
        in_full.insert(events.local(*event)?);
    }
    let mut found = LocalSet::default();
    let mut ahead = Vec::new();
    for event in full {
        let local = events.local(*event)?;
        if is_power_event(events.node(local)) && found.insert(local) {
            ahead.push(local);
        }
    }
    while let Some(local) = ahead.pop() {
        let node = events.node(local).clone();
        for parent in &node.auth {
            let parent = events.local(*parent)?;
            if in_full.contains(parent) && found.insert(parent) {
                ahead.push(parent);
            }
        }
    }
    let (mut power, mut rest) = (Vec::new(), Vec::new());
    for event in full {
        let list = if found.contains(events.local(*event)?) {
            &mut power
        } else {
            &mut rest
        };
        list.push(*event);
    }
    Ok((power, rest))
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

/// The order of SR-8: ancestors first; of those that are free, as [`Free`] has it.
pub(super) fn sort(list: &[EventNum], events: &mut Events<'_>) -> Result<Vec<EventNum>> {
    let mut places = NumTable::new();
    for (place, event) in (0_u32..).zip(list) {
        places.set(event.0, place);
    }
    let mut nodes: Vec<Arc<Node>> = Vec::with_capacity(list.len());
    let mut powers = Vec::with_capacity(list.len());
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); list.len()];
    let mut waits_for = vec![0_usize; list.len()];
    for (place, event) in list.iter().enumerate() {
        let node = events.get(*event)?;
        powers.push(sender_power(&node, events)?);
        for parent in node.auth.iter().filter_map(|parent| places.get(parent.0)) {
            let children = &mut children[parent as usize];
            // An event that cites another twice waits for it once.
            if children.last() != Some(&place) {
                children.push(place);
                waits_for[place] += 1;
            }
        }
        nodes.push(node);
    }
    let free = |place: usize| Free {
        power: powers[place],
        node: &nodes[place],
        place,
    };
    let unbound = (0..list.len()).filter(|place| waits_for[*place] == 0);
    let mut next: BinaryHeap<Free<'_>> = unbound.map(free).collect();
    let mut order = Vec::with_capacity(list.len());
    while let Some(Free { place, .. }) = next.pop() {
        order.push(list[place]);
        for child in &children[place] {
            waits_for[*child] -= 1;
            if waits_for[*child] == 0 {
                next.push(free(*child));
            }
        }
    }
    Ok(order)
}

/// The sender's power by the event's own auth events (SR-8).
fn sender_power(node: &Node, events: &mut Events<'_>) -> Result<Power> {
    let create = events.cited(node, Node::is_create)?;
    let levels = events.cited(node, Node::is_power_levels)?;
    Ok(Levels::new(create.as_deref(), levels.as_deref()).of_user(&node.pdu.sender))
}
