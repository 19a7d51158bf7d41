//! The one writer of a room: it runs jobs one after another and commits what they wrote before it answers.

use super::{
    open::{Home, OpenRoom},
    registry::{Busy, Ended},
};
use crate::inner::AfterCommit;
use roomlet_store::Commit;
use roomlet_wire::{Code, Error, EventNum, Result, RoomId};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs that waited at the same moment and share one commit, at most.
const JOBS_PER_COMMIT: usize = 64;

/// How the work of a job ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ran {
    /// Well.
    Done,
    /// With an error.
    Failed,
    /// With a panic: what is in memory of the room may be half changed.
    Panicked,
}

/// A piece of work on a room, with somebody who waits for its result.
pub(super) trait Job: Send {
    /// Whether what was written before has to be durable when it begins.
    fn is_on_store(&self) -> bool;
    /// Does the work; what it wrote is not durable yet.
    fn run(&mut self, room: &mut OpenRoom) -> Ran;
    /// Answers, after the commit.
    fn finish(self: Box<Self>, committed: Result<()>);
}

/// What a job does.
pub(super) type Work<T> = Box<dyn FnOnce(&mut OpenRoom) -> Result<T> + Send>;

/// A job as a closure.
pub(super) struct Closure<T> {
    pub(super) work: Option<Work<T>>,
    pub(super) on_store: bool,
    pub(super) result: Option<Result<T>>,
    pub(super) reply: oneshot::Sender<Result<T>>,
    pub(super) _busy: Busy,
}

impl<T: Send> Job for Closure<T> {
    fn is_on_store(&self) -> bool {
        self.on_store
    }

    fn run(&mut self, room: &mut OpenRoom) -> Ran {
        let Some(work) = self.work.take() else {
            return Ran::Failed;
        };
        // After a panic nobody looks at `room` again: it is read anew from the store.
        let result = catch_unwind(AssertUnwindSafe(|| work(room)));
        let (result, ran) = match result {
            Ok(Ok(value)) => (Ok(value), Ran::Done),
            Ok(Err(error)) => (Err(error), Ran::Failed),
            Err(_) => {
                let about = format!("the work on room {} panicked; nothing of it was kept", room.id());
                (Err(Error::new(Code::Panic, about)), Ran::Panicked)
            }
        };
        self.result = Some(result);
        ran
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let result = match (self.result, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)), Err(error)) => Err(error),
            (Some(Err(error)), _) => Err(error),
            (None, _) => Err(Error::new(
                Code::Closed,
                "the room's task ended before the command ran",
            )),
        };
        // Who asked may have gone away; the work is done all the same.
        let _ = self.reply.send(result);
    }
}

/// How a room's task ends before its server does.
pub(super) struct Rest {
    /// After how long without a job the room is closed.
    pub(super) after: Duration,
    /// Closes it, if nobody holds it; whether it did.
    pub(super) try_close: Box<dyn Fn() -> bool + Send>,
    /// Is told why it ends where jobs may wait.
    pub(super) ended: Ended,
}

/// Runs a room until its last handle is gone, or nobody touched it for a while, or until `closing` changes, as the server
/// ends: then the jobs that wait are done, and no more are taken, whoever still has a handle.
pub(super) async fn run(
    mut room: OpenRoom,
    mut jobs: mpsc::UnboundedReceiver<Box<dyn Job>>,
    mut closing: watch::Receiver<()>,
    rest: Rest,
    home: Home,
    after_commit: Arc<dyn AfterCommit>,
) {
    let id = room.id().clone();
    // What was taken from the queue and waits for a commit.
    let mut held = None;
    loop {
        let job = match held.take() {
            Some(job) => Some(job),
            None => tokio::select! {
                biased;
                job = jobs.recv() => job,
                // An error means that the registry is gone, and with it every way to a new handle.
                _ = closing.changed(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
                () = tokio::time::sleep(rest.after), if !jobs.is_closed() => {
                    if (rest.try_close)() {
                        return;
                    }
                    continue;
                }
            },
        };
        let Some(job) = job else { return };
        let mut batch = run_batch(&mut room, job, &mut jobs);
        held = batch.next.take();
        let commit = Commit {
            writes: room.take_writes(),
        };
        let committed = if commit.writes.is_empty() {
            Ok(())
        } else {
            let notices = after_commit.notices(&commit);
            let committed = home.store.commit(commit).await.map(|_| ());
            if committed.is_ok() {
                after_commit.committed(notices);
            }
            committed
        };
        // Those whose jobs are dropped with the queue learn of it then, so the reason comes first.
        let end = |jobs: &mut mpsc::UnboundedReceiver<_>, reason| {
            rest.ended.get_or_init(|| reason);
            jobs.close();
        };
        if room.is_forgotten && committed.is_ok() {
            let about = format!("room {id} is not known here: it was forgotten");
            end(&mut jobs, Error::new(Code::UnknownRoom, about));
            return batch.finish(&Ok(()));
        }
        let lost = committed.is_err() || batch.is_broken || room.is_stale;
        if lost {
            match reload(&home, &id) {
                Ok(fresh) => room = fresh,
                // The handle is dead from here on; the registry opens the room anew.
                Err(error) => {
                    end(&mut jobs, committed.as_ref().err().cloned().unwrap_or(error));
                    return batch.finish(&committed);
                }
            }
        } else {
            room.trim();
        }
        batch.finish(&committed);
    }
}

/// Jobs that share a commit.
struct Batch {
    jobs: Vec<Box<dyn Job>>,
    /// The last one failed after it had written, or panicked: its changes are in memory, so the room has to be read anew.
    is_broken: bool,
    /// The one after them, which waits for the commit.
    next: Option<Box<dyn Job>>,
}

impl Batch {
    /// Answers all, after their commit.
    fn finish(self, committed: &Result<()>) {
        for job in self.jobs {
            job.finish(committed.clone());
        }
    }
}

/// Runs the jobs that wait now.
fn run_batch(
    room: &mut OpenRoom,
    first: Box<dyn Job>,
    jobs: &mut mpsc::UnboundedReceiver<Box<dyn Job>>,
) -> Batch {
    let mut batch = Batch {
        jobs: Vec::new(),
        is_broken: false,
        next: Some(first),
    };
    while let Some(mut job) = batch.next.take() {
        if job.is_on_store() && !batch.jobs.is_empty() && !room.writes.is_empty() {
            batch.next = Some(job);
            return batch;
        }
        let (written, record) = (room.writes.len(), room.record.clone());
        let ran = job.run(room);
        batch.jobs.push(job);
        let has_changed = room.writes.len() > written || record.next_event == EventNum(0);
        if ran == Ran::Panicked || (ran == Ran::Failed && has_changed) {
            room.writes.truncate(written);
            room.record = record;
            batch.is_broken = true;
            return batch;
        }
        if batch.jobs.len() < JOBS_PER_COMMIT && !room.is_stale && !room.is_forgotten {
            batch.next = jobs.try_recv().ok();
        }
    }
    batch
}

fn reload(home: &Home, id: &RoomId) -> Result<OpenRoom> {
    match home.store.room(id)? {
        Some(record) => OpenRoom::load(home, record),
        None => Err(Error::new(Code::UnknownRoom, format!("room {id} was not stored"))),
    }
}
