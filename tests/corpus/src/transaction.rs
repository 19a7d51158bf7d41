//! A transaction of a peer that signs whatever it is told to.

use crate::pick;
use roomlet_homeserver::{CreateRoom, Preset, RoomVersion, UserId};
use roomlet_wire::{EventId, Map, Value, json, version::EventFormat};
use roomlet_world::{Peer, PeerRoom, Server, World, encode};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Events of one transaction that are made; more only cost time.
const MAX_PDUS: usize = 12;

/// A server with Alice in a room of hers, and a peer whose users Mallory and Eve are in it.
struct Scene {
    world: World,
    server: Server,
    alice: UserId,
    peer: Arc<Peer>,
    mallory: UserId,
    room: PeerRoom,
    /// What `prev_events` and `auth_events` may name by number.
    known: Vec<EventId>,
}

/// The first byte chooses the room's version, the rest is the transaction's body as JSON. What an event in it lacks,
/// the peer adds; numbers in `prev_events` and `auth_events` stand for the events so far. The server answers with
/// what it answers, gives the same answer to the same transaction, holds the same after a restart, and who has no
/// power keeps nobody from speaking.
///
/// # Panics
/// If not.
pub fn transaction(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let Ok(Value::Object(body)) = json::parse_lenient(body) else {
        return;
    };
    let versions: Vec<&RoomVersion> = RoomVersion::supported()
        .filter_map(RoomVersion::get)
        .filter(|version| version.event_format != EventFormat::ServerIds)
        .collect();
    let version = pick(&versions, *first).id;
    runtime().block_on(async {
        let mut scene = Scene::new(version).await;
        scene.play(body).await;
    });
}

/// One thread, on which time passes when nothing else is left to do.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can be made")
}

impl Scene {
    async fn new(version: &str) -> Self {
        let world = World::new();
        let server = world.server("a.test").await;
        let alice = server.account("alice").await;
        let create = CreateRoom {
            preset: Preset::Public,
            version: Some(version.into()),
            ..CreateRoom::default()
        };
        let room = server.hs.create_room(&alice, create).await;
        let room = room.expect("a room can be made");
        let peer = world.peer("peer.test");
        let mallory = peer.user("mallory");
        let room = peer.join(&server.hs, &room, &mallory).await;
        let known = room.events.keys().cloned().collect();
        Self {
            world,
            server,
            alice,
            peer,
            mallory,
            room,
            known,
        }
    }

    async fn play(&mut self, mut body: Map) {
        if let Some(Value::Array(pdus)) = body.get_mut("pdus") {
            for pdu in pdus.iter_mut().take(MAX_PDUS) {
                if let Value::Object(event) = pdu {
                    self.complete(event);
                }
            }
        }
        let hs = self.server.hs.clone();
        let target = "/_matrix/federation/v1/send/t";
        let reply = self.peer.ask(&hs, "PUT", target, Some(body.clone())).await;
        assert!(reply.status < 500, "{reply:?}");
        self.world.quiet().await;
        if reply.status == 200 {
            let again = self.peer.ask(&hs, "PUT", target, Some(body)).await;
            assert_eq!(again, reply);
        }
        let state = format!(
            "/_matrix/federation/v1/state_ids/{}?event_id=",
            encode(&self.room.id)
        );
        for id in &self.known {
            let reply = self
                .peer
                .ask(&hs, "GET", &format!("{state}{}", encode(id)), None)
                .await;
            assert!(reply.status < 500, "{reply:?}");
        }
        let before = self.server.contents();
        self.server.restart().await;
        assert!(
            self.server.contents() == before,
            "the restarted server holds something else"
        );
        let said = self
            .server
            .hs
            .send(&self.alice, &self.room.id, "test.message", "{}", None)
            .await;
        said.expect("nobody can keep Alice from speaking");
        // The network and the server on it hold each other until the server stops.
        self.server.stop().await;
    }

    /// Adds what an event needs and does not have, and lets the next one follow it.
    fn complete(&mut self, event: &mut Map) {
        let text = |event: &Map, key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
        let sender = text(event, "sender").and_then(|id| UserId::parse(&id).ok());
        let sender = sender.unwrap_or_else(|| self.mallory.clone());
        let kind = text(event, "type").unwrap_or_else(|| "test.message".into());
        let key = text(event, "state_key");
        let content = event
            .get("content")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let now = self.peer.now_ms();
        for key in ["prev_events", "auth_events"] {
            if let Some(Value::Array(ids)) = event.get_mut(key) {
                ids.iter_mut().for_each(|id| self.name(id));
            }
        }
        let whole = self.room.draft(&sender, &kind, key.as_deref(), content, now);
        for (key, value) in whole {
            event.entry(key).or_insert(value);
        }
        if !event.contains_key("hashes") && !event.contains_key("signatures") {
            *event = self.peer.signed(std::mem::take(event), self.room.version);
        }
        self.known.push(self.room.push(event));
    }

    /// Replaces a number by the id of the event that it stands for.
    fn name(&self, id: &mut Value) {
        if let Value::Int(number) = id {
            let number = usize::try_from(*number).unwrap_or_default();
            *id = self.known[number % self.known.len()].as_str().into();
        }
    }
}
