//! Applying a commit in memory.

use super::{Data, RoomData};
use crate::invite;
use crate::model::*;
use roomlet_wire::{
    Code, Error, EventId, EventNum, Result, RoomId, RoomNum, ServerName, StateNum, StreamPos, UserId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

impl Data {
    /// Applies `commit` whole, or not at all.
    pub(super) fn commit(&mut self, commit: Commit) -> Result<StreamPos> {
        self.check_numbers(&commit)?;
        for write in commit.writes {
            self.apply(write);
        }
        Ok(self.last_update)
    }

    /// The only way for a commit to fail: a number or id that stands for something else already.
    fn check_numbers(&self, commit: &Commit) -> Result<()> {
        let mut rooms = Bijection::<RoomNum, &RoomId>::default();
        let mut events = Bijection::<(RoomNum, EventNum), (RoomNum, &EventId)>::default();
        for write in &commit.writes {
            match write {
                Write::Room(record) => {
                    let id_held = self.rooms.get(&record.num).and_then(|room| room.record.as_ref());
                    let num_held = self.room_nums.get(&record.id).copied();
                    if !rooms.agrees(record.num, &record.id, id_held.map(|held| &held.id), num_held) {
                        return Err(reused(&record.id, record.num.0));
                    }
                }
                Write::Event { room, row } => {
                    let data = self.rooms.get(room);
                    let held = data.and_then(|data| data.events.get(&row.num));
                    let num_held = data.and_then(|data| data.event_nums.get(&row.id));
                    if !events.agrees(
                        (*room, row.num),
                        (*room, &row.id),
                        held.map(|held| (*room, &held.id)),
                        num_held.map(|num| (*room, *num)),
                    ) {
                        return Err(reused(&row.id, row.num.0));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Room(record) => {
                let num = record.num;
                self.room_nums.insert(record.id.clone(), num);
                self.room(num).record = Some(record);
            }
            Write::Slot {
                room,
                slot,
                kind,
                state_key,
            } => {
                self.room(room).slots.insert(slot, (kind, state_key));
            }
            Write::State { room, row } => {
                self.room(room).states.insert(row.num, row);
            }
            Write::Event { room, row } => self.room(room).insert_event(row),
            Write::MissingPrev { room, missing, child } => {
                self.room(room).missing_prevs.insert((missing, child));
            }
            Write::FoundPrev { room, missing } => {
                keep_pairs(&mut self.room(room).missing_prevs, &|id, _| *id != missing);
            }
            Write::Redaction { room, target, by } => {
                self.room(room).redactions.insert((target, by));
            }
            Write::Member {
                room,
                user,
                membership: Some(held),
            } => {
                self.room(room).members.insert(user, held);
            }
            Write::Member {
                room,
                user,
                membership: None,
            } => {
                self.room(room).members.remove(&user);
            }
            Write::Invite(row) => self.invite(row),
            Write::DropInvite { user, room } => {
                self.invites.remove(&(user, room));
            }
            Write::Rescind {
                user,
                room,
                server,
                update,
            } => {
                if self.rescind((user, room), &server) {
                    self.update(*update);
                }
            }
            Write::Update(update) => self.update(update),
            Write::Purge { room, events, states } => self.purge(room, &events, &states),
            Write::Forget { room, id } => self.forget(room, &id),
            Write::TrimUpdates(up_to) => keep_updates(&mut self.updates, &|pos, _| pos > up_to),
            Write::Account(user) => {
                self.accounts.insert(user);
            }
            Write::ClientTxn { user, txn_id, result } => {
                self.client_txns.entry((user, txn_id)).or_insert(result);
            }
            Write::TxnReply {
                origin,
                txn_id,
                body,
                now,
            } => {
                self.txn_replies.insert((origin, txn_id), (body, now));
            }
            Write::TrimTxnReplies(before) => self.txn_replies.retain(|_, (_, at)| *at >= before),
            Write::Stage(pdu) => self.stage(pdu),
            Write::Unstage { room, event } => {
                self.unstage(&|pdu| pdu.room == room && pdu.event == event);
            }
            Write::Outbox { destination, item } => {
                self.last_outbox += 1;
                self.outbox
                    .entry(destination)
                    .or_default()
                    .insert(self.last_outbox, item);
            }
            Write::OutboxDone { destination, up_to } => {
                if let Some(rows) = self.outbox.get_mut(&destination) {
                    keep_owed(rows, &mut |seq, _| seq > up_to);
                    if rows.is_empty() {
                        self.outbox.remove(&destination);
                    }
                }
            }
            Write::OutboxCollapse { destination } => {
                if let Some(rows) = self.outbox.get_mut(&destination) {
                    collapse(rows);
                }
            }
            Write::Destination { destination, row } => {
                self.destinations.insert(destination, row);
            }
            Write::Key(row) => self.key(row),
            Write::OwnKey(key) => {
                self.own_keys.insert(key.id.clone(), key);
            }
            Write::Meta { name, value } => {
                self.meta.insert(name, value);
            }
        }
    }

    /// Not copied to where it is called: that makes the library larger by a hundredth.
    #[inline(never)]
    fn room(&mut self, room: RoomNum) -> &mut RoomData {
        self.rooms.entry(room).or_default()
    }

    #[inline(never)]
    fn update(&mut self, update: Update) {
        self.last_update.0 += 1;
        self.updates.insert(self.last_update, update);
    }

    fn invite(&mut self, row: InviteRow) {
        let server = invite::server(&row.event_json);
        let key = (row.user.clone(), row.room.clone());
        let rows = self.invites.entry(key).or_default();
        match rows
            .iter_mut()
            .find(|held| invite::server(&held.event_json) == server)
        {
            Some(held) => *held = row,
            None => rows.push(row),
        }
    }

    /// Takes the invite of a server away; whether it was the last one.
    fn rescind(&mut self, key: (UserId, RoomId), server: &str) -> bool {
        let Some(rows) = self.invites.get_mut(&key) else {
            return false;
        };
        rows.retain(|row| invite::server(&row.event_json) != server);
        rows.is_empty() && self.invites.remove(&key).is_some()
    }

    fn purge(&mut self, room: RoomNum, events: &[EventNum], states: &[StateNum]) {
        let data = self.rooms.entry(room).or_default();
        for num in events {
            if let Some(row) = data.events.remove(num) {
                data.event_nums.remove(&row.id);
                data.timeline.remove(&TimelinePos {
                    depth: row.depth,
                    num: row.num,
                });
            }
        }
        for num in states {
            data.states.remove(num);
        }
        let held = &data.events;
        keep_pairs(&mut data.missing_prevs, &|_, child| held.contains_key(&child));
        keep_pairs(&mut data.redactions, &|_, by| held.contains_key(&by));
        keep_owed_to_all(&mut self.outbox, &mut |item| match item {
            OutboxItem::Pdu { room: of, event } => *of != room || held.contains_key(event),
            OutboxItem::Forgotten { .. } | OutboxItem::Edu(_) => true,
        });
        let Some(id) = data.record.as_ref().map(|record| &record.id) else {
            return;
        };
        let nums = &data.event_nums;
        keep_updates(&mut self.updates, &|_, update| match update {
            Update::Event { room, event }
            | Update::State {
                room,
                event: Some(event),
                ..
            } => room != id || nums.contains_key(event),
            _ => true,
        });
    }

    fn forget(&mut self, room: RoomNum, id: &RoomId) {
        let events = self
            .rooms
            .remove(&room)
            .map(|data| data.events)
            .unwrap_or_default();
        self.room_nums.remove(id);
        self.invites.retain(|(_, of), _| of != id);
        self.unstage(&|pdu| pdu.room == room);
        let results = format!("{} ", room.0);
        self.client_txns
            .retain(|(_, txn_id), _| !txn_id.starts_with(&results));
        keep_owed_to_all(&mut self.outbox, &mut |item| {
            let owed = match item {
                OutboxItem::Pdu { room: of, event } if *of == room => events.get(event),
                _ => return true,
            };
            let Some(row) = owed else { return false };
            let json = row.json.to_string();
            *item = OutboxItem::Forgotten { room, json };
            true
        });
        keep_updates(&mut self.updates, &|_, update| update.room() != id);
    }

    /// A PDU that comes again keeps its place and takes the newer origin: that server has just shown to be up.
    fn stage(&mut self, pdu: StagedPdu) {
        match self
            .staged
            .values_mut()
            .find(|held| held.room == pdu.room && held.event == pdu.event)
        {
            Some(held) => *held = pdu,
            None => {
                self.last_staged += 1;
                self.staged.insert(self.last_staged, pdu);
            }
        }
    }

    fn unstage(&mut self, is_done: &dyn Fn(&StagedPdu) -> bool) {
        self.staged.retain(|_, pdu| !is_done(pdu));
    }

    /// FED-17: a known id keeps its key; validity grows only by a row with that same key.
    fn key(&mut self, row: KeyRow) {
        let held = self
            .keys
            .entry((row.server.clone(), row.id.clone()))
            .or_insert_with(|| row.clone());
        if held.key == row.key {
            held.valid_until = held.valid_until.max(row.valid_until);
            held.expired_at = row.expired_at.or(held.expired_at);
        }
    }
}

impl RoomData {
    fn insert_event(&mut self, row: EventRow) {
        let pos = TimelinePos {
            depth: row.depth,
            num: row.num,
        };
        if let Some(old) = self.events.get(&row.num) {
            self.timeline.remove(&TimelinePos {
                depth: old.depth,
                num: old.num,
            });
        }
        if row.flags.is_shown() {
            self.timeline.insert(pos);
        }
        self.event_nums.insert(row.id.clone(), row.num);
        self.events.insert(row.num, row);
    }
}

fn keep_pairs(pairs: &mut BTreeSet<(EventId, EventNum)>, keep: &dyn Fn(&EventId, EventNum) -> bool) {
    pairs.retain(|(id, num)| keep(id, *num));
}

fn keep_updates(updates: &mut BTreeMap<StreamPos, Update>, keep: &dyn Fn(StreamPos, &Update) -> bool) {
    updates.retain(|pos, update| keep(*pos, update));
}

fn keep_owed(rows: &mut BTreeMap<u64, OutboxItem>, keep: &mut dyn FnMut(u64, &mut OutboxItem) -> bool) {
    rows.retain(|seq, item| keep(*seq, item));
}

/// As [`keep_owed`], of what is owed to any server.
fn keep_owed_to_all(
    outbox: &mut HashMap<ServerName, BTreeMap<u64, OutboxItem>>,
    keep: &mut dyn FnMut(&mut OutboxItem) -> bool,
) {
    for rows in outbox.values_mut() {
        keep_owed(rows, &mut |_, item| keep(item));
    }
    outbox.retain(|_, rows| !rows.is_empty());
}

/// Keeps the newest PDU of each room, and every EDU.
fn collapse(rows: &mut BTreeMap<u64, OutboxItem>) {
    let mut newer = BTreeSet::new();
    let mut superseded = Vec::new();
    for (seq, item) in rows.iter().rev() {
        if let OutboxItem::Pdu { room, .. } | OutboxItem::Forgotten { room, .. } = item
            && !newer.insert(*room)
        {
            superseded.push(*seq);
        }
    }
    for seq in superseded {
        rows.remove(&seq);
    }
}

/// The pairs of number and id that one commit brings.
struct Bijection<N, I> {
    ids: HashMap<N, I>,
    nums: HashMap<I, N>,
}

impl<N, I> Default for Bijection<N, I> {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            nums: HashMap::new(),
        }
    }
}

impl<N: Hash + Eq + Copy, I: Hash + Eq + Copy> Bijection<N, I> {
    /// Adds a pair; whether it agrees with those added before and with what is `held` under number and id.
    fn agrees(&mut self, num: N, id: I, id_held: Option<I>, num_held: Option<N>) -> bool {
        *self.ids.entry(num).or_insert(id_held.unwrap_or(id)) == id
            && *self.nums.entry(id).or_insert(num_held.unwrap_or(num)) == num
    }
}

fn reused(id: &str, num: u32) -> Error {
    Error::new(
        Code::Store,
        format!("memory: {id} cannot have number {num}: one of the two is taken"),
    )
}
