//! Asking other servers for their keys.

use super::{KeySettings, Wanted, document::Document, ring::Ring};
use crate::{
    env::{Env, LogLevel},
    error::ClientError,
    exchange::{Reply, exchange},
};
use roomlet_store::{Commit, Store, Write};
use roomlet_wire::{Code, Error, KeyId, Map, Result, ServerName, frame::Request};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::Instant,
};

/// The wait after a server gave its keys before it is asked again for one that was not among them.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The wait after the first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// Servers that are asked for keys at once, of those of which some are held, and of others: names cost nothing
/// (FED-17), so strangers wait among themselves.
const CONCURRENT: usize = 64;
/// Servers that are remembered as asked.
const MAX_ATTEMPTS: usize = 4_096;
/// A document of keys, in bytes; so large only to leave room for a notary's answer.
const DOCUMENT_BYTES: usize = 1_000_000;

/// Fetches keys: at most one request a server at a time, with a back-off. One that is under way goes on when nobody waits
/// for it any more: its answer is for the next who asks, or the next need not wait for it.
pub(super) struct Fetcher {
    store: Arc<dyn Store>,
    pub(super) env: Env,
    pub(super) ring: Arc<Ring>,
    notaries: Vec<ServerName>,
    timeout: Duration,
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    attempts: Mutex<BTreeMap<ServerName, Attempt>>,
    /// Requests under way.
    requests: Mutex<JoinSet<()>>,
}

/// What came of asking a server.
struct Attempt {
    failures: u32,
    /// Not to be asked again before.
    again_at: Instant,
    /// Changes, or closes, when the request under way ends.
    running: Option<watch::Receiver<()>>,
}

/// What a task that needs a server's keys does next.
enum Turn {
    Ask(Asking),
    WaitFor(watch::Receiver<()>),
    GiveUp,
}

/// A request under way; when dropped, the next in line may ask.
struct Asking {
    fetcher: Arc<Fetcher>,
    server: ServerName,
    done: watch::Sender<()>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(attempt) = self.fetcher.attempts().get_mut(&self.server) {
            attempt.running = None;
        }
    }
}

impl Fetcher {
    pub(super) fn new(store: Arc<dyn Store>, env: Env, ring: Arc<Ring>, settings: &KeySettings) -> Self {
        Self {
            store,
            env,
            ring,
            notaries: settings.notaries.clone(),
            timeout: settings.timeout,
            known: Arc::new(Semaphore::new(CONCURRENT)),
            strangers: Arc::new(Semaphore::new(CONCURRENT)),
            attempts: Mutex::default(),
            requests: Mutex::default(),
        }
    }

    /// Asks `server`, then notaries, unless that was done a moment ago; waits for a request that is under way.
    pub(super) async fn obtain(self: Arc<Self>, server: ServerName, wanted: Wanted) {
        while self.lacks(&server, &wanted) {
            // An error means that the request ended, which is all that is waited for.
            match self.turn(&server) {
                Turn::GiveUp => return,
                Turn::WaitFor(mut done) => drop(done.changed().await),
                Turn::Ask(asking) => {
                    let mut done = asking.done.subscribe();
                    self.begin(asking, wanted).await;
                    return drop(done.changed().await);
                }
            }
        }
    }

    /// Begins a request as soon as there is a place for one.
    async fn begin(self: &Arc<Self>, asking: Asking, wanted: Wanted) {
        let is_known = self.store.keys(&asking.server).is_ok_and(|keys| !keys.is_empty());
        let permits = if is_known { &self.known } else { &self.strangers };
        // Neither is ever closed.
        let permit = permits.clone().acquire_owned().await;
        let mut requests = self.requests();
        while requests.try_join_next().is_some() {}
        let fetcher = self.clone();
        requests.spawn(async move {
            let _permit = permit;
            let server = asking.server.clone();
            // Of an earlier failure of the store nothing counts any more.
            fetcher.ring.forget(&server);
            let asked = fetcher.ask(&server, &wanted).await;
            let unkept = asked.as_ref().err().filter(|error| error.is_outage());
            if let Some(error) = unkept {
                fetcher.ring.note_unkept(&server, error.clone());
            }
            // A store that fails is not the other server's fault.
            let wait = fetcher.note(&server, asked.is_ok() || unkept.is_some());
            drop(asking);
            fetcher.tell(&server, &wanted, asked, wait);
        });
    }

