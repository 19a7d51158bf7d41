//! Transactions of other servers: checked, taken or staged, and only then acknowledged (FED-20, FED-21, EC-10).

use crate::{
    inner::Inner,
    room::{Arrival, Outcome, Place, RoomHandle, Waiting},
};
use roomlet_store::{StagedPdu, Update, Write};
use roomlet_wire::{
    Code, Error, EventId, Map, Parsed, Pdu, Result, RoomId, ServerName, UserId, Value, Verified,
    json::{self, Raw, RawValue},
    limits,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Acquire},
    },
    time::Duration,
};

/// How long inbound PDUs wait for a join of their room that is under way: less than senders wait for an answer.
const JOIN_WAIT: Duration = Duration::from_secs(20);
/// How long the reply to a transaction is kept for its repetition, in milliseconds: a day. Events in one that is
/// repeated later are known by their ids.
const REPLIES_KEPT_MS: i64 = 86_400_000;
/// How often older replies are looked for, in milliseconds.
const REPLIES_TRIMMED_MS: i64 = 3_600_000;

type Results = BTreeMap<EventId, Result<()>>;

/// The transaction that is being taken.
#[derive(Clone)]
struct Txn {
    origin: ServerName,
    id: String,
    now: i64,
}

impl Txn {
    fn store_reply(&self, results: &Results) -> Write {
        let body = json::map_to_canonical(&reply(results));
        Write::TxnReply {
            origin: self.origin.clone(),
            txn_id: self.id.clone(),
            body,
            now: self.now,
        }
    }
}

impl Inner {
    /// Answers `PUT /send/{txnId}`.
    pub(crate) async fn receive_transaction(
        self: &Arc<Self>,
        origin: &ServerName,
        txn_id: &str,
        pdus: Vec<RawValue>,
        edus: &[RawValue],
    ) -> Result<Map> {
        if let Some(reply) = self.store.txn_reply(origin, txn_id)? {
            return json::parse_object(reply.as_bytes());
        }
        if pdus.len() > limits::TRANSACTION_PDUS || edus.len() > limits::TRANSACTION_EDUS {
            let about = format!(
                "transaction {txn_id}: {} PDUs and {} EDUs, at most {} and {}",
                pdus.len(),
                edus.len(),
                limits::TRANSACTION_PDUS,
                limits::TRANSACTION_EDUS
            );
            return Err(Error::new(Code::BadParam, about));
        }
        let txn = Txn {
            origin: origin.clone(),
            id: txn_id.to_owned(),
            now: self.env.clock.now_ms(),
        };
        self.trim_replies(txn.now).await?;
        let mut results = Results::new();
        let count = pdus.len();
        let rooms = by_room(pdus);
        let homeless = count - rooms.values().map(Vec::len).sum::<usize>();
        if homeless > 0 {
            self.warn(format_args!(
                "events from {origin} that name no room are dropped: {homeless}"
            ));
        }
        let mut rooms = rooms.into_iter().peekable();
        let mut stored = false;
        while let Some((room, pdus)) = rooms.next() {
            self.wait_for_join(&room).await?;
            let is_last = rooms.peek().is_none();
            let taking = async {
                let Some(handle) = self.rooms.find(&room)? else {
                    self.receive_rescissions(origin, &room, pdus, &mut results)
                        .await?;
                    return Ok(false);
                };
                self.receive_pdus(&handle, &room, &txn, is_last, pdus, &mut results)
                    .await
            };
            stored = match taking.await {
                // A repetition would end the same way, and hold up all that its sender has to say (EV-25).
                Err(error) if matches!(error.code(), Code::Panic | Code::StoreDamaged) => false,
                taken => taken?,
            };
        }
        for (event, result) in &results {
            if let Err(error) = result {
                self.warn_of_event(event, origin, error.about());
            }
        }
        if !stored {
            self.commit(vec![txn.store_reply(&results)]).await?;
        }
        Ok(reply(&results))
    }

    /// Forgets old replies, once in a while.
    async fn trim_replies(&self, now: i64) -> Result<()> {
        let due = |last: i64| (now.saturating_sub(last) >= REPLIES_TRIMMED_MS).then_some(now);
        if self.replies_trimmed.fetch_update(AcqRel, Acquire, due).is_err() {
            return Ok(());
        }
        self.commit(vec![Write::TrimTxnReplies(now.saturating_sub(REPLIES_KEPT_MS))])
            .await
    }

