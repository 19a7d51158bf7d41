//! Events of this server's users: drafted on the room's extremities, signed, taken like any other, sent out.

use super::{
    ingest::{Arrival, Outcome},
    open::OpenRoom,
};
use roomlet_room::{auth, graph, state::StateMap};
use roomlet_store::{OutboxItem, Write};
use roomlet_wire::{
    Code, Error, EventId, EventNum, Map, Pdu, Result, ServerName, SlotNum, UserId, Value, Verified,
    pdu::Draft, sign::KeyPair, version::EventFormat,
};
use std::collections::{BTreeMap, BTreeSet};

/// Holds nothing and is shown to nobody: it exists to follow many events, so that there is one newest again (EC-6;
/// the type is Synapse's, which hides it too).
pub(crate) const DUMMY_EVENT: &str = "org.matrix.dummy_event";
/// How often a server may make such events in a room, in milliseconds: if each of many servers answered those of the
/// others, there would be no end of it.
const MERGE_EVERY_MS: i64 = 600_000;
/// Such events made at once, at most.
const MERGES: usize = 5;

/// How an event is taken. In a box, so that what takes it is compiled once.
pub(crate) type Ingest = Box<dyn FnOnce(&mut OpenRoom, &Pdu<Verified>) -> Result<Outcome> + Send>;

/// An event to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    /// `type`.
    pub(crate) kind: String,
    /// Present for state events.
    pub(crate) state_key: Option<String>,
    /// `content`.
    pub(crate) content: Map,
    /// The event that it redacts.
    pub(crate) redacts: Option<EventId>,
}

impl Outgoing {
    /// A state event.
    pub(crate) fn state(kind: &str, state_key: &str, content: Map) -> Self {
        Self {
            kind: kind.into(),
            state_key: Some(state_key.into()),
            content,
            redacts: None,
        }
    }

    /// A member event.
    pub(crate) fn member(user: &UserId, membership: &str, reason: Option<&str>) -> Self {
        let mut content = Map::from([("membership".to_owned(), Value::from(membership))]);
        if let Some(reason) = reason {
            content.insert("reason".into(), Value::from(reason));
        }
        Self::state("m.room.member", user, content)
    }
}

impl OpenRoom {
    /// An event of `sender` after the room's extremities, with the auth events that it needs (EC-2, AUTH-20).
    pub(crate) fn draft(&mut self, sender: &UserId, outgoing: Outgoing, now: i64) -> Result<Draft> {
        let Outgoing {
            kind,
            state_key,
            content,
            ..
        } = &outgoing;
        let wanted = auth::select(self.version(), kind, sender, state_key.as_deref(), content);
        let (prev, state) = self.parents(&wanted)?;
        let mut depths = Vec::with_capacity(prev.len());
        let mut prev_events = Vec::with_capacity(prev.len());
        let mut cited = Vec::new();
        for num in prev {
            let held = self.get(num)?;
            depths.push(held.pdu().depth);
            prev_events.push(held.pdu().id.clone());
            cited.push(held);
        }
        let mut auth_events = Vec::with_capacity(wanted.len());
        for (kind, key) in wanted {
            if let Some(held) = self.in_state(&state, &kind, &key)? {
                auth_events.push(held.pdu().id.clone());
                cited.push(held);
            }
        }
        let hashes = match self.version().event_format {
            EventFormat::ServerIds => cited
                .iter()
                .map(|held| (held.pdu().id.clone(), held.pdu().reference_hash()))
                .collect(),
            EventFormat::HashIds | EventFormat::UrlSafeHashIds => BTreeMap::new(),
        };
        let Outgoing {
            kind,
            state_key,
            content,
            redacts,
        } = outgoing;
        let no_id = self.version().room_id_is_create_hash && kind == "m.room.create";
        Ok(Draft {
            room_id: (!no_id).then(|| self.id().clone()),
            sender: sender.clone(),
            kind,
            state_key,
            content,
            prev_events,
            auth_events,
            depth: graph::depth_after(depths),
            origin_server_ts: now,
            redacts,
            hashes,
        })
    }

