//! Rows of SQLite as values of the model.

use super::codec;
use super::commit::tag;
use super::{fault::Fault, packed};
use crate::model::*;
use roomlet_wire::version::TABLE;
use roomlet_wire::{Error, EventId, EventNum, RoomNum, RoomVersion, SlotNum, StateNum};
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use std::str::FromStr;

/// Every row that `sql` finds.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row that `sql` finds.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// A column as it is.
pub(super) fn get<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    Ok(row.get(column)?)
}

/// A column with an identifier in text form.
pub(super) fn parsed<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let text = row
        .get_ref(column)?
        .as_str()
        .map_err(|error| Fault::Damaged(error.to_string()))?;
    text.parse()
        .map_err(|error: Error| Fault::Damaged(error.to_string()))
}

/// A column with an event id.
pub(super) fn event_id(row: &Row<'_>, column: usize) -> Result<EventId, Fault> {
    optional_event_id(row, column)?.ok_or_else(|| Fault::Damaged("an event id is missing".to_owned()))
}

/// A column with an event id or NULL.
pub(super) fn optional_event_id(row: &Row<'_>, column: usize) -> Result<Option<EventId>, Fault> {
    let value = row.get_ref(column)?;
    if value == rusqlite::types::ValueRef::Null {
        return Ok(None);
    }
    let text =
        codec::id_text(value).ok_or_else(|| Fault::Damaged("bytes that are no event id".to_owned()))?;
    EventId::parse_any_length(&text)
        .map(Some)
        .map_err(|error| Fault::Damaged(error.to_string()))
}

