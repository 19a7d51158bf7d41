//! Getting old history from other servers, for users who page back to where it ends here (EC-4).

use super::{Ask, Pace, SERVERS_ASKED};
use crate::{
    inner::Inner,
    order::{Along, behind, causal},
    room::Outcome,
};
use roomlet_wire::{EventId, Result, RoomId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Branches of history that one backfill looks behind.
const BACKFILL_BRANCHES: usize = 10;
/// Events asked for by one backfill, at least: a request costs more than what it brings.
const MIN_BACKFILL: usize = 20;
/// Events asked for by one backfill, at most: Synapse gives no more.
const MAX_BACKFILL: usize = 100;
/// Events that one backfill takes at most, whatever the peer sends.
const BACKFILL_EVENTS: usize = 500;
/// Branches of history remembered as such that nobody has.
const DEAD_BRANCHES: usize = 4_096;
/// How long a branch of history counts as one that nobody has.
const DEAD_FOR: Duration = Duration::from_secs(300);

impl Inner {
    /// Asks other servers for the events `wanted`, which history here lacks, and what comes before them, until a point in
    /// time. Whether any came. Those that no server has are not asked for again for a while.
    ///
    /// Each has a few seconds at first. Who is slow is asked last, and again with more time, unless somebody answered: as
    /// long as one server of the room gives its history, nobody waits for the rest.
    pub(crate) async fn backfill(
        &self,
        room: &RoomId,
        mut wanted: Vec<EventId>,
        limit: usize,
        until: Instant,
    ) -> bool {
        let Ok(handle) = self.rooms.get(room) else {
            return false;
        };
        let Ok(mut servers) = self.other_servers(&handle).await else {
            return false;
        };
        servers.sort_by_key(|server| self.slow.is_resting(server));
        let mut servers = VecDeque::from(servers);
        wanted.truncate(BACKFILL_BRANCHES);
        let (mut any, mut answered) = (false, 0);
        while let Some(server) = servers.pop_front() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || (answered > 0 && self.slow.is_resting(&server)) {
                break;
            }
            let Ok(version) = handle.run(|room| Ok(room.version())).await else {
                return any;
            };
            let patience = match servers.is_empty() {
                true => left,
                false => self.slow.patience(&server).min(left),
            };
            let ask = Ask::new(&handle, room, version, &server, Pace::Patient);
            // A server that gives nothing leaves it to the next.
            let filling = tokio::time::timeout(patience, self.backfill_from(&ask, &wanted, limit)).await;
            if matches!(&filling, Ok(Err(error)) if error.is_outage()) {
                // Nothing was learnt of what the servers have.
                return any;
            }
            let is_late = filling.is_err();
            any |= filling.is_ok_and(|filled| filled.unwrap_or(false));
            let before = wanted.clone();
            let Ok(left) = handle.run(move |room| room.not_held(before)).await else {
                return any;
            };
            // What came of those that are late is kept.
            let is_filled = left.len() < wanted.len();
            any |= is_filled;
            wanted = left;
            self.slow
                .note(&server, ask.took(), is_filled, is_late || ask.is_away());
            if is_late {
                servers.push_back(server);
            } else if !ask.is_away() {
                answered += 1;
            }
            if wanted.is_empty() || answered == SERVERS_ASKED {
                break;
            }
        }
        if answered > 0 {
            self.note_dead_branches(wanted);
        }
        any
    }

    async fn backfill_from(&self, ask: &Ask<'_>, from: &[EventId], limit: usize) -> Result<bool> {
        let limit = limit.clamp(MIN_BACKFILL, MAX_BACKFILL);
        let request = self.client.backfill(ask.server, ask.room, from, limit);
        let Some(mut values) = ask.answer(request).await else {
            return Ok(false);
        };
        values.truncate(BACKFILL_EVENTS);
        let mut told = ask.verify(self, values).await?;
        if behind(from, &mut told.iter()).len() < told.len() {
            // What the events asked for hide of the rest: a server that refused one of them gives it by its id only.
            let mut values = Vec::new();
            let hidden = from.iter().filter(|id| told.iter().all(|pdu| pdu.id != **id));
            for id in hidden.take_while(|_| !ask.is_away()) {
                values.extend(ask.answer(self.client.event(ask.server, id)).await);
            }
            told.extend(ask.verify(self, values).await?);
        }
        // The depths that events claim would put some of them before what they follow.
        let mut depths: BTreeMap<EventId, i64> = BTreeMap::new();
        for id in from {
            let branch = id.clone();
            let at_most = ask.handle.run(move |room| room.depth_before(&branch)).await?;
            for event in behind(std::slice::from_ref(id), &mut told.iter()) {
                let depth = depths.entry(event).or_insert(at_most);
                *depth = at_most.max(*depth);
            }
        }
        told.retain(|pdu| depths.contains_key(&pdu.id));
        let mut any = false;
        for pdu in causal(told, Along::Both) {
            let arrival = self.arrival(&pdu, depths.get(&pdu.id).copied()).await;
            let outcome = self.ingest_or_ask_state(ask, &pdu, arrival).await?;
            if let Some(rule) = outcome.refusal() {
                self.warn_of_event(&pdu.id, ask.server, &rule);
            }
            any |= !matches!(
                outcome,
                Outcome::Missing(_) | Outcome::Known | Outcome::Dropped(_)
            );
        }
        Ok(any)
    }

    fn note_dead_branches(&self, ids: Vec<EventId>) {
        let now = Instant::now();
        let mut dead = self.dead_branches();
        dead.retain(|_, until| *until > now);
        if dead.len() >= DEAD_BRANCHES {
            dead.clear();
        }
        dead.extend(ids.into_iter().map(|id| (id, now + DEAD_FOR)));
    }

    /// Events that no server had when they were last asked for.
    pub(crate) fn dead_branches(&self) -> MutexGuard<'_, BTreeMap<EventId, Instant>> {
        self.dead_branches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