    /// The extremities that a new event follows, and their state. Where there are too many, those come first that have
    /// the same events as the current state at the slots `wanted`, then the deepest: otherwise a few deep branches from
    /// before a user came would be all that their events follow, and refuse these.
    fn parents(&mut self, wanted: &[(String, String)]) -> Result<(Vec<EventNum>, StateMap)> {
        let forward = self.record.forward.clone();
        if forward.len() <= graph::NEW_EVENT_PREVS {
            return Ok((forward, self.current.clone()));
        }
        let slots: Vec<SlotNum> = wanted
            .iter()
            .filter_map(|(kind, key)| self.slots.get(kind, key))
            .collect();
        let current = self.current.clone();
        let agrees = |state: &StateMap| slots.iter().all(|&slot| state.get(slot) == current.get(slot));
        let (mut agreeing, mut others) = (Vec::new(), Vec::new());
        for num in forward {
            let held = self.get(num)?;
            let depth = held.pdu().depth;
            match held.state_after {
                Some(after) if agrees(&self.states.get(after)?) => agreeing.push((num, depth)),
                _ => others.push((num, depth)),
            }
        }
        let agreeing = graph::prevs_of_new_event(&agreeing);
        let mut prev = graph::prevs_of_new_event(&others);
        prev.truncate(graph::NEW_EVENT_PREVS - agreeing.len());
        prev.extend(&agreeing);
        prev.sort_unstable();
        let state = self.state_after_all(&prev)?;
        if agreeing.is_empty() || agrees(&state) {
            return Ok((prev, state));
        }
        let state = self.state_after_all(&agreeing)?;
        Ok((agreeing, state))
    }

    fn state_after_all(&mut self, prev: &[EventNum]) -> Result<StateMap> {
        let after = self.states_after(prev)?;
        let state = self.resolve(after)?;
        self.states.get(state)
    }

    /// Makes an event of a local user, takes it, and puts it in the outbox of every other server of the room.
    ///
    /// # Errors
    /// `Denied` with the rule that refuses it; what [`Draft::sign`] gives.
    pub(crate) fn send(
        &mut self,
        sender: &UserId,
        outgoing: Outgoing,
        key: &KeyPair,
        now: i64,
    ) -> Result<Pdu<Verified>> {
        let pdu = self
            .draft(sender, outgoing, now)?
            .sign(self.version(), &self.me, key)?;
        self.accept_own(&pdu, None)?;
        Ok(pdu)
    }

    /// Takes a finished event of a local user (or one that this server vouches for, as the resident of a join), and
    /// sends it to the servers in the room before it, except `except`, which has it.
    ///
    /// # Errors
    /// `Denied` with the rule that refuses it.
    pub(crate) fn accept_own(&mut self, pdu: &Pdu<Verified>, except: Option<&ServerName>) -> Result<()> {
        let outcome = self.relaying(pdu, except, Arrival::LIVE.ingest())?;
        self.check_taken(pdu, outcome)
    }

