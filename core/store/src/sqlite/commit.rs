//! Writing: each change of a commit as statements.

mod bulk;
mod invites;
mod purge;
mod rooms;
mod stream;

use super::codec::{self, Id, from_position, key, position};
use super::fault::Fault;
use crate::model::*;
use bulk::Bulk;
use roomlet_wire::{RoomNum, StreamPos};
use rusqlite::{Connection, Params, params};

pub(super) use stream::tag;

/// The last numbers given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counters {
    /// Of the update stream.
    pub(super) update: StreamPos,
    /// `seq` of the outbox.
    outbox: u64,
}

impl Counters {
    pub(super) fn load(connection: &Connection) -> Result<Self, Fault> {
        let sql = "SELECT last_update, last_outbox FROM counter";
        let (update, outbox) =
            connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        Ok(Self {
            update: StreamPos(from_position(update)),
            outbox: from_position(outbox),
        })
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), Fault> {
        let params = params![position(self.update.0), position(self.outbox)];
        run(
            connection,
            "UPDATE counter SET last_update = ?1, last_outbox = ?2",
            params,
        )?;
        Ok(())
    }
}

/// Applies the writes of `commit` inside the caller's transaction, which the caller rolls back on failure.
pub(super) fn apply(db: &Connection, counters: &mut Counters, commit: &Commit) -> Result<(), Fault> {
    let mut bulk = Bulk::of(commit);
    for write in &commit.writes {
        if let Some(bulk) = &mut bulk
            && bulk.takes(db, write)?
        {
            continue;
        }
        apply_write(db, counters, write)?;
    }
    bulk.map_or(Ok(()), |mut bulk| bulk.finish(db))
}

/// Runs a statement that is compiled once per connection; how many rows it changed.
pub(super) fn run(db: &Connection, sql: &str, params: impl Params) -> Result<usize, Fault> {
    Ok(db.prepare_cached(sql)?.execute(params)?)
}

/// Inserts or replaces an event as a row of its own.
pub(super) fn put_event(db: &Connection, room: RoomNum, row: &EventRow) -> Result<(), Fault> {
    rooms::event(db, room, row)
}

/// Deletes what hangs on events of the room that are not held.
pub(super) fn purge_hanging(db: &Connection, room: RoomNum) -> Result<(), Fault> {
    purge::purge(db, room, &[], &[])
}

fn append_update(db: &Connection, counters: &mut Counters, row: &Update) -> Result<(), Fault> {
    counters.update.0 += 1;
    stream::update(db, counters.update, row)
}

