//! Events of large commits, which SQLite holds in another form: it answers as the reference in memory does.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{random::Random, *};
use roomlet_store::*;
use roomlet_wire::{Code, EventId, EventNum, RoomNum, StreamPos, base64};

/// Events of a commit that is a large one for sure.
const LARGE: u32 = 64;

/// The id of an event: one of four begins like those of its neighbours, one of eight is no hash.
fn id(num: u32) -> EventId {
    let mut hash = [num as u8; 32];
    let beginning = if num % 4 == 3 { num / 16 } else { num };
    hash[..4].copy_from_slice(&beginning.wrapping_mul(0x9e37_79b9).to_be_bytes());
    hash[28..].copy_from_slice(&num.to_be_bytes());
    if num % 4 == 3 {
        hash[4..8].fill(0);
    }
    match num % 8 {
        5 => EventId::parse(&format!("${num}:example.org")).unwrap(),
        _ => EventId::parse(&format!("${}", base64::encode_url_safe(&hash))).unwrap(),
    }
}

fn row(num: u32, depth: i64) -> EventRow {
    EventRow {
        id: id(num),
        ..event_row(num, depth)
    }
}

fn event(room: u32, row: EventRow) -> Write {
    Write::Event {
        room: RoomNum(room),
        row,
    }
}

fn run_count(path: &std::path::Path) -> u32 {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.query_row("SELECT count(*) FROM run", [], |row| row.get(0))
        .unwrap()
}

/// Two stores that get the same commits.
struct Pair {
    random: Random,
    memory: MemoryStore,
    sqlite: SqliteStore,
    /// The next number of each room.
    next: [u32; 2],
    depth: i64,
}

impl Pair {
    fn one_of(&mut self, end: u32) -> bool {
        self.random.below(end) == 0
    }

