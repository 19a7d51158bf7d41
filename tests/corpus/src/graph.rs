//! A small room made of choices: events, the graph of what they cite, and the states of its branches.

use crate::recipe::Choices;
use roomlet_room::{Node, Slots, Source, StateMap, Verdict, auth, graph, ingest, resolve};
use roomlet_wire::{
    Code, Error, EventId, EventNum, Map, Pdu, Result, RoomVersion, Value, Verified, hash, json,
    version::EventFormat,
};
use std::sync::Arc;

/// Events of one room: enough for every rule, few enough for thousands of rooms a second.
const MAX_EVENTS: usize = 48;
const USERS: [&str; 5] = ["@a:one", "@b:one", "@c:two", "@d:two", "@e:three"];
const LEVELS: [&str; 12] = [
    "0",
    "1",
    "49",
    "50",
    "51",
    "99",
    "100",
    "101",
    "-1",
    "9007199254740991",
    "\" 50 \"",
    "null",
];
const MEMBERSHIPS: [&str; 6] = ["join", "invite", "leave", "ban", "knock", "else"];
const RULES: [&str; 6] = [
    "public",
    "invite",
    "knock",
    "restricted",
    "knock_restricted",
    "private",
];
const TOKENS: [&str; 2] = ["token", ""];

/// The end of a line of history.
#[derive(Clone, Default)]
pub(crate) struct Branch {
    pub(crate) state: StateMap,
    pub(crate) tips: Vec<EventNum>,
}

/// A room.
pub(crate) struct Graph {
    pub(crate) version: &'static RoomVersion,
    pub(crate) slots: Slots,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) branches: Vec<Branch>,
}

impl Source for Graph {
    fn node(&self, num: EventNum) -> Result<Arc<Node>> {
        let node = self.nodes.get(num.0 as usize).cloned();
        node.ok_or_else(|| Error::new(Code::UnknownEvent, format!("event number {}", num.0)))
    }
}

