//! Damage at random to runs and lists of ids: what is not told of as lost is there after mending.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{random::Random, *};
use roomlet_store::*;
use roomlet_wire::{EventNum, RoomNum};
use rusqlite::{Connection, params};
use std::path::Path;

const EVENTS: u32 = 400;
/// Damaged files that are tried; the variable sets another number.
const FILES: u64 = 30;
const VARIABLE: &str = "ROOMLET_MENDED_FILES";

fn row(num: u32) -> EventRow {
    EventRow {
        json: format!(r#"{{"body":"{}","n":{num}}}"#, "x".repeat(90)).into(),
        ..event_row(num, num.into())
    }
}

fn event(room: u32, row: EventRow) -> Write {
    let room = RoomNum(room);
    Write::Event { room, row }
}

/// Two rooms in runs, from which some events have left, and others are gone.
fn fill(store: &dyn Store) {
    for room in [1, 2] {
        let record = RoomRecord {
            next_event: EventNum(EVENTS),
            ..record(room)
        };
        commit(store, [Write::Room(record)]);
        for begin in (0..EVENTS).step_by(80) {
            let rows = (begin..begin + 80).map(|num| event(room, row(num)));
            commit(store, rows.collect::<Vec<_>>());
        }
        for num in (0..EVENTS).step_by(37) {
            let mut row = row(num);
            row.flags.soft_failed = true;
            commit(store, [event(room, row)]);
        }
        commit(
            store,
            [Write::Purge {
                room: RoomNum(room),
                events: (100..110).map(EventNum).collect(),
                states: Vec::new(),
            }],
        );
    }
}

/// Does something to a row, and tells what.
fn damage(db: &Connection, random: &mut Random) -> String {
    let (table, column) = [
        ("run", "events"),
        ("run", "events"),
        ("run_ids", "ids"),
        ("run", "last"),
        ("run", "low"),
        ("run", "high"),
        ("run_ids", "least"),
        ("run_ids_list", "size"),
    ][random.below(8) as usize];
    let count: u32 = db
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
        .unwrap();
    if count == 0 {
        return String::new();
    }
    let at = random.below(count);
    let sql = format!("SELECT rowid FROM {table} LIMIT 1 OFFSET {at}");
    let rowid: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
    if random.below(6) == 0 {
        db.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [rowid])
            .unwrap();
        return format!("row {rowid} of {table} is gone");
    }
    let set = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
    if !["events", "ids"].contains(&column) {
        let sql = format!("SELECT {column} FROM {table} WHERE rowid = ?1");
        let value: i64 = db.query_row(&sql, [rowid], |row| row.get(0)).unwrap();
        let value = value ^ 1 << random.below(63);
        db.execute(&set, params![rowid, value]).unwrap();
        return format!("{table}.{column} of {rowid} is {value}");
    }
    let sql = format!("SELECT {column} FROM {table} WHERE rowid = ?1");
    let mut bytes: Vec<u8> = db.query_row(&sql, [rowid], |row| row.get(0)).unwrap();
    if bytes.is_empty() {
        return String::new();
    }
    let at = random.below(bytes.len() as u32) as usize;
    let what = match random.below(4) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            drop(bytes.drain(at..(at + 16).min(bytes.len())));
            "cut out"
        }
        2 => {
            let more = bytes[at..].to_vec();
            bytes.extend(more);
            "repeated"
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "changed"
        }
    };
    db.execute(&set, params![rowid, bytes]).unwrap();
    format!("{table}.{column} of {rowid} is {what} at {at}")
}

