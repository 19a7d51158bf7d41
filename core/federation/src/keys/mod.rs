//! Signing keys: this server's own, and those of others.

mod document;
mod fetch;
mod notary;
mod own;
mod ring;

pub use ring::{Ring, View};

use crate::{env::Env, route::KeyQuery};
use fetch::Fetcher;
use own::OwnKeys;
use roomlet_store::Store;
use roomlet_wire::{
    KeyId, Map, Result, ServerName, Value,
    sign::{KeyPair, PublicKey},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Key ids of one server, with the time at which each must be valid, in milliseconds.
type Wanted = BTreeMap<KeyId, i64>;

/// How keys are published and fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySettings {
    /// How long this server's published keys stay valid, in milliseconds; at least an hour (FED-15).
    pub validity_ms: i64,
    /// How long one request for keys may take.
    pub timeout: Duration,
    /// Servers that are asked for keys which their own server does not give (FED-16), in this order.
    pub notaries: Vec<ServerName>,
}

impl Default for KeySettings {
    /// A day, ten seconds, no notaries.
    fn default() -> Self {
        Self {
            validity_ms: 86_400_000,
            timeout: Duration::from_secs(10),
            notaries: Vec::new(),
        }
    }
}

/// All keys that this server signs with or checks signatures by.
///
/// Keys of other servers are read from the store, and fetched where they are lacking or were not valid at the time
/// in question (EV-17). At most one request a server is under way at a time, and a server is not asked again before
/// a back-off is over. Checking signatures needs no waiting: [`KeyCache::ensure`] first gets what will be needed, then
/// [`KeyCache::ring`] gives it.
pub struct KeyCache {
    own: OwnKeys,
    ring: Arc<Ring>,
    fetcher: Arc<Fetcher>,
    env: Env,
    /// How long all fetches for one use may take together.
    patience: Duration,
}

/// How many times longer all key requests for one use may take than a single one.
pub const PATIENCE: u32 = 4;

impl KeyCache {
    /// Reads this server's keys from the store; makes one if there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(
        store: Arc<dyn Store>,
        env: Env,
        me: ServerName,
        settings: KeySettings,
    ) -> Result<Arc<Self>> {
        let own = OwnKeys::open(&*store, &env, me, settings.validity_ms).await?;
        let ring = Arc::new(Ring::new(store.clone(), own.server_name().clone(), own.public()));
        let fetcher = Arc::new(Fetcher::new(store, env.clone(), ring.clone(), &settings));
        Ok(Arc::new(Self {
            own,
            ring,
            fetcher,
            env,
            patience: settings.timeout * PATIENCE,
        }))
    }

    /// This server's name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        self.own.server_name()
    }

    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// The time now, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.env.clock.now_ms()
    }

    /// The key that this server signs with.
    #[must_use]
    pub fn signing_key(&self) -> Arc<KeyPair> {
        self.own.signing_key()
    }

    /// The answer to `GET /_matrix/key/v2/server`: this server's keys, signed, valid from now on (FED-15).
    #[must_use]
    pub fn published(&self) -> Map {
        self.own.document(self.now_ms())
    }

    /// The answer to a notary query (FED-16). Only this server's own keys are given: vouching for others would need
    /// their documents as they were signed, which are not kept.
    #[must_use]
    pub fn answer_query(&self, query: &KeyQuery) -> Map {
        let documents = if query.contains_key(self.server_name()) {
            vec![self.published().into()]
        } else {
            Vec::new()
        };
        Map::from([("server_keys".to_owned(), Value::Array(documents))])
    }

    /// Gets what can be had of the keys `wanted`: server, key id, and the time at which the key must be valid, in
    /// milliseconds. Returns when all are held or their servers have been asked, at the latest after
    /// [`PATIENCE`] times the time of one request. Never fails: what could not be had is missing in the ring.
    pub async fn ensure(&self, wanted: impl IntoIterator<Item = (ServerName, KeyId, i64)>) {
        // What is late is given up: a room's history may name hundreds of servers that are gone. Those that failed are
        // not asked again at once, so a retry gets further.
        let _ = self.ensure_within(wanted, self.patience).await;
    }

    /// As [`ensure`](Self::ensure), waiting `patience` at most; whether that was enough. Where it was not, requests that
    /// are under way go on.
    pub async fn ensure_within(
        &self,
        wanted: impl IntoIterator<Item = (ServerName, KeyId, i64)>,
        patience: Duration,
    ) -> bool {
        let now = self.now_ms();
        let mut lacking: BTreeMap<ServerName, Wanted> = BTreeMap::new();
        for (server, id, at) in wanted {
            if self.ring.would_fetch(&server, &id, at, now) {
                // A key that is valid at the latest of several times is valid at all of them.
                let latest = lacking.entry(server).or_default().entry(id).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        let mut fetches = JoinSet::new();
        for (server, wanted) in lacking {
            fetches.spawn(self.fetcher.clone().obtain(server, wanted));
        }
        // One that panicked got no keys, like one that failed.
        let all = async { while fetches.join_next().await.is_some() {} };
        tokio::time::timeout(patience, all).await.is_ok()
    }

    /// Ends all requests for keys.
    pub async fn shutdown(&self) {
        self.fetcher.shutdown().await;
    }

    /// The keys that are held, for checking events.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        self.ring.clone()
    }

    /// The keys that are held now, for checking events on this thread.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.ring.view(self.now_ms())
    }

    /// The key that a request of `server` is signed with, if it is valid now; retired keys are not (EV-18).
    pub(crate) fn request_key(&self, server: &ServerName, id: &KeyId, now: i64) -> Result<PublicKey> {
        self.ring.request_key(server, id, now)
    }

    /// The network is back: servers that gave no keys may be asked again at once.
    pub fn wake(&self) {
        self.fetcher.forget_failures();
    }
}
