//! The other server: a key, one room with many members, and the answers that a join of it takes.

use crate::world::{LOCAL, SystemClock, alice};
use async_trait::async_trait;
use roomlet_homeserver::{
    Clock, Code, Error, EventId, Request, Response, Result, RoomId, RoomVersion, ServerName, Transport,
    UserId,
};
use roomlet_wire::{
    KeyId, Map, Pdu, Value, Verified,
    frame::XMatrix,
    hash,
    json::{self, RawValue},
    pdu::Draft,
    sign::{self, KeyPair, PublicKey},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

const NAME: &str = "remote.example";
const KEY: &str = "ed25519:1";
const VERSION: &str = "I.1";
/// A day.
const VALIDITY_MS: i64 = 86_400_000;

/// The newest event of the room, as far as this server knows.
struct Newest {
    id: EventId,
    depth: i64,
    /// When the reply to the last `send_join` was given.
    joined_at: Option<Instant>,
}

/// See the module.
pub(crate) struct Remote {
    name: ServerName,
    key: KeyPair,
    room: RoomId,
    version: &'static RoomVersion,
    creator: UserId,
    state: Vec<Pdu<Verified>>,
    newest: Mutex<Newest>,
}

/// `text`, which this file or a library wrote, as JSON.
fn object(text: &str) -> Map {
    json::parse_object(text.as_bytes()).expect("JSON written here is an object")
}

fn list(ids: &[EventId]) -> Value {
    Value::Array(ids.iter().map(|id| Value::from(id.as_str())).collect())
}

impl Remote {
    /// A server whose public room has `members` members, all its own.
    pub(crate) fn new(members: usize) -> Self {
        let name = ServerName::parse(NAME).expect("a server name");
        let creator = UserId::parse(&format!("@creator:{NAME}")).expect("a user id");
        let unknown = EventId::parse(&format!("${}", "a".repeat(43))).expect("an event id");
        let mut remote = Self {
            name,
            key: KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[7; 32]),
            room: RoomId::parse(&format!("!room:{NAME}")).expect("a room id"),
            version: RoomVersion::get(VERSION).expect("the version is supported"),
            creator: creator.clone(),
            state: Vec::with_capacity(members + 3),
            newest: Mutex::new(Newest {
                id: unknown,
                depth: 0,
                joined_at: None,
            }),
        };
        let create = format!(r#"{{"creator":"{creator}","room_version":"{VERSION}"}}"#);
        let join = r#"{"membership":"join","displayname":"A member of this room"}"#;
        remote.add_state(&creator, "m.room.create", "", &create);
        remote.add_state(&creator, "m.room.member", &creator, join);
        remote.add_state(
            &creator,
            "m.room.power_levels",
            "",
            &format!(r#"{{"users":{{"{creator}":100}}}}"#),
        );
        remote.add_state(&creator, "m.room.join_rules", "", r#"{"join_rule":"public"}"#);
        for number in 1..members {
            let user = UserId::parse(&format!("@member{number}:{NAME}")).expect("a user id");
            remote.add_state(&user, "m.room.member", &user, join);
        }
        remote
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_state(&mut self, sender: &UserId, kind: &str, state_key: &str, content: &str) {
        // In the order of creation: create, the creator's membership, power levels, join rules.
        let auth: &[usize] = match kind {
            "m.room.create" => &[],
            "m.room.member" if *sender == self.creator => &[0],
            "m.room.member" => &[0, 2, 3],
            "m.room.power_levels" => &[0, 1],
            _ => &[0, 1, 2],
        };
        let auth = auth.iter().map(|&at| self.state[at].id.clone()).collect();
        let pdu = self.event(sender, kind, Some(state_key), object(content), auth);
        self.state.push(pdu);
    }

    /// Makes an event after the newest one.
    fn event(
        &self,
        sender: &UserId,
        kind: &str,
        state_key: Option<&str>,
        content: Map,
        auth_events: Vec<EventId>,
    ) -> Pdu<Verified> {
        let mut newest = self.newest();
        let is_first = newest.depth == 0;
        let draft = Draft {
            room_id: Some(self.room.clone()),
            sender: sender.clone(),
            kind: kind.into(),
            state_key: state_key.map(str::to_owned),
            content,
            prev_events: if is_first {
                Vec::new()
            } else {
                vec![newest.id.clone()]
            },
            auth_events,
            depth: newest.depth + 1,
            origin_server_ts: SystemClock.now_ms(),
            redacts: None,
            hashes: Default::default(),
        };
        let pdu = draft
            .sign(self.version, &self.name, &self.key)
            .expect("the draft is well-formed");
        newest.id = pdu.id.clone();
        newest.depth = pdu.depth;
        pdu
    }

    /// The key that its events and requests are signed with.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &ServerName {
        &self.name
    }

    /// Its room.
    pub(crate) fn room(&self) -> &RoomId {
        &self.room
    }

    /// The version of its room.
    pub(crate) fn version(&self) -> &'static RoomVersion {
        self.version
    }

    /// The state of its room.
    pub(crate) fn state(&self) -> &[Pdu<Verified>] {
        &self.state
    }

    /// Its signature of a text, base64.
    pub(crate) fn sign(&self, text: &str) -> String {
        self.key.sign(text.as_bytes())
    }

    /// Goes back to where nobody had joined.
    pub(crate) fn forget_join(&self) {
        if let Some(last) = self.state.last() {
            *self.newest() = Newest {
                id: last.id.clone(),
                depth: last.depth,
                joined_at: None,
            };
        }
    }

    /// When it last let somebody join.
    pub(crate) fn joined_at(&self) -> Option<Instant> {
        self.newest().joined_at
    }

    /// A message of the room's creator, after the newest event.
    pub(crate) fn message(&self) -> Pdu<Verified> {
        let auth = [0, 2, 1].map(|at| self.state[at].id.clone()).to_vec();
        self.event(&self.creator, "m.message", None, object(MESSAGE), auth)
    }

    /// A signed request to the measured server.
    pub(crate) fn request(&self, method: &str, target: &str, content: Option<Map>) -> Request {
        let destination = ServerName::parse(LOCAL).expect("a server name");
        let content = content.map(|content| RawValue::from(&content));
        let header = XMatrix::sign(
            &self.name,
            &self.key,
            &destination,
            method,
            target,
            content.as_ref().map(RawValue::as_raw),
        );
        Request {
            destination,
            method: method.into(),
            target: target.into(),
            authorization: vec![header],
            body: content.map_or_else(Vec::new, |content| content.text().as_bytes().to_vec()),
        }
    }

    /// The request that carries `pdus` as transaction `number`.
    pub(crate) fn transaction(&self, number: u64, pdus: &[Pdu<Verified>]) -> Request {
        let pdus = pdus.iter().map(|pdu| Value::Object(pdu.to_map())).collect();
        let content = Map::from([
            ("origin".to_owned(), Value::from(self.name.as_str())),
            ("origin_server_ts".to_owned(), Value::Int(SystemClock.now_ms())),
            ("pdus".to_owned(), Value::Array(pdus)),
        ]);
        self.request(
            "PUT",
            &format!("/_matrix/federation/v1/send/{number}"),
            Some(content),
        )
    }

    fn published_key(&self) -> Map {
        published_key(&self.name, &self.key)
    }

    fn template(&self) -> Map {
        let newest = self.newest();
        let alice = alice();
        let event = Map::from([
            ("room_id".to_owned(), Value::from(self.room.as_str())),
            ("type".to_owned(), "m.room.member".into()),
            ("sender".to_owned(), alice.as_str().into()),
            ("state_key".to_owned(), alice.as_str().into()),
            ("content".to_owned(), object(r#"{"membership":"join"}"#).into()),
            ("prev_events".to_owned(), list(std::slice::from_ref(&newest.id))),
            (
                "auth_events".to_owned(),
                list(&[0, 2, 3].map(|at| self.state[at].id.clone())),
            ),
            ("depth".to_owned(), Value::Int(newest.depth + 1)),
        ]);
        Map::from([
            ("event".to_owned(), event.into()),
            ("room_version".to_owned(), VERSION.into()),
        ])
    }

    fn let_in(&self, body: &[u8]) -> Result<Response> {
        let join = json::parse_object(body)?;
        let objects = |pdus: &[Pdu<Verified>]| {
            Value::Array(pdus.iter().map(|pdu| Value::Object(pdu.to_map())).collect())
        };
        let reply = Map::from([
            ("origin".to_owned(), Value::from(self.name.as_str())),
            ("event".to_owned(), Value::Object(join.clone())),
            ("state".to_owned(), objects(&self.state)),
            ("auth_chain".to_owned(), objects(&self.state[..4])),
            ("members_omitted".to_owned(), Value::Bool(false)),
        ]);
        let reply = Response::ok(&reply);
        let mut newest = self.newest();
        newest.depth = join.get("depth").and_then(Value::as_int).unwrap_or_default();
        newest.id = hash::event_id(&join, self.version);
        newest.joined_at = Some(Instant::now());
        Ok(reply)
    }
}

/// The document in which a server publishes its key.
pub(crate) fn published_key(name: &ServerName, pair: &KeyPair) -> Map {
    let (id, key) = (pair.id(), pair.public().to_base64());
    let until = SystemClock.now_ms() + VALIDITY_MS;
    let mut document = object(&format!(
        r#"{{"old_verify_keys":{{}},"server_name":"{name}","valid_until_ts":{until},
            "verify_keys":{{"{id}":{{"key":"{key}"}}}}}}"#
    ));
    sign::sign_json(&mut document, name, pair);
    document
}

/// What a message says in most benchmarks; such an event has about 900 bytes.
pub(crate) const MESSAGE: &str = r#"{"m.text":[{"body":"A message of ordinary length, as people send them all day long."},{"body":"<p>A message of <em>ordinary</em> length, as people send them all day long.</p>","mimetype":"text/html"}]}"#;

/// It answers what a join asks, at once, and cannot be reached for anything else.
#[async_trait]
impl Transport for Remote {
    async fn send(&self, request: Request) -> Result<Response> {
        let target = request.target.as_str();
        if target.starts_with("/_matrix/key/v2/server") {
            Ok(Response::ok(&self.published_key()))
        } else if target.starts_with("/_matrix/federation/v1/make_join/") {
            Ok(Response::ok(&self.template()))
        } else if target.starts_with("/_matrix/federation/v2/send_join/") {
            self.let_in(&request.body)
        } else {
            Err(Error::new(
                Code::Unreachable,
                format!("no way to {}", request.destination),
            ))
        }
    }
}