/// Whether a finding says that the event is lost, or may be.
fn is_told(found: &[Finding], room: u32, num: u32) -> bool {
    let range = |text: &str| -> bool {
        let mut ends = text.split(" to ").map(|end| end.parse::<u32>().unwrap());
        let first = ends.next().unwrap();
        (first..=ends.next().unwrap_or(first)).contains(&num)
    };
    found.iter().any(|finding| {
        let Finding::Lost(about) = finding else {
            return false;
        };
        let of_run = about.strip_prefix("the run of events ");
        if let Some((events, rest)) = of_run.and_then(|rest| rest.split_once(" of room number ")) {
            let is_after = match rest.split_once(" after event ") {
                Some((_, last)) => num > last.parse().unwrap(),
                None => true,
            };
            return rest.starts_with(&format!("{room} ")) && range(events) && is_after;
        }
        let of_room = format!("room number {room}, events that are lost: ");
        let lost = about.strip_prefix(&of_room);
        lost.is_some_and(|ranges| ranges.split(", ").any(range))
    })
}

fn play(path: &Path, memory: &MemoryStore, seed: u64) -> usize {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed << 20);
    let raw = Connection::open(path).unwrap();
    let done: Vec<String> = (0..1 + random.below(3))
        .map(|_| damage(&raw, &mut random))
        .collect();
    let at = format!("seed {seed}: {done:?}");
    let store = open(path);
    let found = store.findings().unwrap();
    block_on(store.mend()).unwrap();
    assert_eq!(store.findings().unwrap(), [], "{at}");
    let mut lost = 0;
    for room in [1, 2] {
        let held = store.event_nums(RoomNum(room)).unwrap();
        for &num in &held {
            let row = store.event_by_num(RoomNum(room), num).unwrap().unwrap();
            let by_id = store.event(RoomNum(room), &row.id).unwrap();
            assert_eq!(by_id.map(|row| row.id), Some(row.id), "{at}");
        }
        for num in memory.event_nums(RoomNum(room)).unwrap() {
            if !held.contains(&num) {
                // Where lists are damaged too nothing may know its number.
                let of_lists =
                    |finding: &Finding| matches!(finding, Finding::Index(about) if about.contains(" ids"));
                let is_told = is_told(&found, room, num.0) || found.iter().any(of_lists);
                assert!(is_told, "{at}: {num:?} of {room}: {found:?}");
                lost += 1;
            }
        }
        let all = |direction| store.timeline(RoomNum(room), None, direction, 9_999).unwrap();
        let mut backward = all(Direction::Backward);
        backward.reverse();
        assert_eq!(all(Direction::Forward), backward, "{at}");
        let shown = held.iter().filter(|num| {
            let row = store.event_by_num(RoomNum(room), **num).unwrap().unwrap();
            row.flags.is_shown()
        });
        assert_eq!(backward.len(), shown.count(), "{at}");
        commit(&store, [event(room, row(EVENTS))]);
        let rows = (EVENTS + 1..EVENTS + 90).map(|num| event(room, row(num)));
        commit(&store, rows.collect::<Vec<_>>());
        let purge = Write::Purge {
            room: RoomNum(room),
            events: (0..EVENTS / 2).map(EventNum).collect(),
            states: Vec::new(),
        };
        commit(&store, [purge]);
        let id = room_id(room);
        let room = RoomNum(room);
        commit(&store, [Write::Forget { room, id }]);
    }
    for table in ["event", "run", "run_ids", "run_ids_list"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: u32 = raw.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 0, "{at}: {table}");
    }
    lost
}

#[test]
fn what_is_not_told_of_as_lost_is_there() {
    let (whole, dir, memory) = (TempDir::new(), TempDir::new(), MemoryStore::new());
    let store = open(&whole.db());
    fill(&store);
    fill(&memory);
    store.close();
    let mut lost = 0;
    let count = std::env::var(VARIABLE).map_or(FILES, |files| files.parse().unwrap());
    for seed in 1..=count {
        let files = std::fs::read_dir(dir.db().parent().unwrap()).unwrap();
        for file in files {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        std::fs::copy(whole.db(), dir.db()).unwrap();
        lost += play(&dir.db(), &memory, seed);
    }
    // So that something was looked at.
    assert!(lost > 100, "{lost}");
}
