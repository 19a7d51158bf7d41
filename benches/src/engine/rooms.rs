//! Rooms made to measure: signed events of one room, held as the engine holds them.

use roomlet_room::{Node, Slots, Source, StateMap, auth, resolve};
use roomlet_wire::{
    Code, Error, EventNum, KeyId, Map, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, Verified, json,
    pdu::Draft, sign::KeyPair,
};
use std::sync::Arc;

/// The server that all users are of.
pub(crate) const SERVER: &str = "one.example";
/// The id of its key.
pub(crate) const KEY: &str = "ed25519:1";

/// A place in history: the state there and the last event.
#[derive(Clone, Default)]
pub(crate) struct Branch {
    pub(crate) state: StateMap,
    tips: Vec<EventNum>,
}

/// All events of a room, by number.
pub(crate) struct Room {
    pub(crate) version: &'static RoomVersion,
    pub(crate) key: KeyPair,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) slots: Slots,
    now: i64,
}

impl Source for Room {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        let node = self.nodes.get(num.0 as usize).cloned();
        node.ok_or_else(|| Error::new(Code::UnknownEvent, format!("event number {}", num.0)))
    }
}

/// The user of a number.
pub(crate) fn user(number: usize) -> String {
    format!("@user{number:05}:{SERVER}")
}

fn object(text: &str) -> Map {
    json::parse_object(text.as_bytes()).expect("JSON written here is an object")
}

impl Room {
    /// A public room of version 10 that user 0 made, with `named` users in its power levels, user 0 among them.
    pub(crate) fn new(named: usize) -> (Self, Branch) {
        let mut room = Self {
            version: RoomVersion::get("10").expect("the version is supported"),
            key: KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[5; 32]),
            nodes: Vec::new(),
            slots: Slots::new(),
            now: 1_700_000_000_000,
        };
        let mut branch = Branch::default();
        let creator = user(0);
        let create = format!(r#"{{"creator":"{creator}","room_version":"10"}}"#);
        room.send_state(&mut branch, 0, "m.room.create", "", &create);
        room.send_state(&mut branch, 0, "m.room.member", &creator, &member("join", 0));
        room.send_state(
            &mut branch,
            0,
            "m.room.power_levels",
            "",
            &power_levels(named, 50),
        );
        room.send_state(
            &mut branch,
            0,
            "m.room.join_rules",
            "",
            r#"{"join_rule":"public"}"#,
        );
        (room, branch)
    }

    /// As [`new`](Self::new), where users 1 to `members` joined and changed their membership `changes` times.
    pub(crate) fn with_members(named: usize, members: usize, changes: usize) -> (Self, Branch) {
        let (mut room, mut branch) = Self::new(named);
        for change in 0..changes {
            for number in 1..=members {
                room.send_member(&mut branch, number, change);
            }
        }
        (room, branch)
    }

    /// A user joins, or tells another name.
    pub(crate) fn send_member(&mut self, branch: &mut Branch, number: usize, change: usize) -> EventNum {
        let content = member("join", change);
        self.send_state(branch, number, "m.room.member", &user(number), &content)
    }

    /// Sends a state event and moves the branch on.
    pub(crate) fn send_state(
        &mut self,
        branch: &mut Branch,
        sender: usize,
        kind: &str,
        key: &str,
        content: &str,
    ) -> EventNum {
        self.send(branch, sender, kind, Some(key), content)
    }

    /// Sends an event and moves the branch on.
    pub(crate) fn send(
        &mut self,
        branch: &mut Branch,
        sender: usize,
        kind: &str,
        key: Option<&str>,
        content: &str,
    ) -> EventNum {
        let (pdu, cited) = self.sign(branch, sender, kind, key, content);
        if let Some(key) = key {
            self.slots.intern(kind, key);
        }
        let num = EventNum(u32::try_from(self.nodes.len()).expect("rooms are small"));
        let node = Node::new(num, pdu, &self.slots, cited, false).expect("events cite earlier ones");
        branch.tips = vec![num];
        if let Some(slot) = node.slot {
            branch.state.insert(slot, num);
        }
        self.nodes.push(Arc::new(node));
        num
    }

    /// The next event of a branch, and what it cites.
    pub(crate) fn sign(
        &mut self,
        branch: &Branch,
        sender: usize,
        kind: &str,
        key: Option<&str>,
        content: &str,
    ) -> (Pdu<Verified>, Vec<EventNum>) {
        let (sender, content) = (UserId::parse(&user(sender)).expect("a user id"), object(content));
        let wanted = auth::select(self.version, kind, &sender, key, &content);
        let cited: Vec<EventNum> = wanted
            .iter()
            .filter_map(|(kind, key)| branch.state.get(self.slots.get(kind, key)?))
            .collect();
        let id = |num: &EventNum| self.nodes[num.0 as usize].pdu.id.clone();
        let depth = branch.tips.iter().map(|tip| self.nodes[tip.0 as usize].pdu.depth);
        let depth = depth.max().unwrap_or(0);
        self.now += 1;
        let draft = Draft {
            room_id: Some(RoomId::parse(&format!("!abcdefghijklmnopqr:{SERVER}")).expect("a room id")),
            sender,
            kind: kind.into(),
            state_key: key.map(str::to_owned),
            content,
            prev_events: branch.tips.iter().map(id).collect(),
            auth_events: cited.iter().map(id).collect(),
            depth: depth + 1,
            origin_server_ts: self.now,
            redacts: None,
            hashes: Default::default(),
        };
        let server = ServerName::parse(SERVER).expect("a server name");
        let pdu = draft
            .sign(self.version, &server, &self.key)
            .expect("the events are well-formed");
        (pdu, cited)
    }

    /// The place where two branches meet.
    pub(crate) fn merge(&self, one: &Branch, other: &Branch) -> Branch {
        let states = [one.state.clone(), other.state.clone()];
        let state = resolve::resolve(self.version, &states, self, &self.slots).expect("all events are held");
        let tips = one.tips.iter().chain(&other.tips).copied().collect();
        Branch { state, tips }
    }

    /// A message of about 900 bytes.
    pub(crate) fn message(&mut self, branch: &Branch, sender: usize) -> Pdu<Verified> {
        self.sign(branch, sender, "m.room.message", None, &message()).0
    }

    /// Sends such a message and moves the branch on.
    pub(crate) fn send_message(&mut self, branch: &mut Branch, sender: usize) -> EventNum {
        self.send(branch, sender, "m.room.message", None, &message())
    }
}

fn message() -> String {
    let body = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(5);
    format!(r#"{{"body":"{body}","msgtype":"m.text"}}"#)
}

/// The content of a member event.
pub(crate) fn member(membership: &str, change: usize) -> String {
    format!(
        r#"{{"avatar_url":"mxc://one.example/SEsfnsuifSDFSSEFaaaaaaaa","displayname":"A member, {change}","membership":"{membership}"}}"#
    )
}

/// The content of power levels that name users 0 to `named`; user 0 has 100, the others 50. `level` is what changes from
/// one such event to the next.
pub(crate) fn power_levels(named: usize, level: usize) -> String {
    let users: Vec<String> = (0..named)
        .map(|number| format!(r#""{}":{}"#, user(number), if number == 0 { 100 } else { 50 }))
        .collect();
    format!(
        r#"{{"ban":50,"events":{{"m.room.name":50,"roomlet.level":{level}}},"events_default":0,"state_default":0,"users":{{{}}}}}"#,
        users.join(",")
    )
}