    /// PDUs of a room that is being joined are taken when that is done, so that none is lost; at once where this server is
    /// in the room already, and another one lets a further user in.
    ///
    /// # Errors
    /// `Busy` if that takes too long: the sender keeps them and tries again.
    async fn wait_for_join(&self, room: &RoomId) -> Result<()> {
        if self.join_under_way(room).is_some()
            && let Some(handle) = self.rooms.find(room)?
            && handle.run(|room| Ok(room.is_resident())).await?
        {
            return Ok(());
        }
        let ended = tokio::time::timeout(JOIN_WAIT, self.end_of_join(room)).await;
        ended.map_err(|_| {
            let about = format!("room {room} is still being joined");
            Error::new(Code::Busy, about)
        })
    }

    /// Takes the PDUs of one room, in one commit. The last room's commit has the transaction's reply in it as well
    /// (`true`): a transaction of one room syncs the disk once.
    async fn receive_pdus(
        self: &Arc<Self>,
        handle: &RoomHandle,
        room: &RoomId,
        txn: &Txn,
        is_last: bool,
        objects: Vec<RawValue>,
        results: &mut Results,
    ) -> Result<bool> {
        let (origin, from, now) = (&txn.origin, txn.origin.clone(), txn.now);
        let (version, resident, allowed) = handle
            .run(move |room| Ok((room.version(), room.is_resident(), room.acl_allows(&from)?)))
            .await?;
        if !resident {
            // What was held of it when all local users left says nothing of what it is now.
            self.receive_rescissions(origin, room, objects, results).await?;
            return Ok(false);
        }
        let mut parsed: Vec<Pdu<Parsed>> = Vec::with_capacity(objects.len());
        for object in objects {
            match Pdu::parse(object.text().as_bytes(), version) {
                Ok(pdu) if !allowed => {
                    let about = format!("server {origin} is denied by the room's access control list");
                    results.insert(pdu.id.clone(), Err(Error::new(Code::Forbidden, about)));
                }
                Ok(pdu) => parsed.push(pdu),
                // Without a form there is no id to answer for (FED-20).
                Err(error) => self.warn(format_args!(
                    "an event from {origin} in room {room} is dropped: {error}"
                )),
            }
        }
        let ids: Vec<EventId> = parsed.iter().map(|pdu| pdu.id.clone()).collect();
        let mut verified = Vec::with_capacity(ids.len());
        for (id, checked) in ids.into_iter().zip(self.verify(parsed).await) {
            match checked {
                Ok(pdu) => {
                    let refused = !self
                        .policy
                        .accept_event(room, &pdu.id, &pdu.sender, &pdu.kind)
                        .await;
                    verified.push((pdu, Arrival::Live { refused }));
                }
                // What would be acknowledged as refused might be good.
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => {
                    results.insert(id, Err(error));
                }
            }
        }
        let (txn, limit) = (txn.clone(), self.config.limits.staged_per_room);
        let mut so_far = results.clone();
        let ids: Vec<EventId> = verified.iter().map(|(pdu, _)| pdu.id.clone()).collect();
        let taken = handle
            .run(move |room| {
                let gone = take_or_stage(room, verified, &txn.origin, limit, &mut so_far)?;
                if is_last {
                    room.write(txn.store_reply(&so_far));
                }
                Ok((so_far, gone, room.is_crowded(txn.now)))
            })
            .await;
        if let Err(error) = &taken {
            results.extend(ids.into_iter().map(|id| (id, Err(error.clone()))));
        }
        let (taken, gone, crowded) = taken?;
        *results = taken;
        if let Some(gone) = gone {
            for pdu in gone {
                let about = format!("given up for what {origin} sent, as too many of its origin wait");
                self.warn_of_event(&pdu.event, &pdu.origin, &about);
            }
            self.repair(room.clone());
        }
        if crowded {
            let key = self.signing_key();
            // If this fails, the room is as right as before, and the next transaction tries again.
            let _ = handle.run(move |room| room.merge_extremities(&key, now)).await;
        }
        Ok(is_last)
    }

