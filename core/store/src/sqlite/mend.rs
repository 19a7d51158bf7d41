//! What a check of the file finds in runs, lists of ids and single events, and what puts it right.
//!
//! Lists follow from the runs, so they are written anew. An event that cannot be read follows from nothing: a check tells
//! its number, and mending deletes it, so that whatever goes over all events of the room works again.

mod lists;

use super::codec::{from_key, key};
use super::commit::{self, run as execute};
use super::fault::Fault;
use super::row::{self, all, get, one, select_event};
use super::run::{DEPTHS, Entries, Entry};
use super::{run_ids, runs};
use crate::model::*;
use roomlet_wire::RoomNum;
use rusqlite::{Connection, Row, Transaction, params};
use std::collections::BTreeSet;

/// What is wrong.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) found: Vec<Finding>,
    /// Keys of the first events of runs that have to be written anew.
    runs: Vec<i64>,
    /// Keys of events that have to leave their runs.
    leaving: Vec<i64>,
    /// Keys of rows of single events that cannot be read.
    unreadable: Vec<i64>,
    /// Rooms that lost something.
    rooms: BTreeSet<RoomNum>,
    /// Events of runs that can be read.
    events: usize,
}

impl Look {
    /// Adds a finding about events, if there are any.
    fn add(&mut self, finding: fn(String) -> Finding, what: &str, mut keys: Vec<i64>) {
        keys.sort_unstable();
        keys.dedup();
        for keys in keys.chunk_by(|a, b| from_key(*a).0 == from_key(*b).0) {
            let room = from_key(keys[0]).0;
            let about = format!("room number {}, {what}: {}", room.0, ranges(keys));
            self.found.push(finding(about));
        }
    }

    fn lose(&mut self, keys: Vec<i64>) {
        self.rooms.extend(keys.iter().map(|key| from_key(*key).0));
        self.add(Finding::Lost, "events that are lost", keys);
    }
}

/// Event numbers of ascending keys.
fn ranges(keys: &[i64]) -> String {
    let ranges = keys.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let range = |keys: &[i64]| match keys {
        [first, .., last] => format!("{} to {}", from_key(*first).1, from_key(*last).1),
        one => one.iter().map(|key| from_key(*key).1.to_string()).collect(),
    };
    ranges.map(range).collect::<Vec<_>>().join(", ")
}

/// Looks at all runs, lists and events. Takes 32 bytes for each event of runs, of no more than a million at a time.
pub(super) fn look(db: &Connection) -> Result<Look, Fault> {
    let mut look = Look::default();
    look_at_runs(db, &mut look)?;
    look_at_rows(db, &mut look)?;
    lists::look(db, &mut look)?;
    Ok(look)
}

fn look_at_runs(db: &Connection, look: &mut Look) -> Result<(), Fault> {
    let mut unreadable = Vec::new();
    let mut twice = Vec::new();
    let mut scanned = Vec::new();
    scan(
        db,
        |entry| {
            look.events += 1;
            match entry.row() {
                Ok(_) => {}
                Err(fault) if fault.is_damage() => unreadable.push(entry.key),
                Err(fault) => return Err(fault),
            }
            if one(db, "SELECT 1 FROM event WHERE key = ?1", [entry.key], |_| Ok(()))?.is_some() {
                twice.push(entry.key);
            }
            Ok(())
        },
        |run| {
            scanned.extend(
                run.fault
                    .as_ref()
                    .map(|fault| (run.first, Finding::Lost(fault.text()))),
            );
            if run.fault.is_none() && !run.columns_hold() {
                let (room, first) = from_key(run.first);
                let what = "the run that begins with event";
                let about = format!("room number {}, {what} {first}: its range is wrong", room.0);
                scanned.push((run.first, Finding::Index(about)));
            }
            Ok(())
        },
    )?;
    for (first, finding) in scanned {
        look.runs.push(first);
        if matches!(finding, Finding::Lost(_)) {
            look.rooms.insert(from_key(first).0);
        }
        look.found.push(finding);
    }
    look.leaving = [&unreadable[..], &twice].concat();
    look.leaving.sort_unstable();
    look.leaving.dedup();
    look.lose(unreadable);
    look.add(Finding::Index, "events in a run and in a row of their own", twice);
    Ok(())
}

