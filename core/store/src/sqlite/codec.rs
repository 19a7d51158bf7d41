//! How values of the model look in columns.

use crate::model::EventFlags;
use roomlet_wire::{EventId, EventNum, RoomNum, SlotNum, base64};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// The primary key of a state or event: the order within a room is that of the numbers.
pub(super) fn key(room: RoomNum, num: u32) -> i64 {
    i64::from(room.0) << 32 | i64::from(num)
}

/// The room and number of a primary key.
pub(super) fn from_key(key: i64) -> (RoomNum, u32) {
    // The upper half is a `u32` whose top bit became the sign; the lower half is cut off on purpose.
    (RoomNum((key >> 32) as u32), key as u32)
}

/// A number that counts up, as SQLite's signed integer; beyond its range (from outside only) the greatest.
pub(super) fn position(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The number of its column; no negative one is ever written.
pub(super) fn from_position(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// An event id as a column: its hash where that gives back the same text, else the text.
pub(super) enum Id<'a> {
    Hash([u8; 32]),
    Text(&'a EventId),
}

impl<'a> Id<'a> {
    pub(super) fn of(id: &'a EventId) -> Self {
        hash(id).map_or(Self::Text(id), Self::Hash)
    }
}

impl ToSql for Id<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Hash(hash) => ValueRef::Blob(hash),
            Self::Text(id) => ValueRef::Text(id.as_bytes()),
        }))
    }
}

/// The hash that an id is; none if its last character has bits to spare that are not zero, as in an id that another
/// server made up.
fn hash(id: &EventId) -> Option<[u8; 32]> {
    base64::decode_url_safe_exact(&id[1..])
}

/// The text of an event id from its column.
pub(super) fn id_text(column: ValueRef<'_>) -> Option<String> {
    match column {
        ValueRef::Blob(hash) if hash.len() == 32 => Some(format!("${}", base64::encode_url_safe(hash))),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).ok(),
        _ => None,
    }
}

/// Flags as bits; the lower three hide an event from users (`event_timeline`).
pub(super) fn flags(flags: EventFlags) -> i64 {
    i64::from(flags.outlier)
        | i64::from(flags.rejected) << 1
        | i64::from(flags.soft_failed) << 2
        | i64::from(flags.backfilled) << 3
}

/// The flags of their bits.
pub(super) fn from_flags(bits: i64) -> EventFlags {
    EventFlags {
        outlier: bits & 1 != 0,
        rejected: bits & 2 != 0,
        soft_failed: bits & 4 != 0,
        backfilled: bits & 8 != 0,
    }
}

/// Event numbers, each as a varint.
pub(super) fn nums(nums: &[EventNum]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nums.len() * 3);
    for num in nums {
        put(&mut out, u64::from(num.0));
    }
    out
}

/// The event numbers of their bytes.
pub(super) fn from_nums(mut bytes: &[u8]) -> Option<Vec<EventNum>> {
    let mut nums = Vec::new();
    while !bytes.is_empty() {
        nums.push(EventNum(take(&mut bytes)?.try_into().ok()?));
    }
    Some(nums)
}

/// The changes of a state, each as two varints: the step from the slot before, in zigzag form (small and mostly
/// positive where slots ascend), and the event's number plus 1, or 0 for a slot removed.
pub(super) fn changes(changes: &[(SlotNum, Option<EventNum>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(changes.len() * 4);
    let mut last = 0;
    for (slot, event) in changes {
        put_signed(&mut out, i64::from(slot.0) - last);
        put(&mut out, event.map_or(0, |event| u64::from(event.0) + 1));
        last = i64::from(slot.0);
    }
    out
}

/// The changes of their bytes.
pub(super) fn from_changes(mut bytes: &[u8]) -> Option<Vec<(SlotNum, Option<EventNum>)>> {
    let mut changes = Vec::new();
    let mut last = 0_i64;
    while !bytes.is_empty() {
        last = last.checked_add(take_signed(&mut bytes)?)?;
        let event = match take(&mut bytes)? {
            0 => None,
            event => Some(EventNum((event - 1).try_into().ok()?)),
        };
        changes.push((SlotNum(last.try_into().ok()?), event));
    }
    Some(changes)
}

/// Appends a number in zigzag form, in which small ones take few bytes below 0 too.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63) as u64);
}

/// Takes a number that [`put_signed`] gave off the front.
pub(super) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = take(bytes)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Appends a varint: 7 bits a byte, low ones first, the top bit set on all but the last.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a varint off the front; `None` if it does not end or does not fit.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EventId {
        EventId::parse(text).expect("an event id")
    }

    #[test]
    fn keys_give_back_room_and_number() {
        for (room, num) in [(0, 0), (1, u32::MAX), (u32::MAX, 7)] {
            assert_eq!(from_key(key(RoomNum(room), num)), (RoomNum(room), num));
        }
        assert!(key(RoomNum(1), u32::MAX) < key(RoomNum(2), 0));
    }

    #[test]
    fn a_url_safe_hash_is_stored_as_32_bytes() {
        let text = format!("${}", base64::encode_url_safe(&[0xfb; 32]));
        assert_eq!(hash(&id(&text)), Some([0xfb; 32]));
        assert_eq!(id_text(ValueRef::Blob(&[0xfb; 32])), Some(text));
    }

    #[test]
    fn other_event_ids_are_stored_as_text() {
        let standard = format!("${}", base64::encode(&[0xfb; 32]));
        assert!(standard.contains('+') || standard.contains('/'));
        let spare_bits = format!("${}B", "A".repeat(42));
        let with_server = "$abcdefghijklmnopqrstuvwxyz:server.example.tld";
        for text in [standard.as_str(), &spare_bits, with_server] {
            assert_eq!(hash(&id(text)), None, "{text}");
            assert_eq!(id_text(ValueRef::Text(text.as_bytes())).as_deref(), Some(text));
        }
    }

    #[test]
    fn changes_survive_in_any_order_and_at_the_limits() {
        let rows = vec![
            (SlotNum(5), Some(EventNum(0))),
            (SlotNum(u32::MAX), Some(EventNum(u32::MAX))),
            (SlotNum(0), None),
            (SlotNum(1), Some(EventNum(300))),
        ];
        assert_eq!(from_changes(&changes(&rows)), Some(rows));
        assert_eq!(from_changes(&[]), Some(vec![]));
    }

    #[test]
    fn ascending_changes_take_few_bytes() {
        let rows: Vec<_> = (0..1000).map(|n| (SlotNum(n), Some(EventNum(n + 100)))).collect();
        assert!(changes(&rows).len() <= 3 * rows.len());
    }

    #[test]
    fn damaged_bytes_are_refused() {
        assert_eq!(from_changes(&[0x80]), None);
        assert_eq!(from_changes(&[1, 0]), None, "a slot below 0");
        assert_eq!(from_changes(&[2]), None, "no event after the slot");
        assert_eq!(
            from_nums(&[0xff, 0xff, 0xff, 0xff, 0x7f]),
            None,
            "more than 32 bits"
        );
        assert_eq!(from_nums(&[0x80; 11]), None);
    }

    #[test]
    fn flags_survive() {
        for bits in 0..16 {
            assert_eq!(flags(from_flags(bits)), bits);
        }
    }
}
