//! The rooms whose tasks run: opened on first use, the least used closed beyond the host's limit.

use super::{
    open::{Home, OpenRoom},
    purge::next_room,
    task::{self, Closure, Job, Rest, Work},
};
use crate::inner::{AfterCommit, closed};
use roomlet_wire::{Code, Error, Result, RoomId, RoomVersion, ServerName};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Held by every job that is not answered yet: a room with one is not closed.
pub(super) type Busy = Arc<()>;

/// Why a room's task ended before its server did: what the jobs get that it did not come to.
pub(super) type Ended = Arc<OnceLock<Error>>;

struct Entry {
    handle: RoomHandle,
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
#[derive(Clone)]
pub(crate) struct RoomHandle {
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
    busy: Busy,
    ended: Ended,
    id: RoomId,
}

impl RoomHandle {
    /// Runs `work` on the room's task and answers when what it wrote is durable. Nothing of it is kept if it fails.
    ///
    /// # Errors
    /// What `work` gives; the store's error if the commit failed, or the room could not be read anew after another job;
    /// `UnknownRoom` if the room is no more; `Closed` if the server is closed.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut OpenRoom) -> Result<T> + Send + 'static,
    {
        // In a box, so that all of it is compiled for each result and not for each command.
        self.run_boxed(Box::new(work), false).await
    }

    /// As [`run`](Self::run), for work that looks at what is stored of the room as a whole: all that was asked before is
    /// durable when it begins.
    pub(crate) async fn run_on_store<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut OpenRoom) -> Result<T> + Send + 'static,
    {
        self.run_boxed(Box::new(work), true).await
    }

