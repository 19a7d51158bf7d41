//! Where the events of runs are by id: sorted lists of the first eight bytes of ids, each with the key of its event.
//!
//! A large commit adds a list, and lists that are not much larger become one with it, so that there are few and each id is
//! written a few times; an index of SQLite changes a page for nearly each id instead. A list is cut into rows that fit a
//! page. Ids may be alike in their first bytes, and what a list says of an event that is gone stays until a purge:
//! whoever finds a key here looks at the event.

use super::commit::run as execute;
use super::fault::Fault;
use super::row::{all, get};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// The beginning of an id and a key.
pub(super) type Place = (i64, i64);

/// Places of a row: what fits a page.
const PLACES: usize = 250;
/// Lists with more places together stay as they are: it bounds what one commit reads and writes.
pub(super) const LARGEST: usize = 1 << 18;

/// What an id begins with, in the order of SQLite's integers.
pub(super) fn beginning(hash: &[u8; 32]) -> i64 {
    hash.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// The keys of events whose id may be that of this hash.
pub(super) fn find(db: &Connection, hash: &[u8; 32]) -> Result<Vec<i64>, Fault> {
    let beginning = beginning(hash);
    let sql = "SELECT (SELECT ids FROM run_ids WHERE list = num AND least <= ?1 ORDER BY least DESC LIMIT 1)
        FROM run_ids_list";
    let found = all(db, sql, [beginning], |row| {
        let Some(ids) = row.get_ref(0)?.as_blob_or_null().map_err(rusqlite::Error::from)? else {
            return Ok(Vec::new());
        };
        let ids = places(ids)?;
        let from = ids.partition_point(|id| id.0 < beginning);
        let alike = ids[from..].iter().take_while(|id| id.0 == beginning);
        Ok(alike.map(|id| id.1).collect::<Vec<_>>())
    })?;
    let mut keys = found.concat();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Adds places, at least one, as a list.
pub(super) fn add(db: &Connection, mut added: Vec<Place>) -> Result<(), Fault> {
    let lists = all(
        db,
        "SELECT num, size FROM run_ids_list ORDER BY size",
        [],
        |row| Ok((get::<i64>(row, 0)?, get::<i64>(row, 1)?)),
    )?;
    let num = lists.iter().map(|(num, _)| num + 1).max().unwrap_or(1);
    for (num, size) in lists {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size / 2 > added.len() || size.saturating_add(added.len()) > LARGEST {
            break;
        }
        for (_, ids) in rows(db, num)? {
            added.extend(ids);
        }
        drop_list(db, num)?;
    }
    insert(db, num, added)
}

/// Writes lists anew, after [`clear`]: `num` is that of none yet.
pub(super) fn insert(db: &Connection, num: i64, mut places: Vec<Place>) -> Result<(), Fault> {
    // It may be of sorted parts, which this sort makes use of.
    places.sort();
    execute(
        db,
        "INSERT INTO run_ids_list (num, size) VALUES (?1, ?2)",
        params![num, places.len() as i64],
    )?;
    let mut rest = &places[..];
    while let Some((least, _)) = rest.first() {
        let mut end = rest.len().min(PLACES);
        // One row has all that begin alike, so that one look finds them.
        while end < rest.len() && rest[end].0 == rest[end - 1].0 {
            end += 1;
        }
        let ids = bytes(&rest[..end]);
        execute(
            db,
            "INSERT INTO run_ids (list, least, ids) VALUES (?1, ?2, ?3)",
            params![num, least, ids],
        )?;
        rest = &rest[end..];
    }
    Ok(())
}

/// Deletes all lists.
pub(super) fn clear(db: &Connection) -> Result<(), Fault> {
    execute(db, "DELETE FROM run_ids", [])?;
    execute(db, "DELETE FROM run_ids_list", [])?;
    Ok(())
}

/// What `look` sees in each row, list by list: the list's number, `least`, and the places.
pub(super) fn each(
    db: &Connection,
    mut look: impl FnMut(i64, i64, Result<Vec<Place>, Fault>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = db.prepare_cached("SELECT list, least, ids FROM run_ids ORDER BY list, least")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let ids = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        look(get(row, 0)?, get(row, 1)?, places(ids))?;
    }
    Ok(())
}

/// The numbers of all lists, and how many places each should have.
pub(super) fn sizes(db: &Connection) -> Result<BTreeMap<i64, i64>, Fault> {
    let sql = "SELECT num, size FROM run_ids_list";
    let sizes = all(db, sql, [], |row| Ok((get(row, 0)?, get(row, 1)?)))?;
    Ok(sizes.into_iter().collect())
}

/// Removes what leads to keys that are gone.
pub(super) fn remove(db: &Connection, is_gone: impl Fn(i64) -> bool) -> Result<(), Fault> {
    let lists = all(db, "SELECT num FROM run_ids_list", [], |row| get::<i64>(row, 0))?;
    for num in lists {
        let mut size = 0;
        for (rowid, ids) in rows(db, num)? {
            let kept: Vec<_> = ids.iter().copied().filter(|id| !is_gone(id.1)).collect();
            size += kept.len();
            if kept.is_empty() {
                execute(db, "DELETE FROM run_ids WHERE rowid = ?1", [rowid])?;
            } else if kept.len() < ids.len() {
                let kept = bytes(&kept);
                execute(
                    db,
                    "UPDATE run_ids SET ids = ?2 WHERE rowid = ?1",
                    params![rowid, kept],
                )?;
            }
        }
        match size {
            0 => drop_list(db, num)?,
            size => {
                let sql = "UPDATE run_ids_list SET size = ?2 WHERE num = ?1";
                execute(db, sql, params![num, size as i64])?;
            }
        }
    }
    Ok(())
}

/// The rows of a list.
fn rows(db: &Connection, num: i64) -> Result<Vec<(i64, Vec<Place>)>, Fault> {
    let sql = "SELECT rowid, ids FROM run_ids WHERE list = ?1 ORDER BY least";
    all(db, sql, [num], |row| {
        let ids = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        Ok((get(row, 0)?, places(ids)?))
    })
}

fn drop_list(db: &Connection, num: i64) -> Result<(), Fault> {
    execute(db, "DELETE FROM run_ids WHERE list = ?1", [num])?;
    execute(db, "DELETE FROM run_ids_list WHERE num = ?1", [num])?;
    Ok(())
}

fn bytes(places: &[Place]) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_of_val(places));
    for (beginning, key) in places {
        out.extend_from_slice(&beginning.to_le_bytes());
        out.extend_from_slice(&key.to_le_bytes());
    }
    out
}

fn places(bytes: &[u8]) -> Result<Vec<Place>, Fault> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let (pairs, odd) = numbers.as_chunks::<2>();
    if !rest.is_empty() || !odd.is_empty() {
        return Err(Fault::Damaged("bytes that are no places of ids".to_owned()));
    }
    let numbers = |[a, b]: &[[u8; 8]; 2]| (i64::from_le_bytes(*a), i64::from_le_bytes(*b));
    Ok(pairs.iter().map(numbers).collect())
}
