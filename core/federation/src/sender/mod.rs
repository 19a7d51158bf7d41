//! Delivery of what other servers are owed (FED-20 … FED-22, EC-5).

mod delivery;
mod pace;
mod transaction;

use crate::{client::Client, env::Env};
use delivery::Delivery;
use roomlet_store::Store;
use roomlet_wire::{Result, ServerName};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task::JoinHandle,
};

/// How fast and how stubbornly is delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SenderSettings {
    /// PDUs a second that one destination is sent after a burst; at least 1.
    pub pdus_per_second: u32,
    /// PDUs that a destination is sent at once; at least 1.
    pub burst: u32,
    /// The wait after the first failure; it doubles with each further one, and varies by a random 0.8 to 1.4.
    pub backoff_first: Duration,
    /// The longest wait, before it is varied.
    pub backoff_max: Duration,
    /// Rows owed to a failing destination beyond which only the newest PDU of each room is kept (EC-5).
    pub outbox_per_destination: u64,
}

/// Delivers the outbox: a task for each destination that is owed something, one transaction in flight each.
///
/// What is owed is in the store before [`Sender::notify`] tells of it, and leaves it when the destination
/// acknowledged it; a restart goes on where the last run stopped.
///
/// **One body per transaction id** (FED-22). A transaction is cut from the front of the outbox, and both its body
/// and its id follow from the rows in it: the id holds the last row's number and a hash of the body. So an id never
/// stands for two bodies, and the cut need not be made durable before it is sent: a delivery that succeeds costs one
/// commit, its removal from the outbox. Only a delivery that fails is stored, id and body, before the next try, and
/// is then repeated byte for byte, by later runs too. What a crash in the middle of a first try leaves open is where
/// the cut was: the next run may put rows behind it that came since, under an id of their own, and the destination
/// then knows the first ones by their event ids.
pub struct Sender {
    shared: Arc<Shared>,
}

/// What all deliveries share.
struct Shared {
    env: Env,
    store: Arc<dyn Store>,
    client: Arc<Client>,
    settings: SenderSettings,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    active: BTreeMap<ServerName, Active>,
    closed: bool,
}

/// A destination with a task.
struct Active {
    signal: Arc<Signal>,
    task: JoinHandle<()>,
}

/// What the outside tells a delivery.
#[derive(Default)]
struct Signal {
    /// More is owed.
    work: Notify,
    /// Counts signs of life of the destination.
    alive: watch::Sender<u64>,
    /// Counts calls of [`Sender::wake_all`]. One each, not one for all: a `watch` wakes those that share it in a random
    /// order, and a run must be repeatable.
    wakes: watch::Sender<u64>,
}

impl Sender {
    /// Starts delivery of all that the store says is owed. To be called inside a tokio runtime, on which deliveries
    /// run from then on.
    ///
    /// # Errors
    /// Those of the store.
    pub fn start(
        store: Arc<dyn Store>,
        env: Env,
        client: Arc<Client>,
        settings: SenderSettings,
    ) -> Result<Arc<Self>> {
        let owed = store.owed()?;
        let shared = Arc::new(Shared {
            env,
            store,
            client,
            settings,
            runtime: Handle::current(),
            state: Mutex::default(),
        });
        for destination in &owed {
            shared.notify(destination);
        }
        Ok(Arc::new(Self { shared }))
    }

    /// Something that `destination` is owed was committed. From any thread; does nothing after
    /// [`Sender::shutdown`].
    pub fn notify(&self, destination: &ServerName) {
        self.shared.notify(destination);
    }

    /// The network is back: forgets all waits after failures and tries at once.
    pub fn wake_all(&self) {
        for active in self.shared.state().active.values() {
            active.signal.wakes.send_modify(|count| *count += 1);
        }
    }

    /// `destination` sent an authenticated request: its failures are forgotten (FED-22). It is tried again at once, or
    /// when the first wait after its last failure is over.
    pub fn peer_alive(&self, destination: &ServerName) {
        if let Some(active) = self.shared.state().active.get(destination) {
            active.signal.alive.send_modify(|count| *count += 1);
        }
    }

    /// Stops all deliveries, and returns when they have stopped. What was under way is repeated by the next run.
    pub async fn shutdown(&self) {
        let active = {
            let mut state = self.shared.state();
            state.closed = true;
            std::mem::take(&mut state.active)
        };
        for active in active.values() {
            active.task.abort();
        }
        for active in active.into_values() {
            // The task ends by being aborted, which is an error to `await`; a panic in it was reported by its thread.
            drop(active.task.await);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        for active in self.shared.state().active.values() {
            active.task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(self: &Arc<Self>, destination: &ServerName) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        match state.active.get(destination) {
            Some(active) if !active.task.is_finished() => active.signal.work.notify_one(),
            _ => {
                let signal = Arc::new(Signal::default());
                let delivery = Delivery::new(self.clone(), destination.clone(), signal.clone());
                let task = self.runtime.spawn(delivery.run());
                state.active.insert(destination.clone(), Active { signal, task });
            }
        }
    }

    /// Takes an idle destination off the list, unless more came for it. `true`: its task must end.
    fn retire(&self, destination: &ServerName, has_work: impl FnOnce() -> bool) -> bool {
        // Under the lock of `notify`: what comes later gets a task of its own.
        let mut state = self.state();
        if has_work() {
            return false;
        }
        state.active.remove(destination);
        true
    }
}
