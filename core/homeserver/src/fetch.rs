//! Getting from other servers what a room lacks: gaps in its history, states, auth chains, old history (EC-3).

use crate::{
    inner::Inner,
    order::{Along, causal},
    room::{Arrival, Outcome, RoomHandle},
};
use roomlet_wire::{EventId, Pdu, Result, RoomId, RoomVersion, ServerName, Value, Verified};
use std::collections::{BTreeMap, BTreeSet};

/// Missing events of a state that are fetched one by one; beyond that the whole state is asked for.
const SINGLE_EVENTS: usize = 40;
/// Servers that are asked for the same thing, one after another.
const SERVERS_ASKED: usize = 4;
/// Branches of history that one backfill looks behind.
const BACKFILL_BRANCHES: usize = 10;
/// Events that one backfill takes at most, whatever the peer sends.
const BACKFILL_EVENTS: usize = 500;

/// The room that is worked on, and whom to ask.
struct Ask<'a> {
    handle: &'a RoomHandle,
    room: &'a RoomId,
    version: &'static RoomVersion,
    server: &'a ServerName,
}

impl Inner {
    /// Takes an event that waits for others, after fetching them: from `origin` first, then from other servers of the
    /// room. Gives [`Outcome::Missing`] if nobody has them.
    pub(crate) async fn ingest_fetching(
        &self,
        room: &RoomId,
        pdu: &Pdu<Verified>,
        origin: &ServerName,
    ) -> Result<Outcome> {
        let handle = self.rooms.get(room)?;
        let mut outcome = self.try_ingest(&handle, pdu, Arrival::LIVE).await?;
        let servers = match outcome {
            Outcome::Missing(_) => self.servers_to_ask(&handle, Some(origin)).await?,
            _ => return Ok(outcome),
        };
        for server in servers {
            let ask = Ask {
                handle: &handle,
                room,
                version: pdu.version,
                server: &server,
            };
            outcome = self.fill_gap(&ask, pdu).await?;
            if !matches!(outcome, Outcome::Missing(_)) {
                break;
            }
        }
        Ok(outcome)
    }

    async fn try_ingest(
        &self,
        handle: &RoomHandle,
        pdu: &Pdu<Verified>,
        arrival: Arrival,
    ) -> Result<Outcome> {
        let pdu = pdu.clone();
        handle.run(move |room| room.ingest(&pdu, arrival)).await
    }

    /// `first`, then others of the room, this server apart.
    async fn servers_to_ask(
        &self,
        handle: &RoomHandle,
        first: Option<&ServerName>,
    ) -> Result<Vec<ServerName>> {
        let mut servers: Vec<ServerName> = first.into_iter().cloned().collect();
        let others = handle
            .run(|room| Ok(room.servers().cloned().collect::<Vec<_>>()))
            .await?;
        for server in others {
            if server != self.me && !servers.contains(&server) {
                servers.push(server);
            }
        }
        servers.retain(|server| *server != self.me);
        servers.truncate(SERVERS_ASKED);
        Ok(servers)
    }

    /// Walks back from `pdu` with `get_missing_events` until the history held here is reached, then takes what came,
    /// oldest first. Where it is not reached, the oldest are taken with the state before them as the peer tells it.
    async fn fill_gap(&self, ask: &Ask<'_>, pdu: &Pdu<Verified>) -> Result<Outcome> {
        let mut found: BTreeMap<EventId, Pdu<Verified>> = BTreeMap::from([(pdu.id.clone(), pdu.clone())]);
        let earliest: Vec<EventId> = ask
            .handle
            .run(|room| {
                room.forward()
                    .iter()
                    .map(|&num| Ok(room.get(num)?.pdu().id.clone()))
                    .collect()
            })
            .await?;
        for _ in 0..self.config.limits.missing_events_rounds {
            let open = self.with_missing_parents(ask.handle, &found).await?;
            let latest: Vec<EventId> = open.into_iter().take(roomlet_wire::limits::PREV_EVENTS).collect();
            if latest.is_empty() {
                break;
            }
            let limit = self.config.limits.missing_events_per_request;
            let reply = self
                .client
                .get_missing_events(ask.server, ask.room, &earliest, &latest, limit)
                .await;
            let Ok(mut values) = reply else { break };
            values.truncate(limit as usize);
            let before = found.len();
            for pdu in self
                .verify_reply(ask.room, ask.version, values, &BTreeSet::new())
                .await
            {
                found.entry(pdu.id.clone()).or_insert(pdu);
            }
            if found.len() == before {
                break;
            }
        }
        let mut outcome = Outcome::Known;
        for pdu in causal(found.into_values().collect(), Along::Both) {
            outcome = self.ingest_or_ask_state(ask, &pdu, Arrival::LIVE).await?;
        }
        match outcome {
            Outcome::Missing(_) => Ok(outcome),
            _ => self.try_ingest(ask.handle, pdu, Arrival::LIVE).await,
        }
    }