/// A column with the name of a room version, supported or not.
fn version(row: &Row<'_>, column: usize) -> Result<&'static RoomVersion, Fault> {
    let id: String = get(row, column)?;
    TABLE
        .iter()
        .find(|version| version.id == id)
        .ok_or_else(|| Fault::Damaged(format!("room version {id:?}")))
}

/// `num, id, version, forward, current_state, next_event, next_state, next_slot`
pub(super) fn room(row: &Row<'_>) -> Result<RoomRecord, Fault> {
    let forward: Vec<u8> = get(row, 3)?;
    Ok(RoomRecord {
        num: RoomNum(get(row, 0)?),
        id: parsed(row, 1)?,
        version: version(row, 2)?,
        forward: codec::from_nums(&forward)
            .ok_or_else(|| Fault::Damaged("forward extremities".to_owned()))?,
        current_state: StateNum(get(row, 4)?),
        next_event: EventNum(get(row, 5)?),
        next_state: StateNum(get(row, 6)?),
        next_slot: SlotNum(get(row, 7)?),
    })
}

/// `parent, size, since_checkpoint, changes` of state `num`
pub(super) fn state(row: &Row<'_>, num: StateNum) -> Result<StateRow, Fault> {
    let changes = row
        .get_ref(3)?
        .as_blob()
        .map_err(|error| Fault::Damaged(error.to_string()))?;
    Ok(StateRow {
        num,
        parent: get::<Option<u32>>(row, 0)?.map(StateNum),
        size: get(row, 1)?,
        since_checkpoint: get(row, 2)?,
        changes: codec::from_changes(changes).ok_or_else(|| Fault::Damaged(format!("state {}", num.0)))?,
    })
}

/// A query for events, as [`event`] reads them.
macro_rules! select_event {
    ($rest:literal) => {
        concat!(
            "SELECT key, id, depth, flags, state_before, state_after, redacted_by, json, packed FROM event ",
            $rest
        )
    };
}
pub(super) use select_event;

/// An event from a row of [`select_event`].
pub(super) fn event(row: &Row<'_>) -> Result<EventRow, Fault> {
    let (room, num) = codec::from_key(get(row, 0)?);
    read_event(row, num).map_err(|fault| match fault {
        Fault::Damaged(what) => Fault::Damaged(format!("event {num} of room number {}: {what}", room.0)),
        other => other,
    })
}

fn read_event(row: &Row<'_>, num: u32) -> Result<EventRow, Fault> {
    Ok(EventRow {
        num: EventNum(num),
        id: event_id(row, 1)?,
        depth: get(row, 2)?,
        flags: codec::from_flags(get(row, 3)?),
        state_before: get::<Option<u32>>(row, 4)?.map(StateNum),
        state_after: get::<Option<u32>>(row, 5)?.map(StateNum),
        redacted_by: optional_event_id(row, 6)?,
        json: event_json(row)?.into(),
    })
}

/// `json, packed`, the columns 7 and 8 of an event
fn event_json(row: &Row<'_>) -> Result<String, Fault> {
    let packed = row.get_ref(8)?.as_blob_or_null();
    match packed.map_err(|error| Fault::Damaged(error.to_string()))? {
        Some(packed) => {
            packed::unpack(packed).ok_or_else(|| Fault::Damaged("bytes that are no packed event".to_owned()))
        }
        None => get(row, 7),
    }
}

/// `user, membership, event`
pub(super) fn member(row: &Row<'_>) -> Result<MemberRow, Fault> {
    Ok(MemberRow {
        user: parsed(row, 0)?,
        membership: get(row, 1)?,
        event: EventNum(get(row, 2)?),
    })
}

/// `user, room, version, event_json, preview_json`
pub(super) fn invite(row: &Row<'_>) -> Result<InviteRow, Fault> {
    Ok(InviteRow {
        user: parsed(row, 0)?,
        room: parsed(row, 1)?,
        version: version(row, 2)?,
        event_json: get::<String>(row, 3)?.into(),
        preview_json: get::<String>(row, 4)?.into(),
    })
}

/// `tag, room, event, by, type, state_key, user, membership, sender`
pub(super) fn update(row: &Row<'_>) -> Result<Update, Fault> {
    let room = parsed(row, 1)?;
    Ok(match get(row, 0)? {
        tag::EVENT => Update::Event {
            room,
            event: event_id(row, 2)?,
        },
        tag::STATE => Update::State {
            room,
            kind: get(row, 4)?,
            state_key: get(row, 5)?,
            event: optional_event_id(row, 2)?,
        },
        tag::MEMBERSHIP => Update::Membership {
            room,
            user: parsed(row, 6)?,
            membership: get(row, 7)?,
            sender: parsed(row, 8)?,
        },
        tag::REDACTED => Update::Redacted {
            room,
            event: event_id(row, 2)?,
            by: event_id(row, 3)?,
        },
        other => return Err(Fault::Damaged(format!("an update of kind {other}"))),
    })
}

/// `room, event, origin, json`
pub(super) fn staged(row: &Row<'_>) -> Result<StagedPdu, Fault> {
    Ok(StagedPdu {
        room: RoomNum(get(row, 0)?),
        event: event_id(row, 1)?,
        origin: parsed(row, 2)?,
        json: get::<String>(row, 3)?.into(),
    })
}

/// `seq, room, event, edu`
pub(super) fn outbox(row: &Row<'_>) -> Result<OutboxRow, Fault> {
    let item = match (get(row, 1)?, get(row, 2)?, get(row, 3)?) {
        (Some(room), Some(event), None) => OutboxItem::Pdu {
            room: RoomNum(room),
            event: EventNum(event),
        },
        (Some(room), None, Some(json)) => OutboxItem::Forgotten {
            room: RoomNum(room),
            json,
        },
        (None, None, Some(json)) => OutboxItem::Edu(json),
        _ => {
            return Err(Fault::Damaged(
                "an outbox row that is neither PDU nor EDU".to_owned(),
            ));
        }
    };
    Ok(OutboxRow {
        seq: codec::from_position(get(row, 0)?),
        item,
    })
}

/// `failures, retry_at, txn_id, up_to, body`
pub(super) fn destination(row: &Row<'_>) -> Result<DestinationRow, Fault> {
    let in_flight = match (
        get(row, 2)?,
        get::<Option<i64>>(row, 3)?,
        get::<Option<String>>(row, 4)?,
    ) {
        (Some(txn_id), Some(up_to), Some(body)) => Some(InFlight {
            txn_id,
            body: body.into(),
            up_to: codec::from_position(up_to),
        }),
        _ => None,
    };
    Ok(DestinationRow {
        in_flight,
        failures: get(row, 0)?,
        retry_at: get(row, 1)?,
    })
}

/// `server, id, key, valid_until, expired_at`
pub(super) fn key(row: &Row<'_>) -> Result<KeyRow, Fault> {
    Ok(KeyRow {
        server: parsed(row, 0)?,
        id: parsed(row, 1)?,
        key: get(row, 2)?,
        valid_until: get(row, 3)?,
        expired_at: get(row, 4)?,
    })
}

/// `id, seed, expired_at`
pub(super) fn own_key(row: &Row<'_>) -> Result<OwnKey, Fault> {
    Ok(OwnKey {
        id: parsed(row, 0)?,
        seed: get(row, 1)?,
        expired_at: get(row, 2)?,
    })
}
