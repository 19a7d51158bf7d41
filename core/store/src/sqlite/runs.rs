//! The runs of a store: finding events in them, and taking events out.

use super::codec::{Id, from_key, key};
use super::commit::run as execute;
use super::fault::Fault;
use super::row::{all, get, one};
use super::run::{Entries, Entry, Run};
use super::run_ids;
use crate::model::EventRow;
use roomlet_wire::{EventNum, RoomNum};
use rusqlite::{Connection, Row, params};

/// Inserts a run.
pub(super) fn insert(db: &Connection, run: &Run) -> Result<(), Fault> {
    let sql = "INSERT INTO run (first, last, low, high, events) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (low, high) = run.depths.unzip();
    execute(db, sql, params![run.first, run.last, low, high, run.bytes])?;
    Ok(())
}

/// The greatest key of an event of the room in a run, or of one that was.
pub(super) fn last_key(db: &Connection, room: RoomNum) -> Result<Option<i64>, Fault> {
    let sql = "SELECT last FROM run WHERE first BETWEEN ?1 AND ?2 ORDER BY first DESC LIMIT 1";
    one(db, sql, [key(room, 0), key(room, u32::MAX)], |row| get(row, 0))
}

/// The event with this key.
pub(super) fn event(db: &Connection, key: i64) -> Result<Option<EventRow>, Fault> {
    with_entry(db, key, |entry| entry.row())
}

/// Whether there is an event with this key.
pub(super) fn holds(db: &Connection, key: i64) -> Result<bool, Fault> {
    Ok(with_entry(db, key, |_| Ok(()))?.is_some())
}

/// Whether the event with this key has this id; `None` if there is no such event.
pub(super) fn has_id(db: &Connection, key: i64, id: &Id<'_>) -> Result<Option<bool>, Fault> {
    with_entry(db, key, |entry| {
        Ok(matches!(id, Id::Hash(hash) if entry.hash == hash))
    })
}

/// What `read` makes of the event with this key.
fn with_entry<T>(
    db: &Connection,
    key: i64,
    read: impl Fn(&Entry<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let sql = "SELECT first, last, events FROM run
        WHERE first = (SELECT max(first) FROM run WHERE first <= ?1) AND last >= ?1";
    let found = one(db, sql, [key], |row| {
        for entry in entries(row)? {
            let entry = entry?;
            if entry.key == key {
                return read(&entry).map(Some);
            }
        }
        Ok(None)
    })?;
    Ok(found.flatten())
}

/// What `look` sees in each event of the run that begins with this key.
pub(super) fn each(
    db: &Connection,
    first: i64,
    mut look: impl FnMut(&Entry<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = db.prepare_cached("SELECT first, last, events FROM run WHERE first = ?1")?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        for entry in entries(row)? {
            look(&entry?)?;
        }
    }
    Ok(())
}

/// The events of a row that begins with `first, last, events`.
fn entries<'a>(row: &'a Row<'_>) -> Result<Entries<'a>, Fault> {
    let events = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Entries::of(get(row, 0)?, get(row, 1)?, events))
}

/// The numbers of a room's events in runs. Where a run cannot be read to its end, those that lists of ids have there:
/// who asks for one of them gets the error.
pub(super) fn nums(db: &Connection, room: RoomNum) -> Result<Vec<EventNum>, Fault> {
    let num = |key| EventNum(from_key(key).1);
    let (mut nums, mut damaged) = (Vec::new(), Vec::new());
    let sql = "SELECT first, last, events FROM run WHERE first BETWEEN ?1 AND ?2 ORDER BY first";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([key(room, 0), key(room, u32::MAX)])?;
    while let Some(row) = rows.next()? {
        for entry in entries(row)? {
            match entry {
                Ok(entry) => nums.push(num(entry.key)),
                Err(fault) => damaged.push((get(row, 0)?..=get(row, 1)?, fault)),
            }
        }
    }
    let Some((_, fault)) = damaged.first() else {
        return Ok(nums);
    };
    let about = |lists: Fault| Fault::Damaged(format!("{}; {}", fault.text(), lists.text()));
    let is_there = |key: &i64| damaged.iter().any(|(keys, _)| keys.contains(key));
    run_ids::each(db, |_, _, ids| {
        let keys = ids?.into_iter().map(|id| id.1);
        let keys = keys.filter(|key| from_key(*key).0 == room && is_there(key));
        nums.extend(keys.map(num));
        Ok(())
    })
    .map_err(about)?;
    Ok(nums)
}

/// Takes the events with these keys, ascending and all of one room, out of the runs that some of them may be in.
pub(super) fn take_out(db: &Connection, keys: &[i64]) -> Result<(), Fault> {
    let (Some(least), Some(greatest)) = (keys.first(), keys.last()) else {
        return Ok(());
    };
    // The run that has the first one may begin before it.
    let sql = "SELECT first, last FROM run
        WHERE first BETWEEN coalesce((SELECT max(first) FROM run WHERE first <= ?1), ?1) AND ?2";
    let runs = all(db, sql, [least, greatest], |row| Ok((get(row, 0)?, get(row, 1)?)))?;
    for (first, last) in runs {
        let begin = keys.partition_point(|key| *key < first);
        let end = keys.partition_point(|key| *key <= last);
        if begin < end {
            rewrite(db, first, &keys[begin..end])?;
        }
    }
    Ok(())
}

/// Writes a run anew without the events that are gone: their keys, ascending.
fn rewrite(db: &Connection, first: i64, gone: &[i64]) -> Result<(), Fault> {
    let (mut kept, mut taken) = (Vec::new(), false);
    each(db, first, |entry| {
        match gone.binary_search(&entry.key) {
            Ok(_) => taken = true,
            Err(_) => kept.extend_from_slice(entry.bytes),
        }
        Ok(())
    })?;
    if kept.is_empty() {
        execute(db, "DELETE FROM run WHERE first = ?1", [first])?;
    } else if taken {
        // Its range and depths still hold, though they may be wider than they need to be.
        execute(
            db,
            "UPDATE run SET events = ?2 WHERE first = ?1",
            params![first, kept],
        )?;
    }
    Ok(())
}

/// Deletes events: these keys, ascending, all of one room.
pub(super) fn purge(db: &Connection, keys: &[i64]) -> Result<(), Fault> {
    take_out(db, keys)?;
    run_ids::remove(db, |key| keys.binary_search(&key).is_ok())
}

/// Deletes all of a room.
pub(super) fn forget(db: &Connection, room: RoomNum) -> Result<(), Fault> {
    let keys = [key(room, 0), key(room, u32::MAX)];
    execute(db, "DELETE FROM run WHERE first BETWEEN ?1 AND ?2", keys)?;
    run_ids::remove(db, |key| from_key(key).0 == room)
}
