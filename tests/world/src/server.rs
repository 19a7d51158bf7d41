//! Homeservers on the network.

use crate::{
    look,
    network::{Endpoint, Network},
    peer::Peer,
};
use async_trait::async_trait;
use roomlet_homeserver::{
    AllowAll, Clock, Config, Env, Homeserver, Limits, Log, LogLevel, NoLog, Policy, Request, Response, Rng,
    RoomId, RoomUpdate, ServerName, StoreKind, UserId,
};
use roomlet_store::{MemoryStore, RoomRecord, Store};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The time that every world begins at, in milliseconds since 1970.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// Virtual time as a wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        BEGIN_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// Bytes that look random and repeat exactly: SplitMix64 from a seed.
struct SeededRng(Mutex<u64>);

impl SeededRng {
    fn new(name: &str, starts: u64) -> Self {
        let seed = name.bytes().fold(starts, |seed, byte| {
            seed.wrapping_mul(131).wrapping_add(u64::from(byte))
        });
        Self(Mutex::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = (z ^ (z >> 31)).to_le_bytes()[0];
        }
    }
}

/// The lines of a log.
#[derive(Default, Debug)]
pub struct Lines(Mutex<Vec<String>>);

impl Log for Lines {
    fn line(&self, level: LogLevel, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(format!("{level:?}: {line}"));
    }
}

impl Lines {
    /// The lines since the last call, as `Warn: text`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Served(Homeserver);

#[async_trait]
impl Endpoint for Served {
    async fn serve(&self, request: Request) -> Response {
        self.0.handle_request(request).await
    }
}

/// A network, its time, and what is made on it.
pub struct World {
    /// The network.
    pub network: Network,
    clock: VirtualClock,
}

impl World {
    /// An empty network. To be called inside a runtime whose clock is paused.
    #[must_use]
    pub fn new() -> Self {
        Self {
            network: Network::default(),
            clock: VirtualClock(Instant::now()),
        }
    }

    /// The time now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A homeserver with default limits, whose host allows everything.
    pub async fn server(&self, name: &str) -> Server {
        self.server_with(name, Limits::default(), Arc::new(AllowAll))
            .await
    }

    /// A homeserver.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn server_with(&self, name: &str, limits: Limits, policy: Arc<dyn Policy>) -> Server {
        let name = server_name(name);
        let store = Arc::new(MemoryStore::new());
        let mut config = Config::new(name.clone(), StoreKind::Memory);
        config.limits = limits;
        let parts = Parts {
            network: self.network.clone(),
            clock: self.clock,
            policy,
            config,
            log: Arc::default(),
        };
        let hs = parts.open(store.clone(), 0).await;
        Server {
            name,
            hs,
            store,
            log: parts.log.clone(),
            parts,
            starts: 0,
        }
    }

    /// A server with a key and no logic.
    #[must_use]
    pub fn peer(&self, name: &str) -> Arc<Peer> {
        Peer::new(server_name(name), self.network.clone(), self.clock)
    }

    /// Lets two minutes of virtual time pass: whatever can happen without further input has happened then.
    pub async fn quiet(&self) {
        tokio::time::sleep(Duration::from_secs(120)).await;
    }

    /// An environment of a homeserver that a test opens itself.
    #[must_use]
    pub fn env(&self, name: &ServerName) -> Env {
        env(&self.network, self.clock, name, 0, Arc::new(NoLog))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn env(network: &Network, clock: VirtualClock, name: &ServerName, starts: u64, log: Arc<dyn Log>) -> Env {
    Env {
        transport: Arc::new(network.wire(name)),
        clock: Arc::new(clock),
        rng: Arc::new(SeededRng::new(name, starts)),
        log,
    }
}

fn server_name(name: &str) -> ServerName {
    ServerName::parse(name).expect("a test names servers correctly")
}

/// What a server is opened with, each time.
struct Parts {
    network: Network,
    clock: VirtualClock,
    policy: Arc<dyn Policy>,
    config: Config,
    log: Arc<Lines>,
}

impl Parts {
    async fn open(&self, store: Arc<MemoryStore>, starts: u64) -> Homeserver {
        let name = &self.config.server_name;
        let env = env(&self.network, self.clock, name, starts, self.log.clone());
        let opened = Homeserver::open_with(self.config.clone(), env, self.policy.clone(), store).await;
        let hs = opened.expect("a homeserver opens on a store of its own");
        self.network.plug(name, Arc::new(Served(hs.clone())));
        hs
    }
}

/// A homeserver and its store.
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// The server.
    pub hs: Homeserver,
    /// What it stores in; outlives restarts.
    pub store: Arc<MemoryStore>,
    /// What it logs; outlives restarts too.
    pub log: Arc<Lines>,
    parts: Parts,
    starts: u64,
}

impl Server {
    /// Makes an account.
    ///
    /// # Panics
    /// If that fails.
    pub async fn account(&self, localpart: &str) -> UserId {
        self.hs
            .create_account(localpart)
            .await
            .expect("a test names accounts correctly")
    }

    /// Stops the server; it is off the network.
    pub async fn stop(&mut self) {
        self.parts.network.unplug(&self.name);
        self.hs.close().await;
    }

    /// Starts it again from its store.
    pub async fn start(&mut self) {
        self.starts += 1;
        self.hs = self.parts.open(self.store.clone(), self.starts).await;
    }

    /// Stops it and starts it again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Everything that the store holds, as text, but for the replies to inbound transactions.
    #[must_use]
    pub fn contents(&self) -> String {
        const FIELD: &str = "\n            ";
        let all = format!("{:#?}", self.store);
        let begin = format!("{FIELD}txn_replies: {{");
        let (before, replies) = all.split_once(&begin).expect("a store has such replies");
        // They end with a brace that stands under the field's name, or at once if there are none.
        let after = match replies.strip_prefix('}') {
            Some(after) => after,
            None => replies
                .split_once(&format!("{FIELD}}}"))
                .map_or("", |(_, after)| after),
        };
        format!("{before}{after}")
    }

    /// The record of a room: its extremities, its current state and how much it holds.
    ///
    /// # Panics
    /// If the server does not hold it.
    #[must_use]
    pub fn record(&self, room: &RoomId) -> RoomRecord {
        self.store
            .room(room)
            .expect("a store in memory does not fail")
            .expect("the room is held")
    }

    /// All updates so far.
    ///
    /// # Panics
    /// If the server is closed.
    pub async fn updates(&self) -> Vec<RoomUpdate> {
        look::updates(&self.hs).await
    }
}