    async fn run_boxed<T: Send + 'static>(&self, work: Work<T>, on_store: bool) -> Result<T> {
        let (reply, result) = oneshot::channel();
        let job = Closure {
            work: Some(work),
            on_store,
            result: None,
            reply,
            _busy: self.busy.clone(),
        };
        let gone = || {
            let ended = self.ended.get().cloned();
            ended.unwrap_or_else(|| {
                let about = format!("room {} was closed while a command waited", self.id);
                Error::new(Code::Closed, about)
            })
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
        if let Some(handle) = open.use_room(&self.home.me, id)? {
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
        if let Some(handle) = open.use_room(&self.home.me, id)? {
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
        let ended = Ended::default();
        let closing = self.closing.subscribe();
        let (shared, name) = (self.open.clone(), id.clone());
        let rest = Rest {
            after: self.idle,
            try_close: Box::new(move || lock(&shared).close_if_idle(&name)),
            ended: ended.clone(),
        };
        let (home, after_commit) = (self.home.clone(), self.after_commit.clone());
        let task = tokio::spawn(task::run(room, queue, closing, rest, home, after_commit));
        open.close_idle(self.limit);
        if self.home.budget.is_exceeded() {
            open.close_least_used();
        }
        let handle = RoomHandle {
            jobs,
            busy: Busy::default(),
            ended,
            id: id.clone(),
        };
        let entry = Entry {
            handle: handle.clone(),
            used: open.tick(),
            task,
        };
        open.rooms.insert(id, entry);
        Ok(handle)
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
        let is_idle = |entry: &Entry| Arc::strong_count(&entry.handle.busy) == 1;
        self.rooms.get(id).is_none_or(is_idle) && {
            self.rooms.remove(id);
            true
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn use_room(&mut self, me: &ServerName, id: &RoomId) -> Result<Option<RoomHandle>> {
        if self.closed {
            return Err(closed(me));
        }
        let used = self.tick();
        let Some(entry) = self.rooms.get_mut(id) else {
            return Ok(None);
        };
        if entry.handle.jobs.is_closed() {
            self.rooms.remove(id);
            return Ok(None);
        }
        entry.used = used;
        Ok(Some(entry.handle.clone()))
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
            .filter(|(_, entry)| Arc::strong_count(&entry.handle.busy) == 1);
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
    use roomlet_store::{Commit, MemoryStore, RoomRecord, StateRow, Store, Write};
    use roomlet_wire::{EventNum, RoomNum, SlotNum, StateNum};
    use roomlet_world::HookedStore;

    struct Nothing;

    impl AfterCommit for Nothing {
        fn notices(&self, _: &Commit) -> Notices {
            Notices::default()
        }
        fn committed(&self, _: Notices) {}
    }

    /// A store with one room, which has no events.
    async fn rooms() -> (Rooms, RoomId) {
        rooms_in(Arc::new(MemoryStore::new())).await
    }

    async fn rooms_in(store: Arc<dyn Store>) -> (Rooms, RoomId) {
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

    /// As [`rooms`], in a store whose methods fail from then on if they are in the list.
    async fn failing_rooms() -> (Rooms, RoomId, Arc<Mutex<Vec<(&'static str, Code)>>>) {
        let failing: Arc<Mutex<Vec<(&'static str, Code)>>> = Arc::default();
        let shared = failing.clone();
        let store = HookedStore::new(move |_, method| {
            let failing = shared.lock().unwrap();
            match failing.iter().find(|(name, _)| *name == method) {
                Some((name, code)) => Err(Error::new(*code, format!("{name}: no disk"))),
                None => Ok(()),
            }
        });
        let (rooms, id) = rooms_in(Arc::new(store)).await;
        (rooms, id, failing)
    }

    #[tokio::test]
    async fn a_room_that_cannot_be_read_anew_tells_why_to_all_who_wait() {
        let (rooms, id, failing) = failing_rooms().await;
        let room = rooms.get(&id).unwrap();
        *failing.lock().unwrap() = vec![("room", Code::Store)];
        let half_done = |room: &mut OpenRoom| -> Result<()> {
            room.intern("half", "done");
            Err(Error::new(Code::BadParam, "on purpose"))
        };
        let (failed, waiting) = tokio::join!(room.run(half_done), room.run(|_| Ok(())));
        assert_eq!(failed.unwrap_err().code(), Code::BadParam);
        let error = Error::new(Code::Store, "room: no disk");
        assert_eq!(waiting, Err(error.clone()));
        assert_eq!(room.run(|_| Ok(())).await, Err(error));
        failing.lock().unwrap().clear();
        assert_eq!(rooms.get(&id).unwrap().run(|_| Ok(())).await, Ok(()));
    }

    #[tokio::test]
    async fn all_who_wait_for_a_commit_that_fails_get_its_error() {
        let (rooms, id, failing) = failing_rooms().await;
        let room = rooms.get(&id).unwrap();
        *failing.lock().unwrap() = vec![("commit", Code::StoreFull), ("room", Code::Store)];
        // More than share a commit.
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let handle = rooms.find(&id).unwrap().unwrap();
                tokio::spawn(async move {
                    let intern = move |room: &mut OpenRoom| {
                        room.intern("n", &n.to_string());
                        Ok(())
                    };
                    handle.run(intern).await
                })
            })
            .collect();
        for job in jobs {
            assert_eq!(
                job.await.unwrap(),
                Err(Error::new(Code::StoreFull, "commit: no disk"))
            );
        }
        assert_eq!(room.run(|_| Ok(())).await.unwrap_err().code(), Code::StoreFull);
    }

    #[tokio::test]
    async fn what_looks_at_the_store_sees_all_that_was_asked_before() {
        let (rooms, id) = rooms().await;
        let room = rooms.get(&id).unwrap();
        let intern = |n: &'static str| move |room: &mut OpenRoom| Ok(room.intern("n", n));
        let stored = |room: &mut OpenRoom| Ok(room.store().slots(room.num())?.len());
        let (_, first, _, second, _) = tokio::join!(
            room.run(intern("1")),
            room.run_on_store(stored),
            room.run(intern("2")),
            room.run_on_store(stored),
            room.run(intern("3")),
        );
        assert_eq!((first, second), (Ok(1), Ok(2)));
        assert_eq!(room.run(stored).await, Ok(3));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_room_that_is_forgotten_hears_that_it_is_not_known() {
        let (rooms, id) = rooms().await;
        let room = rooms.get(&id).unwrap();
        let (forgotten, waiting) = tokio::join!(room.run(OpenRoom::forget), room.run(|_| Ok(())));
        assert_eq!(forgotten, Ok(()));
        assert_eq!(waiting.unwrap_err().code(), Code::UnknownRoom);
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
        let error = Error::new(Code::Closed, "server a.test: closed");
        assert_eq!(rooms.get(&id).err(), Some(error));
    }
}
