//! The events of a large commit: they go into runs.

use crate::model::*;
use crate::sqlite::codec::{Id, from_key, key};
use crate::sqlite::fault::Fault;
use crate::sqlite::row::one;
use crate::sqlite::run::Run;
use crate::sqlite::{packed, run_ids, runs};
use roomlet_wire::RoomNum;
use rusqlite::Connection;

/// A commit with so many events is a large one.
const LARGE: usize = 64;

/// What of a commit is still to be written.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    run: Option<Run>,
    /// Where the events of this commit's runs are.
    places: Vec<run_ids::Place>,
    /// The greatest key of an event so far, in the room of the last one.
    newest: Option<i64>,
    packed: Vec<u8>,
}

impl Bulk {
    /// None, if the commit is not large.
    pub(super) fn of(commit: &Commit) -> Option<Self> {
        let events = commit.writes.iter();
        let events = events.filter(|write| matches!(write, Write::Event { .. }));
        (events.count() >= LARGE).then(Self::default)
    }

    /// Whether `write` is an event that goes into a run. Before a write that looks at other events, those are written.
    pub(super) fn takes(&mut self, db: &Connection, write: &Write) -> Result<bool, Fault> {
        match write {
            Write::Event { room, row } => self.takes_event(db, *room, row),
            Write::Purge { .. } | Write::Forget { .. } => {
                self.finish(db)?;
                self.newest = None;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// An event that is new and says nothing that runs have no place for.
    fn takes_event(&mut self, db: &Connection, room: RoomNum, row: &EventRow) -> Result<bool, Fault> {
        let key = key(room, row.num.0);
        let newest = match self.newest {
            Some(newest) if from_key(newest).0 == room => newest,
            _ => {
                self.end_run(db)?;
                newest(db, room)?
            }
        };
        self.newest = Some(newest.max(key));
        if key <= newest {
            self.end_run(db)?;
            return Ok(false);
        }
        let Id::Hash(hash) = Id::of(&row.id) else {
            return Ok(false);
        };
        if row.redacted_by.is_some() || !packed::pack_into(&row.json, &mut self.packed) {
            return Ok(false);
        }
        let run = match self.run.take() {
            Some(run) if run.has_place_for(key, row) => run,
            full => {
                if let Some(full) = full {
                    runs::insert(db, &full)?;
                }
                Run::starting_at(key)
            }
        };
        self.run.insert(run).push(key, row, &hash, &self.packed);
        self.places.push((run_ids::beginning(&hash), key));
        Ok(true)
    }

    /// Writes what is still to be written.
    pub(super) fn finish(&mut self, db: &Connection) -> Result<(), Fault> {
        self.end_run(db)?;
        match std::mem::take(&mut self.places) {
            places if places.is_empty() => Ok(()),
            places => run_ids::add(db, places),
        }
    }

    fn end_run(&mut self, db: &Connection) -> Result<(), Fault> {
        self.run.take().map_or(Ok(()), |run| runs::insert(db, &run))
    }
}

/// The greatest key of an event of the room, or one less than the first that there can be.
fn newest(db: &Connection, room: RoomNum) -> Result<i64, Fault> {
    let sql = "SELECT max(key) FROM event WHERE key BETWEEN ?1 AND ?2";
    let keys = [key(room, 0), key(room, u32::MAX)];
    let event = one(db, sql, keys, |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
    let run = runs::last_key(db, room)?;
    Ok(event.max(run).unwrap_or(key(room, 0).saturating_sub(1)))
}