    /// Refuses an event that has not become part of the room.
    ///
    /// # Errors
    /// As [`accept_own`](Self::accept_own).
    pub(crate) fn check_taken(&self, pdu: &Pdu<Verified>, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Accepted => Ok(()),
            Outcome::Known => self.check_held(pdu),
            Outcome::Rejected(denied) => Err(refused(pdu, &denied.to_string())),
            Outcome::SoftFailed(rule) => Err(refused(pdu, &rule)),
            Outcome::Dropped(about) => Err(Error::new(Code::BadEvent, about)),
            Outcome::Missing(missing) => {
                let about = format!("event {} cites events that are not held: {missing:?}", pdu.id);
                Err(Error::new(Code::UnknownEvent, about))
            }
        }
    }

    /// Takes an event, and if it becomes part of the room sends it to the servers in the room before it, except `except`:
    /// in one commit, as nobody would send it later.
    pub(crate) fn relaying(
        &mut self,
        pdu: &Pdu<Verified>,
        except: Option<&ServerName>,
        take: Ingest,
    ) -> Result<Outcome> {
        let mut destinations: BTreeSet<ServerName> = self.servers.keys().cloned().collect();
        self.add_target_server(pdu, &mut destinations)?;
        let outcome = take(self, pdu)?;
        let held = match outcome {
            Outcome::Accepted | Outcome::Known => self.find(&pdu.id)?,
            _ => None,
        };
        let Some(held) = held.filter(|held| !held.is_refused()) else {
            return Ok(outcome);
        };
        let (room, event) = (self.num(), held.node.num);
        for destination in destinations {
            if destination != self.me && Some(&destination) != except {
                self.writes.push(Write::Outbox {
                    destination,
                    item: OutboxItem::Pdu { room, event },
                });
            }
        }
        Ok(outcome)
    }

    /// Refuses an event that was refused when it came first.
    pub(crate) fn check_held(&self, pdu: &Pdu<Verified>) -> Result<()> {
        let held = self.find(&pdu.id)?;
        if held.is_some_and(|held| held.is_refused()) {
            return Err(refused(pdu, "it was refused before"));
        }
        Ok(())
    }

    /// Whether there are more forward extremities than a new event follows, and they may be merged again now.
    pub(crate) fn is_crowded(&self, now: i64) -> bool {
        self.record.forward.len() > graph::NEW_EVENT_PREVS
            && now.saturating_sub(self.merged_at) >= MERGE_EVERY_MS
    }

    /// Merges forward extremities: each one more makes every new event costlier to resolve, and a peer can make any
    /// number of them (EC-6, TM-8). Without a local user who may send, nothing happens.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn merge_extremities(&mut self, key: &KeyPair, now: i64) -> Result<()> {
        if !self.is_crowded(now) {
            return Ok(());
        }
        self.merged_at = now;
        let needed = self.current_levels()?.levels().to_send(DUMMY_EVENT, false);
        let Some(sender) = self.local_user_with(needed)? else {
            return Ok(());
        };
        for _ in 0..MERGES {
            if self.record.forward.len() > graph::NEW_EVENT_PREVS {
                let dummy = Outgoing {
                    kind: DUMMY_EVENT.into(),
                    ..Outgoing::default()
                };
                self.send(&sender, dummy, key, now)?;
            }
        }
        Ok(())
    }

    /// A rescinded invite goes to the server of the invited user too, though it is not in the room (FED-24).
    fn add_target_server(&self, pdu: &Pdu<Verified>, destinations: &mut BTreeSet<ServerName>) -> Result<()> {
        let Some(target) = pdu.state_key.as_deref().filter(|_| pdu.kind == "m.room.member") else {
            return Ok(());
        };
        if target == pdu.sender.as_str() || !matches!(pdu.membership(), Some("leave" | "ban")) {
            return Ok(());
        }
        let Ok(target) = UserId::parse(target) else {
            return Ok(());
        };
        if matches!(self.membership(&target)?.as_str(), "invite" | "knock") {
            destinations.extend(ServerName::parse(target.server()).ok());
        }
        Ok(())
    }

    /// The event that a local command with this transaction id made before.
    pub(crate) fn earlier_result(&self, user: &UserId, txn_id: &str) -> Result<Option<EventId>> {
        let txn_id = self.txn_key(txn_id);
        let waiting = self.writes.iter().find_map(|write| match write {
            Write::ClientTxn {
                user: of,
                txn_id: id,
                result,
            } if of == user && *id == txn_id => Some(result.clone()),
            _ => None,
        });
        match waiting {
            Some(event) => Ok(Some(event)),
            None => self.store.client_txn(user, &txn_id),
        }
    }

    /// Remembers what a local command with a transaction id made.
    pub(crate) fn remember_result(&mut self, user: &UserId, txn_id: &str, result: &EventId) {
        let txn_id = self.txn_key(txn_id);
        self.writes.push(Write::ClientTxn {
            user: user.clone(),
            txn_id,
            result: result.clone(),
        });
    }

    /// Transaction ids are the client's own in each room, and are forgotten with it.
    fn txn_key(&self, txn_id: &str) -> String {
        format!("{} {txn_id}", self.num().0)
    }
}

fn refused(pdu: &Pdu<Verified>, rule: &str) -> Error {
    Error::new(
        Code::Denied,
        format!("{} of {} is not allowed: {rule}", pdu.kind, pdu.sender),
    )
}
