//! The keys that are held, ready for use.

use roomlet_store::{KeyRow, Store};
use roomlet_wire::{
    Code, Error, KeyId, Parsed, Pdu, Result, ServerName,
    sign::{KeyRing, PublicKey},
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Servers whose keys are in memory; beyond that the least used half is dropped, and read from the store again when
/// it is needed.
const SERVERS_IN_MEMORY: usize = 4_096;
/// How long a key is trusted after it was fetched, in milliseconds: 7 days (EV-17).
pub(super) const MAX_VALIDITY_MS: i64 = 7 * 86_400_000;

/// The keys of all servers that are held, this server's included: the store's, parsed once and kept in memory.
pub struct Ring {
    store: Arc<dyn Store>,
    me: ServerName,
    own: ServerKeys,
    cached: Mutex<Cached>,
}

type ServerKeys = Arc<Keys>;

/// The keys of one server.
struct Keys {
    held: BTreeMap<KeyId, Held>,
    /// Why the store may lack some that the server gave: without them nothing is known of a signature.
    unkept: Option<Error>,
}

/// A key and when it may be used.
#[derive(Clone)]
struct Held {
    key: PublicKey,
    /// `i64::MAX` for this server's own key.
    valid_until: i64,
    expired_at: Option<i64>,
}

#[derive(Default)]
struct Cached {
    /// With the number of the last use.
    servers: BTreeMap<ServerName, (ServerKeys, u64)>,
    uses: u64,
}

impl Ring {
    pub(super) fn new(
        store: Arc<dyn Store>,
        me: ServerName,
        own: Vec<(KeyId, PublicKey, Option<i64>)>,
    ) -> Self {
        let own = own.into_iter().map(|(id, key, expired_at)| {
            (
                id,
                Held {
                    key,
                    valid_until: i64::MAX,
                    expired_at,
                },
            )
        });
        Self {
            store,
            me,
            own: Arc::new(Keys {
                held: own.collect(),
                unkept: None,
            }),
            cached: Mutex::default(),
        }
    }

    /// For the events of one batch, at the time `now`.
    pub(super) fn view(&self, now: i64) -> View<'_> {
        View {
            ring: self,
            now,
            last: RefCell::default(),
        }
    }

    /// Whether asking for the key again might make it valid at `at`.
    pub(super) fn would_fetch(&self, server: &str, id: &str, at: i64, now: i64) -> bool {
        let renew = || self.keys_of(server).map(|keys| might_renew(&keys, id, at, now));
        self.is_asked_for(server, id, renew)
    }

    /// Whether a key of this server with this id is asked for, where `might_renew` tells of the keys that are held.
    fn is_asked_for(&self, server: &str, id: &str, might_renew: impl FnOnce() -> Result<bool>) -> bool {
        server != self.me.as_str()
            && KeyId::names_ed25519(id)
            // Where the store does not say what is held, what comes of asking does.
            && might_renew().unwrap_or_else(|error| error.is_outage())
    }

    /// See [`KeyCache::request_key`](super::KeyCache::request_key).
    pub(super) fn request_key(&self, server: &ServerName, id: &KeyId, now: i64) -> Result<PublicKey> {
        let keys = self.keys_of(server)?;
        let held = keys.get(server, id)?;
        if held.expired_at.is_some() || held.valid_until < now {
            let about = format!("key {id} of server {server} is not valid now (EV-18)");
            return Err(keys.lacking(Code::ExpiredKey, about));
        }
        Ok(held.key.clone())
    }

    /// The store failed to keep keys that `server` gave: until they are asked for again, whoever needs one of them gets the
    /// store's error.
    pub(super) fn note_unkept(&self, server: &ServerName, error: Error) {
        let held = self.keys_of(server).map(|keys| keys.held.clone());
        let keys = Keys {
            held: held.unwrap_or_default(),
            unkept: Some(error),
        };
        let mut cached = self.cached();
        let used = cached.uses;
        cached.make_room();
        cached.servers.insert(server.clone(), (Arc::new(keys), used));
    }

    /// What is in memory of `server` is no longer what the store has.
    pub(super) fn forget(&self, server: &ServerName) {
        self.cached().servers.remove(server);
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys_of(&self, server: &str) -> Result<ServerKeys> {
        if server == self.me.as_str() {
            return Ok(self.own.clone());
        }
        // The lock is held while the store is read, so that what `forget` removes is not put back.
        let mut cached = self.cached();
        cached.uses += 1;
        let now = cached.uses;
        if let Some((keys, used)) = cached.servers.get_mut(server) {
            *used = now;
            return Ok(keys.clone());
        }
        let server = ServerName::parse(server).map_err(|_| {
            let about = format!("key of any id of server {server} could not be had");
            Error::new(Code::UnknownKey, about)
        })?;
        let rows = self.store.keys(&server)?;
        let keys = Arc::new(Keys {
            held: rows.into_iter().filter_map(parse).collect(),
            unkept: None,
        });
        cached.make_room();
        cached.servers.insert(server, (keys.clone(), now));
        Ok(keys)
    }
}

impl Cached {
    /// Makes room for one more server.
    fn make_room(&mut self) {
        if self.servers.len() >= SERVERS_IN_MEMORY {
            let mut uses: Vec<u64> = self.servers.values().map(|(_, used)| *used).collect();
            uses.sort_unstable();
            let median = uses[uses.len() / 2];
            self.servers.retain(|_, (_, used)| *used >= median);
        }
    }
}

impl Keys {
    fn get(&self, server: &str, id: &str) -> Result<&Held> {
        let lacking = || {
            let about = format!("key {id} of server {server} could not be had");
            self.lacking(Code::UnknownKey, about)
        };
        self.held.get(id).ok_or_else(lacking)
    }

    /// The error for a key that is not held, or not as it is needed.
    fn lacking(&self, code: Code, about: String) -> Error {
        self.unkept.clone().unwrap_or_else(|| Error::new(code, about))
    }
}

/// Rows were checked before they were stored; one that is damaged counts as unknown.
fn parse(row: KeyRow) -> Option<(KeyId, Held)> {
    let key = PublicKey::parse(&row.key).ok()?;
    Some((
        row.id,
        Held {
            key,
            valid_until: row.valid_until,
            expired_at: row.expired_at,
        },
    ))
}

impl KeyRing for Ring {
    fn key(&self, server: &str, id: &str, at: i64, check_validity: bool) -> Result<PublicKey> {
        key_in(&self.keys_of(server)?, server, id, at, check_validity)
    }
}

/// The ring for the events of one batch, on one thread: most are of the same server as the one before, whose keys need not
/// be looked up again where all threads look.
pub struct View<'a> {
    ring: &'a Ring,
    now: i64,
    last: RefCell<Option<(String, ServerKeys)>>,
}

