//! Work on PDUs that wait for others: each is tried again by its own schedule, so that those whose gaps nobody fills
//! neither hold up the rest nor stay for ever (EC-3, TM-10).
//!
//! A room has two lanes, which work side by side, each on one PDU at a time; so what other servers send for it takes the
//! memory of two answers, however many of them it is about. The *quick* lane tries all that is due, gives each server
//! a few seconds, and passes over those that lately took longer. What somebody might still have who is slow goes to
//! the *patient* lane, which gives a server minutes. In both it is the turn of the server that took the least time.

mod turns;

use crate::{
    fetch::{Came, Pace, Round},
    inner::Inner,
    room::{Outcome, Party},
};
use roomlet_store::{StagedPdu, Write};
use roomlet_wire::{EventId, EventNum, Pdu, Result, RoomId, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use turns::{Queues, Turns};

/// The first wait after a try that got nowhere; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Doublings of the wait, at most.
const DOUBLINGS: u32 = 8;
/// Tries that get nowhere before a PDU is given up: over half an hour. A later event that follows it brings it back.
const TRIES: u32 = 12;

/// When a PDU is tried next.
#[derive(Clone, Copy)]
struct Wait {
    tries: u32,
    until: Instant,
    /// Whether somebody who is slow might have what it lacks, and was not asked with patience yet.
    is_late: bool,
}

/// The repair of one room. Takes it off the list of those under repair, however it ends.
struct Repair<'a> {
    inner: &'a Inner,
    room: &'a RoomId,
    /// Tells of PDUs that are staged, or that can be taken now.
    news: watch::Sender<()>,
    /// Tells of work for the patient lane.
    late: Notify,
    waits: Mutex<BTreeMap<EventId, Wait>>,
}

impl Drop for Repair<'_> {
    fn drop(&mut self) {
        self.inner
            .repairing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(self.room);
    }
}

impl Inner {
    /// Starts work on the staged PDUs of a room; if it is under way, says that there are new ones.
    pub(crate) fn repair(self: &Arc<Self>, room: RoomId) {
        let news = watch::Sender::new(());
        {
            let mut repairing = self.repairing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(news) = repairing.get(&room) {
                news.send_replace(());
                return;
            }
            repairing.insert(room.clone(), news.clone());
        }
        let inner = self.clone();
        self.spawn(async move {
            {
                let repair = Repair {
                    inner: &inner,
                    room: &room,
                    news,
                    late: Notify::new(),
                    waits: Mutex::default(),
                };
                tokio::select! {
                    biased;
                    () = repair.quickly() => {}
                    () = repair.patiently() => {}
                }
            }
            // What was staged between the last look and now has nobody else to take it up. Where the store does not say
            // whether there is any, the next look does.
            let is_done = inner.staged_of(&room).is_ok_and(|staged| staged.is_empty());
            if !is_done && inner.check_open().is_ok() {
                inner.repair(room);
            }
        });
    }

    fn staged_of(&self, room: &RoomId) -> Result<Vec<StagedPdu>> {
        match self.store.room(room)? {
            Some(record) => self.store.staged(Some(record.num)),
            None => Ok(Vec::new()),
        }
    }
}