    fn row(&mut self, num: u32) -> EventRow {
        self.depth += i64::from(self.random.below(3)) - i64::from(self.one_of(20)) * 5;
        self.depth += i64::from(self.one_of(200)) * 1000;
        let mut row = row(num, self.depth);
        row.flags = EventFlags {
            outlier: self.one_of(9),
            rejected: self.one_of(20),
            soft_failed: self.one_of(20),
            backfilled: self.one_of(5),
        };
        if self.one_of(5) {
            row.state_before = None;
        }
        if self.one_of(30) {
            row.redacted_by = Some(id(num + 1));
        }
        if self.one_of(30) {
            // Nothing that can be packed.
            row.json = format!("{{\"n\":\t{num}}}").into();
        }
        if self.one_of(40) {
            row.json = format!(r#"{{"body":"{}"}}"#, "y".repeat(20_000)).into();
        }
        row
    }

    /// Mostly new numbers, some of which are left out; now and then one that is held, or was left out.
    fn events(&mut self, room: u32, count: u32) -> Vec<Write> {
        let mut writes = Vec::new();
        for _ in 0..count {
            let next = self.next[room as usize - 1];
            let num = match self.random.below(25) {
                0 => self.random.below(next + 1),
                1 => next + 2,
                _ => next,
            };
            self.next[room as usize - 1] = next.max(num + 1);
            writes.push(event(room, self.row(num)));
        }
        writes
    }

    fn writes(&mut self) -> Vec<Write> {
        let room = 1 + self.random.below(2);
        let next = self.next[room as usize - 1];
        let num = self.random.below(next + 1);
        match self.random.below(10) {
            0..=3 => {
                let count = LARGE + self.random.below(200);
                let mut writes = self.events(room, count);
                if self.one_of(3) {
                    writes.extend(self.events(3 - room, count));
                    writes.extend(self.events(room, 5));
                }
                if self.one_of(3) {
                    writes.insert(70, self.purge(room));
                }
                writes
            }
            4 | 5 => self.events(room, 1),
            6 => vec![self.purge(room)],
            7 if self.one_of(6) => vec![
                Write::Forget {
                    room: RoomNum(room),
                    id: room_id(room),
                },
                Write::Room(record(room)),
            ],
            _ => vec![
                Write::Redaction {
                    room: RoomNum(room),
                    target: id(num),
                    by: EventNum(num),
                },
                Write::MissingPrev {
                    room: RoomNum(room),
                    missing: id(next + 7),
                    child: EventNum(num),
                },
                pdu("x.org", room, num),
                Write::Update(Update::Event {
                    room: room_id(room),
                    event: id(num),
                }),
            ],
        }
    }

    /// Some here and there, or all up to one.
    fn purge(&mut self, room: u32) -> Write {
        let next = self.next[room as usize - 1];
        let events = match self.random.below(3) {
            0 => (0..self.random.below(next + 1)).collect(),
            _ => (0..self.random.below(30))
                .map(|_| self.random.below(next + 1))
                .collect::<Vec<_>>(),
        };
        Write::Purge {
            room: RoomNum(room),
            events: events.into_iter().map(EventNum).collect(),
            states: Vec::new(),
        }
    }

    fn compare(&mut self, at: &str) {
        let (memory, sqlite) = (&self.memory, &self.sqlite);
        macro_rules! same {
            ($($read:tt)*) => { assert_eq!(sqlite.$($read)*.unwrap(), memory.$($read)*.unwrap(), "{at}: {}", stringify!($($read)*)) };
        }
        for room in [RoomNum(1), RoomNum(2)] {
            same!(event_nums(room));
            for num in 0..self.next[room.0 as usize - 1] + 9 {
                same!(event_by_num(room, EventNum(num)));
                same!(event(room, &id(num)));
                same!(redactions_of(room, &id(num)));
            }
            same!(missing_prevs(room));
        }
        for num in 0..self.next[0].max(self.next[1]) {
            same!(find_event(&id(num)));
        }
        same!(outbox(&server("x.org"), 10_000));
        same!(updates(StreamPos(0), 10_000));
        for room in [1, 2] {
            for direction in [Direction::Forward, Direction::Backward] {
                self.walk(at, RoomNum(room), direction);
            }
        }
    }

    /// Reads the whole timeline in pages.
    fn walk(&mut self, at: &str, room: RoomNum, direction: Direction) {
        let mut from = None;
        loop {
            let limit = 1 + self.random.below(120) as usize;
            let expected = self.memory.timeline(room, from, direction, limit).unwrap();
            let got = self.sqlite.timeline(room, from, direction, limit).unwrap();
            assert_eq!(
                nums(&got),
                nums(&expected),
                "{at}: {room:?} {direction:?} {from:?} {limit}"
            );
            assert_eq!(got, expected, "{at}");
            let Some(last) = got.last() else { break };
            from = Some(TimelinePos {
                depth: last.depth,
                num: last.num,
            });
        }
    }
}

#[test]
fn sqlite_answers_as_memory_does_of_large_commits() {
    let mut failed = 0;
    for seed in 1..=6 {
        let dir = TempDir::new();
        let inline = || SqliteOptions {
            inline: true,
            max_bytes: None,
        };
        let mut pair = Pair {
            random: Random(0x2545_f491_4f6c_dd1d ^ seed),
            memory: MemoryStore::new(),
            sqlite: SqliteStore::open(dir.db(), inline()).unwrap(),
            next: [0; 2],
            depth: 0,
        };
        for room in [1, 2] {
            for store in [&pair.memory as &dyn Store, &pair.sqlite] {
                commit(store, [Write::Room(record(room))]);
            }
        }
        for n in 0..30 {
            let writes = pair.writes();
            let expected = try_commit(&pair.memory, writes.clone()).map_err(|error| error.code());
            let got = try_commit(&pair.sqlite, writes).map_err(|error| error.code());
            assert_eq!(got, expected, "seed {seed}, commit {n}");
            failed += usize::from(got.is_err());
            if n % 5 == 4 {
                pair.compare(&format!("seed {seed}, commit {n}"));
            }
        }
        assert!(run_count(&dir.db()) > 0, "seed {seed}");
        pair.sqlite.check().unwrap();
        pair.sqlite.close();
        pair.sqlite = SqliteStore::open(dir.db(), inline()).unwrap();
        pair.compare(&format!("seed {seed}, opened again"));
    }
    assert_eq!(failed, 0);
}

#[test]
fn numbers_and_ids_of_runs_are_taken() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let rows = || (0..2 * LARGE).map(|num| event(1, row(num, num.into())));
    commit(&store, rows().collect::<Vec<_>>());
    assert!(run_count(&dir.db()) > 0);
    let other_number = EventRow {
        num: EventNum(999),
        ..row(10, 10)
    };
    assert_eq!(commit_code(&store, [event(1, other_number.clone())]), Code::Store);
    let other_id = EventRow {
        id: id(999),
        ..row(10, 10)
    };
    assert_eq!(commit_code(&store, [event(1, other_id)]), Code::Store);
    // Of another room both are free.
    commit(&store, [event(2, other_number)]);
    assert_eq!(
        store.find_event(&id(10)).unwrap(),
        [(RoomNum(1), EventNum(10)), (RoomNum(2), EventNum(999))]
    );
    // The same events once more change nothing.
    commit(&store, rows().collect::<Vec<_>>());
    for num in 0..2 * LARGE {
        let held = store.event_by_num(ROOM, EventNum(num)).unwrap();
        assert_eq!(held, Some(row(num, num.into())));
    }
    assert_eq!(store.event_nums(ROOM).unwrap().len(), 2 * LARGE as usize);
}

#[test]
fn an_event_may_be_replaced_by_the_commit_that_brought_it() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let mut writes: Vec<_> = (0..LARGE).map(|num| event(1, row(num, num.into()))).collect();
    // One of another room in between, whose id is no hash.
    writes.push(event(2, row(5, 5)));
    let replaced = row(LARGE - 2, 70);
    writes.push(event(1, replaced.clone()));
    commit(&store, writes);
    assert_eq!(store.event_by_num(ROOM, replaced.num).unwrap(), Some(replaced));
    assert_eq!(store.event_nums(ROOM).unwrap().len(), LARGE as usize);
    let last = store.timeline(ROOM, None, Direction::Backward, 2).unwrap();
    assert_eq!(nums(&last), [LARGE - 2, LARGE - 1]);
}

