//! Writes that delete: a part of a room's history, or a whole room.

use super::{run, tag};
use crate::sqlite::codec::key;
use crate::sqlite::fault::Fault;
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
        "DELETE FROM outbox WHERE room = ?1
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
    const KEYED: [&str; 2] = [
        "DELETE FROM event WHERE key BETWEEN ?1 AND ?2",
        "DELETE FROM state WHERE key BETWEEN ?1 AND ?2",
    ];
    for sql in KEYED {
        run(db, sql, params![key(room, 0), key(room, u32::MAX)])?;
    }
    const NUMBERED: [&str; 8] = [
        "DELETE FROM room WHERE num = ?1",
        "DELETE FROM slot WHERE room = ?1",
        "DELETE FROM missing_prev WHERE room = ?1",
        "DELETE FROM redaction WHERE room = ?1",
        "DELETE FROM member WHERE room = ?1",
        "DELETE FROM joined WHERE room = ?1",
        "DELETE FROM staged WHERE room = ?1",
        "DELETE FROM outbox WHERE room = ?1",
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