    /// Of the found events those that cite parents that are neither found nor held.
    async fn with_missing_parents(
        &self,
        handle: &RoomHandle,
        found: &BTreeMap<EventId, Pdu<Verified>>,
    ) -> Result<Vec<EventId>> {
        let pdus: Vec<Pdu<Verified>> = found.values().cloned().collect();
        let missing = handle
            .run(move |room| {
                pdus.iter()
                    .map(|pdu| Ok((pdu.id.clone(), room.missing(pdu)?.prev)))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        let open = missing
            .into_iter()
            .filter(|(_, prev)| prev.iter().any(|id| !found.contains_key(id)));
        Ok(open.map(|(id, _)| id).collect())
    }

    /// Takes an event; fetches its auth chain if that is what it lacks, and the state before it if its parents cannot
    /// be had.
    async fn ingest_or_ask_state(
        &self,
        ask: &Ask<'_>,
        pdu: &Pdu<Verified>,
        arrival: Arrival,
    ) -> Result<Outcome> {
        let mut outcome = self.try_ingest(ask.handle, pdu, arrival).await?;
        if let Outcome::Missing(missing) = &outcome
            && !missing.auth.is_empty()
        {
            self.fetch_auth_chain(ask, &pdu.id).await?;
            outcome = self.try_ingest(ask.handle, pdu, arrival).await?;
        }
        let Outcome::Missing(missing) = &outcome else {
            return Ok(outcome);
        };
        if !missing.auth.is_empty() {
            return Ok(outcome);
        }
        let Ok((state, chain)) = self.client.state_ids(ask.server, ask.room, &pdu.id).await else {
            return Ok(outcome);
        };
        let wanted: BTreeSet<EventId> = state.iter().chain(&chain).cloned().collect();
        self.fetch_outliers(ask, wanted, Some(&pdu.id)).await?;
        let (pdu, state) = (pdu.clone(), state.clone());
        ask.handle
            .run(move |room| room.ingest_with_state(&pdu, &state, arrival))
            .await
    }

    async fn fetch_auth_chain(&self, ask: &Ask<'_>, event: &EventId) -> Result<()> {
        let Ok(values) = self.client.event_auth(ask.server, ask.room, event).await else {
            return Ok(());
        };
        self.take_outliers(ask, values).await
    }

    /// Gets those of `wanted` that are not held; by the whole state before `at` where they are many.
    async fn fetch_outliers(
        &self,
        ask: &Ask<'_>,
        wanted: BTreeSet<EventId>,
        at: Option<&EventId>,
    ) -> Result<()> {
        let missing: Vec<EventId> = ask
            .handle
            .run(move |room| {
                let mut missing = Vec::new();
                for id in wanted {
                    if room.find(&id)?.is_none() {
                        missing.push(id);
                    }
                }
                Ok(missing)
            })
            .await?;
        if let Some(at) = at
            && missing.len() > SINGLE_EVENTS
            && let Ok((mut state, chain)) = self.client.state(ask.server, ask.room, at).await
        {
            state.extend(chain);
            return self.take_outliers(ask, state).await;
        }
        let mut values = Vec::new();
        for id in missing.iter().take(SINGLE_EVENTS) {
            values.extend(self.client.event(ask.server, id).await.ok());
        }
        self.take_outliers(ask, values).await
    }

    async fn take_outliers(&self, ask: &Ask<'_>, values: Vec<Value>) -> Result<()> {
        let pdus = causal(
            self.verify_reply(ask.room, ask.version, values, &BTreeSet::new())
                .await,
            Along::Auth,
        );
        ask.handle
            .run(move |room| {
                pdus.iter()
                    .try_for_each(|pdu| room.ingest_outlier(pdu).map(|_| ()))
            })
            .await
    }

    /// Asks other servers for older history of a room. Whether any came.
    pub(crate) async fn backfill(&self, room: &RoomId, limit: usize) -> bool {
        let Ok(handle) = self.rooms.get(room) else {
            return false;
        };
        let Ok(servers) = self.servers_to_ask(&handle, None).await else {
            return false;
        };
        for server in servers {
            if self
                .backfill_from(&handle, room, &server, limit)
                .await
                .unwrap_or(false)
            {
                return true;
            }
        }
        false
    }

    async fn backfill_from(
        &self,
        handle: &RoomHandle,
        room: &RoomId,
        server: &ServerName,
        limit: usize,
    ) -> Result<bool> {
        let (version, missing) = handle
            .run(|room| Ok((room.version(), room.missing_prevs()?)))
            .await?;
        let mut from: Vec<EventId> = missing.into_iter().rev().map(|(id, _)| id).collect();
        from.dedup();
        from.truncate(BACKFILL_BRANCHES);
        if from.is_empty() {
            return Ok(false);
        }
        let mut values = self
            .client
            .backfill(server, room, &from, limit.clamp(20, 100))
            .await?;
        values.truncate(BACKFILL_EVENTS);
        let ask = Ask {
            handle,
            room,
            version,
            server,
        };
        let mut any = false;
        for pdu in causal(
            self.verify_reply(room, version, values, &BTreeSet::new()).await,
            Along::Both,
        ) {
            let outcome = self.ingest_or_ask_state(&ask, &pdu, Arrival::Backfill).await?;
            any |= !matches!(outcome, Outcome::Missing(_) | Outcome::Known);
        }
        Ok(any)
    }
}