#[test]
fn runs_that_are_purged_and_forgotten_leave_nothing() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    for room in [1, 2] {
        commit(&store, [Write::Room(record(room))]);
        for begin in [0, 100, 200] {
            let rows = (begin..begin + 100).map(|num| event(room, row(num, num.into())));
            commit(&store, rows.collect::<Vec<_>>());
        }
    }
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        raw.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let ids = || -> u32 {
        let sql = "SELECT coalesce(sum(length(ids)), 0) / 16 FROM run_ids";
        raw.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let listed = || -> u32 {
        let sql = "SELECT coalesce(sum(size), 0) FROM run_ids_list";
        raw.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    // One of eight is in no run, for its id is no hash.
    let of_a_room = (0..300).filter(|num| num % 8 != 5).count() as u32;
    assert_eq!((ids(), listed()), (2 * of_a_room, 2 * of_a_room));
    let purge = Write::Purge {
        room: RoomNum(1),
        events: (0..300).map(EventNum).collect(),
        states: Vec::new(),
    };
    commit(&store, [purge]);
    assert_eq!(store.event_nums(RoomNum(1)).unwrap(), []);
    assert_eq!((ids(), listed()), (of_a_room, of_a_room));
    let id = room_id(2);
    commit(&store, [Write::Forget { room: RoomNum(2), id }]);
    for table in ["event", "run", "run_ids", "run_ids_list"] {
        assert_eq!(count(table), 0, "{table}");
    }
}

#[test]
fn lists_of_ids_are_few() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    for begin in (0..6_400).step_by(64) {
        let rows = (begin..begin + 64).map(|num| event(1, row(num, num.into())));
        commit(&store, rows.collect::<Vec<_>>());
    }
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    let lists: u32 = raw
        .query_row("SELECT count(*) FROM run_ids_list", [], |row| row.get(0))
        .unwrap();
    assert!(lists <= 8, "{lists}");
    for num in 0..6_400 {
        assert_eq!(store.find_event(&id(num)).unwrap(), [(ROOM, EventNum(num))]);
    }
}

#[test]
fn damaged_runs_are_told_of() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let rows = (0..LARGE).map(|num| event(1, row(num, num.into())));
    commit(&store, rows.collect::<Vec<_>>());
    drop(store);
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    let damage = |sql: &str| assert!(raw.execute(sql, []).unwrap() > 0);
    let store = open(&dir.db());
    assert_eq!(store.findings().unwrap(), []);
    damage("UPDATE run_ids SET ids = substr(ids, 1, 13)");
    assert_eq!(store.find_event(&id(0)).unwrap_err().code(), Code::StoreDamaged);
    damage("UPDATE run SET events = substr(events, 1, length(events) - 3)");
    assert_eq!(store.event_nums(ROOM).unwrap_err().code(), Code::StoreDamaged);
    let found = Finding::Lost(format!(
        "the run of events 0 to {} of room number 1 cannot be read after event {}",
        LARGE - 1,
        LARGE - 2
    ));
    assert_eq!(store.findings().unwrap()[0], found);
    assert_eq!(
        store
            .timeline(ROOM, None, Direction::Backward, 5)
            .unwrap_err()
            .code(),
        Code::StoreDamaged
    );
    assert_eq!(store.event_by_num(ROOM, EventNum(0)).unwrap(), Some(row(0, 0)));
    let last = store.event_by_num(ROOM, EventNum(LARGE - 1));
    assert_eq!(last.unwrap_err().code(), Code::StoreDamaged);
}

#[test]
fn what_is_damaged_of_an_event_can_be_written_anew() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    commit(&store, [event(1, row(4, 4))]);
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    assert_eq!(raw.execute("UPDATE event SET packed = x'01'", []).unwrap(), 1);
    assert_eq!(
        store.event_by_num(ROOM, EventNum(4)).unwrap_err().code(),
        Code::StoreDamaged
    );
    commit(&store, [event(1, row(4, 4))]);
    assert_eq!(store.event_by_num(ROOM, EventNum(4)).unwrap(), Some(row(4, 4)));
}

#[test]
fn space_of_purged_runs_is_given_back() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let large = |num: u32| {
        let json = format!(r#"{{"body":"{}"}}"#, "x".repeat(700));
        let row = EventRow {
            json: json.into(),
            ..row(num, num.into())
        };
        event(1, row)
    };
    for begin in (0..6_000).step_by(1_000) {
        commit(&store, (begin..begin + 1_000).map(large).collect::<Vec<_>>());
    }
    block_on(store.shrink()).unwrap();
    let size = || std::fs::metadata(dir.db()).unwrap().len();
    let before = size();
    commit(
        &store,
        [Write::Purge {
            room: ROOM,
            events: (0..5_400).map(EventNum).collect(),
            states: Vec::new(),
        }],
    );
    block_on(store.shrink()).unwrap();
    assert!(7 * size() < before, "{} of {before}", size());
    assert_eq!(store.event_nums(ROOM).unwrap().len(), 600);
}