impl Repair<'_> {
    fn waits(&self) -> MutexGuard<'_, BTreeMap<EventId, Wait>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The quick lane: works until nothing waits any more.
    async fn quickly(&self) {
        let (mut news, mut wakes) = (self.news.subscribe(), self.inner.wakes.subscribe());
        let mut turns = Turns::default();
        let mut seen = None;
        loop {
            news.mark_unchanged();
            let Ok(staged) = self.staged().await else {
                // The store cannot be read or written: nothing is lost by waiting.
                tokio::time::sleep(FIRST_WAIT).await;
                continue;
            };
            if staged.is_empty() {
                return;
            }
            let (due, others) = self.split(staged);
            // Whatever way an event came, others may have waited for it.
            let now = self.newest().await.ok();
            let mut is_progress = now != seen && self.sweep(others).await;
            seen = now;
            is_progress |= self.ask_in_turn(due, &mut turns, &news).await;
            if is_progress {
                continue;
            }
            // All that is left waits, so there is a soonest one; without, the next look is soon enough.
            let soonest = self.waits().values().map(|wait| wait.until).min();
            let soonest = soonest.unwrap_or_else(|| Instant::now() + FIRST_WAIT);
            tokio::select! {
                biased;
                Ok(()) = news.changed() => {}
                Ok(()) = wakes.changed() => self.waits().values_mut().for_each(|wait| wait.until = Instant::now()),
                () = tokio::time::sleep_until(soonest) => {}
            }
        }
    }

    /// The patient lane: works until it is dropped.
    async fn patiently(&self) {
        let mut turns = Turns::default();
        loop {
            let Ok(staged) = self.staged().await else {
                tokio::time::sleep(FIRST_WAIT).await;
                continue;
            };
            let Some((party, pdu)) = self.take_late(staged, &turns) else {
                self.late.notified().await;
                continue;
            };
            let begin = Instant::now();
            // An error is the store's, or a panic's: the quick lane counts the tries.
            let done = self.try_one(&pdu, Some(&mut Round::new(Pace::Patient))).await;
            turns.charge(party, begin.elapsed());
            if done.unwrap_or(false) {
                self.news.send_replace(());
            }
        }
    }

    /// What waits, by who sent it here; nothing of a room that this server left.
    async fn staged(&self) -> Result<Queues> {
        let mut queues = Queues::new();
        let staged = self.inner.staged_of(self.room)?;
        if staged.is_empty() {
            return Ok(queues);
        }
        let origins: BTreeSet<ServerName> = staged.iter().map(|pdu| pdu.origin.clone()).collect();
        let handle = self.inner.rooms.get(self.room)?;
        let parties = handle.run(move |room| {
            let with_party = |origin| {
                let party = room.party(&origin);
                (origin, party)
            };
            let parties = || origins.into_iter().map(with_party).collect();
            Ok(room.is_resident().then(parties))
        });
        let Some(parties): Option<BTreeMap<ServerName, Party>> = parties.await? else {
            self.inner.commit(staged.iter().map(unstage).collect()).await?;
            return Ok(queues);
        };
        for pdu in staged {
            let party = parties.get(&pdu.origin).cloned().flatten();
            queues.entry(party).or_default().push_back(pdu);
        }
        Ok(queues)
    }

    /// What is due, and what is not; forgets what no longer waits.
    fn split(&self, staged: Queues) -> (Queues, Vec<StagedPdu>) {
        let now = Instant::now();
        let (mut due, mut others) = (Queues::new(), Vec::new());
        let mut waits = self.waits();
        let mut before = std::mem::take(&mut *waits);
        for (party, pdus) in staged {
            for pdu in pdus {
                let wait = before.remove_entry(&pdu.event);
                if wait.as_ref().is_some_and(|(_, wait)| now < wait.until) {
                    others.push(pdu);
                } else {
                    due.entry(party.clone()).or_default().push_back(pdu);
                }
                waits.extend(wait);
            }
        }
        (due, others)
    }

    /// Whose turn it is of those for whom somebody slow is still to be asked.
    fn take_late(&self, mut staged: Queues, turns: &Turns) -> Option<(Party, StagedPdu)> {
        let mut waits = self.waits();
        for pdus in staged.values_mut() {
            pdus.retain(|pdu| waits.get(&pdu.event).is_some_and(|wait| wait.is_late));
        }
        let next = turns.next(&mut staged)?;
        if let Some(wait) = waits.get_mut(&next.1.event) {
            wait.is_late = false;
        }
        Some(next)
    }

    /// What changes as the room takes events.
    async fn newest(&self) -> Result<(EventNum, Vec<EventNum>)> {
        let handle = self.inner.rooms.get(self.room)?;
        handle
            .run(|room| Ok((room.next_num(), room.forward().to_vec())))
            .await
    }

    /// Tries PDUs without asking anybody. Whether any no longer waits.
    async fn sweep(&self, pdus: Vec<StagedPdu>) -> bool {
        let mut is_progress = false;
        for pdu in pdus {
            is_progress |= self.try_one(&pdu, None).await.unwrap_or(false);
        }
        is_progress
    }

    /// Tries what is due until there are news: they may be of somebody whose turn it is then. Whether anything no longer
    /// waits.
    async fn ask_in_turn(&self, mut due: Queues, turns: &mut Turns, news: &watch::Receiver<()>) -> bool {
        let mut round = Round::new(Pace::Quick);
        let mut is_progress = false;
        while let Some((party, pdu)) = turns.next(&mut due) {
            let begin = Instant::now();
            // An error is the store's, or a panic's: counted as a try, so that it ends.
            let done = self.try_one(&pdu, Some(&mut round)).await.unwrap_or(false);
            turns.charge(party, begin.elapsed());
            is_progress |= done || self.put_off(&pdu, round.is_late()).await;
            if news.has_changed().unwrap_or(false) {
                break;
            }
        }
        is_progress
    }

    /// After a try that got nowhere. Whether the PDU is given up.
    async fn put_off(&self, pdu: &StagedPdu, is_late: bool) -> bool {
        let tries = self.waits().get(&pdu.event).map_or(0, |wait| wait.tries) + 1;
        let wait = FIRST_WAIT * 2_u32.pow((tries - 1).min(DOUBLINGS));
        let until = Instant::now() + wait;
        let wait = Wait {
            tries,
            until,
            is_late,
        };
        self.waits().insert(pdu.event.clone(), wait);
        if is_late {
            self.late.notify_one();
        }
        if tries < TRIES {
            return false;
        }
        // If this fails, the next pass tries it again.
        let is_given_up = self.inner.commit(vec![unstage(pdu)]).await.is_ok();
        if is_given_up {
            let about = format!("given up after {tries} tries, what it cites is not to be had");
            self.inner.warn_of_event(&pdu.event, &pdu.origin, &about);
        }
        is_given_up
    }

    /// Whether the PDU no longer waits. Other servers are asked if there is a `round`: see
    /// [`ingest_fetching`](Inner::ingest_fetching).
    async fn try_one(&self, staged: &StagedPdu, round: Option<&mut Round>) -> Result<bool> {
        let handle = self.inner.rooms.get(self.room)?;
        let version = handle.run(|room| Ok(room.version())).await?;
        let pdu = Pdu::from_store(staged.json.as_bytes(), version)?;
        let outcome = match round {
            Some(round) => {
                self.inner
                    .ingest_fetching(self.room, &pdu, Came::Sent(&staged.origin), round)
                    .await?
            }
            None => self.inner.try_ingest(&handle, &pdu).await?,
        };
        if let Outcome::Missing(_) = outcome {
            return Ok(false);
        }
        if let Some(rule) = outcome.refusal() {
            self.inner.warn_of_event(&staged.event, &staged.origin, &rule);
        }
        self.inner.commit(vec![unstage(staged)]).await?;
        Ok(true)
    }
}

fn unstage(pdu: &StagedPdu) -> Write {
    Write::Unstage {
        room: pdu.room,
        event: pdu.event.clone(),
    }
}
