//! Writes that delete: a part of a room's history, or a whole room.

use super::{run, tag};
use crate::sqlite::codec::key;
use crate::sqlite::fault::Fault;
use crate::sqlite::row::{all, event as event_row, get, one, select_event};
use roomlet_wire::{EventNum, RoomId, RoomNum, StateNum};
use rusqlite::{Connection, params};

/// Deletes events and states, and what hangs on events that are not held any more.
pub(super) fn purge(
    db: &Connection,
    room: RoomNum,
    events: &[EventNum],
    states: &[StateNum],
) -> Result<(), Fault> {
    for event in events {
        run(db, "DELETE FROM event WHERE key = ?1", [key(room, event.0)])?;
    }
    for state in states {
        run(db, "DELETE FROM state WHERE key = ?1", [key(room, state.0)])?;
    }
    const HANGING: [&str; 3] = [
        "DELETE FROM missing_prev WHERE room = ?1
            AND NOT EXISTS (SELECT 1 FROM event WHERE key = ?2 + missing_prev.child)",
        "DELETE FROM redaction WHERE room = ?1
            AND NOT EXISTS (SELECT 1 FROM event WHERE key = ?2 + redaction.by)",
        "DELETE FROM outbox WHERE room = ?1 AND event IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM event WHERE key = ?2 + outbox.event)",
    ];
    for sql in HANGING {
        run(db, sql, params![room.0, key(room, 0)])?;
    }
    let updates = "DELETE FROM stream WHERE tag IN (?3, ?4) AND event IS NOT NULL
        AND room = (SELECT id FROM room WHERE num = ?1)
        AND NOT EXISTS (SELECT 1 FROM event
            WHERE substr(id, 1, 8) = substr(stream.event, 1, 8) AND id = stream.event AND key >> 32 = ?2 >> 32)";
    run(db, updates, params![room.0, key(room, 0), tag::EVENT, tag::STATE])?;
    Ok(())
}

/// Deletes all there is of a room.
pub(super) fn forget(db: &Connection, room: RoomNum, id: &RoomId) -> Result<(), Fault> {
    keep_owed(db, room)?;
    const KEYED: [&str; 2] = [
        "DELETE FROM event WHERE key BETWEEN ?1 AND ?2",
        "DELETE FROM state WHERE key BETWEEN ?1 AND ?2",
    ];
    for sql in KEYED {
        run(db, sql, params![key(room, 0), key(room, u32::MAX)])?;
    }
    const NUMBERED: [&str; 7] = [
        "DELETE FROM room WHERE num = ?1",
        "DELETE FROM slot WHERE room = ?1",
        "DELETE FROM missing_prev WHERE room = ?1",
        "DELETE FROM redaction WHERE room = ?1",
        "DELETE FROM member WHERE room = ?1",
        "DELETE FROM joined WHERE room = ?1",
        "DELETE FROM staged WHERE room = ?1",
    ];
    for sql in NUMBERED {
        run(db, sql, [room.0])?;
    }
    for sql in [
        "DELETE FROM invite WHERE room = ?1",
        "DELETE FROM stream WHERE room = ?1",
    ] {
        run(db, sql, [id.as_str()])?;
    }
    // All that begins with the number and a space: `!` is the character after it.
    let results = "DELETE FROM client_txn WHERE txn_id >= ?1 || ' ' AND txn_id < ?1 || '!'";
    run(db, results, [room.0.to_string()])?;
    Ok(())
}

/// Puts the events of a room that are still to be delivered into the outbox themselves.
fn keep_owed(db: &Connection, room: RoomNum) -> Result<(), Fault> {
    let owed = "SELECT destination, seq, event FROM outbox WHERE room = ?1 AND event IS NOT NULL";
    let owed = all(db, owed, [room.0], |row| {
        let (destination, seq): (String, i64) = (get(row, 0)?, get(row, 1)?);
        Ok((destination, seq, get::<u32>(row, 2)?))
    })?;
    for (destination, seq, event) in owed {
        let held = one(db, select_event!("WHERE key = ?1"), [key(room, event)], event_row)?;
        let json = held.map(|held| held.json);
        let sql = match json {
            Some(_) => "UPDATE outbox SET event = NULL, edu = ?3 WHERE destination = ?1 AND seq = ?2",
            None => "DELETE FROM outbox WHERE destination = ?1 AND seq = ?2 AND ?3 IS NULL",
        };
        run(db, sql, params![destination, seq, json.as_deref()])?;
    }
    Ok(())
}
