//! Whether the lists of ids lead to each event of the runs, and to nothing else.

use super::{Look, end_of_room, scan};
use crate::model::Finding;
use crate::sqlite::codec::from_key;
use crate::sqlite::fault::Fault;
use crate::sqlite::row::one;
use crate::sqlite::run_ids::{self, Place};
use crate::sqlite::runs;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;

/// Places of the lists and of the runs that are compared at a time, each.
const PLACES: usize = 1 << 20;

/// Keys of events about which lists and runs differ.
#[derive(Default)]
struct Differences {
    /// Which no list leads to.
    missing: Vec<i64>,
    /// Which are in lists more than once.
    twice: Vec<i64>,
    /// Which lists lead to by an id that they do not have.
    strange: Vec<i64>,
    /// Which lists lead to and which are nowhere.
    lost: Vec<i64>,
}

pub(super) fn look(db: &Connection, look: &mut Look) -> Result<(), Fault> {
    let sizes = run_ids::sizes(db)?;
    look_at_rows(db, &sizes, look)?;
    let listed = sizes.values().map(|size| usize::try_from(*size).unwrap_or(0));
    let places = listed.fold(look.events, usize::saturating_add);
    // A size may be damaged, so that it says nothing of how much there is.
    let parts = (places / PLACES).min(1 << 10) as u64 + 1;
    let mut differences = Differences::default();
    for part in 0..parts {
        let is_in = |beginning: i64| (u128::from(beginning as u64) * u128::from(parts)) >> 64 == part.into();
        let (mut wanted, mut listed) = (Vec::new(), Vec::new());
        scan(
            db,
            |entry| {
                let beginning = run_ids::beginning(entry.hash);
                if is_in(beginning) {
                    wanted.push((beginning, entry.key));
                }
                Ok(())
            },
            |_| Ok(()),
        )?;
        run_ids::each(db, |list, _, ids| {
            if let Ok(ids) = ids
                && sizes.contains_key(&list)
            {
                listed.extend(ids.into_iter().filter(|id| is_in(id.0)));
            }
            Ok(())
        })?;
        wanted.sort_unstable();
        listed.sort_unstable();
        compare(db, &wanted, &listed, &mut differences)?;
    }
    look.add(
        Finding::Index,
        "events not found by their ids",
        differences.missing,
    );
    look.add(
        Finding::Index,
        "events that lists of ids have twice",
        differences.twice,
    );
    let what = "events found by ids that they do not have";
    look.add(Finding::Index, what, differences.strange);
    look.lose(differences.lost);
    Ok(())
}

/// The form of the lists: whoever looks for an id finds the one row that may have it.
fn look_at_rows(db: &Connection, sizes: &BTreeMap<i64, i64>, look: &mut Look) -> Result<(), Fault> {
    let mut counted: BTreeMap<i64, i64> = sizes.keys().map(|list| (*list, 0)).collect();
    let mut wrong: BTreeMap<i64, &str> = BTreeMap::new();
    // The list and the last beginning of the row before.
    let mut before: Option<(i64, i64)> = None;
    run_ids::each(db, |list, least, ids| {
        let Some(count) = counted.get_mut(&list) else {
            wrong.entry(list).or_insert("it is not among the lists");
            return Ok(());
        };
        let Ok(ids) = ids else {
            wrong.entry(list).or_insert("bytes that are no places of ids");
            return Ok(());
        };
        *count += ids.len() as i64;
        let follows = before.is_none_or(|(of, last)| of != list || last < least);
        let begins = ids.first().is_some_and(|first| least <= first.0);
        if !follows || !begins || !ids.is_sorted() {
            wrong.entry(list).or_insert("it is not in order");
        }
        before = ids.last().map(|last| (list, last.0));
        Ok(())
    })?;
    for (list, count) in counted {
        if sizes.get(&list) != Some(&count) {
            wrong.entry(list).or_insert("its size is wrong");
        }
    }
    let about = |(list, what)| Finding::Index(format!("list {list} of ids: {what}"));
    look.found.extend(wrong.into_iter().map(about));
    Ok(())
}

/// Compares places, ascending: those that the runs have and those that lists have.
fn compare(db: &Connection, wanted: &[Place], listed: &[Place], out: &mut Differences) -> Result<(), Fault> {
    let mut rest = wanted;
    for alike in listed.chunk_by(|a, b| a == b) {
        let place = alike[0];
        if alike.len() > 1 {
            out.twice.push(place.1);
        }
        let (less, not_less) = rest.split_at(rest.partition_point(|wanted| *wanted < place));
        out.missing.extend(less.iter().map(|place| place.1));
        rest = not_less;
        match rest.split_first() {
            Some((first, after)) if *first == place => rest = after,
            _ => superfluous(db, wanted, place, out)?,
        }
    }
    out.missing.extend(rest.iter().map(|place| place.1));
    Ok(())
}

/// A place that no run has. The event may have left its run.
fn superfluous(db: &Connection, wanted: &[Place], place: Place, out: &mut Differences) -> Result<(), Fault> {
    let (beginning, key) = place;
    let own_row = one(db, "SELECT id FROM event WHERE key = ?1", [key], |row| {
        let id = row.get_ref(0)?;
        Ok(matches!(id, ValueRef::Blob(id) if id.starts_with(&beginning.to_be_bytes())))
    })?;
    if own_row == Some(true) {
        return Ok(());
    }
    let is_held = own_row.is_some() || matches!(runs::holds(db, key), Ok(true));
    let (room, num) = from_key(key);
    let alike = wanted[wanted.partition_point(|place| place.0 < beginning)..].iter();
    let mut alike = alike.take_while(|place| place.0 == beginning);
    let is_elsewhere = alike.any(|place| from_key(place.1).0 == room);
    let was_given = end_of_room(db, room)?.is_some_and(|end| i64::from(num) < end);
    match is_held || is_elsewhere || !was_given {
        true => out.strange.push(key),
        false => out.lost.push(key),
    }
    Ok(())
}
