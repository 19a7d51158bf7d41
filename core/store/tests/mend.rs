//! Damage to runs, lists of ids and events: what a check says of it, and what is left when it is mended.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use roomlet_store::*;
use roomlet_wire::{Code, EventNum, RoomNum, StreamPos};
use rusqlite::{Connection, params};

const EVENTS: u32 = 300;

/// A store on a file that is damaged while it is open, and one in memory that had the same commits.
struct Pair {
    _dir: TempDir,
    sqlite: SqliteStore,
    raw: Connection,
    memory: MemoryStore,
}

fn row(num: u32) -> EventRow {
    let body = format!("{num} ").repeat(150);
    EventRow {
        json: format!(r#"{{"content":{{"body":"{body}"}},"depth":{num}}}"#).into(),
        ..event_row(num, num.into())
    }
}

fn of_room(room: u32, row: EventRow) -> Write {
    let room = RoomNum(room);
    Write::Event { room, row }
}

impl Pair {
    /// Two rooms of 300 events in runs of three commits; event 40 of the first has left its run.
    fn new() -> Self {
        let dir = TempDir::new();
        let (sqlite, memory) = (open(&dir.db()), MemoryStore::new());
        let raw = Connection::open(dir.db()).unwrap();
        let pair = Self {
            _dir: dir,
            sqlite,
            raw,
            memory,
        };
        for room in [1, 2] {
            pair.commit(vec![Write::Room(record(room))]);
            for begin in [0, 100, 200] {
                pair.commit((begin..begin + 100).map(|num| of_room(room, row(num))).collect());
            }
        }
        let mut left = row(40);
        left.redacted_by = Some(event_id(41));
        pair.commit(vec![of_room(1, left)]);
        pair.is_whole("as it was made");
        pair
    }

    fn commit(&self, writes: Vec<Write>) {
        commit(&self.sqlite, writes.clone());
        commit(&self.memory, writes);
    }

    fn sql(&self, sql: &str) {
        assert!(self.raw.execute(sql, []).unwrap() > 0, "{sql}");
    }

    /// Changes a blob, which `sql` finds with its rowid.
    fn change(&self, table: &str, column: &str, rowid: i64, change: impl FnOnce(&mut Vec<u8>)) {
        let sql = format!("SELECT {column} FROM {table} WHERE rowid = ?1");
        let mut bytes: Vec<u8> = self.raw.query_row(&sql, [rowid], |row| row.get(0)).unwrap();
        change(&mut bytes);
        let sql = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
        assert_eq!(self.raw.execute(&sql, params![rowid, bytes]).unwrap(), 1);
    }

    /// First and last event of each run of the first room.
    fn runs(&self) -> Vec<(u32, u32)> {
        let sql =
            "SELECT first & 4294967295, last & 4294967295 FROM run WHERE first >> 32 = 1 ORDER BY first";
        let mut statement = self.raw.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// A row of lists that has an event of the first room, and at which byte.
    fn place_of(&self, num: u32) -> (i64, usize) {
        let key = (1_i64 << 32 | i64::from(num)).to_le_bytes();
        let mut statement = self.raw.prepare("SELECT rowid, ids FROM run_ids").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
        let mut rows = rows.unwrap().map(Result::unwrap);
        let find = |(rowid, ids): (i64, Vec<u8>)| {
            let at = ids.chunks(16).position(|place| place[8..] == key)?;
            Some((rowid, at * 16))
        };
        rows.find_map(find).unwrap()
    }

    fn found(&self) -> Vec<Finding> {
        self.sqlite.findings().unwrap()
    }

    fn mend(&self) {
        block_on(self.sqlite.mend()).unwrap();
    }

    /// Nothing is wrong, and the two say the same.
    fn is_whole(&self, at: &str) {
        assert_eq!(self.found(), [], "{at}");
        let (sqlite, memory) = (&self.sqlite, &self.memory);
        for room in [RoomNum(1), RoomNum(2)] {
            assert_eq!(
                sqlite.event_nums(room).unwrap(),
                memory.event_nums(room).unwrap(),
                "{at}"
            );
            for num in 0..EVENTS + 5 {
                let (got, expected) = (
                    sqlite.event_by_num(room, EventNum(num)),
                    memory.event_by_num(room, EventNum(num)),
                );
                assert_eq!(got.unwrap(), expected.unwrap(), "{at}: {num}");
                let (got, expected) = (
                    sqlite.event(room, &event_id(num)),
                    memory.event(room, &event_id(num)),
                );
                assert_eq!(got.unwrap(), expected.unwrap(), "{at}: {num}");
            }
            for direction in [Direction::Forward, Direction::Backward] {
                let all = |store: &dyn Store| store.timeline(room, None, direction, 1_000).unwrap();
                assert_eq!(all(sqlite), all(memory), "{at}");
            }
        }
        assert_eq!(
            sqlite.outbox(&server("x.org"), 999).unwrap(),
            memory.outbox(&server("x.org"), 999).unwrap()
        );
        let updates = |store: &dyn Store| store.updates(StreamPos(0), 999).unwrap();
        assert_eq!(updates(sqlite), updates(memory));
    }

    /// The room goes on: new events, a large commit, a purge; then it is forgotten.
    fn goes_on(&self, at: &str) {
        self.commit(vec![of_room(1, row(EVENTS))]);
        self.commit(
            (EVENTS + 1..EVENTS + 90)
                .map(|num| of_room(1, row(num)))
                .collect(),
        );
        self.commit(vec![Write::Purge {
            room: ROOM,
            events: (30..250).map(EventNum).collect(),
            states: Vec::new(),
        }]);
        self.is_whole(at);
        for room in [1, 2] {
            let id = room_id(room);
            let room = RoomNum(room);
            self.commit(vec![Write::Forget { room, id }]);
        }
        self.is_whole(at);
        for table in ["event", "run", "run_ids", "run_ids_list"] {
            let sql = format!("SELECT count(*) FROM {table}");
            let count: u32 = self.raw.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{at}: {table}");
        }
    }

    /// Deletes events from the reference.
    fn lose(&self, lost: impl IntoIterator<Item = u32>) {
        let events = lost.into_iter().map(EventNum).collect();
        let states = Vec::new();
        let room = ROOM;
        commit(&self.memory, [Write::Purge { room, events, states }]);
    }
}

fn index(about: &str) -> Finding {
    Finding::Index(about.to_owned())
}

fn lost(about: &str) -> Finding {
    Finding::Lost(about.to_owned())
}

/// What is found after `damage`; mended, nothing is missing.
fn lists_are_made_anew(at: &str, damage: impl FnOnce(&Pair), expected: &[Finding]) {
    let pair = Pair::new();
    damage(&pair);
    assert_eq!(pair.found(), expected, "{at}");
    pair.mend();
    pair.is_whole(at);
    pair.goes_on(at);
}

#[test]
fn lists_of_ids_are_made_anew() {
    let all = "events not found by their ids";
    let without_40 = [
        index(&format!("room number 1, {all}: 0 to 39, 41 to 299")),
        index(&format!("room number 2, {all}: 0 to 299")),
    ];
    let with = |what: &str| {
        let of_lists = [5, 6].map(|list| index(&format!("list {list} of ids: {what}")));
        [&of_lists[..], &without_40].concat()
    };
    for (sql, what) in [
        ("UPDATE run_ids SET ids = x''", "it is not in order"),
        (
            "UPDATE run_ids SET ids = substr(ids, 1, 13)",
            "bytes that are no places of ids",
        ),
        ("DELETE FROM run_ids", "its size is wrong"),
        ("DELETE FROM run_ids_list", "it is not among the lists"),
    ] {
        lists_are_made_anew(sql, |pair| pair.sql(sql), &with(what));
    }
    let nothing = |pair: &Pair| {
        pair.sql("DELETE FROM run_ids_list");
        pair.sql("DELETE FROM run_ids");
    };
    lists_are_made_anew("nothing", nothing, &without_40);
}

#[test]
fn single_places_are_put_right() {
    let size = index("list 5 of ids: its size is wrong");
    let of = |what: &str, nums: &str| index(&format!("room number 1, {what}: {nums}"));
    let (missing, strange) = (
        "events not found by their ids",
        "events found by ids that they do not have",
    );
    let lacks = |pair: &Pair| {
        let (rowid, at) = pair.place_of(7);
        pair.change("run_ids", "ids", rowid, |ids| drop(ids.drain(at..at + 16)));
    };
    lists_are_made_anew("lacks an id", lacks, &[size.clone(), of(missing, "7")]);
    let key = |pair: &Pair| {
        let (rowid, at) = pair.place_of(7);
        pair.change("run_ids", "ids", rowid, |ids| ids[at + 9] ^= 4);
    };
    lists_are_made_anew("another number", key, &[of(missing, "7"), of(strange, "1031")]);
    let id = |pair: &Pair| {
        let (rowid, at) = pair.place_of(7);
        pair.change("run_ids", "ids", rowid, |ids| ids[at] ^= 1);
    };
    lists_are_made_anew("another id", id, &[of(missing, "7"), of(strange, "7")]);
    // An id of no event, at a number that no event has yet, and of a room that there is not.
    let nobody = |pair: &Pair| {
        let (rowid, at) = pair.place_of(7);
        pair.change("run_ids", "ids", rowid, |ids| {
            let mut place = ids[at..at + 16].to_vec();
            place[0] ^= 1;
            place[9] = 77;
            ids.splice(at..at, place.clone());
            place[12] = 9;
            ids.splice(at..at, place);
        });
        pair.sql("UPDATE run_ids_list SET size = size + 2 WHERE num = 5");
    };
    let none = index(&format!("room number 9, {strange}: 19719"));
    let order = index("list 5 of ids: it is not in order");
    lists_are_made_anew(
        "an id that no run has",
        nobody,
        &[order, of(strange, "19719"), none],
    );
    let twice = |pair: &Pair| {
        let (rowid, at) = pair.place_of(7);
        let sql = "INSERT INTO run_ids SELECT 8, least, substr(ids, ?2, 16) FROM run_ids WHERE rowid = ?1";
        pair.raw.execute(sql, params![rowid, at as i64 + 1]).unwrap();
        pair.sql("INSERT INTO run_ids_list VALUES (8, 1)");
    };
    lists_are_made_anew(
        "two lists",
        twice,
        &[of("events that lists of ids have twice", "7")],
    );
    let least = |pair: &Pair| pair.sql("UPDATE run_ids SET least = -9000000000000000000");
    let order = [5, 6].map(|list| index(&format!("list {list} of ids: it is not in order")));
    lists_are_made_anew("least", least, &order);
}

#[test]
fn new_events_are_refused_only_until_lists_are_mended() {
    let pair = Pair::new();
    pair.sql("UPDATE run_ids SET ids = substr(ids, 1, 13)");
    assert_eq!(
        commit_code(&pair.sqlite, [of_room(1, row(EVENTS))]),
        Code::StoreDamaged
    );
    pair.mend();
    pair.is_whole("mended");
    pair.goes_on("mended");
}

#[test]
fn a_damaged_run_costs_its_own_events() {
    let pair = Pair::new();
    let (first, last) = pair.runs()[1];
    let rowid = 1 << 32 | i64::from(first);
    pair.commit(vec![
        pdu("x.org", 1, first),
        pdu("x.org", 1, last),
        pdu("x.org", 1, 0),
    ]);
    pair.commit(vec![update(first), update(last)]);
    pair.change("run", "events", rowid, |events| events.truncate(events.len() - 3));
    let told = format!(
        "the run of events {first} to {last} of room number 1 cannot be read after event {}",
        last - 1
    );
    let found = [
        lost(&told),
        lost(&format!("room number 1, events that are lost: {last}")),
    ];
    assert_eq!(pair.found(), found);
    // The lost one is listed, and who asks for it is told.
    let nums = pair.sqlite.event_nums(ROOM).unwrap();
    assert_eq!(nums, pair.memory.event_nums(ROOM).unwrap());
    for num in nums {
        let read = pair.sqlite.event_by_num(ROOM, num);
        match num.0 == last {
            true => {
                let error = read.unwrap_err();
                assert_eq!(error.code(), Code::StoreDamaged);
                assert!(error.about().ends_with(&told), "{error}");
            }
            false => assert_eq!(read.unwrap(), pair.memory.event_by_num(ROOM, num).unwrap()),
        }
    }
    commit(&pair.sqlite, [of_room(1, row(EVENTS + 4))]);
    commit(&pair.memory, [of_room(1, row(EVENTS + 4))]);
    pair.mend();
    pair.lose([last]);
    pair.is_whole("mended");
    pair.goes_on("mended");
}

#[test]
fn what_is_lost_is_told_and_the_rest_stays() {
    let pair = Pair::new();
    let runs = pair.runs();
    let rowid = |run: usize| 1 << 32 | i64::from(runs[run].0);
    // Its bytes are gone, a flag that there is not, no row.
    pair.change("run", "events", rowid(2), Vec::clear);
    pair.change("run", "events", rowid(4), |events| events[1] |= 0x80);
    pair.sql(&format!("DELETE FROM run WHERE first = {}", rowid(6)));
    let text = |run: usize| format!("{} to {}", runs[run].0, runs[run].1);
    let found = pair.found();
    let expected = [
        index(&format!(
            "room number 1, the run that begins with event {}: its range is wrong",
            runs[2].0
        )),
        lost(&format!(
            "the run of events {} of room number 1 cannot be read",
            text(4)
        )),
        lost(&format!(
            "room number 1, events that are lost: {}, {}, {}",
            text(2),
            text(4),
            text(6)
        )),
    ];
    assert_eq!(found, expected);
    pair.mend();
    pair.lose([2, 4, 6].into_iter().flat_map(|run| runs[run].0..=runs[run].1));
    pair.is_whole("mended");
    pair.goes_on("mended");
}

#[test]
fn an_event_whose_json_cannot_be_read_is_lost_alone() {
    let pair = Pair::new();
    pair.sql("UPDATE event SET packed = x'01' WHERE key & 4294967295 = 40");
    let (first, last) = pair.runs()[3];
    let rowid = 1 << 32 | i64::from(first);
    // Behind number, flags, depth, two states, the id and the length of what is packed.
    let sql = "SELECT events FROM run WHERE first = ?1";
    let events: Vec<u8> = pair.raw.query_row(sql, [rowid], |row| row.get(0)).unwrap();
    let id = events.windows(4).position(|bytes| {
        let wanted = first.wrapping_add(1).wrapping_mul(0x9e37_79b9).to_be_bytes();
        bytes == wanted
    });
    let packed = id.unwrap() + 32 + 2;
    pair.change("run", "events", rowid, |events| {
        let length = usize::from(events[packed - 2] & 0x7f) | usize::from(events[packed - 1]) << 7;
        // Each says that 32 bytes follow.
        events[packed..packed + length].fill(1);
    });
    assert!(last > first + 1);
    let expected = [
        lost(&format!("room number 1, events that are lost: {}", first + 1)),
        lost("room number 1, events that are lost: 40"),
    ];
    assert_eq!(pair.found(), expected);
    let error = pair.sqlite.event_by_num(ROOM, EventNum(first + 1)).unwrap_err();
    let told = |num: u32| format!("event {num} of room number 1: bytes that are no packed event");
    assert!(error.about().ends_with(&told(first + 1)), "{error}");
    let error = pair.sqlite.event_by_num(ROOM, EventNum(40)).unwrap_err();
    assert!(error.about().ends_with(&told(40)), "{error}");
    pair.mend();
    pair.lose([40, first + 1]);
    pair.is_whole("mended");
    pair.goes_on("mended");
}

#[test]
fn what_a_run_says_of_itself_is_put_right() {
    for (at, sql) in [
        ("last", "UPDATE run SET last = last - 2"),
        ("another room", "UPDATE run SET last = 9223372036854775807"),
        ("low", "UPDATE run SET low = low + 1"),
        ("high", "UPDATE run SET high = 0"),
        ("wide", "UPDATE run SET high = 9223372036854775807"),
        ("none", "UPDATE run SET low = NULL, high = NULL"),
    ] {
        let pair = Pair::new();
        let (first, _) = pair.runs()[1];
        pair.sql(&format!(
            "{sql} WHERE first & 4294967295 = {first} AND first >> 32 = 1"
        ));
        let what = format!("room number 1, the run that begins with event {first}: its range is wrong");
        assert_eq!(pair.found(), [index(&what)], "{at}");
        pair.mend();
        pair.is_whole(at);
        pair.goes_on(at);
    }
}

#[test]
fn an_event_in_a_run_and_in_a_row_is_left_in_the_row() {
    let pair = Pair::new();
    let (first, _) = pair.runs()[1];
    let rowid = 1 << 32 | i64::from(first);
    let mut events = Vec::new();
    pair.change("run", "events", rowid, |bytes| events.clone_from(bytes));
    let mut changed = row(first + 1);
    changed.flags.soft_failed = true;
    pair.commit(vec![of_room(1, changed.clone())]);
    // It leaves it once more, which changes nothing.
    pair.commit(vec![of_room(1, changed)]);
    pair.is_whole("changed");
    pair.change("run", "events", rowid, |bytes| *bytes = events);
    let what = format!(
        "room number 1, events in a run and in a row of their own: {}",
        first + 1
    );
    assert_eq!(pair.found(), [index(&what)]);
    assert_eq!(pair.sqlite.event_nums(ROOM).unwrap().len(), EVENTS as usize);
    pair.mend();
    pair.is_whole("mended");
    pair.goes_on("mended");
}

#[test]
fn a_file_whose_structure_is_damaged_is_not_written_to() {
    let pair = Pair::new();
    pair.sql("UPDATE run_ids SET ids = substr(ids, 1, 13)");
    // The index says that there is nothing.
    pair.raw
        .execute_batch(
            "PRAGMA writable_schema = 1;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX member_user ON member (event)'
                WHERE name = 'member_user'",
        )
        .unwrap();
    drop(pair.sqlite);
    let raw = Connection::open(pair._dir.db()).unwrap();
    raw.execute("INSERT INTO member VALUES (1, '@a:x.org', 'join', 1)", [])
        .unwrap();
    raw.execute_batch(
        "PRAGMA writable_schema = 1;
        UPDATE sqlite_schema SET sql = 'CREATE INDEX member_user ON member (user)' WHERE name = 'member_user'",
    )
    .unwrap();
    drop(raw);
    let store = open(&pair._dir.db());
    let found = store.findings().unwrap();
    assert!(matches!(found[0], Finding::Structure(_)), "{found:?}");
    assert!(found.iter().any(|finding| matches!(finding, Finding::Index(_))));
    assert_eq!(block_on(store.mend()).unwrap_err().code(), Code::StoreDamaged);
    let sql = "SELECT ids FROM run_ids ORDER BY rowid LIMIT 1";
    let raw = Connection::open(pair._dir.db()).unwrap();
    let now: Vec<u8> = raw.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(now.len(), 13);
}

#[test]
fn mending_is_done_whole_or_not_at_all() {
    let pair = Pair::new();
    let (first, last) = pair.runs()[1];
    let rowid = 1 << 32 | i64::from(first);
    pair.change("run", "events", rowid, |events| events.truncate(events.len() - 3));
    pair.sql("DELETE FROM run_ids WHERE list = 5");
    let found = pair.found();
    assert_eq!(found.len(), 4, "{found:?}");
    // It fails after the run was cut and the lists were deleted.
    pair.raw
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON run_ids WHEN NEW.ids IS NOT NULL
            BEGIN SELECT RAISE(ABORT, 'stopped'); END",
        )
        .unwrap();
    let error = block_on(pair.sqlite.mend()).unwrap_err();
    assert_eq!(error.code(), Code::Store, "{error}");
    assert!(error.about().ends_with("mend: stopped"), "{error}");
    assert_eq!(pair.found(), found);
    pair.raw.execute_batch("DROP TRIGGER stop").unwrap();
    pair.mend();
    pair.lose([last]);
    pair.is_whole("mended");
    pair.goes_on("mended");
}