impl View<'_> {
    /// Whether a key has to be asked for before all signatures can be checked that this event needs.
    #[must_use]
    pub fn lacks_any(&self, pdu: &Pdu<Parsed>) -> bool {
        let mut lacks = false;
        pdu.each_needed_key(|server, id| {
            let might_renew = |keys: &ServerKeys| might_renew(keys, id, pdu.origin_server_ts, self.now);
            let renew = || self.with_keys(server, might_renew);
            lacks |= self.ring.is_asked_for(server, id, renew);
        });
        lacks
    }

    /// What `see` sees in the keys of `server`. They are not handed out: counting who holds them is slow where all threads do.
    fn with_keys<T>(&self, server: &str, see: impl FnOnce(&ServerKeys) -> T) -> Result<T> {
        let mut last = self.last.borrow_mut();
        if let Some((of, keys)) = &*last
            && of == server
        {
            return Ok(see(keys));
        }
        let (_, keys) = last.insert((server.to_owned(), self.ring.keys_of(server)?));
        Ok(see(keys))
    }
}

impl KeyRing for View<'_> {
    fn key(&self, server: &str, id: &str, at: i64, check_validity: bool) -> Result<PublicKey> {
        self.with_keys(server, |keys| key_in(keys, server, id, at, check_validity))?
    }
}

/// Whether a server whose keys are `keys` might give one with this id that is valid at `at`.
fn might_renew(keys: &ServerKeys, id: &str, at: i64, now: i64) -> bool {
    match keys.held.get(id) {
        None => true,
        Some(held) if held.expired_at.is_some() => false,
        // No key is trusted for a time that far ahead, however fresh it is (EV-17).
        Some(held) => held.valid_until < at && at <= now.saturating_add(MAX_VALIDITY_MS),
    }
}

/// The key `id` among those of `server`: see [`KeyRing::key`].
fn key_in(keys: &ServerKeys, server: &str, id: &str, at: i64, check_validity: bool) -> Result<PublicKey> {
    let held = keys.get(server, id)?;
    let usable = match held.expired_at {
        Some(expired_at) => at <= expired_at,
        None => !check_validity || at <= held.valid_until,
    };
    if usable {
        return Ok(held.key.clone());
    }
    let about = format!("key {id} of server {server} is not valid at {at} (EV-16, EV-17)");
    Err(keys.lacking(Code::ExpiredKey, about))
}
