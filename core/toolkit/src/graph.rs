//! Events of one room, held for one question.

use crate::event::believe;
use roomlet_room::{Node, Slots, Source};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, RoomVersion, Verified};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Events by id, each behind those that it cites.
pub(crate) struct Graph {
    pub(crate) slots: Slots,
    nodes: Vec<Arc<Node>>,
    nums: HashMap<EventId, EventNum>,
}

impl Source for Graph {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        let node = self.nodes.get(num.0 as usize).cloned();
        node.ok_or_else(|| Error::new(Code::UnknownEvent, format!("event number {}", num.0)))
    }
}

impl Graph {
    fn new() -> Self {
        Self {
            slots: Slots::new(),
            nodes: Vec::new(),
            nums: HashMap::new(),
        }
    }

    /// Events that are judged by, and not judged themselves: what they cite does not matter.
    pub(crate) fn of_leaves<'a>(
        version: &'static RoomVersion,
        events: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self> {
        let mut graph = Self::new();
        for event in events {
            let pdu = believe(event, version)?;
            if !graph.nums.contains_key(&pdu.id) {
                graph.push(pdu, Vec::new());
            }
        }
        Ok(graph)
    }

    /// Events with all that they cite, in any order.
    ///
    /// # Errors
    /// `UnknownEvent` for an event that is cited and not there, `BadEvent` for a circle.
    pub(crate) fn of_chains(events: BTreeMap<EventId, Pdu<Verified>>) -> Result<Self> {
        let mut graph = Self::new();
        // Depth first: an event is pushed when all that it cites were.
        for start in events.keys() {
            let mut ahead = vec![(start.clone(), 0_usize)];
            while let Some((id, next)) = ahead.last_mut() {
                if graph.nums.contains_key(id) {
                    ahead.pop();
                    continue;
                }
                let pdu = events.get(id).ok_or_else(|| missing(id))?;
                let cited = cited(pdu);
                let Some(parent) = cited.get(*next).cloned() else {
                    let auth = cited
                        .iter()
                        .filter_map(|id| graph.nums.get(id).copied())
                        .collect();
                    let pdu = pdu.clone();
                    ahead.pop();
                    graph.push(pdu, auth);
                    continue;
                };
                *next += 1;
                if graph.nums.contains_key(&parent) {
                    continue;
                }
                // Ids that servers make up can lead in a circle; a way is never longer than there are events.
                if ahead.len() > events.len() {
                    let about = format!("event {parent}: its auth events lead back to it");
                    return Err(Error::new(Code::BadEvent, about));
                }
                ahead.push((parent, 0));
            }
        }
        Ok(graph)
    }

    fn push(&mut self, pdu: Pdu<Verified>, auth: Vec<EventNum>) {
        if let Some(key) = pdu.state_key.as_deref() {
            self.slots.intern(&pdu.kind, key);
        }
        let num = EventNum(self.nodes.len() as u32);
        self.nums.insert(pdu.id.clone(), num);
        let node = Node::unplaced(num, pdu, &self.slots, auth, false);
        self.nodes.push(Arc::new(node));
    }

    /// An event in question.
    pub(crate) fn node_of(&self, pdu: Pdu<Verified>) -> Node {
        Node::unplaced(EventNum(u32::MAX), pdu, &self.slots, Vec::new(), false)
    }

    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The event of an id.
    ///
    /// # Errors
    /// `UnknownEvent`.
    pub(crate) fn get(&self, id: &EventId) -> Result<&Arc<Node>> {
        let num = self.nums.get(id).ok_or_else(|| missing(id))?;
        Ok(&self.nodes[num.0 as usize])
    }
}

/// What an event cites as auth events; in version 12 the create event, too (EV-4).
pub(crate) fn cited(pdu: &Pdu<Verified>) -> Vec<EventId> {
    let mut ids = pdu.auth_events.clone();
    if pdu.version.room_id_is_create_hash
        && pdu.kind != "m.room.create"
        && let Ok(create) = EventId::parse(&format!("${}", &pdu.room_id[1..]))
        && !ids.contains(&create)
    {
        ids.push(create);
    }
    ids
}

pub(crate) fn missing(id: &EventId) -> Error {
    Error::new(Code::UnknownEvent, format!("event {id} is not among those given"))
}
