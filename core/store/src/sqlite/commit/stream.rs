//! The update stream.

use super::run;
use crate::model::*;
use crate::sqlite::codec::{Id, position};
use crate::sqlite::fault::Fault;
use roomlet_wire::StreamPos;
use rusqlite::{Connection, params};

/// Numbers of the kinds of [`Update`] in column `tag`.
pub(in crate::sqlite) mod tag {
    pub(in crate::sqlite) const EVENT: i64 = 1;
    pub(in crate::sqlite) const STATE: i64 = 2;
    pub(in crate::sqlite) const MEMBERSHIP: i64 = 3;
    pub(in crate::sqlite) const REDACTED: i64 = 4;
}

/// Appends to the update stream.
pub(super) fn update(db: &Connection, pos: StreamPos, update: &Update) -> Result<(), Fault> {
    let pos = position(pos.0);
    match update {
        Update::Event { room, event } => {
            let sql = "INSERT INTO stream (pos, tag, room, event) VALUES (?1, ?2, ?3, ?4)";
            run(db, sql, params![pos, tag::EVENT, room.as_str(), Id::of(event)])?;
        }
        Update::State {
            room,
            kind,
            state_key,
            event,
        } => {
            let sql =
                "INSERT INTO stream (pos, tag, room, event, type, state_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let event = event.as_ref().map(Id::of);
            run(
                db,
                sql,
                params![pos, tag::STATE, room.as_str(), event, kind, state_key],
            )?;
        }
        Update::Membership {
            room,
            user,
            membership,
            sender,
        } => {
            let sql = "INSERT INTO stream (pos, tag, room, user, membership, sender) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (user, sender) = (user.as_str(), sender.as_str());
            run(
                db,
                sql,
                params![pos, tag::MEMBERSHIP, room.as_str(), user, membership, sender],
            )?;
        }
        Update::Redacted { room, event, by } => {
            let sql = "INSERT INTO stream (pos, tag, room, event, by) VALUES (?1, ?2, ?3, ?4, ?5)";
            run(
                db,
                sql,
                params![pos, tag::REDACTED, room.as_str(), Id::of(event), Id::of(by)],
            )?;
        }
    }
    Ok(())
}
