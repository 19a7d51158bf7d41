//! The form of a run: events of a room that came together, one after the other in one row.
//!
//! Each event is, as varints where nothing else is said: how far its number is from the run's first one; a byte with its
//! flags (see `codec`) and whether a state before and one after follow; its depth in zigzag form; these states; the 32
//! bytes of its id; the bytes of its JSON in packed form and how many they are.

use super::codec::{self, from_key, put, put_signed, take, take_signed};
use super::{fault::Fault, packed};
use crate::model::*;
use roomlet_wire::{EventId, EventNum, StateNum, base64};

/// A run of so many bytes gets no more events: to read one means to read all that come before it.
const BYTES: usize = 16 << 10;
/// Events that users may see are in a run in the order of the timeline, and their depths not further apart than this, so
/// that it is known where a page has to look.
pub(super) const DEPTHS: i64 = 256;

const HAS_STATE_BEFORE: u8 = 1 << 4;
const HAS_STATE_AFTER: u8 = 1 << 5;
/// Bits that no event has.
const NO_FLAGS: u8 = 3 << 6;

/// The least and greatest depth of the events of a run that users may see, if there are any.
pub(super) type Depths = Option<(i64, i64)>;

/// A run that is being written.
#[derive(Debug)]
pub(super) struct Run {
    /// Keys of its first and last event.
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) depths: Depths,
    pub(super) bytes: Vec<u8>,
}

impl Run {
    /// Without any event: the next one has this key.
    pub(super) fn starting_at(key: i64) -> Self {
        Self {
            first: key,
            last: key,
            depths: None,
            bytes: Vec::with_capacity(BYTES + (BYTES >> 2)),
        }
    }

    /// Whether the event may follow, whose key is greater than that of any event held.
    pub(super) fn has_place_for(&self, key: i64, row: &EventRow) -> bool {
        let in_order = match self.depths {
            Some((low, high)) if row.flags.is_shown() => {
                high <= row.depth && row.depth.checked_sub(low).is_some_and(|depths| depths <= DEPTHS)
            }
            _ => true,
        };
        in_order && self.bytes.len() < BYTES && from_key(self.first).0 == from_key(key).0
    }

    /// Appends an event that [has a place](Self::has_place_for), by its id's hash and its packed JSON. `redacted_by` is not
    /// stored: redacted events have rows of their own.
    pub(super) fn push(&mut self, key: i64, row: &EventRow, hash: &[u8; 32], packed: &[u8]) {
        let out = &mut self.bytes;
        put(out, (key - self.first) as u64);
        let mut bits = codec::flags(row.flags) as u8;
        bits |= row.state_before.map_or(0, |_| HAS_STATE_BEFORE);
        bits |= row.state_after.map_or(0, |_| HAS_STATE_AFTER);
        out.push(bits);
        put_signed(out, row.depth);
        for state in [row.state_before, row.state_after].into_iter().flatten() {
            put(out, state.0.into());
        }
        out.extend_from_slice(hash);
        put(out, packed.len() as u64);
        out.extend_from_slice(packed);
        self.last = key;
        if row.flags.is_shown() {
            let low = self.depths.map_or(row.depth, |(low, _)| low);
            self.depths = Some((low, row.depth));
        }
    }
}

/// An event of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: i64,
    pub(super) depth: i64,
    flags: EventFlags,
    state_before: Option<StateNum>,
    state_after: Option<StateNum>,
    pub(super) hash: &'a [u8; 32],
    packed: &'a [u8],
    /// All of it.
    pub(super) bytes: &'a [u8],
}

impl Entry<'_> {
    /// Whether users may see it.
    pub(super) fn is_shown(&self) -> bool {
        self.flags.is_shown()
    }

    pub(super) fn row(&self) -> Result<EventRow, Fault> {
        let id = EventId::parse(&format!("${}", base64::encode_url_safe(self.hash)));
        let (room, num) = from_key(self.key);
        let json = packed::unpack(self.packed).ok_or_else(|| {
            let what = "bytes that are no packed event";
            Fault::Damaged(format!("event {num} of room number {}: {what}", room.0))
        })?;
        Ok(EventRow {
            num: EventNum(num),
            id: id.map_err(|error| Fault::Damaged(error.to_string()))?,
            json: json.into(),
            depth: self.depth,
            flags: self.flags,
            state_before: self.state_before,
            state_after: self.state_after,
            redacted_by: None,
        })
    }
}

