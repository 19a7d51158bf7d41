//! Reading: the connections for it, and each read as one statement or in one transaction, so that it sees one moment.

use super::codec::{self, Id, from_position, key, position};
use super::fault::Fault;
use super::row::{self, all, event_id, get, one, parsed, select_event};
use super::{SqliteStore, connect};
use super::{mend, page::Page, run_ids, runs};
use crate::model::*;
use crate::store::Store;
use async_trait::async_trait;
use roomlet_wire::{
    EventId, EventNum, Result, RoomId, RoomNum, ServerName, SlotNum, StateNum, StreamPos, UserId,
};
use rusqlite::{Connection, Row, params};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// Reads that can run at the same time.
const CONNECTIONS: usize = 4;

/// Connections that only read; `None` inside once closed.
#[derive(Debug)]
pub(super) struct Readers {
    connections: Vec<Mutex<Option<Connection>>>,
    /// Where those wait that find none free, in turn.
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let connections = (0..CONNECTIONS).map(|_| {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(Mutex::new(Some(connection)))
        });
        Ok(Self {
            connections: connections.collect::<Result<_, Fault>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// What `read` returns, on the first connection that is free; `None` if they are closed.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> T) -> Option<T> {
        let free = self
            .connections
            .iter()
            .find_map(|connection| match connection.try_lock() {
                Ok(free) => Some(free),
                Err(TryLockError::Poisoned(free)) => Some(free.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            });
        let connection = free.unwrap_or_else(|| {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
            self.connections[turn]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        });
        connection.as_ref().map(read)
    }

    pub(super) fn close(&self) {
        for connection in &self.connections {
            drop(connection.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// A count of rows as SQLite's `LIMIT`.
fn count(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// The numbers in the keys of a room that `sql` finds.
fn nums<T>(db: &Connection, sql: &str, room: RoomNum, num: fn(u32) -> T) -> Result<Vec<T>, Fault> {
    let read = |row: &Row<'_>| Ok(num(codec::from_key(get(row, 0)?).1));
    all(db, sql, [key(room, 0), key(room, u32::MAX)], read)
}

/// The event with this key.
pub(super) fn event(db: &Connection, key: i64) -> Result<Option<EventRow>, Fault> {
    match one(db, select_event!("WHERE key = ?1"), [key], row::event)? {
        None => runs::event(db, key),
        found => Ok(found),
    }
}

/// Whether there is an event with this key.
pub(super) fn holds(db: &Connection, key: i64) -> Result<bool, Fault> {
    let found = one(db, "SELECT 1 FROM event WHERE key = ?1", [key], |_| Ok(()))?;
    Ok(found.is_some() || runs::holds(db, key)?)
}

/// Whether the event with this key has this id; `None` if there is no such event. Looks at nothing else of it, which may be
/// damaged.
pub(super) fn has_id(db: &Connection, key: i64, id: &EventId) -> Result<Option<bool>, Fault> {
    let id = Id::of(id);
    let sql = "SELECT id = ?2 FROM event WHERE key = ?1";
    match one(db, sql, params![key, id], |row| get(row, 0))? {
        None => runs::has_id(db, key, &id),
        found => Ok(found),
    }
}

/// Whether the room has an event with this id.
pub(super) fn is_in_room(db: &Connection, room: RoomNum, id: &EventId) -> Result<bool, Fault> {
    Ok(places(db, id)?
        .into_iter()
        .any(|key| codec::from_key(key).0 == room))
}

/// The keys of the events with this id, ascending.
fn places(db: &Connection, id: &EventId) -> Result<Vec<i64>, Fault> {
    let sql = "SELECT key FROM event WHERE substr(id, 1, 8) = substr(?1, 1, 8) AND id = ?1";
    let id = Id::of(id);
    let mut keys = all(db, sql, [&id], |row| get(row, 0))?;
    if let Id::Hash(hash) = &id {
        for key in run_ids::find(db, hash)? {
            if runs::has_id(db, key, &id)? == Some(true) {
                keys.push(key);
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<StreamPos> {
        self.write(commit).await
    }

    async fn shrink(&self) -> Result<()> {
        self.give_back().await
    }

    fn backup(&self, to: &Path) -> Result<()> {
        self.copy_to(to)
    }

    fn findings(&self) -> Result<Vec<Finding>> {
        let sql = "PRAGMA integrity_check";
        self.snapshot("findings", |db| {
            let mut found = all(db, sql, [], |row| get::<String>(row, 0))?;
            found.retain(|finding| finding != "ok");
            let mut found: Vec<Finding> = found.into_iter().map(Finding::Structure).collect();
            match mend::look(db) {
                Ok(look) => found.extend(look.found),
                Err(fault) if fault.is_damage() => found.push(Finding::Structure(fault.text())),
                Err(fault) => return Err(fault),
            }
            Ok(found)
        })
    }

    async fn mend(&self) -> Result<()> {
        self.put_right().await
    }

    fn room(&self, id: &RoomId) -> Result<Option<RoomRecord>> {
        let sql = "SELECT num, id, version, forward, current_state, next_event, next_state, next_slot
            FROM room WHERE id = ?1";
        self.read("room", |db| one(db, sql, [id.as_str()], row::room))
    }

    fn room_id(&self, room: RoomNum) -> Result<Option<RoomId>> {
        self.read("room_id", |db| {
            one(db, "SELECT id FROM room WHERE num = ?1", [room.0], |row| {
                parsed(row, 0)
            })
        })
    }

    fn rooms(&self) -> Result<Vec<(RoomNum, RoomId)>> {
        let read = |row: &Row<'_>| Ok((RoomNum(get(row, 0)?), parsed(row, 1)?));
        self.read("rooms", |db| {
            all(db, "SELECT num, id FROM room ORDER BY num", [], read)
        })
    }

    fn next_room(&self) -> Result<RoomNum> {
        let sql = "SELECT coalesce(max(num), 0) + 1 FROM room";
        let num = self.read("next_room", |db| one(db, sql, [], |row| get(row, 0)))?;
        Ok(RoomNum(num.unwrap_or(1)))
    }

    fn slots(&self, room: RoomNum) -> Result<Vec<(SlotNum, String, String)>> {
        let sql = "SELECT slot, type, state_key FROM slot WHERE room = ?1 ORDER BY slot";
        let read = |row: &Row<'_>| Ok((SlotNum(get(row, 0)?), get(row, 1)?, get(row, 2)?));
        self.read("slots", |db| all(db, sql, [room.0], read))
    }

    fn state(&self, room: RoomNum, state: StateNum) -> Result<Option<StateRow>> {
        let sql = "SELECT parent, size, since_checkpoint, changes FROM state WHERE key = ?1";
        self.read("state", |db| {
            one(db, sql, [key(room, state.0)], |row| row::state(row, state))
        })
    }

    fn state_nums(&self, room: RoomNum) -> Result<Vec<StateNum>> {
        let sql = "SELECT key FROM state WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
        self.read("state_nums", |db| nums(db, sql, room, StateNum))
    }

    fn event(&self, room: RoomNum, id: &EventId) -> Result<Option<EventRow>> {
        self.snapshot("event", |db| {
            let places = places(db, id)?.into_iter();
            let in_room = places.filter(|key| codec::from_key(*key).0 == room);
            in_room.map(|key| event(db, key)).next().unwrap_or(Ok(None))
        })
    }

    fn event_by_num(&self, room: RoomNum, num: EventNum) -> Result<Option<EventRow>> {
        self.snapshot("event_by_num", |db| event(db, key(room, num.0)))
    }

    fn event_nums(&self, room: RoomNum) -> Result<Vec<EventNum>> {
        let sql = "SELECT key FROM event WHERE key BETWEEN ?1 AND ?2";
        let mut nums = self.snapshot("event_nums", |db| {
            let mut nums = runs::nums(db, room)?;
            nums.extend(self::nums(db, sql, room, EventNum)?);
            Ok(nums)
        })?;
        nums.sort_unstable();
        // What lists say of a run that is damaged may have left it before.
        nums.dedup();
        Ok(nums)
    }

    fn find_event(&self, id: &EventId) -> Result<Vec<(RoomNum, EventNum)>> {
        let places = self.snapshot("find_event", |db| places(db, id))?;
        let place = |key| {
            let (room, num) = codec::from_key(key);
            (room, EventNum(num))
        };
        Ok(places.into_iter().map(place).collect())
    }

    fn timeline(
        &self,
        room: RoomNum,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<EventRow>> {
        let (sql, end) = match direction {
            Direction::Forward => (
                select_event!(
                    "WHERE key >> 32 = ?1 AND flags & 7 = 0 AND (depth, key) > (?2, ?3)
                    ORDER BY depth, key LIMIT ?4"
                ),
                i64::MIN,
            ),
            Direction::Backward => (
                select_event!(
                    "WHERE key >> 32 = ?1 AND flags & 7 = 0 AND (depth, key) < (?2, ?3)
                    ORDER BY depth DESC, key DESC LIMIT ?4"
                ),
                i64::MAX,
            ),
        };
        let (depth, num) = from.map_or((end, end), |from| (from.depth, key(room, from.num.0)));
        let params = params![key(room, 0) >> 32, depth, num, count(limit)];
        self.snapshot("timeline", |db| {
            let rows = all(db, sql, params, row::event)?;
            let mut page = Page::of(room, (depth, num), direction, limit, rows);
            page.add_runs(db, room)?;
            Ok(page.into_rows())
        })
    }

    fn missing_prevs(&self, room: RoomNum) -> Result<Vec<(EventId, EventNum)>> {
        let sql = "SELECT missing, child FROM missing_prev WHERE room = ?1";
        let read = |row: &Row<'_>| Ok((event_id(row, 0)?, EventNum(get(row, 1)?)));
        let mut found = self.read("missing_prevs", |db| all(db, sql, [room.0], read))?;
        // The order of the column is another than that of the text.
        found.sort_unstable();
        Ok(found)
    }

    fn redactions_of(&self, room: RoomNum, target: &EventId) -> Result<Vec<EventNum>> {
        let sql = "SELECT by FROM redaction WHERE room = ?1 AND target = ?2 ORDER BY by";
        self.read("redactions_of", |db| {
            all(db, sql, params![room.0, Id::of(target)], |row| {
                Ok(EventNum(get(row, 0)?))
            })
        })
    }

    fn members(&self, room: RoomNum, membership: Option<&str>) -> Result<Vec<MemberRow>> {
        let sql = "SELECT user, membership, event FROM member
            WHERE room = ?1 AND (?2 IS NULL OR membership = ?2) ORDER BY user";
        self.read("members", |db| {
            all(db, sql, params![room.0, membership], row::member)
        })
    }

    fn member(&self, room: RoomNum, user: &UserId) -> Result<Option<MemberRow>> {
        let sql = "SELECT user, membership, event FROM member WHERE room = ?1 AND user = ?2";
        self.read("member", |db| {
            one(db, sql, params![room.0, user.as_str()], row::member)
        })
    }

    fn joined_servers(&self, room: RoomNum) -> Result<Vec<(ServerName, u32)>> {
        let sql = "SELECT server, members FROM joined WHERE room = ?1 ORDER BY server";
        let read = |row: &Row<'_>| Ok((parsed(row, 0)?, get(row, 1)?));
        self.read("joined_servers", |db| all(db, sql, [room.0], read))
    }

    fn user_rooms(&self, user: &UserId) -> Result<Vec<UserRoom>> {
        // A pending invite wins over a membership in a room's last known state, unless the user is joined there.
        let sql = "SELECT room.id, member.membership FROM member JOIN room ON room.num = member.room
            WHERE member.user = ?1 AND (member.membership = 'join' OR NOT EXISTS
                (SELECT 1 FROM invite WHERE invite.user = ?1 AND invite.room = room.id))
            UNION ALL
            SELECT invite.room, invite.membership FROM invite
            WHERE invite.user = ?1 AND NOT EXISTS
                (SELECT 1 FROM room JOIN member ON member.room = room.num AND member.user = ?1
                WHERE room.id = invite.room AND member.membership = 'join')
            AND NOT EXISTS (SELECT 1 FROM invite AS earlier
                WHERE earlier.user = ?1 AND earlier.room = invite.room AND earlier.num < invite.num)
            ORDER BY 1";
        let read = |row: &Row<'_>| {
            Ok(UserRoom {
                room: parsed(row, 0)?,
                membership: get(row, 1)?,
            })
        };
        self.read("user_rooms", |db| all(db, sql, [user.as_str()], read))
    }

    fn invites(&self, user: &UserId, room: &RoomId) -> Result<Vec<InviteRow>> {
        let sql = "SELECT user, room, version, event_json, preview_json FROM invite
            WHERE user = ?1 AND room = ?2 ORDER BY num";
        self.read("invites", |db| {
            all(db, sql, [user.as_str(), room.as_str()], row::invite)
        })
    }

    fn invite_count(&self, user: &UserId) -> Result<u64> {
        let sql = "SELECT count(*) FROM invite WHERE user = ?1";
        let count = self.read("invite_count", |db| {
            one(db, sql, [user.as_str()], |row| get(row, 0))
        })?;
        Ok(count.map_or(0, from_position))
    }

    fn updates(&self, after: StreamPos, max: usize) -> Result<Vec<(StreamPos, Update)>> {
        let sql = "SELECT tag, room, event, by, type, state_key, user, membership, sender, pos
            FROM stream WHERE pos > ?1 ORDER BY pos LIMIT ?2";
        let read = |row: &Row<'_>| Ok((StreamPos(from_position(get(row, 9)?)), row::update(row)?));
        self.read("updates", |db| {
            all(db, sql, [position(after.0), count(max)], read)
        })
    }

    fn last_update(&self) -> Result<StreamPos> {
        let last = self.read("last_update", |db| {
            one(db, "SELECT last_update FROM counter", [], |row| get(row, 0))
        })?;
        Ok(StreamPos(last.map_or(0, from_position)))
    }

    fn accounts(&self) -> Result<Vec<UserId>> {
        self.read("accounts", |db| {
            all(db, "SELECT user FROM account ORDER BY user", [], |row| {
                parsed(row, 0)
            })
        })
    }

    fn has_account(&self, user: &UserId) -> Result<bool> {
        let sql = "SELECT 1 FROM account WHERE user = ?1";
        Ok(self
            .read("has_account", |db| one(db, sql, [user.as_str()], |_| Ok(())))?
            .is_some())
    }

    fn client_txn(&self, user: &UserId, txn_id: &str) -> Result<Option<EventId>> {
        let sql = "SELECT result FROM client_txn WHERE user = ?1 AND txn_id = ?2";
        self.read("client_txn", |db| {
            one(db, sql, [user.as_str(), txn_id], |row| event_id(row, 0))
        })
    }

    fn txn_reply(&self, origin: &ServerName, txn_id: &str) -> Result<Option<String>> {
        let sql = "SELECT body FROM txn_reply WHERE origin = ?1 AND txn_id = ?2";
        self.read("txn_reply", |db| {
            one(db, sql, [origin.as_str(), txn_id], |row| get(row, 0))
        })
    }

    fn staged(&self, room: Option<RoomNum>) -> Result<Vec<StagedPdu>> {
        let sql = "SELECT room, event, origin, json FROM staged WHERE ?1 IS NULL OR room = ?1 ORDER BY seq";
        self.read("staged", |db| {
            all(db, sql, [room.map(|room| room.0)], row::staged)
        })
    }

    fn rooms_with_staged(&self) -> Result<Vec<RoomNum>> {
        let sql = "SELECT DISTINCT room FROM staged ORDER BY room";
        self.read("rooms_with_staged", |db| {
            all(db, sql, [], |row| Ok(RoomNum(get(row, 0)?)))
        })
    }

    fn owed(&self) -> Result<Vec<ServerName>> {
        // From one name to the next by index: a destination may have very many rows.
        let sql = "WITH RECURSIVE name (name) AS (
                SELECT min(destination) FROM outbox
                UNION ALL
                SELECT (SELECT min(destination) FROM outbox WHERE destination > name.name)
                FROM name WHERE name.name IS NOT NULL)
            SELECT name FROM name WHERE name IS NOT NULL
            UNION SELECT name FROM destination WHERE txn_id IS NOT NULL ORDER BY 1";
        self.read("owed", |db| all(db, sql, [], |row| parsed(row, 0)))
    }

    fn outbox(&self, destination: &ServerName, max: usize) -> Result<Vec<OutboxRow>> {
        let sql = "SELECT seq, room, event, edu FROM outbox WHERE destination = ?1 ORDER BY seq LIMIT ?2";
        self.read("outbox", |db| {
            all(db, sql, params![destination.as_str(), count(max)], row::outbox)
        })
    }

    fn outbox_len(&self, destination: &ServerName) -> Result<u64> {
        let sql = "SELECT count(*) FROM outbox WHERE destination = ?1";
        let len = self.read("outbox_len", |db| {
            one(db, sql, [destination.as_str()], |row| get(row, 0))
        })?;
        Ok(len.map_or(0, from_position))
    }

    fn destination(&self, destination: &ServerName) -> Result<DestinationRow> {
        let sql = "SELECT failures, retry_at, txn_id, up_to, body FROM destination WHERE name = ?1";
        let row = self.read("destination", |db| {
            one(db, sql, [destination.as_str()], row::destination)
        })?;
        Ok(row.unwrap_or_default())
    }

    fn keys(&self, server: &ServerName) -> Result<Vec<KeyRow>> {
        let sql = "SELECT server, id, key, valid_until, expired_at FROM key WHERE server = ?1 ORDER BY id";
        self.read("keys", |db| all(db, sql, [server.as_str()], row::key))
    }

    fn own_keys(&self) -> Result<Vec<OwnKey>> {
        self.read("own_keys", |db| {
            all(
                db,
                "SELECT id, seed, expired_at FROM own_key ORDER BY id",
                [],
                row::own_key,
            )
        })
    }

    fn meta(&self, name: &str) -> Result<Option<String>> {
        self.read("meta", |db| {
            one(db, "SELECT value FROM meta WHERE name = ?1", [name], |row| {
                get(row, 0)
            })
        })
    }
}
