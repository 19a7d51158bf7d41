//! The rooms whose tasks run: opened on first use, the least used closed beyond the host's limit.

use super::{
    open::{Home, OpenRoom},
    purge::next_room,
    task::{self, Closure, Job, Rest, Work},
};
use crate::inner::AfterCommit;
use roomlet_wire::{Code, Error, Result, RoomId, RoomVersion};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Held by every job that is not answered yet: a room with one is not closed.
pub(super) type Busy = Arc<()>;

struct Entry {
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
    busy: Busy,
    used: u64,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Open {
    rooms: BTreeMap<RoomId, Entry>,
    clock: u64,
    next_num: Option<u32>,
    closed: bool,
}

/// See the module.
pub(crate) struct Rooms {
    home: Home,
    after_commit: Arc<dyn AfterCommit>,
    limit: usize,
    /// How long a room that nobody touches stays open.
    idle: Duration,
    open: Arc<Mutex<Open>>,
    /// Changes when the server ends.
    closing: watch::Sender<()>,
}

/// A room to work on.
pub(crate) struct RoomHandle {
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
    busy: Busy,
    id: RoomId,
}

impl RoomHandle {
    /// Runs `work` on the room's task and answers when what it wrote is durable. Nothing of it is kept if it fails.
    ///
    /// # Errors
    /// What `work` gives; the store's error if the commit failed; `Closed`.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut OpenRoom) -> Result<T> + Send + 'static,
    {
        // In a box, so that all of it is compiled for each result and not for each command.
        self.run_boxed(Box::new(work)).await
    }

