//! A server with a signing key and no logic of its own.

use crate::{
    answers::{Answers, Plugged},
    encode,
    network::Network,
    object,
    room::{PeerRoom, id_of},
    server::VirtualClock,
};
use roomlet_homeserver::{Clock, Homeserver, Request, Response, RoomId, ServerName, UserId};
use roomlet_wire::{
    EventId, KeyId, Map, RoomVersion, Value,
    frame::XMatrix,
    hash,
    json::{self, RawValue},
    sign::{self, KeyPair},
    version::EventFormat,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of a peer's key.
pub(crate) const KEY: &str = "ed25519:peer";

/// See the module. It publishes its key, swallows transactions, signs invites, and answers everything else with 404,
/// until a test gives it other answers.
pub struct Peer {
    /// Its name.
    pub name: ServerName,
    /// Its key.
    pub key: Arc<KeyPair>,
    clock: VirtualClock,
    answers: Mutex<Answers>,
}

/// What a homeserver answered to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// A text in the body; empty if it has none there.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The events in a list of the body.
    #[must_use]
    pub fn events(&self, key: &str) -> Vec<Map> {
        let items = self.body.get(key).and_then(Value::as_array).unwrap_or_default();
        items.iter().filter_map(Value::as_object).cloned().collect()
    }
}

