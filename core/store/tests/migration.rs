//! Files of earlier schemas.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{random::dump, *};
use roomlet_store::*;
use roomlet_wire::{EventNum, RoomNum};
use std::fs;

/// What the release that had schema 1 wrote, and all that its reads said of it. Rooms 1 to 3 are of random writes; room
/// 9 has the events of `tests/vectors/archive.jsonl`.
const FILE: &[u8] = include_bytes!("data/v1.sqlite");
/// That file as a roomlet of schema 2 left it, which wrote the events of room 9 anew.
const FILE_2: &[u8] = include_bytes!("data/v2.sqlite");
/// And that one as a roomlet of schema 3 left it.
const FILE_3: &[u8] = include_bytes!("data/v3.sqlite");
const SAID: &str = include_str!("data/v1.txt");

fn user_version(path: &std::path::Path) -> i64 {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn a_file_of_an_earlier_schema_says_what_it_said() {
    for (version, file) in [(1, FILE), (2, FILE_2), (3, FILE_3)] {
        says_what_it_said(version, file);
    }
}

fn says_what_it_said(version: i64, file: &[u8]) {
    let dir = TempDir::new();
    fs::write(dir.db(), file).unwrap();
    assert_eq!(user_version(&dir.db()), version);
    // Once to migrate it, and once as a file of the present schema.
    for _ in 0..2 {
        let store = open(&dir.db());
        for (got, said) in dump(&store).lines().zip(SAID.lines()) {
            assert_eq!(got, said);
        }
        let events = include_str!("../../../tests/vectors/archive.jsonl").lines();
        for (num, json) in events.enumerate() {
            let row = store
                .event_by_num(RoomNum(9), EventNum(num as u32))
                .unwrap()
                .unwrap();
            assert_eq!(&*row.json, json);
            assert_eq!(store.event(RoomNum(9), &row.id).unwrap().unwrap(), row);
        }
        store.check().unwrap();
    }
    assert_eq!(user_version(&dir.db()), 4);
}

#[test]
fn an_event_of_schema_1_is_written_anew_as_one_of_today() {
    let dir = TempDir::new();
    fs::write(dir.db(), FILE).unwrap();
    let store = open(&dir.db());
    let mut row = store.event_by_num(RoomNum(9), EventNum(4)).unwrap().unwrap();
    row.flags.soft_failed = true;
    let room = RoomNum(9);
    commit(
        &store,
        [Write::Event {
            room,
            row: row.clone(),
        }],
    );
    assert_eq!(store.event_by_num(room, EventNum(4)).unwrap().unwrap(), row);
    drop(store);
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    let sql = "SELECT count(*) FROM event WHERE packed IS NOT NULL AND json = ''";
    assert_eq!(raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_file_of_schema_1_can_give_space_back() {
    let dir = TempDir::new();
    fs::write(dir.db(), FILE).unwrap();
    drop(open(&dir.db()));
    let size = || fs::metadata(dir.db()).unwrap().len();
    let migrated = size();
    let store = open(&dir.db());
    let id = store.room_id(RoomNum(9)).unwrap().unwrap();
    commit(&store, [Write::Forget { room: RoomNum(9), id }]);
    block_on(store.shrink()).unwrap();
    let shrunk = size();
    assert!(shrunk < migrated, "{shrunk} of {migrated}");
    store.check().unwrap();
    // From now on bit by bit.
    let room = store.room_id(RoomNum(1)).unwrap().unwrap();
    let fill = |num| {
        let json = format!(r#"{{"body":"{}"}}"#, "x".repeat(30_000)).into();
        let row = EventRow {
            json,
            ..event_row(num, 1)
        };
        Write::Event {
            room: RoomNum(1),
            row,
        }
    };
    commit(&store, (100..110).map(fill).collect::<Vec<_>>());
    block_on(store.shrink()).unwrap();
    assert!(size() > shrunk + 300_000, "{}", size());
    commit(
        &store,
        [Write::Forget {
            room: RoomNum(1),
            id: room,
        }],
    );
    block_on(store.shrink()).unwrap();
    assert!(size() <= shrunk, "{}", size());
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let dir = TempDir::new();
    fs::write(dir.db(), FILE).unwrap();
    // The second step wants to add a column that is there.
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    raw.execute_batch("ALTER TABLE event ADD COLUMN packed BLOB")
        .unwrap();
    drop(raw);
    let error = SqliteStore::open(dir.db(), SqliteOptions::default()).unwrap_err();
    assert!(
        error.about().contains("duplicate column name: packed"),
        "{error:?}"
    );
    assert_eq!(user_version(&dir.db()), 1);
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'event_id'";
    let index: String = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(index, "CREATE INDEX event_id ON event (id)");
}

#[test]
fn a_room_of_an_earlier_schema_goes_on_in_runs() {
    for file in [FILE, FILE_2, FILE_3] {
        let dir = TempDir::new();
        fs::write(dir.db(), file).unwrap();
        let store = open(&dir.db());
        let room = RoomNum(9);
        let before = store.event_nums(room).unwrap();
        let next = before.last().unwrap().0 + 1;
        let rows = || (next..next + 200).map(|num| event_row(num, num.into()));
        // The last of the earlier ones comes once more, before the new ones.
        let last = store.event_by_num(room, EventNum(next - 1)).unwrap().unwrap();
        let rows = std::iter::once(last).chain(rows());
        let writes = rows.clone().map(|row| Write::Event { room, row });
        commit(&store, writes.collect::<Vec<_>>());
        assert_eq!(store.findings().unwrap(), []);
        for row in rows {
            assert_eq!(store.event_by_num(room, row.num).unwrap(), Some(row.clone()));
            assert_eq!(store.event(room, &row.id).unwrap(), Some(row));
        }
        let events = (0..next + 100).map(EventNum).collect();
        let states = Vec::new();
        commit(&store, [Write::Purge { room, events, states }]);
        let left: Vec<EventNum> = (next + 100..next + 200).map(EventNum).collect();
        assert_eq!(store.event_nums(room).unwrap(), left);
        assert_eq!(store.findings().unwrap(), []);
        // Nothing is wrong, so nothing changes.
        block_on(store.mend()).unwrap();
        assert_eq!(store.event_nums(room).unwrap(), left);
    }
}