impl Graph {
    /// A room that begins as every room does and goes on as `choices` say.
    pub(crate) fn grow(version: &'static RoomVersion, choices: &mut Choices) -> Self {
        let mut graph = Self {
            version,
            slots: Slots::new(),
            nodes: Vec::new(),
            branches: vec![Branch::default()],
        };
        let founder = USERS[0];
        let rule = format!(r#"{{"join_rule":"{}"}}"#, choices.one_of(&RULES));
        let first = [
            (
                "m.room.create",
                "",
                format!(r#"{{"creator":"{founder}","room_version":"{}"}}"#, version.id),
            ),
            ("m.room.member", founder, r#"{"membership":"join"}"#.to_owned()),
            ("m.room.join_rules", "", rule),
        ];
        for (kind, key, content) in first {
            let content = json::parse_object(content.as_bytes()).expect("the content is JSON");
            graph.add(choices, 0, founder, kind, Some(key), content, false);
        }
        while !choices.is_empty() && graph.nodes.len() < MAX_EVENTS {
            graph.step(choices);
        }
        graph
    }

    /// Forks a branch, merges two, or makes an event.
    fn step(&mut self, choices: &mut Choices) {
        let at = choices.below(self.branches.len());
        match choices.below(8) {
            0 if self.branches.len() < 5 => self.branches.push(self.branches[at].clone()),
            1 if self.branches.len() > 1 => {
                let other = self.branches.remove(choices.below(self.branches.len()));
                let into = at.min(self.branches.len() - 1);
                let sets = [self.branches[into].state.clone(), other.state];
                let state = self.resolve(&sets);
                let branch = &mut self.branches[into];
                branch.state = state;
                branch.tips.extend(other.tips);
                branch.tips.sort_unstable();
                branch.tips.dedup();
            }
            _ => {
                let sender = choices.one_of(&USERS);
                let (kind, key, content) = self.event(choices, sender);
                self.add(choices, at, sender, kind, key, content, true);
            }
        }
    }

    /// What resolution makes of `sets`.
    pub(crate) fn resolve(&self, sets: &[StateMap]) -> StateMap {
        resolve::resolve(self.version, sets, self, &self.slots).expect("every event is held")
    }

    fn event(
        &self,
        choices: &mut Choices,
        sender: &'static str,
    ) -> (&'static str, Option<&'static str>, Map) {
        let (kind, key, text) = match choices.below(10) {
            0 | 1 => {
                let target = if choices.one_in(2) {
                    sender
                } else {
                    choices.one_of(&USERS)
                };
                ("m.room.member", Some(target), membership(choices, target))
            }
            2 | 3 => ("m.room.power_levels", Some(""), levels(choices)),
            4 => {
                let rule = choices.one_of(&RULES);
                (
                    "m.room.join_rules",
                    Some(""),
                    format!(r#"{{"join_rule":"{rule}"}}"#),
                )
            }
            5 => (
                "m.room.third_party_invite",
                Some(choices.one_of(&TOKENS)),
                offer(),
            ),
            6 => ("m.room.redaction", None, self.redaction(choices)),
            7 => (
                "m.room.aliases",
                Some(choices.one_of(&["one", "two", ""])),
                r#"{"aliases":[]}"#.to_owned(),
            ),
            8 => (
                "m.room.topic",
                choices.one_of(&[None, Some(""), Some("@a:one")]),
                "{}".to_owned(),
            ),
            _ => {
                // Any content of any kind that the rules look at.
                let kinds = [
                    "m.room.member",
                    "m.room.power_levels",
                    "m.room.create",
                    "m.room.join_rules",
                ];
                let kind = choices.one_of(&kinds);
                let key = choices.one_of(&[Some(""), Some("@a:one"), Some("@c:two"), None]);
                let content = json::parse_object(choices.bytes()).unwrap_or_default();
                return (kind, key, content);
            }
        };
        let content = json::parse_object(text.as_bytes()).expect("the content is JSON");
        (kind, key, content)
    }

    fn redaction(&self, choices: &mut Choices) -> String {
        let id = &self.nodes[choices.below(self.nodes.len())].pdu.id;
        format!(r#"{{"redacts":"{id}"}}"#)
    }

    /// Makes an event after a branch and judges it; the branch goes on from it if it is accepted.
    #[allow(clippy::too_many_arguments, reason = "the parts of an event")]
    fn add(
        &mut self,
        choices: &mut Choices,
        at: usize,
        sender: &str,
        kind: &str,
        key: Option<&str>,
        content: Map,
        judged: bool,
    ) {
        let branch = self.branches[at].clone();
        let mut cited: Vec<EventNum> = auth::select(self.version, kind, sender, key, &content)
            .iter()
            .filter_map(|(kind, key)| branch.state.get(self.slots.get(kind, key)?))
            .collect();
        if judged && choices.one_in(8) {
            // What it cites need not be what it should.
            match choices.below(3) {
                0 => cited.clear(),
                1 => _ = cited.pop(),
                _ => cited.push(EventNum(choices.below(self.nodes.len()) as u32)),
            }
        }
        let time = if judged {
            choices.byte()
        } else {
            self.nodes.len() as u8
        };
        let Some(pdu) = self.pdu(&branch, &cited, sender, kind, key, content, time) else {
            return;
        };
        // The second of two equal events is the first.
        if self.nodes.iter().any(|node| node.pdu.id == pdu.id) {
            return;
        }
        if self.version.room_id_is_create_hash && kind != "m.room.create" {
            cited.push(EventNum(0));
        }
        let slot = key.map(|key| self.slots.intern(kind, key));
        let num = EventNum(self.nodes.len() as u32);
        let node = Node::new(num, pdu, &self.slots, cited, false).expect("it cites what is there");
        let current = self
            .branches
            .first()
            .map(|first| first.state.clone())
            .unwrap_or_default();
        let verdict =
            ingest::judge(&node, &branch.state, &current, self, &self.slots).expect("every event is held");
        let rejected = matches!(verdict, Verdict::Rejected(_));
        assert!(judged || !rejected, "a room begins: {verdict:?}");
        let before = auth::load(&node, &branch.state, self, &self.slots).expect("every event is held");
        if !rejected {
            assert_eq!(
                auth::check(&node, &before),
                Ok(()),
                "accepted by the state before it"
            );
        }
        self.nodes.push(Arc::new(Node { rejected, ..node }));
        let branch = &mut self.branches[at];
        if verdict == Verdict::Accepted {
            if let Some(slot) = slot {
                branch.state.insert(slot, num);
            }
            branch.tips =
                graph::extremities_after(&branch.tips, num, branch.tips.iter().copied(), |_| Ok(None))
                    .expect("nothing is looked up");
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of an event")]
    fn pdu(
        &self,
        branch: &Branch,
        cited: &[EventNum],
        sender: &str,
        kind: &str,
        key: Option<&str>,
        mut content: Map,
        time: u8,
    ) -> Option<Pdu<Verified>> {
        let version = self.version;
        let ids = |nums: &[EventNum]| {
            let entry = |num: &EventNum| {
                let id = Value::from(self.nodes[num.0 as usize].pdu.id.as_str());
                match version.event_format {
                    EventFormat::ServerIds => Value::Array(vec![id, Map::new().into()]),
                    _ => id,
                }
            };
            Value::Array(nums.iter().map(entry).collect())
        };
        let depths = branch.tips.iter().map(|num| self.nodes[num.0 as usize].pdu.depth);
        let mut event = Map::new();
        let mut put = |key: &str, value: Value| event.insert(key.to_owned(), value);
        if let (false, Some(redacts)) = (version.redacts_in_content, content.remove("redacts")) {
            put("redacts", redacts);
        }
        let hash = Map::from([("sha256".to_owned(), hash::content_hash(&content).into())]);
        put("depth", graph::depth_after(depths).into());
        put("prev_events", ids(&branch.tips));
        put("auth_events", ids(cited));
        put("hashes", hash.into());
        put("signatures", Map::new().into());
        put("origin_server_ts", i64::from(time).into());
        put("sender", sender.into());
        put("type", kind.into());
        if let Some(key) = key {
            put("state_key", key.into());
        }
        if !version.room_id_is_create_hash {
            put("room_id", "!room:one".into());
        } else if let Some(create) = self.nodes.first() {
            put("room_id", format!("!{}", &create.pdu.id[1..]).into());
        }
        if version.event_format == EventFormat::ServerIds {
            let server = sender.split_once(':').map_or("", |(_, server)| server);
            put("event_id", format!("${}:{server}", self.nodes.len()).into());
        }
        put("content", content.into());
        // The content may hold what the form forbids.
        Pdu::from_store(json::map_to_canonical(&event).as_bytes(), version).ok()
    }

    /// The ids of a state, by type and state key.
    pub(crate) fn named(&self, state: &StateMap) -> Vec<((&str, &str), &EventId)> {
        state
            .iter()
            .map(|(slot, num)| {
                (
                    self.slots.name(slot).expect("its own"),
                    &self.nodes[num.0 as usize].pdu.id,
                )
            })
            .collect()
    }
}

fn membership(choices: &mut Choices, target: &str) -> String {
    let membership = choices.one_of(&MEMBERSHIPS);
    let more = match choices.below(6) {
        0 => format!(
            r#","join_authorised_via_users_server":"{}""#,
            choices.one_of(&USERS)
        ),
        1 => {
            let token = choices.one_of(&TOKENS);
            format!(r#","third_party_invite":{{"signed":{{"mxid":"{target}","token":"{token}"}}}}"#)
        }
        _ => String::new(),
    };
    format!(r#"{{"membership":"{membership}"{more}}}"#)
}

fn levels(choices: &mut Choices) -> String {
    let mut parts = Vec::new();
    let users = USERS
        .iter()
        .filter_map(|user| match choices.below(2 * LEVELS.len()) {
            none if none >= LEVELS.len() => None,
            some => Some(format!(r#""{user}":{}"#, LEVELS[some])),
        })
        .collect::<Vec<_>>();
    parts.push(format!(r#""users":{{{}}}"#, users.join(",")));
    let scalars = [
        "users_default",
        "events_default",
        "state_default",
        "ban",
        "kick",
        "invite",
        "redact",
    ];
    for _ in 0..choices.below(4) {
        parts.push(format!(
            r#""{}":{}"#,
            choices.one_of(&scalars),
            choices.one_of(&LEVELS)
        ));
    }
    if choices.one_in(3) {
        let kind = choices.one_of(&["m.room.power_levels", "m.room.topic", "m.room.redaction"]);
        parts.push(format!(r#""events":{{"{kind}":{}}}"#, choices.one_of(&LEVELS)));
    }
    format!("{{{}}}", parts.join(","))
}

/// A third-party invite whose key signed nothing.
fn offer() -> String {
    r#"{"public_key":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}"#.to_owned()
}
