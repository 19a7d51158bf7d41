//! The store in memory: the reference for the others, and the one that simulations run on.

mod apply;

use crate::invite;
use crate::model::*;
use crate::store::Store;
use async_trait::async_trait;
use roomlet_wire::{
    Code, Error, EventId, EventNum, KeyId, Result, RoomId, RoomNum, ServerName, SlotNum, StateNum, StreamPos,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A [`Store`] without a disk: a commit is "durable" at once and as long as the value lives.
///
/// Shared by `Arc`, it outlives the homeserver that writes to it: opening another one on it is a restart.
/// Deterministic: the same commits in the same order give the same answers.
#[derive(Default, Debug)]
pub struct MemoryStore {
    data: Mutex<Data>,
}

/// All that is stored: in ordered maps what is given as a list.
#[derive(Default, Debug)]
struct Data {
    rooms: BTreeMap<RoomNum, RoomData>,
    room_nums: HashMap<RoomId, RoomNum>,
    /// Of each server that made one; none of the lists is empty.
    invites: BTreeMap<(UserId, RoomId), Vec<InviteRow>>,
    updates: BTreeMap<StreamPos, Update>,
    last_update: StreamPos,
    accounts: BTreeSet<UserId>,
    client_txns: HashMap<(UserId, String), EventId>,
    /// The reply, and when it was given.
    txn_replies: HashMap<(ServerName, String), (String, i64)>,
    staged: BTreeMap<u64, StagedPdu>,
    last_staged: u64,
    outbox: HashMap<ServerName, BTreeMap<u64, OutboxItem>>,
    last_outbox: u64,
    destinations: HashMap<ServerName, DestinationRow>,
    keys: BTreeMap<(ServerName, KeyId), KeyRow>,
    own_keys: BTreeMap<KeyId, OwnKey>,
    meta: HashMap<String, String>,
}

/// All of one room.
#[derive(Default, Debug)]
struct RoomData {
    record: Option<RoomRecord>,
    slots: BTreeMap<SlotNum, (String, String)>,
    states: BTreeMap<StateNum, StateRow>,
    events: BTreeMap<EventNum, EventRow>,
    event_nums: HashMap<EventId, EventNum>,
    /// Events that users may see.
    timeline: BTreeSet<TimelinePos>,
    missing_prevs: BTreeSet<(EventId, EventNum)>,
    redactions: BTreeSet<(EventId, EventNum)>,
    members: BTreeMap<UserId, (String, EventNum)>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The data. A panic elsewhere cannot leave a commit half done: applying one has no way to fail once begun.
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `read` finds in a room; the default if nothing of the room is stored.
    fn in_room<T: Default>(&self, room: RoomNum, read: impl FnOnce(&RoomData) -> T) -> T {
        self.data().rooms.get(&room).map(read).unwrap_or_default()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<StreamPos> {
        self.data().commit(commit)
    }

    async fn shrink(&self) -> Result<()> {
        Ok(())
    }

    fn backup(&self, to: &Path) -> Result<()> {
        let about = format!(
            "backup to {}: the store is in memory and has no file",
            to.display()
        );
        Err(Error::new(Code::BadParam, about))
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn mend(&self) -> Result<()> {
        Ok(())
    }

    fn room(&self, id: &RoomId) -> Result<Option<RoomRecord>> {
        let data = self.data();
        let room = data.room_nums.get(id).and_then(|num| data.rooms.get(num));
        Ok(room.and_then(|room| room.record.clone()))
    }

    fn room_id(&self, room: RoomNum) -> Result<Option<RoomId>> {
        Ok(self.in_room(room, |room| room.record.as_ref().map(|record| record.id.clone())))
    }

    fn rooms(&self) -> Result<Vec<(RoomNum, RoomId)>> {
        let data = self.data();
        let records = data.rooms.values().filter_map(|room| room.record.as_ref());
        Ok(records.map(|record| (record.num, record.id.clone())).collect())
    }

    fn next_room(&self) -> Result<RoomNum> {
        let last = self.data().room_nums.values().max().map_or(0, |num| num.0);
        Ok(RoomNum(last + 1))
    }

    fn slots(&self, room: RoomNum) -> Result<Vec<(SlotNum, String, String)>> {
        Ok(self.in_room(room, |room| {
            room.slots
                .iter()
                .map(|(slot, (kind, key))| (*slot, kind.clone(), key.clone()))
                .collect()
        }))
    }

    fn state(&self, room: RoomNum, state: StateNum) -> Result<Option<StateRow>> {
        Ok(self.in_room(room, |room| room.states.get(&state).cloned()))
    }

    fn state_nums(&self, room: RoomNum) -> Result<Vec<StateNum>> {
        Ok(self.in_room(room, |room| room.states.keys().copied().collect()))
    }

    fn event(&self, room: RoomNum, id: &EventId) -> Result<Option<EventRow>> {
        Ok(self.in_room(room, |room| {
            room.event_nums
                .get(id)
                .and_then(|num| room.events.get(num))
                .cloned()
        }))
    }

    fn event_by_num(&self, room: RoomNum, num: EventNum) -> Result<Option<EventRow>> {
        Ok(self.in_room(room, |room| room.events.get(&num).cloned()))
    }

    fn event_nums(&self, room: RoomNum) -> Result<Vec<EventNum>> {
        Ok(self.in_room(room, |room| room.events.keys().copied().collect()))
    }

    fn find_event(&self, id: &EventId) -> Result<Vec<(RoomNum, EventNum)>> {
        let data = self.data();
        let found = data
            .rooms
            .iter()
            .filter_map(|(num, room)| Some((*num, *room.event_nums.get(id)?)));
        Ok(found.collect())
    }

    fn timeline(
        &self,
        room: RoomNum,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<EventRow>> {
        Ok(self.in_room(room, |room| {
            let event = |pos: &TimelinePos| room.events.get(&pos.num).cloned();
            let from = from.map_or(Bound::Unbounded, Bound::Excluded);
            match direction {
                Direction::Forward => room
                    .timeline
                    .range((from, Bound::Unbounded))
                    .filter_map(event)
                    .take(limit)
                    .collect(),
                Direction::Backward => {
                    let range = room.timeline.range((Bound::Unbounded, from));
                    range.rev().filter_map(event).take(limit).collect()
                }
            }
        }))
    }

    fn missing_prevs(&self, room: RoomNum) -> Result<Vec<(EventId, EventNum)>> {
        Ok(self.in_room(room, |room| room.missing_prevs.iter().cloned().collect()))
    }

    fn redactions_of(&self, room: RoomNum, target: &EventId) -> Result<Vec<EventNum>> {
        Ok(self.in_room(room, |room| {
            let from = room.redactions.range((target.clone(), EventNum(0))..);
            from.take_while(|(of, _)| of == target)
                .map(|(_, by)| *by)
                .collect()
        }))
    }

    fn members(&self, room: RoomNum, membership: Option<&str>) -> Result<Vec<MemberRow>> {
        Ok(self.in_room(room, |room| {
            let rows = room.members.iter().map(member_row);
            rows.filter(|row| membership.is_none_or(|wanted| wanted == row.membership))
                .collect()
        }))
    }

    fn member(&self, room: RoomNum, user: &UserId) -> Result<Option<MemberRow>> {
        Ok(self.in_room(room, |room| room.members.get_key_value(user).map(member_row)))
    }

    fn joined_servers(&self, room: RoomNum) -> Result<Vec<(ServerName, u32)>> {
        let counts = self.in_room(room, |room| {
            let mut counts = BTreeMap::<String, u32>::new();
            for (user, (membership, _)) in &room.members {
                if membership == "join" {
                    *counts.entry(user.server().to_owned()).or_default() += 1;
                }
            }
            counts
        });
        counts
            .into_iter()
            .map(|(name, count)| Ok((ServerName::parse(&name)?, count)))
            .collect()
    }

    fn user_rooms(&self, user: &UserId) -> Result<Vec<UserRoom>> {
        let data = self.data();
        let mut rooms = BTreeMap::new();
        for room in data.rooms.values() {
            if let (Some(record), Some((membership, _))) = (&room.record, room.members.get(user)) {
                rooms.insert(record.id.clone(), membership.clone());
            }
        }
        for ((invited, room), invites) in &data.invites {
            if invited == user && rooms.get(room).is_none_or(|held| held != "join") {
                rooms.extend(invites.first().map(|row| (room.clone(), invite::membership(row))));
            }
        }
        Ok(rooms
            .into_iter()
            .map(|(room, membership)| UserRoom { room, membership })
            .collect())
    }

    fn invites(&self, user: &UserId, room: &RoomId) -> Result<Vec<InviteRow>> {
        let key = (user.clone(), room.clone());
        Ok(self.data().invites.get(&key).cloned().unwrap_or_default())
    }

    fn invite_count(&self, user: &UserId) -> Result<u64> {
        let data = self.data();
        let of_user = data.invites.iter().filter(|((invited, _), _)| invited == user);
        Ok(of_user.map(|(_, rows)| rows.len() as u64).sum())
    }

    fn updates(&self, after: StreamPos, max: usize) -> Result<Vec<(StreamPos, Update)>> {
        let data = self.data();
        let range = data.updates.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(range
            .take(max)
            .map(|(pos, update)| (*pos, update.clone()))
            .collect())
    }

    fn last_update(&self) -> Result<StreamPos> {
        Ok(self.data().last_update)
    }

    fn accounts(&self) -> Result<Vec<UserId>> {
        Ok(self.data().accounts.iter().cloned().collect())
    }

    fn has_account(&self, user: &UserId) -> Result<bool> {
        Ok(self.data().accounts.contains(user))
    }

    fn client_txn(&self, user: &UserId, txn_id: &str) -> Result<Option<EventId>> {
        Ok(self
            .data()
            .client_txns
            .get(&(user.clone(), txn_id.to_owned()))
            .cloned())
    }

    fn txn_reply(&self, origin: &ServerName, txn_id: &str) -> Result<Option<String>> {
        let key = (origin.clone(), txn_id.to_owned());
        Ok(self.data().txn_replies.get(&key).map(|(body, _)| body.clone()))
    }

    fn rooms_with_staged(&self) -> Result<Vec<RoomNum>> {
        let data = self.data();
        let rooms: BTreeSet<RoomNum> = data.staged.values().map(|pdu| pdu.room).collect();
        Ok(rooms.into_iter().collect())
    }

    fn staged(&self, room: Option<RoomNum>) -> Result<Vec<StagedPdu>> {
        let data = self.data();
        let rows = data.staged.values();
        Ok(rows
            .filter(|pdu| room.is_none_or(|room| room == pdu.room))
            .cloned()
            .collect())
    }

    fn owed(&self) -> Result<Vec<ServerName>> {
        let data = self.data();
        let in_flight = data
            .destinations
            .iter()
            .filter(|(_, row)| row.in_flight.is_some());
        let owed: BTreeSet<_> = data
            .outbox
            .keys()
            .chain(in_flight.map(|(name, _)| name))
            .collect();
        Ok(owed.into_iter().cloned().collect())
    }

    fn outbox(&self, destination: &ServerName, max: usize) -> Result<Vec<OutboxRow>> {
        let data = self.data();
        let rows = data.outbox.get(destination).into_iter().flatten();
        Ok(rows
            .take(max)
            .map(|(seq, item)| OutboxRow {
                seq: *seq,
                item: item.clone(),
            })
            .collect())
    }

    fn outbox_len(&self, destination: &ServerName) -> Result<u64> {
        Ok(self
            .data()
            .outbox
            .get(destination)
            .map_or(0, |rows| rows.len() as u64))
    }

    fn destination(&self, destination: &ServerName) -> Result<DestinationRow> {
        Ok(self
            .data()
            .destinations
            .get(destination)
            .cloned()
            .unwrap_or_default())
    }

    fn keys(&self, server: &ServerName) -> Result<Vec<KeyRow>> {
        let data = self.data();
        let rows = data.keys.iter().filter(|((of, _), _)| of == server);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    fn own_keys(&self) -> Result<Vec<OwnKey>> {
        Ok(self.data().own_keys.values().cloned().collect())
    }

    fn meta(&self, name: &str) -> Result<Option<String>> {
        Ok(self.data().meta.get(name).cloned())
    }
}

fn member_row((user, (membership, event)): (&UserId, &(String, EventNum))) -> MemberRow {
    MemberRow {
        user: user.clone(),
        membership: membership.clone(),
        event: *event,
    }
}
