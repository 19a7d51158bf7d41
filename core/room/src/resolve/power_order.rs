//! Step 1: the events that decide about power, ancestors first (SR-6, SR-7, SR-8).

use crate::{
    auth::{Levels, Power},
    node::{Membership, Node, Source},
};
use alloc::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;
use roomlet_wire::{EventId, EventNum, Result};

/// The power events of the full conflicted set, with those that lead to them inside the set (SR-7).
///
/// The walk ends where a path leaves the set, as in Synapse and ruma.
pub(super) fn power_events(full: &BTreeSet<EventNum>, source: &dyn Source) -> Result<BTreeSet<EventNum>> {
    let mut found = BTreeSet::new();
    let mut ahead = Vec::new();
    for event in full {
        if is_power_event(&*source.node(*event)?) && found.insert(*event) {
            ahead.push(*event);
        }
    }
    while let Some(event) = ahead.pop() {
        for parent in &source.node(event)?.auth {
            if full.contains(parent) && found.insert(*parent) {
                ahead.push(*parent);
            }
        }
    }
    Ok(found)
}

/// SR-6, with the create event, as Synapse and ruma have it.
fn is_power_event(node: &Node) -> bool {
    let pdu = &node.pdu;
    match (pdu.kind.as_str(), pdu.state_key.as_deref()) {
        ("m.room.create" | "m.room.power_levels" | "m.room.join_rules", Some("")) => true,
        ("m.room.member", Some(target)) => {
            let membership = node.member().and_then(|member| member.membership);
            matches!(membership, Some(Membership::Leave | Membership::Ban)) && target != pdu.sender.as_str()
        }
        _ => false,
    }
}

/// The order of SR-8: ancestors first; of those that are free, the greatest power of the sender, then the
/// smallest timestamp, then the smallest id.
pub(super) fn sort(events: &BTreeSet<EventNum>, source: &dyn Source) -> Result<Vec<EventNum>> {
    type Key = (Power, Reverse<i64>, Reverse<EventId>);
    let mut children: BTreeMap<EventNum, Vec<EventNum>> = BTreeMap::new();
    let mut waiting: BTreeMap<EventNum, (usize, Key)> = BTreeMap::new();
    let mut free: BinaryHeap<(Key, EventNum)> = BinaryHeap::new();
    for event in events {
        let node = source.node(*event)?;
        let key = (
            sender_power(&node, source)?,
            Reverse(node.pdu.origin_server_ts),
            Reverse(node.pdu.id.clone()),
        );
        let parents: BTreeSet<_> = node
            .auth
            .iter()
            .filter(|parent| events.contains(parent))
            .collect();
        for parent in &parents {
            children.entry(**parent).or_default().push(*event);
        }
        if parents.is_empty() {
            free.push((key, *event));
        } else {
            waiting.insert(*event, (parents.len(), key));
        }
    }
    let mut order = Vec::with_capacity(events.len());
    while let Some((_, event)) = free.pop() {
        order.push(event);
        for child in children.remove(&event).unwrap_or_default() {
            if let Some((parents, _)) = waiting.get_mut(&child) {
                *parents -= 1;
                if *parents == 0
                    && let Some((_, key)) = waiting.remove(&child)
                {
                    free.push((key, child));
                }
            }
        }
    }
    Ok(order)
}

/// The sender's power by the event's own auth events (SR-8).
fn sender_power(node: &Node, source: &dyn Source) -> Result<Power> {
    let (mut create, mut levels) = (None::<Arc<Node>>, None::<Arc<Node>>);
    for num in &node.auth {
        let auth = source.node(*num)?;
        if auth.pdu.is_state("m.room.create", "") {
            create.get_or_insert(auth);
        } else if auth.pdu.is_state("m.room.power_levels", "") {
            levels.get_or_insert(auth);
        }
    }
    Ok(Levels::new(create, levels).of_user(&node.pdu.sender))
}