fn look_at_rows(db: &Connection, look: &mut Look) -> Result<(), Fault> {
    let mut statement = db.prepare_cached(select_event!("ORDER BY key"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match row::event(row) {
            Ok(_) => {}
            Err(fault) if fault.is_damage() => look.unreadable.push(get(row, 0)?),
            Err(fault) => return Err(fault),
        }
    }
    look.lose(look.unreadable.clone());
    Ok(())
}

/// Puts right what [`look`] finds. Lists are made anew from a quarter of a million places at a time; what is written stays
/// in memory until it is whole, 20 bytes for each event of runs.
pub(super) fn mend(transaction: &mut Transaction<'_>) -> Result<(), Fault> {
    let db: &Connection = transaction;
    // Nothing is made from what SQLite itself does not believe: a row at another number would be believed then.
    let structure = "PRAGMA integrity_check(1)";
    if let Some(finding) = one(db, structure, [], |row| get::<String>(row, 0))?.filter(|found| found != "ok")
    {
        return Err(Fault::Damaged(finding));
    }
    let look = look(db)?;
    if look.found.is_empty() {
        return Ok(());
    }
    for key in &look.unreadable {
        execute(db, "DELETE FROM event WHERE key = ?1", [key])?;
    }
    let mut scattered = Vec::new();
    for first in look.runs {
        scattered.extend(rewrite(db, first)?);
    }
    let of_room = |a: &i64, b: &i64| from_key(*a).0 == from_key(*b).0;
    for keys in look.leaving.chunk_by(of_room) {
        runs::take_out(db, keys)?;
    }
    for key in scattered {
        if let Some(row) = runs::event(db, key)? {
            commit::put_event(db, from_key(key).0, &row)?;
        }
    }
    make_lists(db)?;
    // It is worth having without this, which reads what may be damaged too.
    let hanging = transaction.savepoint()?;
    let purged = (look.rooms.into_iter()).try_for_each(|room| commit::purge_hanging(&hanging, room));
    match purged {
        Ok(()) => Ok(hanging.commit()?),
        Err(fault) if fault.is_damage() => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Writes a run anew with what can be read of it. Gives the keys of its events if they cannot be in one run.
fn rewrite(db: &Connection, first: i64) -> Result<Vec<i64>, Fault> {
    let (mut kept, mut keys, mut run) = (Vec::new(), Vec::new(), None);
    scan_where(
        db,
        "WHERE first = ?1",
        Some(first),
        &mut |entry| {
            kept.extend_from_slice(entry.bytes);
            keys.push(entry.key);
            Ok(())
        },
        &mut |scanned| {
            run = Some(scanned);
            Ok(())
        },
    )?;
    let Some((run, last)) = run.zip(keys.last()) else {
        execute(db, "DELETE FROM run WHERE first = ?1", [first])?;
        return Ok(Vec::new());
    };
    let (low, high) = run.depths.unzip();
    let sql = "UPDATE run SET last = ?2, low = ?3, high = ?4, events = ?5 WHERE first = ?1";
    execute(db, sql, params![first, last, low, high, kept])?;
    match run.is_narrow() {
        true => Ok(Vec::new()),
        false => Ok(keys),
    }
}

fn make_lists(db: &Connection) -> Result<(), Fault> {
    run_ids::clear(db)?;
    let (mut places, mut num) = (Vec::new(), 1);
    scan(
        db,
        |entry| {
            places.push((run_ids::beginning(entry.hash), entry.key));
            if places.len() == run_ids::LARGEST {
                run_ids::insert(db, num, std::mem::take(&mut places))?;
                num += 1;
            }
            Ok(())
        },
        |_| Ok(()),
    )?;
    match places.is_empty() {
        true => Ok(()),
        false => run_ids::insert(db, num, places),
    }
}

/// What a run is like, and what its row says of it.
struct Scanned {
    first: i64,
    last: i64,
    columns: (Option<i64>, Option<i64>),
    /// The greatest key that an event of it may have.
    bound: i64,
    greatest: Option<i64>,
    /// The least and greatest depth of what users see.
    depths: Option<(i64, i64)>,
    /// Why it cannot be read to its end.
    fault: Option<Fault>,
}

impl Scanned {
    /// Whether the columns hold for the events: they may say more, for what left the run.
    fn columns_hold(&self) -> bool {
        let depths = match (self.columns, self.depths) {
            ((Some(low), Some(high)), of) => {
                let is_narrow = high
                    .checked_sub(low)
                    .is_some_and(|depths| (0..=DEPTHS).contains(&depths));
                is_narrow && of.is_none_or(|(least, greatest)| low <= least && greatest <= high)
            }
            ((None, None), None) => true,
            _ => false,
        };
        depths && self.last <= self.bound && self.greatest.is_some_and(|greatest| greatest <= self.last)
    }

    fn is_narrow(&self) -> bool {
        let depths = self.depths.map_or(Some(0), |(low, high)| high.checked_sub(low));
        depths.is_some_and(|depths| depths <= DEPTHS)
    }
}

/// All events of runs that can be read, and each run after its events.
fn scan(
    db: &Connection,
    mut see: impl FnMut(&Entry<'_>) -> Result<(), Fault>,
    mut end: impl FnMut(Scanned) -> Result<(), Fault>,
) -> Result<(), Fault> {
    scan_where(db, "WHERE ?1 IS NULL", None, &mut see, &mut end)
}

fn scan_where(
    db: &Connection,
    which: &str,
    first: Option<i64>,
    see: &mut dyn FnMut(&Entry<'_>) -> Result<(), Fault>,
    end: &mut dyn FnMut(Scanned) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let sql = format!(
        "SELECT first, last, events, low, high,
            (SELECT min(first) FROM run AS next WHERE next.first > run.first)
        FROM run {which} ORDER BY first"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        end(scan_run(row, see)?)?;
    }
    Ok(())
}

fn scan_run(row: &Row<'_>, see: &mut dyn FnMut(&Entry<'_>) -> Result<(), Fault>) -> Result<Scanned, Fault> {
    let (first, last): (i64, i64) = (get(row, 0)?, get(row, 1)?);
    let end_of_room = key(from_key(first).0, u32::MAX);
    let bound = get::<Option<i64>>(row, 5)?.map_or(end_of_room, |next| end_of_room.min(next - 1));
    let mut run = Scanned {
        first,
        last,
        columns: (get(row, 3)?, get(row, 4)?),
        bound,
        greatest: None,
        depths: None,
        fault: None,
    };
    let events = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    for entry in Entries::of(first, last, events).up_to(bound) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(fault) => {
                run.fault = Some(fault);
                break;
            }
        };
        see(&entry)?;
        run.greatest = Some(entry.key);
        if entry.is_shown() {
            let (low, high) = run.depths.unwrap_or((entry.depth, entry.depth));
            run.depths = Some((low.min(entry.depth), high.max(entry.depth)));
        }
    }
    Ok(run)
}

/// The number after that of the last event that the room ever had.
fn end_of_room(db: &Connection, room: RoomNum) -> Result<Option<i64>, Fault> {
    let sql = "SELECT next_event FROM room WHERE num = ?1";
    Ok(all(db, sql, [room.0], |row| get(row, 0))?.pop())
}
