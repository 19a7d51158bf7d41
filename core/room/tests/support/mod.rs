//! What the tests of this crate share: rooms made of signed events, from fixed keys and counted time.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails them")]

use roomlet_room::{Node, Slots, Source, StateMap, auth};
use roomlet_wire::{
    Code, Error, EventId, EventNum, KeyId, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, Verified,
    json, pdu::Draft, sign::KeyPair, version::TABLE,
};
use std::sync::Arc;

/// The versions whose rules must be exact.
pub const EXACT: [&str; 4] = ["10", "11", "I.1", "org.matrix.msc1767.10"];

pub fn version(id: &str) -> &'static RoomVersion {
    TABLE.iter().find(|version| version.id == id).unwrap()
}

pub fn key() -> KeyPair {
    KeyPair::from_seed(KeyId::parse("ed25519:1").unwrap(), &[7; 32])
}

/// Events of one room, all that were ever made.
pub struct World {
    pub version: &'static RoomVersion,
    pub slots: Slots,
    pub nodes: Vec<Arc<Node>>,
    pub room_id: Option<RoomId>,
    now: i64,
}

/// A place in history: the state there and the last event.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    pub state: StateMap,
    pub tip: Option<EventNum>,
}

/// An event to be made.
#[derive(Clone)]
pub struct Spec {
    pub sender: String,
    pub kind: String,
    pub key: Option<String>,
    pub content: String,
    pub ts: Option<i64>,
    pub depth: i64,
    pub prev: Option<Vec<EventNum>>,
    pub auth: Option<Vec<EventNum>>,
    pub redacts: Option<EventId>,
    pub room: Option<RoomId>,
}

pub fn state_event(sender: &str, kind: &str, key: &str, content: &str) -> Spec {
    Spec {
        key: Some(key.into()),
        ..message(sender, kind, content)
    }
}

pub fn message(sender: &str, kind: &str, content: &str) -> Spec {
    Spec {
        sender: sender.into(),
        kind: kind.into(),
        key: None,
        content: content.into(),
        ts: None,
        depth: 1,
        prev: None,
        auth: None,
        redacts: None,
        room: None,
    }
}

pub fn member(sender: &str, target: &str, membership: &str) -> Spec {
    state_event(
        sender,
        "m.room.member",
        target,
        &format!(r#"{{"membership":"{membership}"}}"#),
    )
}

impl Spec {
    pub fn at(self, ts: i64) -> Self {
        Self { ts: Some(ts), ..self }
    }

    pub fn depth(self, depth: i64) -> Self {
        Self { depth, ..self }
    }

    pub fn after(self, prev: &[EventNum]) -> Self {
        Self {
            prev: Some(prev.to_vec()),
            ..self
        }
    }

    pub fn citing(self, auth: &[EventNum]) -> Self {
        Self {
            auth: Some(auth.to_vec()),
            ..self
        }
    }
}

impl Source for World {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        let node = self.nodes.get(num.0 as usize).cloned();
        node.ok_or_else(|| Error::new(Code::UnknownEvent, format!("event number {}", num.0)))
    }
}

impl World {
    pub fn new(id: &str) -> Self {
        let room_id = (!version(id).room_id_is_create_hash).then(|| RoomId::parse("!room:a").unwrap());
        Self {
            version: version(id),
            slots: Slots::new(),
            nodes: Vec::new(),
            room_id,
            now: 1000,
        }
    }

