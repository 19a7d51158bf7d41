//! Rooms of which the file lost something: what a check tells, and what goes on after a repair.

use crate::common::{Folder, bodies, code};
use roomlet_homeserver::{
    AllowAll, Code, Config, CreateRoom, EventId, Homeserver, Preset, RoomId, ServerName, StoreKind,
    StoreReport, Trust, UserId,
};
use roomlet_store::{Commit, SqliteOptions, SqliteStore, Store as _, Write};
use roomlet_wire::EventNum;
use roomlet_world::World;
use rusqlite::{Connection, params};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const SAID: usize = 210;
/// The place of the last run.
const LAST: usize = 4;

/// A server on a file that holds a room with an event's number for each of its messages, in runs.
struct Test {
    world: World,
    _folder: Folder,
    file: PathBuf,
    alice: UserId,
    room: RoomId,
    said: Vec<EventId>,
}

async fn open(world: &World, file: &Path) -> Homeserver {
    let name = ServerName::parse("a.test").unwrap();
    let config = Config::new(name.clone(), StoreKind::File(file.to_owned()));
    Homeserver::open(config, world.env(&name), Arc::new(AllowAll))
        .await
        .unwrap()
}

/// The store at a path, once the server that had it has let go of it.
async fn store(file: &Path) -> SqliteStore {
    loop {
        match SqliteStore::open(file, SqliteOptions::default()) {
            Err(error) if error.code() == Code::StoreLocked => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

impl Test {
    async fn new() -> Self {
        let (world, folder) = (World::new(), Folder::new());
        let first = folder.file("first.db");
        let hs = open(&world, &first).await;
        let alice = hs.create_account("alice").await.unwrap();
        let create = CreateRoom {
            preset: Preset::Public,
            ..CreateRoom::default()
        };
        let room = hs.create_room(&alice, create).await.unwrap();
        let mut said = Vec::new();
        for number in 0..SAID {
            let content = format!(r#"{{"body":"{number}"}}"#);
            let sent = hs.send(&alice, &room, "test.message", &content, None);
            said.push(sent.await.unwrap());
        }
        hs.close().await;
        drop(hs);
        let store = store(&first).await;
        let num = store.room(&room).unwrap().unwrap().num;
        let nums = store.event_nums(num).unwrap().into_iter();
        let lines = nums.map(|event| store.event_by_num(num, event).unwrap().unwrap().json.to_string());
        let archive = folder.file("room.jsonl");
        fs::write(&archive, lines.collect::<Vec<_>>().join("\n")).unwrap();
        drop(store);
        let file = folder.file("a.db");
        let hs = open(&world, &file).await;
        hs.create_account("alice").await.unwrap();
        hs.import_room(&archive, Trust::Signatures).await.unwrap();
        assert_eq!(hs.check_store(true).await.unwrap().faults, []);
        hs.close().await;
        drop(hs);
        drop(self::store(&file).await);
        Self {
            world,
            _folder: folder,
            file,
            alice,
            room,
            said,
        }
    }

    /// Cuts the run of this place in the file short. The first and last number that it loses.
    async fn cut(&self, run: usize) -> (u32, u32) {
        let db = Connection::open(&self.file).unwrap();
        let runs: Vec<(i64, i64, Vec<u8>)> = db
            .prepare("SELECT first, last, events FROM run ORDER BY first")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let (first, last, mut events) = runs[run].clone();
        assert_eq!(runs.len(), LAST + 1);
        // Not where an event ends.
        events.truncate(events.len() / 2 + 5);
        let sql = "UPDATE run SET events = ?2 WHERE first = ?1";
        assert_eq!(db.execute(sql, params![first, events]).unwrap(), 1);
        let store = store(&self.file).await;
        let room = store.room(&self.room).unwrap().unwrap().num;
        let is_lost = |num: &u32| store.event_by_num(room, EventNum(*num)).is_err();
        let lost = (0..=last as u32).find(is_lost).unwrap();
        (lost, last as u32)
    }

    /// First and last number of a run.
    fn run(&self, run: usize) -> (u32, u32) {
        let db = Connection::open(&self.file).unwrap();
        let sql = "SELECT first & 4294967295, last & 4294967295 FROM run ORDER BY first LIMIT 1 OFFSET ?1";
        db.query_row(sql, [run as i64], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    }

    fn shown(&self, report: StoreReport) -> Vec<(&'static str, String, bool)> {
        let faults = report.faults.into_iter();
        let shown = faults.map(|fault| {
            let about = fault.about.replace(self.room.as_str(), "ROOM");
            (fault.kind, about, fault.is_repaired)
        });
        shown.collect()
    }

    /// A check finds this, and a repair; after it nothing is wrong.
    async fn repair(&self, hs: &Homeserver, expected: &[(&'static str, String, bool)]) {
        let unrepaired = |(kind, about, _): &(&'static str, String, bool)| (*kind, about.clone(), false);
        // Where a room cannot be read as a whole, that is told too.
        let found = self.shown(hs.check_store(false).await.unwrap());
        let of_medium = expected
            .iter()
            .filter(|(kind, ..)| ["index", "lost-event"].contains(kind));
        let of_medium: Vec<_> = of_medium.map(unrepaired).collect();
        assert_eq!(found[..of_medium.len()], of_medium);
        assert!(found.iter().all(|(.., is_repaired)| !is_repaired));
        assert_eq!(self.shown(hs.check_store(true).await.unwrap()), expected);
        assert_eq!(hs.check_store(false).await.unwrap().faults, []);
    }

    /// All that a host does with a room works, on what is left of it.
    async fn goes_on(&self, hs: &Homeserver, left: &[usize]) {
        let mut left: Vec<String> = left.iter().map(usize::to_string).collect();
        assert_eq!(bodies(hs, &self.alice, &self.room).await, left);
        for (number, event) in self.said.iter().enumerate() {
            let got = hs.event(&self.alice, &self.room, event).await;
            match left.contains(&number.to_string()) {
                true => assert_eq!(got.unwrap().event_id, *event),
                false => assert_eq!(code(got), Code::UnknownEvent),
            }
        }
        for number in SAID..SAID + 80 {
            let content = format!(r#"{{"body":"{number}"}}"#);
            let sent = hs.send(&self.alice, &self.room, "test.message", &content, None);
            sent.await.unwrap();
            left.push(number.to_string());
        }
        let topic = r#"{"topic":"new"}"#;
        hs.set_state(&self.alice, &self.room, "m.room.topic", "", topic, None)
            .await
            .unwrap();
        assert_eq!(bodies(hs, &self.alice, &self.room).await, left);
        hs.purge_history(&self.room, &self.said[20]).await.unwrap();
        assert_eq!(bodies(hs, &self.alice, &self.room).await, left[20..]);
        assert_eq!(hs.check_store(false).await.unwrap().faults, []);
        hs.leave(&self.alice, &self.room, None).await.unwrap();
        hs.forget_room(&self.room).await.unwrap();
        assert_eq!(hs.check_store(false).await.unwrap(), StoreReport::default());
    }
}

fn lost(run: (u32, u32), first: u32, last: u32) -> [(&'static str, String, bool); 2] {
    let about = format!(
        "the run of events {} to {} of room number 1 cannot be read after event {}",
        run.0,
        run.1,
        first - 1
    );
    let events = format!("room number 1, events that are lost: {first} to {last}");
    [("lost-event", about, false), ("lost-event", events, false)]
}

/// The places of messages that are not among these numbers.
fn left(base: u32, first: u32, last: u32) -> Vec<usize> {
    let is_left = |place: &usize| !(first..=last).contains(&(base + *place as u32));
    (0..SAID).filter(is_left).collect()
}

#[tokio::test]
async fn a_room_that_lost_its_newest_events_goes_on_from_what_is_left() {
    let test = Test::new().await;
    let (first, last) = test.cut(LAST).await;
    let base = last + 1 - SAID as u32;
    let hs = open(&test.world, &test.file).await;
    // Until then nobody can send, and is told why.
    let sent = hs.send(&test.alice, &test.room, "test.message", "{}", None);
    let error = sent.await.unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged);
    let told = format!("cannot be read after event {}", first - 1);
    assert!(error.about().ends_with(&told), "{error}");
    let run = test.run(LAST);
    let mut expected = lost(run, first, last).to_vec();
    let about = format!("room ROOM: extremity number {last} is not held");
    expected.push(("extremity", about, true));
    test.repair(&hs, &expected).await;
    test.goes_on(&hs, &left(base, first, last)).await;
    hs.close().await;
}

#[tokio::test]
async fn a_room_that_lost_events_in_the_middle_has_all_others() {
    let test = Test::new().await;
    let (first, last) = test.cut(2).await;
    let base = test.run(LAST).1 + 1 - SAID as u32;
    let hs = open(&test.world, &test.file).await;
    test.repair(&hs, &lost(test.run(2), first, last)).await;
    // Who holds what cites it knows that it is missing.
    hs.close().await;
    drop(hs);
    let store = store(&test.file).await;
    let room = store.room(&test.room).unwrap().unwrap().num;
    let missing = (test.said[(last - base) as usize].clone(), EventNum(last + 1));
    assert_eq!(store.missing_prevs(room).unwrap(), [missing]);
    drop(store);
    let hs = open(&test.world, &test.file).await;
    test.goes_on(&hs, &left(base, first, last)).await;
    hs.close().await;
}

#[tokio::test]
async fn what_was_lost_under_an_open_room_is_not_remembered_after_a_repair() {
    let test = Test::new().await;
    let hs = open(&test.world, &test.file).await;
    for event in &test.said {
        hs.event(&test.alice, &test.room, event).await.unwrap();
    }
    let (run, base) = (test.run(2), test.run(LAST).1 + 1 - SAID as u32);
    let db = Connection::open(&test.file).unwrap();
    let sql = "DELETE FROM run WHERE first = (SELECT first FROM run ORDER BY first LIMIT 1 OFFSET 2)";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let about = format!("room number 1, events that are lost: {} to {}", run.0, run.1);
    test.repair(&hs, &[("lost-event", about, false)]).await;
    test.goes_on(&hs, &left(base, run.0, run.1)).await;
    hs.close().await;
}

#[tokio::test]
async fn a_damaged_list_of_ids_refuses_events_until_a_repair() {
    let test = Test::new().await;
    let hs = open(&test.world, &test.file).await;
    let db = Connection::open(&test.file).unwrap();
    let sql = "UPDATE run_ids SET ids = substr(ids, 1, length(ids) - 3)";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    let sent = hs.send(&test.alice, &test.room, "test.message", "{}", None);
    assert_eq!(code(sent.await), Code::StoreDamaged);
    let all = test.run(LAST).1;
    let expected = [
        (
            "index",
            "list 1 of ids: bytes that are no places of ids".into(),
            true,
        ),
        (
            "index",
            format!("room number 1, events not found by their ids: 0 to {all}"),
            true,
        ),
    ];
    test.repair(&hs, &expected).await;
    test.goes_on(&hs, &(0..SAID).collect::<Vec<_>>()).await;
    hs.close().await;
}

#[tokio::test]
async fn a_room_that_lost_its_beginning_can_be_read_and_forgotten() {
    // The create event, and the member's own.
    for num in [0, 1] {
        let test = Test::new().await;
        let store = store(&test.file).await;
        let room = store.room(&test.room).unwrap().unwrap().num;
        let purge = Write::Purge {
            room,
            events: vec![EventNum(num)],
            states: Vec::new(),
        };
        let writes = vec![purge];
        store.commit(Commit { writes }).await.unwrap();
        drop(store);
        let hs = open(&test.world, &test.file).await;
        let report = hs.check_store(true).await.unwrap();
        let about = format!(
            "room {}: state 1 names event number 0, which is not held",
            test.room
        );
        let faults = report.faults.iter().map(|fault| (fault.kind, fault.is_repaired));
        assert!(!faults.clone().any(|(kind, _)| kind == "member"), "{report:?}");
        assert!(faults.clone().all(|(_, is_repaired)| !is_repaired), "{report:?}");
        assert_eq!(report.faults.iter().any(|fault| fault.about == about), num == 0);
        let left = hs.leave(&test.alice, &test.room, None).await;
        let error = left.unwrap_err();
        assert_eq!(error.code(), Code::StoreDamaged);
        let told = format!("event {num} of room number 1 is not in the store");
        assert_eq!(error.about(), told);
        hs.forget_room(&test.room).await.unwrap();
        assert_eq!(hs.check_store(false).await.unwrap(), StoreReport::default());
        hs.close().await;
    }
}
