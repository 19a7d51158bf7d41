//! What all parts of one server share.

use crate::{config::Config, fetch::SlowServers, policy::Policy, room::Rooms};
use roomlet_federation::{Env, LogLevel, client::Client, keys::KeyCache, sender::Sender};
use roomlet_store::{Commit, Store, Write};
use roomlet_wire::{Code, Error, EventId, Result, RoomId, ServerName, UserId, sign::KeyPair};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};
use tokio::{
    sync::{OnceCell, Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};

/// The parts of a server, and what they share.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) me: ServerName,
    pub(crate) env: Env,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<KeyCache>,
    pub(crate) client: Arc<Client>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) rooms: Rooms,
    /// Counts commits with updates; waiting readers look at the store when it moves.
    pub(crate) updated: watch::Sender<u64>,
    /// Rooms that this server is joining now: their inbound PDUs wait for the end of it (FED-32).
    pub(crate) joining: Mutex<BTreeMap<RoomId, watch::Receiver<()>>>,
    /// Rooms whose staged PDUs are being repaired now, with what tells the repair of new ones.
    pub(crate) repairing: Mutex<BTreeMap<RoomId, watch::Sender<()>>>,
    /// Servers that took too long lately.
    pub(crate) slow: SlowServers,
    /// Places for events that others hand in and that cite what is not here.
    pub(crate) settling: Semaphore,
    /// Changes when the host says that the network is back.
    pub(crate) wakes: watch::Sender<()>,
    /// Cited events that no server had, and until when they are not asked for again.
    pub(crate) dead_branches: Mutex<BTreeMap<EventId, Instant>>,
    /// When old replies to transactions were last forgotten, in milliseconds.
    pub(crate) replies_trimmed: AtomicI64,
    /// Tasks that end with the server.
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) closed: AtomicBool,
    /// Set once all work has ended after that.
    pub(crate) ended: OnceCell<()>,
}

/// What happens after a commit of a room.
pub(crate) trait AfterCommit: Send + Sync + 'static {
    /// Notes what a commit will have to cause.
    fn notices(&self, commit: &Commit) -> Notices;
    /// Causes it, once the commit is durable.
    fn committed(&self, notices: Notices);
}

/// Destinations that are owed something new, and whether there are new updates.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    destinations: BTreeSet<ServerName>,
    updated: bool,
}

/// Wakes the sender and the readers of the update stream.
pub(crate) struct Waker {
    pub(crate) sender: Arc<Sender>,
    pub(crate) updated: watch::Sender<u64>,
}

impl AfterCommit for Waker {
    fn notices(&self, commit: &Commit) -> Notices {
        let mut notices = Notices::default();
        for write in &commit.writes {
            match write {
                Write::Outbox { destination, .. } => {
                    notices.destinations.insert(destination.clone());
                }
                Write::Update(_) | Write::Rescind { .. } => notices.updated = true,
                _ => {}
            }
        }
        notices
    }

    fn committed(&self, notices: Notices) {
        for destination in &notices.destinations {
            self.sender.notify(destination);
        }
        if notices.updated {
            self.updated.send_modify(|count| *count += 1);
        }
    }
}

/// The error of what comes after closing.
pub(crate) fn closed(me: &ServerName) -> Error {
    Error::new(Code::Closed, format!("server {me}: closed"))
}

impl Inner {
    /// Refuses commands after the server was closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed(&self.me));
        }
        Ok(())
    }

    /// Refuses users that are no accounts here, and all after the server was closed.
    pub(crate) fn check_account(&self, user: &UserId) -> Result<()> {
        self.check_open()?;
        if user.server() == self.me.as_str() && self.store.has_account(user)? {
            return Ok(());
        }
        Err(Error::new(
            Code::UnknownUser,
            format!("user {user} is no account of {}", self.me),
        ))
    }

    /// Whether a user is of this server.
    pub(crate) fn is_local(&self, user: &UserId) -> bool {
        user.server() == self.me.as_str()
    }

    /// The key that events and requests are signed with.
    pub(crate) fn signing_key(&self) -> Arc<KeyPair> {
        self.keys.signing_key()
    }

    /// Commits what belongs to no room, and wakes who waits for it.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        let commit = Commit { writes };
        let waker = Waker {
            sender: self.sender.clone(),
            updated: self.updated.clone(),
        };
        let notices = waker.notices(&commit);
        self.store.commit(commit).await?;
        waker.committed(notices);
        Ok(())
    }

    /// Tells the log of something between servers that does not work.
    pub(crate) fn warn(&self, line: fmt::Arguments<'_>) {
        self.env.log(LogLevel::Warn, line);
    }

    /// Tells the log why an event that `origin` gave is not taken.
    pub(crate) fn warn_of_event(&self, event: &EventId, origin: &ServerName, about: &str) {
        // Many rules name the event that they refuse.
        let rest = about
            .strip_prefix("event ")
            .and_then(|about| about.strip_prefix(event.as_str()));
        let rule = rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(about);
        self.warn(format_args!("event {event} from {origin} is not taken: {rule}"));
    }

    /// Runs a task that ends with the server.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        if !self.closed.load(Ordering::Acquire) {
            // In the form of the commands: the runtime's machinery is compiled once for both.
            let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
            tasks.push(tokio::spawn(task));
        }
    }

    /// Takes up what was under way when the server last ended: PDUs that wait for others.
    pub(crate) fn resume(self: &Arc<Self>) -> Result<()> {
        for num in self.store.rooms_with_staged()? {
            if let Some(room) = self.store.room_id(num)? {
                self.repair(room);
            }
        }
        Ok(())
    }

    /// Ends all work: deliveries, repairs, rooms. Commits that were begun are finished.
    pub(crate) async fn end(&self) {
        self.sender.shutdown().await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Aborted or done, it no longer runs.
            let _ = task.await;
        }
        self.keys.shutdown().await;
        self.rooms.close().await;
        // Readers that wait for updates look again, and find the server closed.
        self.updated.send_modify(|count| *count += 1);
    }

    /// A random string of `A-Za-z0-9`, for room ids and the like.
    pub(crate) fn random_name(&self, len: usize) -> String {
        // 64, so that six bits choose one; that `A` and `a` are twice as likely as others does no harm.
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Aa";
        let mut bytes = vec![0; len];
        self.env.rng.fill(&mut bytes);
        bytes
            .into_iter()
            .map(|byte| char::from(LETTERS[usize::from(byte & 63)]))
            .collect()
    }
}
