//! From a plan to events, verdicts and states: roomlet's own answers.

use crate::plan::{Follows, Plan, Step, StepId, Twist};
use roomlet_room::{Denied, Node, Slots, Source, StateMap, Verdict, auth, ingest, resolve};
use roomlet_wire::{
    Code, Error, EventId, EventNum, KeyId, Parsed, Pdu, Result, RoomVersion, ServerName, UserId, hash,
    json::{self, Map, Value},
    redact,
    sign::{self, KeyPair, KeyRing, PublicKey},
    version::EventFormat,
};
use std::{collections::BTreeMap, sync::Arc};

/// A room that was made, with what roomlet says of it.
pub(crate) struct Room {
    pub(crate) version: &'static RoomVersion,
    pub(crate) events: Vec<Made>,
    pub(crate) merges: Vec<Merge>,
    /// How many steps roomlet refused to read at all.
    pub(crate) dropped: usize,
    outliers: bool,
    slots: Slots,
    nodes: Vec<Arc<Node>>,
    by_step: BTreeMap<StepId, EventNum>,
}

/// An event and roomlet's answers.
pub(crate) struct Made {
    pub(crate) step: StepId,
    /// The event as a server sent it.
    pub(crate) raw: Map,
    pub(crate) node: Arc<Node>,
    pub(crate) foreign: bool,
    pub(crate) redacted: Map,
    /// By its own auth events (step 4).
    pub(crate) own: std::result::Result<(), Denied>,
    /// By the state before it (step 5).
    pub(crate) before: std::result::Result<(), Denied>,
    pub(crate) state_before: StateMap,
    state_after: StateMap,
}

impl Made {
    /// Whether the verdict by the state before it is to be compared: Synapse checks a create event by itself only,
    /// and an event of another room has no state here.
    pub(crate) fn has_state_before(&self) -> bool {
        !self.foreign && self.node.pdu.kind != "m.room.create"
    }
}

/// States and what they resolve to.
pub(crate) struct Merge {
    pub(crate) sets: Vec<StateMap>,
    pub(crate) resolved: StateMap,
}

impl Source for Room {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        let node = self.nodes.get(num.0 as usize).cloned();
        node.ok_or_else(|| Error::new(Code::UnknownEvent, format!("event number {}", num.0)))
    }
}

/// The one key that all servers have.
pub(crate) fn key() -> KeyPair {
    KeyPair::from_seed(KeyId::parse("ed25519:1").expect("a key id"), &[7; 32])
}

struct OneKey(PublicKey);

impl KeyRing for OneKey {
    fn key(&self, _: &str, _: &str, _: i64, _: bool) -> Result<PublicKey> {
        Ok(self.0.clone())
    }
}

impl Room {
    /// Makes the whole plan.
    ///
    /// # Errors
    /// Only bugs: every auth event is at hand.
    pub(crate) fn make(plan: &Plan) -> Result<Self> {
        let mut room = Self::new(plan.version, plan.outliers);
        for step in &plan.steps {
            room.add(step)?;
        }
        for merge in &plan.merges {
            room.merge(merge)?;
        }
        Ok(room)
    }

    pub(crate) fn new(version: &'static RoomVersion, outliers: bool) -> Self {
        Self {
            version,
            events: Vec::new(),
            merges: Vec::new(),
            dropped: 0,
            outliers,
            slots: Slots::new(),
            nodes: Vec::new(),
            by_step: BTreeMap::new(),
        }
    }

