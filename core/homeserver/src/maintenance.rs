//! What the host does with the store as a whole: check it, copy it, and delete what is no longer wanted.

use crate::{inner::Inner, room::OpenRoom};
use roomlet_store::{Finding, OutboxItem, Store};
use roomlet_wire::{Code, Error, EventId, Result, RoomId, RoomNum};
use std::path::Path;

/// What a check of the store found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreReport {
    /// Rooms that were looked at.
    pub rooms: u64,
    /// Events that were looked at.
    pub events: u64,
    /// States that were looked at.
    pub states: u64,
    /// What is wrong.
    pub faults: Vec<StoreFault>,
}

/// Something that does not fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreFault {
    /// Its kind, a name that stays: `file` (the medium's own finding), `index` (what leads to events does not fit them),
    /// `lost-event` (cannot be read; a repair deletes it), `room` (cannot be opened), `event-form`, `event-id`, `slot`,
    /// `auth-event`, `event-state`, `state-parent`, `state-event`, `extremity`, `current-state`, `member`, `missing-event`,
    /// `delivery`.
    pub kind: &'static str,
    /// What is wrong, and where.
    pub about: String,
    /// Whether it was put right. Where it cannot be, a backup helps, or leaving, forgetting and joining the room.
    pub is_repaired: bool,
}

impl StoreFault {
    pub(crate) fn new(kind: &'static str, about: String) -> Self {
        Self {
            kind,
            about,
            is_repaired: false,
        }
    }
}

/// What the check of one room found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) events: u64,
    pub(crate) states: u64,
    pub(crate) faults: Vec<StoreFault>,
}

impl Inner {
    /// See [`Homeserver::purge_history`](crate::Homeserver::purge_history).
    pub(crate) async fn purge_history(&self, room: &RoomId, from: &EventId) -> Result<u64> {
        self.check_open()?;
        let from = from.clone();
        let handle = self.rooms.get(room)?;
        let count = handle
            .run_on_store(move |room: &mut OpenRoom| room.purge_history(&from))
            .await?;
        self.store.shrink().await?;
        Ok(count)
    }

    /// See [`Homeserver::forget_room`](crate::Homeserver::forget_room).
    pub(crate) async fn forget_room(&self, room: &RoomId) -> Result<()> {
        self.check_open()?;
        self.rooms.get(room)?.run_on_store(OpenRoom::forget).await?;
        self.store.shrink().await
    }

    /// See [`Homeserver::check_store`](crate::Homeserver::check_store).
    pub(crate) async fn check_store(&self, repair: bool) -> Result<StoreReport> {
        self.check_open()?;
        let mut report = StoreReport {
            faults: self.check_medium(repair).await?,
            ..StoreReport::default()
        };
        let has_lost = repair && report.faults.iter().any(|fault| fault.kind == "lost-event");
        for (num, id) in self.store.rooms()? {
            report.rooms += 1;
            let checked = match self.rooms.get(&id) {
                Ok(handle) => {
                    handle
                        .run_on_store(move |room: &mut OpenRoom| room.check(repair, has_lost))
                        .await
                }
                Err(error) => Err(error),
            };
            match checked {
                Ok(found) => {
                    report.events += found.events;
                    report.states += found.states;
                    report.faults.extend(found.faults);
                }
                Err(error) if error.code() == Code::StoreDamaged => {
                    let about = format!("room {id}, number {}: {}", num.0, error.about());
                    report.faults.push(StoreFault::new("room", about));
                }
                Err(error) => return Err(error),
            }
        }
        report.faults.extend(delivery_faults(&*self.store)?);
        Ok(report)
    }

    /// What the medium finds wrong with itself. With `repair`, what follows from other things is written anew, and events
    /// that cannot be read are deleted.
    async fn check_medium(&self, repair: bool) -> Result<Vec<StoreFault>> {
        let store = self.store.clone();
        let findings = async move || {
            let store = store.clone();
            blocking(move || store.findings()).await
        };
        let found = findings().await?;
        let mut faults = Vec::new();
        let mut left = None;
        let is_structure = |finding: &Finding| matches!(finding, Finding::Structure(_));
        if repair && !found.iter().all(is_structure) {
            match self.store.mend().await {
                Ok(()) => left = Some(findings().await?),
                Err(error) if error.code() == Code::StoreDamaged => {
                    let about = format!("indexes and lost events are left as they are: {}", error.about());
                    faults.push(StoreFault::new("file", about));
                }
                Err(error) => return Err(error),
            }
        }
        let left = left.as_ref().unwrap_or(&found);
        let new = left.iter().filter(|finding| !found.contains(finding));
        for finding in found.iter().chain(new) {
            let (kind, about) = match finding {
                Finding::Structure(about) => ("file", about),
                Finding::Index(about) => ("index", about),
                Finding::Lost(about) => ("lost-event", about),
            };
            faults.push(StoreFault {
                // What is lost is gone, whatever was done.
                is_repaired: kind == "index" && !left.contains(finding),
                ..StoreFault::new(kind, about.clone())
            });
        }
        Ok(faults)
    }

    /// See [`Homeserver::backup`](crate::Homeserver::backup).
    pub(crate) async fn backup(&self, to: &Path) -> Result<()> {
        self.check_open()?;
        let (store, to) = (self.store.clone(), to.to_owned());
        blocking(move || store.backup(&to)).await
    }
}

/// Deliveries of events that are not held: the sender passes over them.
fn delivery_faults(store: &dyn Store) -> Result<Vec<StoreFault>> {
    let mut faults = Vec::new();
    let is_held = |room: RoomNum, event| Ok::<_, Error>(store.event_by_num(room, event)?.is_some());
    for destination in store.owed()? {
        for row in store.outbox(&destination, usize::MAX)? {
            if let OutboxItem::Pdu { room, event } = row.item
                && !is_held(room, event)?
            {
                let about = format!(
                    "server {destination} is owed event number {}, which is not held",
                    event.0
                );
                faults.push(StoreFault::new("delivery", about));
            }
        }
    }
    Ok(faults)
}

/// Runs what reads or writes the whole store beside the tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::new(Code::Panic, "the work on the store panicked")))
}