    /// A room of `@creator:a`: created, joined, power levels with `users`, join rules.
    pub fn room(id: &str, users: &str, join_rule: &str) -> (Self, Branch) {
        let mut world = Self::new(id);
        let mut branch = Branch::default();
        let content = format!(r#"{{"creator":"@creator:a","room_version":"{id}"}}"#);
        world.send(
            &mut branch,
            state_event("@creator:a", "m.room.create", "", &content),
        );
        world.send(&mut branch, member("@creator:a", "@creator:a", "join"));
        let levels = format!(r#"{{"users":{users}}}"#);
        world.send(
            &mut branch,
            state_event("@creator:a", "m.room.power_levels", "", &levels),
        );
        let rule = format!(r#"{{"join_rule":"{join_rule}"}}"#);
        world.send(
            &mut branch,
            state_event("@creator:a", "m.room.join_rules", "", &rule),
        );
        (world, branch)
    }

    /// The signed event; by default after the branch's tip, citing what AUTH-20 selects from its state.
    pub fn sign(&mut self, branch: &Branch, spec: &Spec) -> (Pdu<Verified>, Vec<EventNum>) {
        let content = json::parse_object(spec.content.as_bytes()).unwrap();
        let mut auth = spec.auth.clone().unwrap_or_else(|| {
            auth::select(
                self.version,
                &spec.kind,
                &spec.sender,
                spec.key.as_deref(),
                &content,
            )
            .iter()
            .filter_map(|(kind, key)| branch.state.get(self.slots.get(kind, key)?))
            .collect()
        });
        let prev = spec.prev.clone().unwrap_or(branch.tip.into_iter().collect());
        self.now += 1;
        let ids = |nums: &[EventNum]| nums.iter().map(|num| self.id(*num)).collect::<Vec<EventId>>();
        let draft = Draft {
            room_id: spec.room.clone().or(self.room_id.clone()),
            sender: UserId::parse(&spec.sender).unwrap(),
            kind: spec.kind.clone(),
            state_key: spec.key.clone(),
            content,
            prev_events: ids(&prev),
            auth_events: ids(&auth),
            depth: spec.depth,
            origin_server_ts: spec.ts.unwrap_or(self.now),
            redacts: spec.redacts.clone(),
            hashes: Default::default(),
        };
        let server = ServerName::parse(draft.sender.server()).unwrap();
        let pdu = draft.sign(self.version, &server, &key()).unwrap();
        if self.version.room_id_is_create_hash && spec.kind != "m.room.create" {
            auth.push(EventNum(0));
        }
        (pdu, auth)
    }

    /// The next node, not added to the world.
    pub fn draft(&mut self, branch: &Branch, spec: Spec) -> Node {
        let (pdu, auth) = self.sign(branch, &spec);
        self.node_of(pdu, auth, false)
    }

    pub fn node_of(&mut self, pdu: Pdu<Verified>, auth: Vec<EventNum>, rejected: bool) -> Node {
        if let Some(key) = pdu.state_key.as_deref() {
            self.slots.intern(&pdu.kind, key);
        }
        Node::new(
            EventNum(self.nodes.len() as u32),
            pdu,
            &self.slots,
            auth,
            rejected,
        )
        .unwrap()
    }

    /// Makes an event and holds it.
    pub fn add(&mut self, branch: &Branch, spec: Spec) -> EventNum {
        let node = self.draft(branch, spec);
        self.hold(node)
    }

    pub fn hold(&mut self, node: Node) -> EventNum {
        let num = node.num;
        if self.room_id.is_none() {
            self.room_id = Some(node.pdu.room_id.clone());
        }
        self.nodes.push(Arc::new(node));
        num
    }

    /// Makes an event at the end of a branch and moves the branch on.
    pub fn send(&mut self, branch: &mut Branch, spec: Spec) -> EventNum {
        let num = self.add(branch, spec);
        branch.tip = Some(num);
        if let Some(slot) = self.nodes[num.0 as usize].slot {
            branch.state.insert(slot, num);
        }
        num
    }

    pub fn id(&self, num: EventNum) -> EventId {
        self.nodes[num.0 as usize].pdu.id.clone()
    }

    pub fn held(&self, state: &StateMap, kind: &str, key: &str) -> Option<EventNum> {
        state.get(self.slots.get(kind, key)?)
    }

    /// Whether the rules allow an event in the branch's state: `allow` or the name of the rule.
    pub fn verdict(&mut self, branch: &Branch, spec: Spec) -> &'static str {
        let node = self.draft(branch, spec);
        self.verdict_on(&node, branch)
    }

    pub fn verdict_on(&self, node: &Node, branch: &Branch) -> &'static str {
        let state = auth::load(node, &branch.state, self, &self.slots).unwrap();
        auth::check(node, &state).map_or_else(|denied| denied.rule(), |()| "allow")
    }
}