/// The events of a run from its bytes, and from the keys that its first and last one had.
pub(super) struct Entries<'a> {
    first: i64,
    last: i64,
    /// The greatest key that one may have.
    bound: i64,
    /// The key of the event before.
    before: Option<i64>,
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    pub(super) fn of(first: i64, last: i64, bytes: &'a [u8]) -> Self {
        Self {
            first,
            last,
            bound: last,
            before: None,
            rest: bytes,
        }
    }

    /// Whatever is said of the last one, with keys up to `bound`.
    pub(super) fn up_to(self, bound: i64) -> Self {
        Self { bound, ..self }
    }

    fn take(&mut self) -> Option<Entry<'a>> {
        let all = self.rest;
        let rest = &mut self.rest;
        let key = self.first.checked_add(i64::try_from(take(rest)?).ok()?)?;
        if key > self.bound || self.before.is_some_and(|before| key <= before) {
            return None;
        }
        let bits = *rest.split_off_first()?;
        if bits & NO_FLAGS != 0 {
            return None;
        }
        let depth = take_signed(rest)?;
        let mut state = |bit: u8| match bits & bit {
            0 => Some(None),
            _ => Some(Some(StateNum(take(rest)?.try_into().ok()?))),
        };
        let (state_before, state_after) = (state(HAS_STATE_BEFORE)?, state(HAS_STATE_AFTER)?);
        let hash = rest.split_off(..32)?.try_into().ok()?;
        let length = usize::try_from(take(rest)?).ok()?;
        let packed = rest.split_off(..length)?;
        self.before = Some(key);
        Some(Entry {
            key,
            depth,
            flags: codec::from_flags(bits.into()),
            state_before,
            state_after,
            hash,
            packed,
            bytes: &all[..all.len() - self.rest.len()],
        })
    }

    fn damaged(&self) -> Fault {
        let ((room, first), (_, last)) = (from_key(self.first), from_key(self.last));
        let mut about = format!(
            "the run of events {first} to {last} of room number {} cannot be read",
            room.0
        );
        if let Some(before) = self.before {
            about += &format!(" after event {}", from_key(before).1);
        }
        Fault::Damaged(about)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take().ok_or_else(|| self.damaged());
        if taken.is_err() {
            self.rest = &[];
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;
    use crate::sqlite::codec::key;
    use roomlet_wire::RoomNum;

    fn row(num: u32, depth: i64) -> EventRow {
        EventRow {
            num: EventNum(num),
            id: EventId::parse(&format!("${}", base64::encode_url_safe(&[num as u8; 32]))).unwrap(),
            json: format!(r#"{{"depth":{depth}}}"#).into(),
            depth,
            flags: EventFlags::default(),
            state_before: None,
            state_after: Some(StateNum(u32::MAX)),
            redacted_by: None,
        }
    }

    fn push(run: &mut Run, row: &EventRow) {
        let packed = packed::pack(&row.json).unwrap();
        run.push(key(RoomNum(7), row.num.0), row, &[row.num.0 as u8; 32], &packed);
    }

    fn is_next(run: &Run, row: &EventRow) -> bool {
        run.has_place_for(key(RoomNum(7), row.num.0), row)
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let mut rows = vec![row(3, -5), row(4, 0), row(200, i64::from(u32::MAX))];
        rows[1].flags.rejected = true;
        rows[1].flags.backfilled = true;
        rows[2].state_before = Some(StateNum(0));
        rows[2].state_after = None;
        let mut run = Run::starting_at(key(RoomNum(7), 3));
        for row in &rows {
            push(&mut run, row);
        }
        assert_eq!((run.first, run.last), (key(RoomNum(7), 3), key(RoomNum(7), 200)));
        assert_eq!(run.depths, Some((-5, i64::from(u32::MAX))));
        let entries: Vec<_> = Entries::of(run.first, run.last, &run.bytes)
            .map(Result::unwrap)
            .collect();
        let read: Vec<_> = entries.iter().map(|entry| entry.row().unwrap()).collect();
        assert_eq!(read, rows);
        assert_eq!(
            entries
                .iter()
                .map(|entry| entry.bytes)
                .collect::<Vec<_>>()
                .concat(),
            run.bytes
        );
    }

    #[test]
    fn what_users_see_is_in_order_and_near() {
        let mut run = Run::starting_at(key(RoomNum(7), 0));
        let mut hidden = row(0, 1 << 53);
        hidden.flags.outlier = true;
        push(&mut run, &hidden);
        assert_eq!(run.depths, None);
        push(&mut run, &row(1, 10));
        assert!(is_next(&run, &row(2, 10)));
        assert!(is_next(&run, &hidden));
        assert!(!is_next(&run, &row(2, 9)));
        assert!(is_next(&run, &row(2, 10 + DEPTHS)));
        assert!(!is_next(&run, &row(2, 11 + DEPTHS)));
        assert!(
            !run.has_place_for(key(RoomNum(8), 2), &row(2, 10)),
            "another room"
        );
        push(&mut run, &row(2, 12));
        assert!(!is_next(&run, &row(3, 11)));
        assert_eq!(run.depths, Some((10, 12)));
        let mut least = Run::starting_at(key(RoomNum(7), 0));
        push(&mut least, &row(0, i64::MIN));
        assert!(!is_next(&least, &row(1, i64::MAX)));
    }

    #[test]
    fn bytes_that_are_no_events_are_refused() {
        let mut run = Run::starting_at(key(RoomNum(7), 0));
        push(&mut run, &row(0, 1));
        let whole = run.bytes.len();
        push(&mut run, &row(1, 2));
        for end in whole + 1..run.bytes.len() {
            let read: Vec<_> = Entries::of(run.first, run.last, &run.bytes[..end]).collect();
            assert_eq!(read.len(), 2, "{end}");
            let said = "the run of events 0 to 1 of room number 7 cannot be read after event 0";
            assert!(
                matches!(&read[1], Err(Fault::Damaged(what)) if what == said),
                "{end}"
            );
        }
        let refused = |last: i64, at: usize, byte: u8| {
            let mut bytes = run.bytes.clone();
            bytes[at] = byte;
            Entries::of(run.first, last, &bytes).any(|entry| entry.is_err())
        };
        assert!(!refused(run.last, 0, 0));
        assert!(refused(run.last, whole, 0), "the same number twice");
        assert!(refused(run.last, whole, 2), "a number beyond the last");
        assert!(refused(run.last, 1, 0x80), "a flag that there is not");
        assert!(refused(run.first, 0, 0), "an event after the last");
    }
}
