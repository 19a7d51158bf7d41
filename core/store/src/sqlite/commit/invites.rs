//! Writes of pending invites: of each server its own.

use super::run;
use crate::invite;
use crate::model::InviteRow;
use crate::sqlite::fault::Fault;
use crate::sqlite::row::{all, get};
use roomlet_wire::{RoomId, UserId};
use rusqlite::{Connection, params};

/// Inserts an invite, or replaces that of the same server.
pub(super) fn invite(db: &Connection, row: &InviteRow) -> Result<(), Fault> {
    let server = invite::server(&row.event_json);
    let held = numbers(db, &row.user, &row.room)?;
    let num = held.iter().find(|(_, of)| *of == server).map(|(num, _)| num);
    let sql = "INSERT OR REPLACE INTO invite (num, user, room, version, membership, event_json, preview_json)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (user, room) = (row.user.as_str(), row.room.as_str());
    let (event, preview) = (&*row.event_json, &*row.preview_json);
    let membership = invite::membership(row);
    let params = params![num, user, room, row.version.id, membership, event, preview];
    run(db, sql, params)?;
    Ok(())
}

/// Takes the invite of a server away; whether it was the last one.
pub(super) fn rescind(db: &Connection, user: &UserId, room: &RoomId, server: &str) -> Result<bool, Fault> {
    let held = numbers(db, user, room)?;
    let count = held.len();
    for (num, of) in held {
        if of == server {
            run(db, "DELETE FROM invite WHERE num = ?1", [num])?;
            return Ok(count == 1);
        }
    }
    Ok(false)
}

/// The rows of a user's invites to a room, with the server that made each.
fn numbers(db: &Connection, user: &UserId, room: &RoomId) -> Result<Vec<(i64, String)>, Fault> {
    let sql = "SELECT num, event_json FROM invite WHERE user = ?1 AND room = ?2 ORDER BY num";
    all(db, sql, [user.as_str(), room.as_str()], |row| {
        Ok((get(row, 0)?, invite::server(&get::<String>(row, 1)?)))
    })
}