    async fn run_boxed<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        let (reply, result) = oneshot::channel();
        let job = Closure {
            work: Some(work),
            result: None,
            reply,
            _busy: self.busy.clone(),
        };
        let gone = || {
            Error::new(
                Code::Closed,
                format!("room {} was closed while a command waited", self.id),
            )
        };
        self.jobs.send(Box::new(job)).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

impl Rooms {
    pub(crate) fn new(home: Home, after_commit: Arc<dyn AfterCommit>, limit: usize, idle: Duration) -> Self {
        Self {
            home,
            after_commit,
            limit: limit.max(1),
            idle,
            open: Arc::default(),
            closing: watch::Sender::new(()),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// The room `id`.
    ///
    /// # Errors
    /// `UnknownRoom` if this server does not hold it, `Closed`.
    pub(crate) fn get(&self, id: &RoomId) -> Result<RoomHandle> {
        self.find(id)?
            .ok_or_else(|| Error::new(Code::UnknownRoom, format!("room {id} is not known here")))
    }

    /// The room `id`, if this server holds it.
    pub(crate) fn find(&self, id: &RoomId) -> Result<Option<RoomHandle>> {
        let mut open = self.open();
        if let Some(handle) = open.use_room(id)? {
            return Ok(Some(handle));
        }
        match self.home.store.room(id)? {
            Some(record) => self
                .start(&mut open, |home| OpenRoom::load(home, record))
                .map(Some),
            None => Ok(None),
        }
    }

    /// The room `id`, made empty if this server does not hold it. It is stored with its first job that writes.
    pub(crate) fn get_or_create(&self, id: &RoomId, version: &'static RoomVersion) -> Result<RoomHandle> {
        let mut open = self.open();
        if let Some(handle) = open.use_room(id)? {
            return Ok(handle);
        }
        if let Some(record) = self.home.store.room(id)? {
            return self.start(&mut open, |home| OpenRoom::load(home, record));
        }
        let num = match open.next_num {
            Some(num) => num,
            None => next_room(&*self.home.store)?.0,
        };
        open.next_num = Some(num + 1);
        let num = roomlet_wire::RoomNum(num);
        self.start(&mut open, |home| OpenRoom::create(home, num, id.clone(), version))
    }

    fn start(&self, open: &mut Open, load: impl FnOnce(&Home) -> Result<OpenRoom>) -> Result<RoomHandle> {
        let room = load(&self.home)?;
        let id = room.id().clone();
        let (jobs, queue) = mpsc::unbounded_channel();
        let busy = Busy::default();
        let closing = self.closing.subscribe();
        let (shared, name) = (self.open.clone(), id.clone());
        let rest = Rest {
            after: self.idle,
            try_close: Box::new(move || lock(&shared).close_if_idle(&name)),
        };
        let (home, after_commit) = (self.home.clone(), self.after_commit.clone());
        let task = tokio::spawn(task::run(room, queue, closing, rest, home, after_commit));
        open.close_idle(self.limit);
        if self.home.budget.is_exceeded() {
            open.close_least_used();
        }
        let entry = Entry {
            jobs: jobs.clone(),
            busy: busy.clone(),
            used: open.tick(),
            task,
        };
        open.rooms.insert(id.clone(), entry);
        Ok(RoomHandle { jobs, busy, id })
    }

    /// Ends all tasks, once the jobs that they have are done. Does not wait for those who hold handles: what they
    /// ask from now on fails with `Closed`.
    pub(crate) async fn close(&self) {
        let ended: Vec<JoinHandle<()>> = {
            let mut open = self.open();
            open.closed = true;
            self.closing.send_replace(());
            std::mem::take(&mut open.rooms)
                .into_values()
                .map(|entry| entry.task)
                .collect()
        };
        for task in ended {
            // A task that panicked is at its end too.
            let _ = task.await;
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Open {
    /// Takes a room out, unless somebody holds it: then it stays.
    fn close_if_idle(&mut self, id: &RoomId) -> bool {
        let is_idle = |entry: &Entry| Arc::strong_count(&entry.busy) == 1;
        self.rooms.get(id).is_none_or(is_idle) && {
            self.rooms.remove(id);
            true
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn use_room(&mut self, id: &RoomId) -> Result<Option<RoomHandle>> {
        if self.closed {
            return Err(Error::new(Code::Closed, "the server is closed"));
        }
        let used = self.tick();
        let Some(entry) = self.rooms.get_mut(id) else {
            return Ok(None);
        };
        if entry.jobs.is_closed() {
            self.rooms.remove(id);
            return Ok(None);
        }
        entry.used = used;
        Ok(Some(RoomHandle {
            jobs: entry.jobs.clone(),
            busy: entry.busy.clone(),
            id: id.clone(),
        }))
    }

    /// Closes the least used rooms that nobody holds until there is place for one more.
    fn close_idle(&mut self, limit: usize) {
        while self.rooms.len() >= limit && self.close_least_used() {}
    }

    /// Closes the least used room that nobody holds; whether there was one.
    fn close_least_used(&mut self) -> bool {
        let idle = self
            .rooms
            .iter()
            .filter(|(_, entry)| Arc::strong_count(&entry.busy) == 1);
        let Some((id, _)) = idle.min_by_key(|(_, entry)| entry.used) else {
            return false;
        };
        let id = id.clone();
        self.rooms.remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;
    use crate::{inner::Notices, room::Budget};
    use roomlet_store::{Commit, MemoryStore, RoomRecord, StateRow, Store as _, Write};
    use roomlet_wire::{EventNum, RoomNum, ServerName, SlotNum, StateNum};

    struct Nothing;

    impl AfterCommit for Nothing {
        fn notices(&self, _: &Commit) -> Notices {
            Notices::default()
        }
        fn committed(&self, _: Notices) {}
    }

    /// A store with one room, which has no events.
    async fn rooms() -> (Rooms, RoomId) {
        let store = Arc::new(MemoryStore::new());
        let (num, id) = (RoomNum(0), RoomId::parse("!r:a.test").unwrap());
        let row = StateRow {
            num: StateNum(0),
            parent: None,
            changes: Vec::new(),
            size: 0,
            since_checkpoint: 0,
        };
        let record = RoomRecord {
            num,
            id: id.clone(),
            version: RoomVersion::get("10").unwrap(),
            forward: Vec::new(),
            current_state: StateNum(0),
            next_event: EventNum(1),
            next_state: StateNum(1),
            next_slot: SlotNum(0),
        };
        let writes = vec![Write::State { room: num, row }, Write::Room(record)];
        store.commit(Commit { writes }).await.unwrap();
        let me = ServerName::parse("a.test").unwrap();
        let budget = Arc::new(Budget::new(1 << 20));
        let home = Home { me, store, budget };
        (
            Rooms::new(home, Arc::new(Nothing), 1, Duration::from_secs(60)),
            id,
        )
    }

    #[tokio::test]
    async fn a_job_that_panics_fails_alone_and_leaves_nothing() {
        let (rooms, id) = rooms().await;
        let room = rooms.get(&id).unwrap();
        let half_done = |room: &mut OpenRoom| -> Result<()> {
            room.intern("half", "done");
            panic!("a bug, on purpose");
        };
        let (before, failed, after) = tokio::join!(
            room.run(|_| Ok(1)),
            room.run(half_done),
            room.run(|room| Ok(room.slots.get("half", "done"))),
        );
        assert_eq!(before, Ok(1));
        assert_eq!(failed.unwrap_err().code(), Code::Panic);
        assert_eq!(after, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_nobody_touches_is_closed_and_opened_anew() {
        let (rooms, id) = rooms().await;
        let room = rooms.get(&id).unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        // Somebody holds it.
        assert_eq!(rooms.open().rooms.len(), 1);
        room.run(|_| Ok(())).await.unwrap();
        drop(room);
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(rooms.open().rooms.len(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(rooms.open().rooms.len(), 0);
        rooms.get(&id).unwrap().run(|_| Ok(())).await.unwrap();
        assert_eq!(rooms.open().rooms.len(), 1);
    }

    #[tokio::test]
    async fn a_closed_registry_does_not_wait_for_handles() {
        let (rooms, id) = rooms().await;
        let room = rooms.get(&id).unwrap();
        rooms.close().await;
        assert_eq!(room.run(|_| Ok(())).await.unwrap_err().code(), Code::Closed);
        assert_eq!(rooms.get(&id).err().map(|error| error.code()), Some(Code::Closed));
    }
}