fn apply_write(db: &Connection, counters: &mut Counters, write: &Write) -> Result<(), Fault> {
    match write {
        Write::Room(record) => rooms::room(db, record)?,
        Write::Slot {
            room,
            slot,
            kind,
            state_key,
        } => {
            let sql = "INSERT OR REPLACE INTO slot (room, slot, type, state_key) VALUES (?1, ?2, ?3, ?4)";
            run(db, sql, params![room.0, slot.0, kind, state_key])?;
        }
        Write::State { room, row } => {
            let sql = "INSERT OR REPLACE INTO state (key, parent, size, since_checkpoint, changes)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            let parent = row.parent.map(|parent| parent.0);
            let changes = codec::changes(&row.changes);
            run(
                db,
                sql,
                params![
                    key(*room, row.num.0),
                    parent,
                    row.size,
                    row.since_checkpoint,
                    changes
                ],
            )?;
        }
        Write::Event { room, row } => rooms::event(db, *room, row)?,
        Write::MissingPrev { room, missing, child } => {
            let sql = "INSERT OR IGNORE INTO missing_prev (room, missing, child) VALUES (?1, ?2, ?3)";
            run(db, sql, params![room.0, Id::of(missing), child.0])?;
        }
        Write::FoundPrev { room, missing } => {
            run(
                db,
                "DELETE FROM missing_prev WHERE room = ?1 AND missing = ?2",
                params![room.0, Id::of(missing)],
            )?;
        }
        Write::Redaction { room, target, by } => {
            let sql = "INSERT OR IGNORE INTO redaction (room, target, by) VALUES (?1, ?2, ?3)";
            run(db, sql, params![room.0, Id::of(target), by.0])?;
        }
        Write::Member {
            room,
            user,
            membership,
        } => rooms::member(db, *room, user, membership.as_ref())?,
        Write::Invite(row) => invites::invite(db, row)?,
        Write::DropInvite { user, room } => {
            run(
                db,
                "DELETE FROM invite WHERE user = ?1 AND room = ?2",
                params![user.as_str(), room.as_str()],
            )?;
        }
        Write::Rescind {
            user,
            room,
            server,
            update,
        } => {
            if invites::rescind(db, user, room, server)? {
                append_update(db, counters, update)?;
            }
        }
        Write::Update(row) => append_update(db, counters, row)?,
        Write::Purge { room, events, states } => purge::purge(db, *room, events, states)?,
        Write::Forget { room, id } => purge::forget(db, *room, id)?,
        Write::TrimUpdates(up_to) => {
            run(db, "DELETE FROM stream WHERE pos <= ?1", [position(up_to.0)])?;
        }
        Write::Account(user) => {
            run(
                db,
                "INSERT OR IGNORE INTO account (user) VALUES (?1)",
                [user.as_str()],
            )?;
        }
        Write::ClientTxn { user, txn_id, result } => {
            let sql = "INSERT OR IGNORE INTO client_txn (user, txn_id, result) VALUES (?1, ?2, ?3)";
            run(db, sql, params![user.as_str(), txn_id, Id::of(result)])?;
        }
        Write::TxnReply {
            origin,
            txn_id,
            body,
            now,
        } => {
            let sql = "INSERT OR REPLACE INTO txn_reply (origin, txn_id, at, body) VALUES (?1, ?2, ?3, ?4)";
            run(db, sql, params![origin.as_str(), txn_id, now, body])?;
        }
        Write::TrimTxnReplies(before) => {
            run(db, "DELETE FROM txn_reply WHERE at < ?1", [before])?;
        }
        Write::Stage(pdu) => {
            // A PDU that comes again keeps its place and takes the newer origin: that server has just shown to be up.
            let sql = "INSERT INTO staged (room, event, origin, json) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (room, event) DO UPDATE SET origin = excluded.origin, json = excluded.json";
            run(
                db,
                sql,
                params![pdu.room.0, Id::of(&pdu.event), pdu.origin.as_str(), &*pdu.json],
            )?;
        }
        Write::Unstage { room, event } => {
            run(
                db,
                "DELETE FROM staged WHERE room = ?1 AND event = ?2",
                params![room.0, Id::of(event)],
            )?;
        }
        Write::Outbox { destination, item } => {
            counters.outbox += 1;
            let (room, event, edu) = match item {
                OutboxItem::Pdu { room, event } => (Some(room.0), Some(event.0), None),
                OutboxItem::Forgotten { room, json } => (Some(room.0), None, Some(json)),
                OutboxItem::Edu(json) => (None, None, Some(json)),
            };
            let sql = "INSERT INTO outbox (destination, seq, room, event, edu) VALUES (?1, ?2, ?3, ?4, ?5)";
            run(
                db,
                sql,
                params![destination.as_str(), position(counters.outbox), room, event, edu],
            )?;
        }
        Write::OutboxDone { destination, up_to } => {
            let sql = "DELETE FROM outbox WHERE destination = ?1 AND seq <= ?2";
            run(db, sql, params![destination.as_str(), position(*up_to)])?;
        }
        Write::OutboxCollapse { destination } => {
            let sql = "DELETE FROM outbox WHERE destination = ?1 AND room IS NOT NULL AND seq NOT IN
                (SELECT max(seq) FROM outbox WHERE destination = ?1 AND room IS NOT NULL GROUP BY room)";
            run(db, sql, [destination.as_str()])?;
        }
        Write::Destination { destination, row } => {
            let sql = "INSERT OR REPLACE INTO destination (name, failures, retry_at, txn_id, up_to, body)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let flight = row.in_flight.as_ref();
            let (txn_id, body) = (
                flight.map(|flight| &flight.txn_id),
                flight.map(|flight| &*flight.body),
            );
            let up_to = flight.map(|flight| position(flight.up_to));
            run(
                db,
                sql,
                params![
                    destination.as_str(),
                    row.failures,
                    row.retry_at,
                    txn_id,
                    up_to,
                    body
                ],
            )?;
        }
        Write::Key(row) => {
            // FED-17: a known id keeps its key; validity grows only by a row with that same key.
            let sql = "INSERT INTO key (server, id, key, valid_until, expired_at) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT (server, id) DO UPDATE SET
                    valid_until = max(valid_until, excluded.valid_until),
                    expired_at = coalesce(excluded.expired_at, expired_at)
                WHERE key = excluded.key";
            run(
                db,
                sql,
                params![
                    row.server.as_str(),
                    row.id.as_str(),
                    row.key,
                    row.valid_until,
                    row.expired_at
                ],
            )?;
        }
        Write::OwnKey(own) => {
            let sql = "INSERT OR REPLACE INTO own_key (id, seed, expired_at) VALUES (?1, ?2, ?3)";
            run(db, sql, params![own.id.as_str(), own.seed, own.expired_at])?;
        }
        Write::Meta { name, value } => {
            run(
                db,
                "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
                [name, value],
            )?;
        }
    }
    Ok(())
}