    /// Makes an event and judges it. One that roomlet does not read is left out.
    pub(crate) fn add(&mut self, step: &Step) -> Result<()> {
        let prevs = self.prevs(step);
        let state_before = self.state_of(&prevs)?;
        let cited = self.auth_events(step, &state_before);
        let raw = self.object(step, &prevs, &cited);
        let keys = OneKey(key().public());
        let read = Pdu::<Parsed>::from_object(raw.clone(), self.version).and_then(|pdu| pdu.verify(&keys));
        let Ok(pdu) = read else {
            self.dropped += 1;
            return Ok(());
        };
        let mut auth = cited;
        auth.dedup();
        let create = EventNum(0);
        if self.version.room_id_is_create_hash && pdu.kind != "m.room.create" && !auth.contains(&create) {
            auth.push(create);
        }
        let slot = pdu
            .state_key
            .as_deref()
            .map(|key| self.slots.intern(&pdu.kind, key));
        let num = EventNum(u32::try_from(self.nodes.len()).expect("rooms are small"));
        let mut node = Node::new(num, pdu, &self.slots, auth, false)?;
        let own = match ingest::judge_outlier(&node, self)? {
            Verdict::Rejected(denied) | Verdict::SoftFailed(denied) => Err(denied),
            Verdict::Accepted => Ok(()),
        };
        let before = auth::check(&node, &auth::load(&node, &state_before, self, &self.slots)?);
        node.rejected = own.is_err() || (before.is_err() && !self.outliers);
        let mut state_after = state_before.clone();
        if let Some(slot) = slot
            && !node.rejected
            && step.foreign.is_none()
        {
            state_after.insert(slot, num);
        }
        let node = Arc::new(node);
        self.nodes.push(node.clone());
        self.by_step.insert(step.id, num);
        self.events.push(Made {
            step: step.id,
            redacted: redact::redact(&raw, self.version),
            raw,
            node,
            foreign: step.foreign.is_some(),
            own,
            before,
            state_before,
            state_after,
        });
        Ok(())
    }

    /// Resolves the states after these steps.
    pub(crate) fn merge(&mut self, steps: &[StepId]) -> Result<()> {
        let nums: Vec<EventNum> = steps.iter().filter_map(|step| self.num(*step)).collect();
        self.state_of(&nums).map(|_| ())
    }

    /// The event that holds a type and key after a step.
    pub(crate) fn held(&self, after: StepId, kind: &str, key: &str) -> Option<&Node> {
        let made = &self.events[self.num(after)?.0 as usize];
        let num = made.state_after.get(self.slots.get(kind, key)?)?;
        Some(&self.nodes[num.0 as usize])
    }

    /// Whether the step made an event of another room.
    pub(crate) fn is_foreign(&self, step: StepId) -> bool {
        self.num(step)
            .is_some_and(|num| self.events[num.0 as usize].foreign)
    }

