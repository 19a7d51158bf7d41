//! The one writer of a room: it runs jobs one after another and commits what they wrote before it answers.

use super::{open::OpenRoom, registry::Busy};
use crate::inner::AfterCommit;
use roomlet_store::{Commit, Store};
use roomlet_wire::{Code, Error, EventNum, Result, RoomId, ServerName};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Jobs that waited at the same moment and share one commit, at most.
const JOBS_PER_COMMIT: usize = 64;

/// A piece of work on a room, with somebody who waits for its result.
pub(super) trait Job: Send {
    /// Does the work; what it wrote is not durable yet. `false` if it failed.
    fn run(&mut self, room: &mut OpenRoom) -> bool;
    /// Answers, after the commit.
    fn finish(self: Box<Self>, committed: Result<()>);
}

/// A job as a closure.
pub(super) struct Closure<T, F> {
    pub(super) work: Option<F>,
    pub(super) result: Option<Result<T>>,
    pub(super) reply: oneshot::Sender<Result<T>>,
    pub(super) _busy: Busy,
}

impl<T: Send, F: FnOnce(&mut OpenRoom) -> Result<T> + Send> Job for Closure<T, F> {
    fn run(&mut self, room: &mut OpenRoom) -> bool {
        let result = self.work.take().map(|work| work(room));
        let ok = matches!(result, Some(Ok(_)));
        self.result = result;
        ok
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

/// Runs a room until its last handle is gone.
pub(super) async fn run(
    mut room: OpenRoom,
    mut jobs: mpsc::UnboundedReceiver<Box<dyn Job>>,
    after_commit: Arc<dyn AfterCommit>,
) {
    let (store, me, id) = (room.store.clone(), room.me.clone(), room.id().clone());
    while let Some(job) = jobs.recv().await {
        let (batch, broken) = run_batch(&mut room, job, &mut jobs);
        let commit = Commit {
            writes: room.take_writes(),
        };
        let committed = if commit.writes.is_empty() {
            Ok(())
        } else {
            let notices = after_commit.notices(&commit);
            let committed = store.commit(commit).await.map(|_| ());
            if committed.is_ok() {
                after_commit.committed(notices);
            }
            committed
        };
        let lost = committed.is_err() || broken;
        if lost {
            match reload(&store, &me, &id) {
                Ok(fresh) => room = fresh,
                // The handle is dead from here on; the registry opens the room anew.
                Err(_) => {
                    jobs.close();
                    batch.into_iter().for_each(|job| job.finish(committed.clone()));
                    return;
                }
            }
        } else {
            room.trim();
        }
        batch.into_iter().for_each(|job| job.finish(committed.clone()));
    }
}

/// Runs the jobs that wait now, up to one that fails after it has written: its changes are in memory, so
/// the room has to be read anew (`true`).
fn run_batch(
    room: &mut OpenRoom,
    first: Box<dyn Job>,
    jobs: &mut mpsc::UnboundedReceiver<Box<dyn Job>>,
) -> (Vec<Box<dyn Job>>, bool) {
    let mut batch = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next.take() {
        let (written, record) = (room.writes.len(), room.record.clone());
        let ok = job.run(room);
        batch.push(job);
        if !ok && (room.writes.len() > written || record.next_event == EventNum(0)) {
            room.writes.truncate(written);
            room.record = record;
            return (batch, true);
        }
        if batch.len() < JOBS_PER_COMMIT {
            next = jobs.try_recv().ok();
        }
    }
    (batch, false)
}

fn reload(store: &Arc<dyn Store>, me: &ServerName, id: &RoomId) -> Result<OpenRoom> {
    match store.room(id)? {
        Some(record) => OpenRoom::load(store.clone(), me.clone(), record),
        None => Err(Error::new(Code::UnknownRoom, format!("room {id} was not stored"))),
    }
}
