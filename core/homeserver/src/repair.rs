//! Work on PDUs that wait for others: each is tried again by its own schedule, so that those whose gaps nobody fills
//! neither hold up the rest nor stay for ever (EC-3, TM-10).

use crate::{inner::Inner, room::Outcome};
use roomlet_store::{StagedPdu, Write};
use roomlet_wire::{EventId, Pdu, Result, RoomId, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

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
}

/// Takes the room off the list of those under repair, however the repair ends.
struct Repairing<'a> {
    inner: &'a Inner,
    room: &'a RoomId,
}

impl Drop for Repairing<'_> {
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
        let news = Arc::new(Notify::new());
        {
            let mut repairing = self.repairing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(news) = repairing.get(&room) {
                news.notify_one();
                return;
            }
            repairing.insert(room.clone(), news.clone());
        }
        let inner = self.clone();
        self.spawn(async move {
            {
                let _repairing = Repairing {
                    inner: &inner,
                    room: &room,
                };
                inner.repair_room(&room, &news).await;
            }
            // What was staged between the last look and now has nobody else to take it up.
            if inner.staged_of(&room).is_ok_and(|staged| !staged.is_empty()) && inner.check_open().is_ok() {
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

    /// Works until nothing waits any more.
    async fn repair_room(&self, room: &RoomId, news: &Notify) {
        let mut waits: BTreeMap<EventId, Wait> = BTreeMap::new();
        let mut wakes = self.wakes.subscribe();
        loop {
            let staged = match self.staged_to_repair(room).await {
                Ok(staged) => staged,
                Err(_) => {
                    // The store cannot be read or written: nothing is lost by waiting.
                    tokio::time::sleep(FIRST_WAIT).await;
                    continue;
                }
            };
            if staged.is_empty() {
                return;
            }
            waits.retain(|event, _| staged.iter().any(|pdu| pdu.event == *event));
            if self.repair_pass(room, staged, &mut waits).await {
                continue;
            }
            // All that is left waits, so there is a soonest one; without, the next look is soon enough.
            let soonest = waits.values().map(|wait| wait.until).min();
            let soonest = soonest.unwrap_or_else(|| Instant::now() + FIRST_WAIT);
            tokio::select! {
                biased;
                () = news.notified() => {}
                Ok(()) = wakes.changed() => waits.values_mut().for_each(|wait| wait.until = Instant::now()),
                () = tokio::time::sleep_until(soonest) => {}
            }
        }
    }

    /// What waits, a PDU of each origin in turn; nothing of a room that this server left.
    async fn staged_to_repair(&self, room: &RoomId) -> Result<Vec<StagedPdu>> {
        let staged = self.staged_of(room)?;
        if staged.is_empty() {
            return Ok(staged);
        }
        if !self.rooms.get(room)?.run(|room| Ok(room.is_resident())).await? {
            self.commit(staged.iter().map(unstage).collect()).await?;
            return Ok(Vec::new());
        }
        let mut by_origin: BTreeMap<ServerName, VecDeque<StagedPdu>> = BTreeMap::new();
        for pdu in staged {
            by_origin.entry(pdu.origin.clone()).or_default().push_back(pdu);
        }
        let mut in_turn = Vec::new();
        while !by_origin.is_empty() {
            in_turn.extend(by_origin.values_mut().filter_map(VecDeque::pop_front));
            by_origin.retain(|_, pdus| !pdus.is_empty());
        }
        Ok(in_turn)
    }

    /// Tries all that is due, and the rest without asking anybody. Whether anything no longer waits.
    async fn repair_pass(
        &self,
        room: &RoomId,
        staged: Vec<StagedPdu>,
        waits: &mut BTreeMap<EventId, Wait>,
    ) -> bool {
        let mut away = BTreeSet::new();
        let mut progress = false;
        for pdu in staged {
            let now = Instant::now();
            let due = waits.get(&pdu.event).is_none_or(|wait| wait.until <= now);
            // An error is the store's, or a panic's: counted as a try, so that it ends.
            let done = self
                .repair_one(room, &pdu, due.then_some(&mut away))
                .await
                .unwrap_or(false);
            if done {
                progress = true;
            } else if due {
                let tries = waits.get(&pdu.event).map_or(0, |wait| wait.tries) + 1;
                if tries >= TRIES {
                    // If this fails, the next pass tries it again.
                    let given_up = self.commit(vec![unstage(&pdu)]).await.is_ok();
                    if given_up {
                        let about = format!("given up after {tries} tries, what it cites is not to be had");
                        self.warn_of_event(&pdu.event, &pdu.origin, &about);
                    }
                    progress |= given_up;
                }
                let wait = FIRST_WAIT * 2_u32.pow((tries - 1).min(DOUBLINGS));
                let until = Instant::now() + wait;
                waits.insert(pdu.event.clone(), Wait { tries, until });
            }
        }
        progress
    }

    /// Whether the PDU no longer waits. Other servers are asked if there is an `away`: see
    /// [`ingest_fetching`](Inner::ingest_fetching).
    async fn repair_one(
        &self,
        room: &RoomId,
        staged: &StagedPdu,
        away: Option<&mut BTreeSet<ServerName>>,
    ) -> Result<bool> {
        let handle = self.rooms.get(room)?;
        let version = handle.run(|room| Ok(room.version())).await?;
        let pdu = Pdu::from_store(staged.json.as_bytes(), version)?;
        let outcome = match away {
            Some(away) => {
                self.ingest_fetching(room, &pdu, Some(&staged.origin), away)
                    .await?
            }
            None => self.try_ingest(&handle, &pdu).await?,
        };
        if let Outcome::Missing(_) = outcome {
            return Ok(false);
        }
        if let Some(rule) = outcome.refusal() {
            self.warn_of_event(&staged.event, &staged.origin, &rule);
        }
        self.commit(vec![unstage(staged)]).await?;
        Ok(true)
    }
}

fn unstage(pdu: &StagedPdu) -> Write {
    Write::Unstage {
        room: pdu.room,
        event: pdu.event.clone(),
    }
}
