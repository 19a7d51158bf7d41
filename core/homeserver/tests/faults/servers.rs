//! Servers whose stores fail when a test wants it.

use async_trait::async_trait;
use roomlet_homeserver::{
    AllowAll, Code, Config, Error, Homeserver, Limits, Request, Response, Result, ServerName, StoreKind,
    UserId,
};
use roomlet_store::Store;
use roomlet_world::{Endpoint, HookedStore, World};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What the error of every fault says.
pub(crate) const FAULT: &str = "the disk is gone for a moment";
/// How long anything may take, in virtual time.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a command is given before it counts as one that never works.
const TRIES: u32 = 300;

/// Which calls of a store fail.
#[derive(Default)]
pub(crate) struct Faults {
    calls: AtomicU64,
    failing: Range<u64>,
    /// A method of which so many calls fail from now on.
    next: Mutex<Option<(&'static str, u32)>>,
    /// A test looks into the store by itself.
    is_off: AtomicBool,
    /// What failed so far.
    met: Mutex<Vec<String>>,
}

impl Faults {
    fn call(&self, method: &str) -> Result<()> {
        if self.is_off.load(Relaxed) {
            return Ok(());
        }
        let call = self.calls.fetch_add(1, Relaxed);
        if !self.failing.contains(&call) && !self.takes_next(method) {
            return Ok(());
        }
        self.met.lock().unwrap().push(method.to_owned());
        Err(Error::new(Code::Store, FAULT))
    }

    fn takes_next(&self, method: &str) -> bool {
        let mut next = self.next.lock().unwrap();
        let left = next.as_mut().filter(|(of, left)| *of == method && *left > 0);
        left.map(|(_, left)| *left -= 1).is_some()
    }

    /// From now on, so many calls of a method fail.
    pub(crate) fn fail_next(&self, method: &'static str, calls: u32) {
        *self.next.lock().unwrap() = Some((method, calls));
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// The methods that failed.
    pub(crate) fn met(&self) -> Vec<String> {
        self.met.lock().unwrap().clone()
    }

    /// Does `look` while nothing fails and no call is counted.
    pub(crate) fn aside<T>(&self, look: impl FnOnce() -> T) -> T {
        let was = self.is_off.swap(true, Relaxed);
        let seen = look();
        self.is_off.store(was, Relaxed);
        seen
    }

    /// From now on nothing fails, and no call is counted.
    pub(crate) fn end(&self) {
        self.is_off.store(true, Relaxed);
    }
}

struct Served(Homeserver);

#[async_trait]
impl Endpoint for Served {
    async fn serve(&self, request: Request) -> Response {
        self.0.handle_request(request).await
    }
}

/// A server with one user.
pub(crate) struct Node {
    pub(crate) name: ServerName,
    pub(crate) hs: Homeserver,
    pub(crate) store: Arc<HookedStore>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) user: UserId,
}

impl Node {
    /// Opens a server of this name, of whose store the calls `failing` fail.
    pub(crate) async fn open(world: &World, name: &str, user: &str, failing: Range<u64>) -> Self {
        let name = ServerName::parse(name).unwrap();
        let faults = Arc::new(Faults {
            failing,
            ..Faults::default()
        });
        let hook = faults.clone();
        let store = Arc::new(HookedStore::new(move |_, method| hook.call(method)));
        let hs = open(world, &name, &store).await;
        let user = UserId::parse(&format!("@{user}:{name}")).unwrap();
        let node = Self {
            name,
            hs,
            store,
            faults,
            user,
        };
        node.insist(async || node.hs.create_account(node.user.localpart()).await)
            .await;
        node
    }

    /// Ends the server, and begins anew with what it stored.
    pub(crate) async fn restart(&mut self, world: &World) {
        world.network.unplug(&self.name);
        let closing = tokio::time::timeout(PATIENCE, self.hs.close());
        closing.await.expect("a server that closes does not hang");
        self.hs = open(world, &self.name, &self.store).await;
    }

    /// Whether it has still to tell other servers something.
    pub(crate) fn owes(&self) -> bool {
        self.faults.aside(|| !self.store.owed().unwrap().is_empty())
    }

    /// Gives a command of this server until it works. An error must be that of a store: of this one, or of another server's,
    /// of which one hears that something inside it failed.
    pub(crate) async fn insist<T>(&self, command: impl AsyncFn() -> Result<T>) -> T {
        for _ in 0..TRIES {
            let done = tokio::time::timeout(PATIENCE, command()).await;
            match done.expect("a command does not hang") {
                Ok(done) => return done,
                Err(error) => self.check(&error),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("a command of {} never works again", self.name);
    }

    fn check(&self, error: &Error) {
        let is_own = error.code() == Code::Store && error.about().contains(FAULT);
        let is_remote = error.code() == Code::Remote && error.about().contains("an error inside the server");
        let has_failed = !self.faults.met().is_empty();
        assert!(
            if has_failed { is_own } else { is_remote },
            "{}: {error:?}",
            self.name
        );
    }
}

async fn open(world: &World, name: &ServerName, store: &Arc<HookedStore>) -> Homeserver {
    for _ in 0..TRIES {
        let mut config = Config::new(name.clone(), StoreKind::Memory);
        config.limits = Limits {
            // Who was away for long gets the newest event, and has to ask for the rest.
            outbox_per_destination: 2,
            // What is known of a room is read from the store often.
            room_idle_ms: 5_000,
            // However often a delivery fails, it is tried again while somebody waits.
            backoff_max_ms: 60_000,
            ..Limits::default()
        };
        let opening = Homeserver::open_with(config, world.env(name), Arc::new(AllowAll), store.clone());
        match tokio::time::timeout(PATIENCE, opening)
            .await
            .expect("a server opens or fails")
        {
            Ok(hs) => {
                world.network.plug(name, Arc::new(Served(hs.clone())));
                return hs;
            }
            Err(error) => assert_eq!((error.code(), error.about()), (Code::Store, FAULT)),
        }
    }
    panic!("{name} never opens again");
}