    /// A state by type, state key and event id.
    pub(crate) fn named<'a>(
        &'a self,
        state: &'a StateMap,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a EventId)> {
        state.iter().map(|(slot, num)| {
            let (kind, key) = self.slots.name(slot).expect("its own slots");
            (kind, key, &self.nodes[num.0 as usize].pdu.id)
        })
    }

    /// The ids of a state's events.
    pub(crate) fn ids(&self, state: &StateMap) -> Vec<String> {
        let id = |num: EventNum| self.nodes[num.0 as usize].pdu.id.to_string();
        state.iter().map(|(_, num)| id(num)).collect()
    }

    /// Whether an event has a number that is no integer of 53 bits.
    pub(crate) fn has_odd_numbers(&self) -> bool {
        self.events
            .iter()
            .any(|made| json::check_canonical(&made.raw).is_err())
    }

    fn num(&self, step: StepId) -> Option<EventNum> {
        self.by_step.get(&step).copied()
    }

    fn prevs(&self, step: &Step) -> Vec<EventNum> {
        let mut prevs: Vec<EventNum> = Vec::new();
        for num in step.prevs.iter().filter_map(|prev| self.num(*prev)) {
            if !prevs.contains(&num) {
                prevs.push(num);
            }
        }
        if step.follows == Follows::Nothing {
            return Vec::new();
        }
        if prevs.is_empty() && !self.nodes.is_empty() && step.kind != "m.room.create" {
            prevs.push(EventNum(0));
        }
        prevs
    }

    /// The state that the states after these events resolve to; noted if there are several.
    fn state_of(&mut self, after: &[EventNum]) -> Result<StateMap> {
        let sets: Vec<StateMap> = after
            .iter()
            .map(|num| self.events[num.0 as usize].state_after.clone())
            .collect();
        let resolved = resolve::resolve(self.version, &sets, self, &self.slots)?;
        if sets.len() > 1 {
            self.merges.push(Merge {
                sets,
                resolved: resolved.clone(),
            });
        }
        Ok(resolved)
    }

    fn auth_events(&self, step: &Step, before: &StateMap) -> Vec<EventNum> {
        let state = match step.auth_after.and_then(|after| self.num(after)) {
            Some(num) => &self.events[num.0 as usize].state_after,
            None => before,
        };
        let mut cited: Vec<EventNum> = auth::select(
            self.version,
            &step.kind,
            &step.sender,
            step.key.as_deref(),
            &step.content,
        )
        .iter()
        .filter_map(|(kind, key)| state.get(self.slots.get(kind, key)?))
        .collect();
        for twist in &step.twists {
            match twist {
                Twist::Without(kind) => cited.retain(|num| self.nodes[num.0 as usize].pdu.kind != *kind),
                Twist::With(other) => cited.extend(self.num(*other)),
                Twist::Instead(other) => {
                    if let Some(num) = self.num(*other) {
                        let slot = self.nodes[num.0 as usize].slot;
                        cited.retain(|num| self.nodes[num.0 as usize].slot != slot);
                        cited.push(num);
                    }
                }
                Twist::Twice => cited.extend(cited.first().copied()),
            }
        }
        cited
    }

    /// The event, hashed and signed by the sender's server and by that of whoever authorised the join.
    fn object(&self, step: &Step, prevs: &[EventNum], auth: &[EventNum]) -> Map {
        let server_ids = self.version.event_format == EventFormat::ServerIds;
        let ids = |nums: &[EventNum]| -> Value {
            let id = |num: &EventNum| {
                let pdu = &self.nodes[num.0 as usize].pdu;
                let id = Value::from(pdu.id.as_str());
                if !server_ids {
                    return id;
                }
                let hashes = Map::from([("sha256".into(), pdu.reference_hash().into())]);
                vec![id, hashes.into()].into()
            };
            nums.iter().map(id).collect::<Vec<_>>().into()
        };
        let mut object = step.more.clone();
        let mut put = |key: &str, value: Value| object.insert(key.into(), value);
        if let Some(room_id) = self.room_id(step) {
            put("room_id", room_id.into());
        }
        if let Some(key) = &step.key {
            put("state_key", key.as_str().into());
        }
        put("sender", step.sender.as_str().into());
        put("type", step.kind.as_str().into());
        put("content", step.content.clone().into());
        let twice = if step.follows == Follows::Twice {
            prevs
        } else {
            &[]
        };
        put("prev_events", ids(&[prevs, twice].concat()));
        put("auth_events", ids(auth));
        let depth = prevs.iter().map(|num| self.nodes[num.0 as usize].pdu.depth).max();
        put("depth", (depth.unwrap_or(0) + 1).into());
        let id_server = step.id_server.as_deref();
        let id_server = id_server.or_else(|| step.sender.split_once(':').map(|(_, server)| server));
        if server_ids {
            put(
                "event_id",
                format!("$e{}:{}", step.id, id_server.unwrap_or_default()).into(),
            );
        }
        put("origin_server_ts", step.time.into());
        let sha256 = Value::from(hash::content_hash(&object));
        object.insert("hashes".into(), Map::from([("sha256".into(), sha256)]).into());
        if step.tampered
            && let Some(Value::Object(content)) = object.get_mut("content")
        {
            content.insert("tampered".into(), true.into());
        }
        let authorising = step
            .content
            .get("join_authorised_via_users_server")
            .and_then(Value::as_str);
        let server_of = |user: &str| Some(UserId::parse(user).ok()?.server_name());
        let mut signers = vec![server_of(&step.sender), authorising.and_then(server_of)];
        if server_ids {
            signers.push(id_server.and_then(|server| ServerName::parse(server).ok()));
        }
        for server in signers.into_iter().flatten() {
            sign::sign_event(&mut object, self.version, &server, &key());
        }
        object
    }

    fn room_id(&self, step: &Step) -> Option<String> {
        if step.foreign.is_some() {
            return step.foreign.clone().filter(|room| !room.is_empty());
        }
        match self.nodes.first() {
            Some(create) => Some(create.pdu.room_id.to_string()),
            None => (!self.version.room_id_is_create_hash).then(|| "!room:one".into()),
        }
    }
}