impl Peer {
    pub(crate) fn new(name: ServerName, network: Network, clock: VirtualClock) -> Arc<Self> {
        let seed = name
            .bytes()
            .fold(7_u8, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte));
        let id = KeyId::parse(KEY).expect("the name of the key is one");
        let key = Arc::new(KeyPair::from_seed(id, &[seed; 32]));
        let peer = Arc::new(Self {
            name: name.clone(),
            key,
            clock,
            answers: Mutex::default(),
        });
        network.plug(&name, Arc::new(Plugged(peer.clone())));
        peer
    }

    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of its users.
    ///
    /// # Panics
    /// If the localpart makes no user id.
    #[must_use]
    pub fn user(&self, localpart: &str) -> UserId {
        UserId::parse(&format!("@{localpart}:{}", self.name)).expect("a test names users correctly")
    }

    /// The PDUs that it was sent in transactions, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Map> {
        self.answers().received.clone()
    }

    /// The document with its key (FED-15), not signed yet.
    #[must_use]
    pub fn key_document(&self, valid_until: i64) -> Map {
        let (name, key) = (&self.name, self.key.public().to_base64());
        object(&format!(
            r#"{{"server_name":"{name}","verify_keys":{{"{KEY}":{{"key":"{key}"}}}},"old_verify_keys":{{}},
                "valid_until_ts":{valid_until}}}"#
        ))
    }

    /// `document` with its signature.
    #[must_use]
    pub fn signed_json(&self, mut document: Map) -> Map {
        sign::sign_json(&mut document, &self.name, &self.key);
        document
    }

    /// A request to `to` with the right signature.
    #[must_use]
    pub fn request(&self, to: &ServerName, method: &str, target: &str, content: Option<&Value>) -> Request {
        let body = content.map(RawValue::from);
        let signed = body.as_ref().map(RawValue::as_raw);
        let header = XMatrix::sign(&self.name, &self.key, to, method, target, signed);
        Request {
            destination: to.clone(),
            method: method.into(),
            target: target.into(),
            authorization: vec![header],
            body: content.map_or_else(Vec::new, |content| json::to_canonical(content).into_bytes()),
        }
    }

    /// Makes a request and gives the answer.
    pub async fn ask(&self, hs: &Homeserver, method: &str, target: &str, content: Option<Map>) -> Reply {
        let content = content.map(Value::Object);
        reply(
            hs.handle_request(self.request(hs.server_name(), method, target, content.as_ref()))
                .await,
        )
    }

    /// Sends a transaction, and gives what became of each event that the answer speaks of.
    pub async fn send(&self, hs: &Homeserver, txn_id: &str, pdus: &[Map]) -> Map {
        let reply = self.send_raw(hs, txn_id, pdus).await;
        reply
            .body
            .get("pdus")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    /// As [`send`](Self::send), the whole answer.
    pub async fn send_raw(&self, hs: &Homeserver, txn_id: &str, pdus: &[Map]) -> Reply {
        let content = Map::from([
            ("origin".to_owned(), self.name.as_str().into()),
            ("origin_server_ts".to_owned(), self.now_ms().into()),
            (
                "pdus".to_owned(),
                Value::Array(pdus.iter().cloned().map(Value::Object).collect()),
            ),
        ]);
        self.ask(
            hs,
            "PUT",
            &format!("/_matrix/federation/v1/send/{}", encode(txn_id)),
            Some(content),
        )
        .await
    }

    /// The time now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// `event` with hash and signature; in versions 1 and 2 with an id, if it has none.
    #[must_use]
    pub fn signed(&self, mut event: Map, version: &'static RoomVersion) -> Map {
        if version.event_format == EventFormat::ServerIds && !event.contains_key("event_id") {
            let id = format!("${}:{}", &hash::content_hash(&event)[..18], self.name);
            event.insert("event_id".into(), id.into());
        }
        let hashes = Map::from([("sha256".to_owned(), hash::content_hash(&event).into())]);
        event.insert("hashes".into(), hashes.into());
        sign::sign_event(&mut event, version, &self.name, &self.key);
        event
    }

    /// A finished event after the newest ones of `room`.
    #[must_use]
    pub fn event(
        &self,
        room: &PeerRoom,
        sender: &UserId,
        kind: &str,
        state_key: Option<&str>,
        content: &str,
    ) -> Map {
        self.signed(
            room.draft(sender, kind, state_key, object(content), self.now_ms()),
            room.version,
        )
    }

    /// Makes a message of `sender` and remembers it as the newest event.
    pub fn say(&self, room: &mut PeerRoom, sender: &UserId, body: &str) -> Map {
        let event = self.event(
            room,
            sender,
            "test.message",
            None,
            &format!(r#"{{"body":"{body}"}}"#),
        );
        room.push(&event);
        event
    }

    /// Joins a room of `hs`, as every server does.
    ///
    /// # Panics
    /// If the server refuses, or answers nonsense.
    pub async fn join(&self, hs: &Homeserver, room: &RoomId, user: &UserId) -> PeerRoom {
        let versions: Vec<String> = RoomVersion::supported().map(|id| format!("ver={id}")).collect();
        let (id, who) = (encode(room), encode(user));
        let target = format!(
            "/_matrix/federation/v1/make_join/{id}/{who}?{}",
            versions.join("&")
        );
        let template = self.ask(hs, "GET", &target, None).await;
        assert_eq!(template.status, 200, "make_join: {template:?}");
        let version = RoomVersion::get(template.text("room_version")).expect("the server names the version");
        let event = template
            .body
            .get("event")
            .and_then(Value::as_object)
            .expect("a template has an event");
        let join = self.signed(event.clone(), version);
        let event_id = id_of(&join, version);
        let target = format!("/_matrix/federation/v2/send_join/{id}/{}", encode(&event_id));
        let reply = self.ask(hs, "PUT", &target, Some(join)).await;
        assert_eq!(reply.status, 200, "send_join: {reply:?}");
        let mut known = PeerRoom::new(room.clone(), version);
        for event in reply.events("auth_chain") {
            known.keep(&event);
        }
        for event in reply.events("state") {
            let id = known.keep(&event);
            known.set_state(&event, &id);
        }
        let join = reply
            .body
            .get("event")
            .and_then(Value::as_object)
            .expect("the join comes back")
            .clone();
        known.push(&join);
        known
    }

    /// Makes a room of its own: create, join, power levels, join rules (`public` or another).
    ///
    /// # Panics
    /// If the version is not known.
    pub fn create_room(&self, creator: &UserId, version: &str, join_rule: &str) -> PeerRoom {
        let version = RoomVersion::get(version).expect("a test names versions correctly");
        let id = RoomId::parse(&format!("!room:{}", self.name)).expect("a room id");
        let mut room = PeerRoom::new(id, version);
        let create = format!(r#"{{"room_version":"{}","creator":"{creator}"}}"#, version.id);
        let mut create = room.draft(creator, "m.room.create", Some(""), object(&create), self.now_ms());
        let mut levels = format!(r#"{{"users":{{"{creator}":100}}}}"#);
        if version.room_id_is_create_hash {
            create.remove("room_id");
            levels = r#"{"users":{}}"#.into();
        }
        let create = self.signed(create, version);
        if version.room_id_is_create_hash {
            let id = hash::event_id(&create, version);
            room.id = RoomId::parse(&format!("!{}", &id[1..])).expect("a room id");
        }
        room.push(&create);
        let rules = format!(r#"{{"join_rule":"{join_rule}"}}"#);
        let events = [
            ("m.room.member", creator.as_str(), r#"{"membership":"join"}"#),
            ("m.room.power_levels", "", &levels),
            ("m.room.join_rules", "", &rules),
        ];
        for (kind, key, content) in events {
            room.push(&self.event(&room, creator, kind, Some(key), content));
        }
        room
    }

    /// The invite that its user sends to a user of `hs`, as the body of the request, with the id of the event.
    #[must_use]
    pub fn invite(&self, room: &PeerRoom, sender: &UserId, target: &UserId) -> (EventId, Map) {
        let event = self.event(
            room,
            sender,
            "m.room.member",
            Some(target),
            r#"{"membership":"invite"}"#,
        );
        let id = room.id_of(&event);
        let body = Map::from([
            ("event".to_owned(), event.into()),
            ("invite_room_state".to_owned(), Value::Array(room.state_events())),
            ("room_version".to_owned(), room.version.id.into()),
        ]);
        (id, body)
    }

    /// Sends an invite.
    pub async fn send_invite(&self, hs: &Homeserver, room: &PeerRoom, id: &EventId, body: Map) -> Reply {
        let target = format!(
            "/_matrix/federation/v2/invite/{}/{}",
            encode(&room.id),
            encode(id)
        );
        self.ask(hs, "PUT", &target, Some(body)).await
    }
}

fn reply(response: Response) -> Reply {
    let body = json::parse_lenient(&response.body).expect("a homeserver answers with JSON");
    Reply {
        status: response.status,
        body,
    }
}
