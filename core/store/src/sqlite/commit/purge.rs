//! Writes that delete: a part of a room's history, or a whole room.

use super::{run, tag};
use crate::sqlite::codec::key;
use crate::sqlite::fault::Fault;
use crate::sqlite::row::{all, event_id, get};
use crate::sqlite::{read, runs};
use roomlet_wire::{EventNum, RoomId, RoomNum, StateNum};
use rusqlite::{Connection, params};

/// Deletes events and states, and what hangs on events that are not held any more.
pub(super) fn purge(
    db: &Connection,
    room: RoomNum,
    events: &[EventNum],
    states: &[StateNum],
) -> Result<(), Fault> {
    let mut keys: Vec<i64> = events.iter().map(|event| key(room, event.0)).collect();
    keys.sort_unstable();
    for key in &keys {
        run(db, "DELETE FROM event WHERE key = ?1", [key])?;
    }
    runs::purge(db, &keys)?;
    for state in states {
        run(db, "DELETE FROM state WHERE key = ?1", [key(room, state.0)])?;
    }
    const HANGING: [(&str, &str); 3] = [
        (
            "SELECT DISTINCT child FROM missing_prev WHERE room = ?1",
            "DELETE FROM missing_prev WHERE room = ?1 AND child IN (SELECT num FROM gone)",
        ),
        (
            "SELECT DISTINCT by FROM redaction WHERE room = ?1",
            "DELETE FROM redaction WHERE room = ?1 AND by IN (SELECT num FROM gone)",
        ),
        (
            "SELECT DISTINCT event FROM outbox WHERE room = ?1 AND event IS NOT NULL",
            "DELETE FROM outbox WHERE room = ?1 AND event IN (SELECT num FROM gone)",
        ),
    ];
    for (cited, delete) in HANGING {
        for num in all(db, cited, [room.0], |row| get::<u32>(row, 0))? {
            if !read::holds(db, key(room, num))? {
                run(db, "INSERT INTO gone (num) VALUES (?1)", [num])?;
            }
        }
        run(db, delete, [room.0])?;
        run(db, "DELETE FROM gone", [])?;
    }
    let cited = "SELECT pos, event FROM stream WHERE tag IN (?2, ?3) AND event IS NOT NULL
        AND room = (SELECT id FROM room WHERE num = ?1)";
    let cited = all(db, cited, params![room.0, tag::EVENT, tag::STATE], |row| {
        Ok((get::<i64>(row, 0)?, event_id(row, 1)?))
    })?;
    for (pos, event) in cited {
        if !read::is_in_room(db, room, &event)? {
            run(db, "DELETE FROM stream WHERE pos = ?1", [pos])?;
        }
    }
    Ok(())
}

/// Deletes all there is of a room.
pub(super) fn forget(db: &Connection, room: RoomNum, id: &RoomId) -> Result<(), Fault> {
    keep_owed(db, room)?;
    runs::forget(db, room)?;
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
        let json = read::event(db, key(room, event))?.map(|held| held.json);
        let sql = match json {
            Some(_) => "UPDATE outbox SET event = NULL, edu = ?3 WHERE destination = ?1 AND seq = ?2",
            None => "DELETE FROM outbox WHERE destination = ?1 AND seq = ?2 AND ?3 IS NULL",
        };
        run(db, sql, params![destination, seq, json.as_deref()])?;
    }
    Ok(())
}
