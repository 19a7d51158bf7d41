//! A world on virtual time, with a network that is a closure.
#![allow(dead_code, reason = "each test file uses a part of it")]

use async_trait::async_trait;
use roomlet_federation::{Client, Clock, Env, KeyCache, KeySettings, Log, LogLevel, Rng, Transport};
use roomlet_store::{Commit, EventFlags, EventRow, MemoryStore, OutboxItem, OwnKey, Store, Write};
use roomlet_wire::{
    Code, Error, EventId, EventNum, KeyId, Map, Result, RoomNum, ServerName, Value,
    frame::{Request, Response},
    json,
    sign::{KeyPair, sign_json},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// The wall clock when a test begins: some day in 2024, in milliseconds.
pub(crate) const START: i64 = 1_720_000_000_000;
pub(crate) const ME: &str = "me.example";
pub(crate) const PEER: &str = "peer.example";

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

pub(crate) fn key_id(id: &str) -> KeyId {
    KeyId::parse(id).unwrap()
}

/// A key of its own for each seed.
pub(crate) fn pair(id: &str, seed: u8) -> KeyPair {
    KeyPair::from_seed(key_id(id), &[seed; 32])
}

pub(crate) fn object(text: &str) -> Map {
    json::parse_object(text.as_bytes()).unwrap()
}

/// How the network treats a request.
pub(crate) enum Answer {
    Status(u16, String),
    After(Duration, u16, String),
    Unreachable,
    Never,
}

impl Answer {
    pub(crate) fn ok(body: &Map) -> Self {
        Self::Status(200, json::map_to_canonical(body))
    }
}

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// Answers by a closure; notes each request with its time since the start, in milliseconds.
pub(crate) struct Net {
    start: Instant,
    handler: Mutex<Arc<Handler>>,
    log: Mutex<Vec<(u64, Request)>>,
}

impl Net {
    pub(crate) fn answers(&self, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.handler.lock().unwrap() = Arc::new(handler);
    }

    /// What was asked since the last call.
    pub(crate) fn take(&self) -> Vec<(u64, Request)> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// When something was asked since the last call.
    pub(crate) fn take_times(&self) -> Vec<u64> {
        self.take().into_iter().map(|(time, _)| time).collect()
    }
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, request: Request) -> Result<Response> {
        let handler = self.handler.lock().unwrap().clone();
        self.log
            .lock()
            .unwrap()
            .push((self.start.elapsed().as_millis() as u64, request.clone()));
        match handler(&request) {
            Answer::Status(status, body) => Ok(Response {
                status,
                body: body.into_bytes(),
            }),
            Answer::After(wait, status, body) => {
                tokio::time::sleep(wait).await;
                Ok(Response {
                    status,
                    body: body.into_bytes(),
                })
            }
            Answer::Unreachable => Err(Error::new(Code::Unreachable, "connection refused")),
            Answer::Never => std::future::pending().await,
        }
    }
}

/// Virtual time as a wall clock.
struct VirtualClock(Instant);
impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        START + self.0.elapsed().as_millis() as i64
    }
}

/// Bytes that make every back-off 1.0 of its nominal value: (1.0 − 0.8) / 0.6 of the greatest u16 is 0x5555.
struct Fixed;
impl Rng for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x55);
    }
}

/// What was logged.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn line(&self, level: LogLevel, line: &str) {
        self.0.lock().unwrap().push(format!("{level:?}: {line}"));
    }
}

impl Lines {
    /// The lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub(crate) struct World {
    pub(crate) net: Arc<Net>,
    pub(crate) log: Arc<Lines>,
    pub(crate) env: Env,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) keys: Arc<KeyCache>,
    pub(crate) client: Arc<Client>,
}

/// A server ME with the key `ed25519:me` of seed 1, on an empty store. Nobody is reachable yet.
pub(crate) async fn world() -> World {
    world_with(KeySettings::default()).await
}

pub(crate) async fn world_with(settings: KeySettings) -> World {
    let start = Instant::now();
    let net = Arc::new(Net {
        start,
        handler: Mutex::new(Arc::new(|_| Answer::Unreachable)),
        log: Mutex::default(),
    });
    let log = Arc::new(Lines::default());
    let env = Env {
        transport: net.clone(),
        clock: Arc::new(VirtualClock(start)),
        rng: Arc::new(Fixed),
        log: log.clone(),
    };
    let store = Arc::new(MemoryStore::new());
    let own = OwnKey {
        id: key_id("ed25519:me"),
        seed: [1; 32],
        expired_at: None,
    };
    commit(&*store, vec![Write::OwnKey(own)]).await;
    let keys = KeyCache::open(store.clone(), env.clone(), server(ME), settings)
        .await
        .unwrap();
    let client = Arc::new(Client::new(env.clone(), keys.clone(), Duration::from_secs(30)));
    World {
        net,
        log,
        env,
        store,
        keys,
        client,
    }
}

pub(crate) async fn commit(store: &dyn Store, writes: Vec<Write>) {
    store.commit(Commit { writes }).await.unwrap();
}

/// A document of keys, signed by all `current` ones.
pub(crate) fn document(
    name: &str,
    current: &[&KeyPair],
    retired: &[(&KeyPair, i64)],
    valid_until: i64,
) -> Map {
    let entry = |pair: &KeyPair| Map::from([("key".to_owned(), Value::from(pair.public().to_base64()))]);
    let verify = current
        .iter()
        .map(|pair| (pair.id().to_string(), entry(pair).into()))
        .collect::<Map>();
    let old = retired.iter().map(|(pair, at)| {
        let mut entry = entry(pair);
        entry.insert("expired_ts".into(), (*at).into());
        (pair.id().to_string(), entry.into())
    });
    let mut document = Map::from([
        ("server_name".to_owned(), name.into()),
        ("verify_keys".to_owned(), verify.into()),
        ("old_verify_keys".to_owned(), Value::Object(old.collect())),
        ("valid_until_ts".to_owned(), valid_until.into()),
    ]);
    for pair in current {
        sign_json(&mut document, &server(name), pair);
    }
    document
}

/// Stores event number `n` of room 1 and owes it to `destination`.
pub(crate) async fn owe(store: &dyn Store, destination: &str, n: u32) {
    owe_in(store, destination, 1, n).await;
}

/// As [`owe`], in another room.
pub(crate) async fn owe_in(store: &dyn Store, destination: &str, room: u32, n: u32) {
    let json = format!(
        r#"{{"content":{{}},"depth":{n},"origin_server_ts":{},"room":{room}}}"#,
        1000 + n
    );
    let row = EventRow {
        num: EventNum(n),
        id: EventId::parse(&format!("${room}-{n}:{ME}")).unwrap(),
        json: json.into(),
        depth: i64::from(n),
        flags: EventFlags::default(),
        state_before: None,
        state_after: None,
        redacted_by: None,
    };
    let item = OutboxItem::Pdu {
        room: RoomNum(room),
        event: EventNum(n),
    };
    let destination = server(destination);
    commit(
        store,
        vec![
            Write::Event {
                room: RoomNum(room),
                row,
            },
            Write::Outbox { destination, item },
        ],
    )
    .await;
}

/// The `depth`s of the PDUs in a transaction: which events they are.
pub(crate) fn pdus(request: &Request) -> Vec<i64> {
    let body = json::parse_object(&request.body).unwrap();
    body["pdus"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pdu| pdu.get("depth").unwrap().as_int().unwrap())
        .collect()
}

/// Lets tasks run for `ms` of virtual time.
pub(crate) async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