    fn requests(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all requests.
    pub(super) async fn shutdown(&self) {
        let mut requests = std::mem::take(&mut *self.requests());
        requests.shutdown().await;
    }

    pub(super) fn forget_failures(&self) {
        self.attempts().retain(|_, attempt| {
            attempt.failures = 0;
            attempt.again_at = Instant::now();
            attempt.running.is_some()
        });
    }

    fn lacks(&self, server: &ServerName, wanted: &Wanted) -> bool {
        let now = self.env.clock.now_ms();
        wanted
            .iter()
            .any(|(id, at)| self.ring.would_fetch(server, id, *at, now))
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<ServerName, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(self: &Arc<Self>, server: &ServerName) -> Turn {
        let mut attempts = self.attempts();
        let now = Instant::now();
        match attempts.get(server) {
            Some(Attempt {
                running: Some(running),
                ..
            }) => return Turn::WaitFor(running.clone()),
            Some(attempt) if now < attempt.again_at => return Turn::GiveUp,
            Some(_) => {}
            None if attempts.len() >= MAX_ATTEMPTS => {
                let idle = attempts.iter().filter(|(_, attempt)| attempt.running.is_none());
                let soonest = idle
                    .min_by_key(|(_, attempt)| attempt.again_at)
                    .map(|(name, _)| name.clone());
                // All are under way: too many servers are wanted at once.
                let Some(soonest) = soonest else {
                    return Turn::GiveUp;
                };
                attempts.remove(&soonest);
            }
            None => {}
        }
        let (done, running) = watch::channel(());
        let attempt = attempts.entry(server.clone()).or_insert(Attempt {
            failures: 0,
            again_at: now,
            running: None,
        });
        attempt.running = Some(running);
        Turn::Ask(Asking {
            fetcher: self.clone(),
            server: server.clone(),
            done,
        })
    }

    /// Notes how asking ended; how long the server is not asked again.
    fn note(&self, server: &ServerName, success: bool) -> Duration {
        let mut attempts = self.attempts();
        let Some(attempt) = attempts.get_mut(server) else {
            return Duration::ZERO;
        };
        let wait = if success {
            attempt.failures = 0;
            AGAIN_AFTER
        } else {
            attempt.failures = attempt.failures.saturating_add(1);
            FIRST_WAIT
                .saturating_mul(1 << (attempt.failures - 1).min(16))
                .min(MAX_WAIT)
        };
        attempt.again_at = Instant::now() + wait;
        wait
    }

    /// Tells the log which key could not be had.
    fn tell(&self, server: &ServerName, wanted: &Wanted, asked: Result<()>, wait: Duration) {
        let now = self.env.clock.now_ms();
        let is_lacking = |(id, at): &(&KeyId, &i64)| self.ring.would_fetch(server, id, **at, now);
        let Some((id, at)) = wanted.iter().find(is_lacking) else {
            return;
        };
        let about = match &asked {
            Ok(()) => "it is not among those that are given",
            Err(error) => error.about(),
        };
        let line = format_args!(
            "key {id} of server {server}, valid at {at}, is not to be had, and not asked for again for {} ms: {about}",
            wait.as_millis()
        );
        self.env.log(LogLevel::Warn, line);
    }

    /// Fails as `server` itself did if nobody gave keys of it, or as the store did if it could not keep them.
    async fn ask(&self, server: &ServerName, wanted: &Wanted) -> Result<()> {
        let mut asked = self.ask_origin(server).await;
        for notary in &self.notaries {
            if !self.lacks(server, wanted) {
                break;
            }
            match self.ask_notary(notary, server, wanted).await {
                Ok(()) => asked = Ok(()),
                Err(error) if error.is_outage() => asked = Err(error),
                Err(_) => {}
            }
        }
        asked
    }

    /// Gets and keeps the keys that `server` itself publishes.
    pub(super) async fn ask_origin(&self, server: &ServerName) -> Result<()> {
        let reply = self
            .request(server, "GET", "/_matrix/key/v2/server".into(), Vec::new())
            .await?;
        self.learn(&Document::verify(&reply, server)?, server).await
    }

    /// Keys are public: nothing about these requests needs this server's signature (FED-4).
    pub(super) async fn request(
        &self,
        server: &ServerName,
        method: &str,
        target: String,
        body: Vec<u8>,
    ) -> Result<Map, ClientError> {
        let (destination, method) = (server.clone(), method.to_owned());
        let request = Request {
            destination,
            method,
            target,
            authorization: Vec::new(),
            body,
        };
        let body = exchange(&*self.env.transport, request, self.timeout, DOCUMENT_BYTES).await?;
        Reply::read(server, &body).map(|reply| reply.object().to_map())
    }

    /// Stores what is new in a document.
    pub(super) async fn learn(&self, document: &Document, server: &ServerName) -> Result<()> {
        let known = self.store.keys(server)?;
        let rows = document.changes(&known, self.env.clock.now_ms());
        if !rows.is_empty() {
            self.store
                .commit(Commit {
                    writes: rows.into_iter().map(Write::Key).collect(),
                })
                .await?;
            self.ring.forget(server);
        }
        Ok(())
    }

    /// An answer that breaks the protocol.
    pub(super) fn bad_reply(server: &ServerName, rule: &str) -> Error {
        Error::new(Code::BadReply, format!("the reply of server {server}: {rule}"))
    }
}
