//! Writes that first look at what is there: rooms, events, members.

use super::run;
use crate::model::*;
use crate::sqlite::codec::{self, Id, key};
use crate::sqlite::{fault::Fault, packed, read, runs};
use roomlet_wire::{EventNum, RoomNum, UserId};
use rusqlite::{Connection, OptionalExtension, params};

/// Inserts or replaces a room's record.
pub(super) fn room(db: &Connection, record: &RoomRecord) -> Result<(), Fault> {
    let held = db
        .prepare_cached("SELECT num, id FROM room WHERE id = ?1 OR num = ?2")?
        .query_row(params![record.id.as_str(), record.num.0], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let sql = match held {
        None => {
            "INSERT INTO room (num, id, version, forward, current_state, next_event, next_state, next_slot)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        }
        Some((num, id)) if num == record.num.0 && id == record.id.as_str() => {
            "UPDATE room SET version = ?3, forward = ?4, current_state = ?5, next_event = ?6, next_state = ?7,
                next_slot = ?8 WHERE num = ?1 AND id = ?2"
        }
        Some(_) => return Err(reused(&record.id, record.num.0)),
    };
    let params = params![
        record.num.0,
        record.id.as_str(),
        record.version.id,
        codec::nums(&record.forward),
        record.current_state.0,
        record.next_event.0,
        record.next_state.0,
        record.next_slot.0,
    ];
    run(db, sql, params)?;
    Ok(())
}

/// Inserts or replaces an event: where it is in a run, it is taken out of it.
pub(super) fn event(db: &Connection, room: RoomNum, row: &EventRow) -> Result<(), Fault> {
    let key = key(room, row.num.0);
    match read::has_id(db, key, &row.id)? {
        Some(true) => runs::take_out(db, &[key])?,
        None if !read::is_in_room(db, room, &row.id)? => {}
        _ => return Err(reused(&row.id, row.num.0)),
    }
    let packed = packed::pack(&row.json);
    let json = packed.as_ref().map_or(&*row.json, |_| "");
    let sql = "INSERT OR REPLACE INTO event
        (key, id, depth, flags, state_before, state_after, redacted_by, json, packed)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let params = params![
        key,
        Id::of(&row.id),
        row.depth,
        codec::flags(row.flags),
        row.state_before.map(|state| state.0),
        row.state_after.map(|state| state.0),
        row.redacted_by.as_ref().map(Id::of),
        json,
        packed,
    ];
    run(db, sql, params)?;
    Ok(())
}

fn reused(id: &str, num: u32) -> Fault {
    Fault::Reused(format!("{id} cannot have number {num}: one of the two is taken"))
}

/// Sets a member, and keeps the count of its server's joined members.
pub(super) fn member(
    db: &Connection,
    room: RoomNum,
    user: &UserId,
    membership: Option<&(String, EventNum)>,
) -> Result<(), Fault> {
    let was_joined = db
        .prepare_cached("SELECT membership = 'join' FROM member WHERE room = ?1 AND user = ?2")?
        .query_row(params![room.0, user.as_str()], |row| row.get(0))
        .optional()?
        .unwrap_or(false);
    match membership {
        Some((membership, event)) => {
            let sql = "INSERT INTO member (room, user, membership, event) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (room, user) DO UPDATE SET membership = excluded.membership, event = excluded.event";
            run(db, sql, params![room.0, user.as_str(), membership, event.0])?;
        }
        None => {
            run(
                db,
                "DELETE FROM member WHERE room = ?1 AND user = ?2",
                params![room.0, user.as_str()],
            )?;
        }
    }
    let is_joined = membership.is_some_and(|(membership, _)| membership == "join");
    let place = params![room.0, user.server()];
    match (was_joined, is_joined) {
        (false, true) => {
            let sql = "INSERT INTO joined (room, server, members) VALUES (?1, ?2, 1)
                ON CONFLICT (room, server) DO UPDATE SET members = members + 1";
            run(db, sql, place)?;
        }
        (true, false) => {
            run(
                db,
                "UPDATE joined SET members = members - 1 WHERE room = ?1 AND server = ?2",
                place,
            )?;
            run(
                db,
                "DELETE FROM joined WHERE room = ?1 AND server = ?2 AND members = 0",
                place,
            )?;
        }
        _ => {}
    }
    Ok(())
}
