//! The servers of a run, and what is asked of them.

use crate::{
    network::Network,
    random::{Random, ServerRng},
};
use roomlet_homeserver::{
    AllowAll, Clock, Config, Direction, Env, Homeserver, NoLog, Result, RoomId, RoomUpdate, ServerName,
    StoreKind, StreamPos, UserId,
};
use roomlet_store::{MemoryStore, Store};
use roomlet_wire::EventNum;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};
use tokio::time::Instant;

/// Virtual time as a wall clock.
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A server, its store, and the seed that its chance restarts from.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) hs: Homeserver,
    pub(crate) users: Vec<UserId>,
    store: Arc<dyn Store>,
    starts: u64,
}

/// All servers.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) servers: Vec<Server>,
    seed: u64,
    clock: Arc<dyn Clock>,
}

impl World {
    pub(crate) async fn new(seed: u64, servers: usize, users: usize) -> Result<Self> {
        let network = Network::new(seed ^ 0x6e65_7477);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock(Instant::now()));
        let mut world = World {
            network,
            servers: Vec::new(),
            seed,
            clock,
        };
        for index in 0..servers {
            let name = format!("s{index}.test");
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let hs = world.open(&name, store.clone(), 0).await?;
            let mut names = Vec::new();
            for user in 0..users {
                names.push(hs.create_account(&format!("u{user}")).await?);
            }
            world.servers.push(Server {
                name,
                hs,
                users: names,
                store,
                starts: 1,
            });
        }
        Ok(world)
    }

    async fn open(&self, name: &str, store: Arc<dyn Store>, start: u64) -> Result<Homeserver> {
        let mut seed = self.seed ^ (start << 32);
        for byte in name.bytes() {
            seed = seed.wrapping_mul(31).wrapping_add(u64::from(byte));
        }
        let env = Env {
            transport: Arc::new(self.network.wire(name)),
            clock: self.clock.clone(),
            rng: Arc::new(ServerRng(Mutex::new(Random::new(seed)))),
            log: Arc::new(NoLog),
        };
        let mut config = Config::new(ServerName::parse(name)?, StoreKind::Memory);
        config.limits.outbound_pdus_per_second = 10_000;
        config.limits.outbound_burst = 10_000;
        config.limits.backoff_max_ms = 60_000;
        // One server keeps next to nothing in memory: it has to come to the same.
        if name == "s1.test" {
            config.limits.cache_bytes = 0;
            config.limits.open_rooms = 1;
        }
        let hs = Homeserver::open_with(config, env, Arc::new(AllowAll), store).await?;
        self.network.plug(name, hs.clone());
        Ok(hs)
    }

    /// Stops a server and starts it again from its store.
    pub(crate) async fn restart(&mut self, index: usize) -> Result<()> {
        let (name, store, starts) = {
            let server = &self.servers[index];
            (server.name.clone(), server.store.clone(), server.starts)
        };
        self.network.unplug(&name);
        self.servers[index].hs.close().await;
        let hs = self.open(&name, store, starts).await?;
        self.servers[index].hs = hs;
        self.servers[index].starts += 1;
        Ok(())
    }

    /// The server of a user.
    pub(crate) fn of(&self, user: &UserId) -> &Homeserver {
        let server = self.servers.iter().find(|server| server.name == user.server());
        &server.unwrap_or(&self.servers[0]).hs
    }

    /// All users.
    pub(crate) fn users(&self) -> Vec<UserId> {
        self.servers
            .iter()
            .flat_map(|server| server.users.iter().cloned())
            .collect()
    }
}

/// What a server has of a room: the current state as a joined user sees it, and the events of its history, also those
/// that it hides because they were not allowed when they came (which may differ between servers).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RoomView {
    pub(crate) state: BTreeMap<(String, String), String>,
    pub(crate) events: BTreeSet<String>,
    /// The servers in the room by this state: those of its joined users.
    pub(crate) servers: BTreeSet<String>,
}

impl Server {
    /// The room as the first joined user of this server sees it; `None` if nobody is.
    pub(crate) async fn view(&self, room: &RoomId) -> Result<Option<RoomView>> {
        for user in &self.users {
            if !self
                .hs
                .rooms(user)
                .await?
                .iter()
                .any(|r| r.room_id == *room && r.membership == "join")
            {
                continue;
            }
            let state = self.hs.state(user, room).await?;
            let servers = state
                .iter()
                .filter(|event| {
                    event.kind == "m.room.member" && event.content.contains(r#""membership":"join""#)
                })
                .filter_map(|event| UserId::parse(event.state_key.as_deref()?).ok())
                .map(|user| user.server().to_owned())
                .collect();
            let state = state
                .into_iter()
                .map(|event| {
                    (
                        (event.kind, event.state_key.unwrap_or_default()),
                        event.event_id.to_string(),
                    )
                })
                .collect();
            self.page_to_the_start(user, room).await?;
            let events = self.history(room)?;
            return Ok(Some(RoomView {
                state,
                events,
                servers,
            }));
        }
        Ok(None)
    }

    /// Pages back until nobody has anything older, which fetches what other servers hold.
    async fn page_to_the_start(&self, user: &UserId, room: &RoomId) -> Result<()> {
        let mut from: Option<String> = None;
        loop {
            let page = self
                .hs
                .timeline(user, room, from.as_deref(), Direction::Backward, 100)
                .await?;
            match page.next {
                Some(next) if Some(&next) != from.as_ref() => from = Some(next),
                _ => return Ok(()),
            }
        }
    }

    /// The events whose place in the room's history is known here.
    fn history(&self, room: &RoomId) -> Result<BTreeSet<String>> {
        let mut events = BTreeSet::new();
        let Some(record) = self.store.room(room)? else {
            return Ok(events);
        };
        for num in 0..record.next_event.0 {
            if let Some(row) = self.store.event_by_num(record.num, EventNum(num))?
                && !row.flags.outlier
            {
                events.insert(row.id.to_string());
            }
        }
        Ok(events)
    }

    /// The state of a room as somebody knows it who only reads the update stream, from the moment of joining.
    pub(crate) async fn told_state(&self, room: &RoomId) -> Result<BTreeMap<(String, String), String>> {
        let mut told = BTreeMap::new();
        let mut joined = BTreeSet::new();
        let mut pos = StreamPos(0);
        let last = self.hs.last_update().await?;
        while pos < last {
            for entry in self.hs.updates(pos, 100).await? {
                pos = entry.pos;
                match entry.update {
                    RoomUpdate::Event(event) if event.room_id == *room => {
                        if let Some(key) = event.state_key {
                            told.insert((event.kind, key), event.event_id.to_string());
                        }
                    }
                    RoomUpdate::StateChanged {
                        room_id,
                        kind,
                        state_key,
                        event,
                    } if room_id == *room => {
                        match event {
                            Some(event) => told.insert((kind, state_key), event.event_id.to_string()),
                            None => told.remove(&(kind, state_key)),
                        };
                    }
                    RoomUpdate::Membership {
                        room_id,
                        user,
                        membership,
                        ..
                    } if room_id == *room => {
                        // What happened while nobody of this server was in the room is read from the state.
                        if membership == "join" && joined.is_empty() {
                            told.clear();
                        }
                        if membership == "join" {
                            joined.insert(user)
                        } else {
                            joined.remove(&user)
                        };
                    }
                    _ => {}
                }
            }
        }
        Ok(told)
    }
}
