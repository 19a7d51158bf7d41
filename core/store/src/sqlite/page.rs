//! Pages of a room's timeline, to which rows of their own and runs both add.

use super::codec::key;
use super::fault::Fault;
use super::row::get;
use super::run::DEPTHS;
use super::runs;
use crate::model::*;
use roomlet_wire::RoomNum;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// A place in the timeline: depth and key.
type Place = (i64, i64);

/// The events nearest to a place, in one direction.
pub(super) struct Page {
    from: Place,
    direction: Direction,
    limit: usize,
    events: BTreeMap<Place, EventRow>,
}

impl Page {
    /// After `from`, exclusive, with the rows that were found: no more than `limit`, and the nearest that are no part of a run.
    pub(super) fn of(
        room: RoomNum,
        from: Place,
        direction: Direction,
        limit: usize,
        rows: Vec<EventRow>,
    ) -> Self {
        let rows = rows.into_iter();
        Self {
            from,
            direction,
            limit,
            events: rows.map(|row| ((row.depth, key(room, row.num.0)), row)).collect(),
        }
    }

    /// Whether the first place comes before the second.
    fn is_before(&self, a: Place, b: Place) -> bool {
        match self.direction {
            Direction::Forward => a < b,
            Direction::Backward => a > b,
        }
    }

    /// The place that an event has to be before, if the page is full.
    fn end(&self) -> Option<Place> {
        let last = match self.direction {
            Direction::Forward => self.events.last_key_value(),
            Direction::Backward => self.events.first_key_value(),
        };
        let last = last.map_or(self.from, |(place, _)| *place);
        (self.events.len() >= self.limit).then_some(last)
    }

    fn has_place_for(&self, place: Place) -> bool {
        self.is_before(self.from, place) && self.end().is_none_or(|end| self.is_before(place, end))
    }

    fn add(&mut self, place: Place, row: EventRow) {
        self.events.insert(place, row);
        if self.events.len() > self.limit {
            match self.direction {
                Direction::Forward => self.events.pop_last(),
                Direction::Backward => self.events.pop_first(),
            };
        }
    }

    /// Adds what the room's runs have for it.
    pub(super) fn add_runs(&mut self, db: &Connection, room: RoomNum) -> Result<(), Fault> {
        // In the order of their least depths, from the first that may have something: none is wider than `DEPTHS`.
        let (sql, bound) = match self.direction {
            Direction::Forward => (
                "SELECT first, last, low, high FROM run
                WHERE first >> 32 = ?1 AND low >= ?2 AND (high, last) > (?3, ?4) ORDER BY low, first",
                self.from.0.saturating_sub(DEPTHS),
            ),
            Direction::Backward => (
                "SELECT first, last, low, high FROM run
                WHERE first >> 32 = ?1 AND low <= ?2 AND (low, first) < (?3, ?4) ORDER BY low DESC, first DESC",
                self.from.0,
            ),
        };
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query(params![key(room, 0) >> 32, bound, self.from.0, self.from.1])?;
        while let Some(row) = rows.next()? {
            let (first, last): (i64, i64) = (get(row, 0)?, get(row, 1)?);
            let (low, high): (i64, i64) = (get(row, 2)?, get(row, 3)?);
            if let Some(end) = self.end() {
                let (nearest, ends_later) = match self.direction {
                    Direction::Forward => ((low, first), false),
                    Direction::Backward => ((high, last), low.saturating_add(DEPTHS) >= end.0),
                };
                match self.is_before(nearest, end) {
                    true => {}
                    false if ends_later => continue,
                    false => break,
                }
            }
            runs::each(db, first, |entry| {
                let place = (entry.depth, entry.key);
                if entry.is_shown() && self.has_place_for(place) {
                    self.add(place, entry.row()?);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Its events, the nearest first.
    pub(super) fn into_rows(self) -> Vec<EventRow> {
        let rows = self.events.into_values();
        match self.direction {
            Direction::Forward => rows.collect(),
            Direction::Backward => rows.rev().collect(),
        }
    }
}