    /// Of a room that this server is not in only the end of an invite is taken (FED-24).
    async fn receive_rescissions(
        &self,
        origin: &ServerName,
        room: &RoomId,
        objects: Vec<RawValue>,
        results: &mut Results,
    ) -> Result<()> {
        let mut dropped = objects.len();
        for object in objects {
            let user = |key: &str| {
                object
                    .as_raw()
                    .get(key)
                    .and_then(Raw::as_str)?
                    .parse::<UserId>()
                    .ok()
            };
            let (Some(target), Some(sender)) = (user("state_key"), user("sender")) else {
                continue;
            };
            let invites = self.pending_invites(&target, room)?;
            // In each version it would be another event.
            let Some(invite) = invites.iter().find(|invite| invite.sender == sender) else {
                continue;
            };
            let rescinded = match self.verify_one(object.text().as_bytes(), invite.version).await {
                Ok(pdu) => self
                    .rescind(room, &pdu)
                    .await
                    .map(|is_end| is_end.then(|| pdu.id.clone())),
                Err(error) => Err(error),
            };
            match rescinded {
                Ok(Some(id)) => {
                    results.insert(id, Ok(()));
                    dropped -= 1;
                }
                // The sender would not repeat what is acknowledged.
                Err(error) if error.is_outage() => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        if dropped > 0 {
            self.warn(format_args!(
                "events from {origin} in room {room}, which this server is not in, are dropped: {dropped}"
            ));
        }
        Ok(())
    }

    /// Drops a pending invite that its sender takes back; those that other servers made stay. Whether the event did that.
    async fn rescind(&self, room: &RoomId, pdu: &Pdu<Verified>) -> Result<bool> {
        let is_end = pdu.kind == "m.room.member" && matches!(pdu.membership(), Some("leave" | "ban"));
        let user = pdu.state_key.as_deref().and_then(|key| UserId::parse(key).ok());
        let (Some(user), true) = (user, is_end) else {
            return Ok(false);
        };
        let invites = self.pending_invites(&user, room)?;
        let is_its =
            |invite: &Pdu<Verified>| pdu.sender == invite.sender && pdu.auth_events.contains(&invite.id);
        if !invites.iter().any(is_its) {
            return Ok(false);
        }
        let update = Update::Membership {
            room: room.clone(),
            user: user.clone(),
            membership: pdu.membership().unwrap_or("leave").into(),
            sender: pdu.sender.clone(),
        };
        let rescind = Write::Rescind {
            user,
            room: room.clone(),
            server: ServerName::parse(pdu.sender.server())?,
            update: Box::new(update),
        };
        self.commit(vec![rescind]).await?;
        Ok(true)
    }
}

/// The PDUs by the room that they name, in the order of the transaction within each.
fn by_room(pdus: Vec<RawValue>) -> BTreeMap<RoomId, Vec<RawValue>> {
    let mut rooms: BTreeMap<RoomId, Vec<RawValue>> = BTreeMap::new();
    for pdu in pdus {
        let room = pdu.as_raw().get("room_id").and_then(Raw::as_str);
        if let Some(Ok(room)) = room.map(|room| RoomId::parse(&room)) {
            rooms.entry(room).or_default().push(pdu);
        }
    }
    rooms
}

/// Takes what can be taken; what waits for others is staged in the same commit, as far as there are places. What had to
/// make way for it, if anything was staged.
fn take_or_stage(
    room: &mut crate::room::OpenRoom,
    pdus: Vec<(Pdu<Verified>, Arrival)>,
    origin: &ServerName,
    limit: usize,
    results: &mut Results,
) -> Result<Option<Vec<Waiting>>> {
    let (mut places, mut gone) = (None, None);
    for (pdu, arrival) in pdus {
        let result = match room.ingest(&pdu, arrival)? {
            Outcome::Accepted | Outcome::Known | Outcome::SoftFailed(_) => Ok(()),
            Outcome::Rejected(denied) => Err(Error::new(Code::Denied, denied.to_string())),
            Outcome::Dropped(about) => Err(Error::new(Code::BadEvent, about)),
            Outcome::Missing(_) => {
                let places = match &mut places {
                    Some(places) => places,
                    None => places.insert(room.places(limit)?),
                };
                let staged = StagedPdu {
                    room: room.num(),
                    event: pdu.id.clone(),
                    origin: origin.clone(),
                    json: pdu.to_json().into_boxed_str(),
                };
                match room.stage(places, staged, pdu.origin()) {
                    Place::Had => Ok(()),
                    Place::Given(others) => {
                        gone.get_or_insert_with(Vec::new).extend(others);
                        Ok(())
                    }
                    Place::None { taken, own } => {
                        let about = format!(
                            "what waits in room {} has {taken} places already, {own} of them for {origin} and its like",
                            room.id()
                        );
                        Err(Error::new(Code::Busy, about))
                    }
                }
            }
        };
        results.insert(pdu.id.clone(), result);
    }
    Ok(gone)
}

fn reply(results: &Results) -> Map {
    let pdus = results.iter().map(|(id, result)| {
        let entry = match result {
            Ok(()) => Map::new(),
            Err(error) => Map::from([("error".to_owned(), Value::from(error.for_peers()))]),
        };
        (id.as_str().to_owned(), Value::Object(entry))
    });
    Map::from([("pdus".to_owned(), Value::Object(pdus.collect()))])
}
