//! Getting from other servers what a room lacks: gaps in its history, states, auth chains, old history (EC-3).

mod ask;
mod backfill;
mod slow;

pub(crate) use ask::{Pace, Round};
pub(crate) use slow::SlowServers;

use crate::{
    inner::Inner,
    order::{Along, behind, causal},
    room::{Arrival, Claim, Ingest, Missing, Outcome, RoomHandle},
    verify::Faults,
};
use ask::Ask;
use roomlet_wire::{EventId, Pdu, Result, RoomId, ServerName, Verified, json::RawValue, limits};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Missing events of a state that are fetched one by one; beyond that the whole state is asked for.
const SINGLE_EVENTS: usize = 40;
/// Servers that are asked for the same thing, one after another.
const SERVERS_ASKED: usize = 4;
/// Events of a state and its auth chain, at most; several times what the largest rooms have. A server that names more is
/// not believed (TM-8).
const STATE_EVENTS: usize = 1_000_000;

/// How an event that waits for others came here.
#[derive(Clone, Copy)]
pub(crate) enum Came<'a> {
    /// In a transaction of this server.
    Sent(&'a ServerName),
    /// In a handshake of this server, for its user: all others in the room are to hear of it from here (EV-27).
    HandedIn(&'a ServerName),
}

impl Inner {
    /// Takes an event that waits for others, after fetching them. Its sender's server is asked first, as it knows best
    /// and has no reason to hide what its own event rests on; then the others of the room, and who sent it here. Gives
    /// [`Outcome::Missing`] if nobody has what is missing.
    pub(crate) async fn ingest_fetching(
        &self,
        room: &RoomId,
        pdu: &Pdu<Verified>,
        came: Came<'_>,
        round: &mut Round,
    ) -> Result<Outcome> {
        round.is_late = false;
        let handle = self.rooms.get(room)?;
        let (origin, handed_in) = match came {
            Came::Sent(origin) => (Some(origin), None),
            Came::HandedIn(origin) => (None, Some((&pdu.id, origin))),
        };
        let arrival = self.arrival(pdu, None).await;
        let mut outcome = take(&handle, pdu, handed_in, arrival.ingest()).await?;
        if !matches!(outcome, Outcome::Missing(_)) {
            return Ok(outcome);
        }
        let sender = ServerName::parse(pdu.origin()).ok();
        let first: Vec<ServerName> = sender.into_iter().chain(origin.cloned()).collect();
        let mut servers = self.servers_to_ask(&handle, first, round).await?;
        let stranger = self.stranger(&handle, origin).await?;
        servers.extend(stranger.iter().cloned());
        let first_asked = Instant::now();
        for server in servers {
            if round.away.contains(&server) {
                continue;
            }
            let begin = Instant::now();
            let left = round.pace.for_one_gap().saturating_sub(begin - first_asked);
            if left.is_zero() {
                round.is_late = true;
                break;
            }
            let is_stranger = Some(&server) == stranger.as_ref();
            let patience = match is_stranger {
                true => round.pace.for_a_stranger(),
                false => round.pace.for_one(&server, &self.slow),
            };
            let patience = patience.min(left);
            let mut ask = Ask::new(&handle, room, pdu.version, &server, round.pace);
            ask.handed_in = handed_in;
            match tokio::time::timeout(patience, self.fill_gap(&ask, pdu)).await {
                Ok(filled) => outcome = filled?,
                Err(_) => {
                    ask.give_up();
                    round.is_late = true;
                }
            }
            let is_filled = !matches!(outcome, Outcome::Missing(_));
            if !is_stranger {
                self.slow.note(&server, ask.took(), is_filled, ask.is_away());
            }
            if is_filled {
                break;
            }
            if ask.are_keys_late() {
                round.is_late = true;
            } else if ask.is_away() {
                round.away.insert(server.clone());
            }
        }
        Ok(outcome)
    }

    /// How an event of another server arrives, history with the depth that it may have at most: the host is asked about it,
    /// whichever way it came.
    async fn arrival(&self, pdu: &Pdu<Verified>, history: Option<i64>) -> Arrival {
        let accepted = self
            .policy
            .accept_event(&pdu.room_id, &pdu.id, &pdu.sender, &pdu.kind)
            .await;
        let refused = !accepted;
        match history {
            Some(at_most) => Arrival::Backfill { refused, at_most },
            None => Arrival::Live { refused },
        }
    }

    /// Takes an event that is sent now, if all that it cites is here.
    pub(crate) async fn try_ingest(&self, handle: &RoomHandle, pdu: &Pdu<Verified>) -> Result<Outcome> {
        let arrival = self.arrival(pdu, None).await;
        take(handle, pdu, None, arrival.ingest()).await
    }

    /// Servers to ask for an event: those of `first` that are in the room, then some others; without those that are too
    /// slow.
    async fn servers_to_ask(
        &self,
        handle: &RoomHandle,
        first: Vec<ServerName>,
        round: &mut Round,
    ) -> Result<Vec<ServerName>> {
        let mut others = self.other_servers(handle).await?;
        if round.pace == Pace::Quick {
            let all = others.len();
            others.retain(|server| !self.slow.is_resting(server));
            round.is_late = others.len() < all;
        }
        let mut servers: Vec<ServerName> = Vec::new();
        for server in first {
            if others.contains(&server) && !servers.contains(&server) {
                servers.push(server);
            }
        }
        others.retain(|server| !servers.contains(server));
        servers.extend(others);
        servers.truncate(SERVERS_ASKED);
        Ok(servers)
    }

    /// The servers of the room, without this one; from a random one on, so that no name stands always at the front.
    async fn other_servers(&self, handle: &RoomHandle) -> Result<Vec<ServerName>> {
        let mut others: Vec<ServerName> = handle
            .run(|room| Ok(room.servers().cloned().collect::<Vec<_>>()))
            .await?;
        others.retain(|server| *server != self.me);
        if others.len() > 1 {
            let mut random = [0; 4];
            self.env.rng.fill(&mut random);
            let start = u32::from_le_bytes(random) as usize % others.len();
            others.rotate_left(start);
        }
        Ok(others)
    }

    /// The server that sent an event, if it is not in the room.
    async fn stranger(&self, handle: &RoomHandle, origin: Option<&ServerName>) -> Result<Option<ServerName>> {
        let Some(origin) = origin.cloned() else {
            return Ok(None);
        };
        handle
            .run(move |room| Ok(Some(origin).filter(|origin| !room.has_server(origin))))
            .await
    }

    /// Walks back from `pdu` with `get_missing_events` until the history held here is reached, then takes what came,
    /// oldest first. Where it is not reached, the oldest are taken with the state before them as the peer tells it.
    async fn fill_gap(&self, ask: &Ask<'_>, pdu: &Pdu<Verified>) -> Result<Outcome> {
        let mut found: BTreeMap<EventId, Pdu<Verified>> = BTreeMap::from([(pdu.id.clone(), pdu.clone())]);
        let newest: Vec<EventId> = ask
            .handle
            .run(|room| {
                let newest = room.forward().iter().rev().take(limits::PREV_EVENTS);
                newest.map(|&num| Ok(room.get(num)?.pdu().id.clone())).collect()
            })
            .await?;
        for _ in 0..self.config.limits.missing_events_rounds {
            let (latest, mut earliest) = self.with_missing_parents(ask.handle, &found).await?;
            if latest.is_empty() {
                break;
            }
            // A reply has few events, so none that is here already should be among them. The newest events alone would
            // not see to that: by no means all that is here is behind them.
            earliest.extend(newest.iter().cloned());
            let limit = self.config.limits.missing_events_per_request;
            let request = self
                .client
                .get_missing_events(ask.server, ask.room, &earliest, &latest, limit);
            let Some(mut values) = ask.answer(request).await else {
                break;
            };
            values.truncate(limit as usize);
            let before = found.len();
            let told = ask.verify(self, values).await?;
            let ids = told.iter().map(|pdu| pdu.id.clone()).collect();
            let not_held = ask.handle.run(move |room| room.not_held(ids)).await?;
            for pdu in told {
                // Other servers drop an event that cites more than these, however they got it.
                if not_held.contains(&pdu.id)
                    && pdu.prev_events.len() <= limits::PREV_EVENTS
                    && pdu.auth_events.len() <= limits::AUTH_EVENTS
                {
                    found.entry(pdu.id.clone()).or_insert(pdu);
                }
            }
            // Only that is the gap: what is behind events that are held is history, and would be taken for the present.
            let gap = behind(std::slice::from_ref(&pdu.id), &mut found.values());
            found.retain(|id, _| gap.contains(id));
            if found.len() == before {
                break;
            }
        }
        let mut outcome = Outcome::Missing(Missing::default());
        for found in causal(found.into_values().collect(), Along::Both) {
            let arrival = self.arrival(&found, None).await;
            let became = self.ingest_or_ask_state(ask, &found, arrival).await?;
            if found.id == pdu.id {
                outcome = became;
            } else if let Some(rule) = became.refusal() {
                self.warn_of_event(&found.id, ask.server, &rule);
            }
        }
        Ok(outcome)
    }

    /// Of the found events those that cite parents that are neither found nor held, as many as one request may name; and
    /// the other parents of these.
    async fn with_missing_parents(
        &self,
        handle: &RoomHandle,
        found: &BTreeMap<EventId, Pdu<Verified>>,
    ) -> Result<(Vec<EventId>, Vec<EventId>)> {
        let pdus: Vec<Pdu<Verified>> = found.values().cloned().collect();
        let missing = handle
            .run(move |room| {
                pdus.iter()
                    .map(|pdu| Ok((pdu.clone(), room.missing(pdu)?.prev)))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        let open = missing
            .into_iter()
            .filter(|(_, prev)| prev.iter().any(|id| !found.contains_key(id)));
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        for (pdu, missing) in open.take(limits::PREV_EVENTS) {
            let is_here = |id: &&EventId| !missing.contains(id) || found.contains_key(*id);
            others.extend(pdu.prev_events.iter().filter(is_here).cloned());
            ids.push(pdu.id.clone());
        }
        Ok((ids, others))
    }

    /// Takes an event; fetches its auth chain if that is what it lacks, and the state before it if its parents cannot
    /// be had.
    async fn ingest_or_ask_state(
        &self,
        ask: &Ask<'_>,
        pdu: &Pdu<Verified>,
        arrival: Arrival,
    ) -> Result<Outcome> {
        let mut outcome = take(ask.handle, pdu, ask.handed_in, arrival.ingest()).await?;
        if let Outcome::Missing(missing) = &outcome
            && !missing.auth.is_empty()
            && ask.take_state()
        {
            self.fetch_auth_chain(ask, &pdu.id).await?;
            outcome = take(ask.handle, pdu, ask.handed_in, arrival.ingest()).await?;
        }
        let Outcome::Missing(missing) = &outcome else {
            return Ok(outcome);
        };
        if !missing.auth.is_empty() {
            return Ok(outcome);
        }
        // Beside parents that are held, each of the others ends a branch of its own (EC-3).
        let ends = match missing.prev.len() < pdu.prev_events.len() {
            true => missing.prev.clone(),
            false => vec![pdu.id.clone()],
        };
        let mut claims = Vec::with_capacity(ends.len());
        for end in ends {
            if !ask.take_state() {
                return Ok(outcome);
            }
            let told = ask.answer(self.client.state_ids(ask.server, ask.room, &end));
            let Some((state, chain)) = told.await else {
                return Ok(outcome);
            };
            if state.len().saturating_add(chain.len()) > STATE_EVENTS {
                return Ok(outcome);
            }
            let mut wanted: BTreeSet<EventId> = state.iter().chain(&chain).cloned().collect();
            // Where so many are missing that it does not come with them, the next try brings it.
            wanted.extend((end != pdu.id).then(|| end.clone()));
            if !self.fetch_outliers(ask, wanted, &end).await? {
                // Half a state would be a wrong one.
                return Ok(outcome);
            }
            // As numbers: there may be many claims, and large ones.
            let state = ask.handle.run(move |room| room.told_map(&state)).await?;
            claims.push(Claim { before: end, state });
        }
        let with_claims: Ingest = Box::new(move |room, pdu| room.ingest_with_claims(pdu, &claims, arrival));
        take(ask.handle, pdu, ask.handed_in, with_claims).await
    }

    async fn fetch_auth_chain(&self, ask: &Ask<'_>, event: &EventId) -> Result<()> {
        let chain = ask.answer(self.client.event_auth(ask.server, ask.room, event));
        match chain.await {
            Some(values) => self.take_outliers(ask, values).await,
            None => Ok(()),
        }
    }

    /// Gets those of `wanted` that are not held; by the whole state before `at` where they are many. Whether the
    /// server answered all that it was asked, and keys were there in time: what it gave may still be unusable, event by
    /// event.
    async fn fetch_outliers(&self, ask: &Ask<'_>, wanted: BTreeSet<EventId>, at: &EventId) -> Result<bool> {
        let missing: Vec<EventId> = ask
            .handle
            .run(move |room| {
                let mut missing = Vec::new();
                for id in wanted {
                    if room.num_of(&id)?.is_none() {
                        missing.push(id);
                    }
                }
                Ok(missing)
            })
            .await?;
        let mut values = Vec::new();
        if missing.len() > SINGLE_EVENTS {
            let told = ask.answer(self.client.state(ask.server, ask.room, at));
            let Some((state, chain)) = told.await else {
                return Ok(false);
            };
            values.extend(state);
            values.extend(chain);
        } else {
            for id in missing {
                values.extend(ask.answer(self.client.event(ask.server, &id)).await);
                if ask.is_away() {
                    return Ok(false);
                }
            }
        }
        self.take_outliers(ask, values).await?;
        Ok(!ask.are_keys_late())
    }

    async fn take_outliers(&self, ask: &Ask<'_>, values: Vec<RawValue>) -> Result<()> {
        let pdus = causal(ask.verify(self, values).await?, Along::Auth);
        let faults = ask
            .handle
            .run(move |room| {
                let mut faults = Faults::default();
                for pdu in &pdus {
                    if let Some(rule) = room.ingest_outlier(pdu)?.refusal() {
                        faults.add(|| format!("event {}: {rule}", pdu.id));
                    }
                }
                Ok(faults)
            })
            .await?;
        self.warn_of_reply(ask.server, ask.room, "refused", faults);
        Ok(())
    }
}

/// Takes an event on the room's task, and sends it on if it is the one that was `handed_in`. Of one that is refused nothing
/// is kept then: it may bear this server's signature, with which it would be another event elsewhere (FED-33).
async fn take(
    handle: &RoomHandle,
    pdu: &Pdu<Verified>,
    handed_in: Option<(&EventId, &ServerName)>,
    ingest: Ingest,
) -> Result<Outcome> {
    let by = handed_in
        .filter(|(id, _)| **id == pdu.id)
        .map(|(_, by)| by.clone());
    let pdu = pdu.clone();
    handle
        .run(move |room| match by {
            Some(by) => {
                let outcome = room.relaying(&pdu, Some(&by), ingest)?;
                if !matches!(outcome, Outcome::Missing(_)) {
                    room.check_taken(&pdu, outcome.clone())?;
                }
                Ok(outcome)
            }
            None => ingest(room, &pdu),
        })
        .await
}
