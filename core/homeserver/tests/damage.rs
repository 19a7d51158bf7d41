//! A file that was damaged makes errors, and nothing worse: no panic, no endless loop, no memory without bound.
#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "facts/common.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod common;

use common::{Folder, say, state};
use roomlet_homeserver::{
    AllowAll, Config, CreateRoom, Direction, EventId, Homeserver, Preset, RoomId, ServerName, StoreKind,
    StreamPos, Trust, UserId,
};
use roomlet_store::{SqliteOptions, SqliteStore, Store as _};
use roomlet_world::{Peer, PeerRoom, World};
use rusqlite::{Connection, types::Value};
use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// Damaged files that are tried; `cargo xtask damage` sets another number.
const FILES: u64 = 150;
/// No command on a small room takes that long, unless it goes round in circles.
const LONGEST: Duration = Duration::from_secs(60);

/// What the file is about.
#[derive(Clone)]
struct Known {
    alice: UserId,
    room: RoomId,
    said: Vec<EventId>,
}

#[test]
fn a_damaged_file_makes_errors_and_nothing_worse() {
    let folder = Folder::new();
    // Their ids are stored in different ways.
    let mut wholes = Vec::from(["1", "10", "12"].map(|version| {
        let file = folder.file(&format!("whole-{version}.db"));
        let known = runtime().block_on(fill(&file, version));
        (file, known)
    }));
    // As are events that came together.
    let (file, known) = (folder.file("whole-taken.db"), wholes[1].1.clone());
    runtime().block_on(take(&file, &known, &wholes[1].0));
    wholes.push((file, known));
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let shown = panics.clone();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        shown.lock().unwrap().push(info.to_string());
    }));
    let files = std::env::var("ROOMLET_DAMAGED_FILES").map_or(FILES, |files| files.parse().unwrap());
    for seed in 0..files {
        let (whole, known) = &wholes[seed as usize % wholes.len()];
        let file = folder.file("damaged.db");
        fs::copy(whole, &file).unwrap();
        let damage = damage(&file, seed);
        let (done, wait) = channel();
        let (path, known) = (file.clone(), known.clone());
        thread::spawn(move || {
            runtime().block_on(use_it(&path, &known));
            let _ = done.send(());
        });
        let ended = wait.recv_timeout(LONGEST);
        assert_ne!(
            ended,
            Err(RecvTimeoutError::Timeout),
            "seed {seed}, {damage:?}: no end"
        );
        let shown = std::mem::take(&mut *panics.lock().unwrap());
        assert_eq!(shown, [""; 0], "seed {seed}, {damage:?}");
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if wholes.iter().all(|(whole, _)| path != *whole) {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn open(world: &World, file: &Path) -> roomlet_homeserver::Result<Homeserver> {
    let name = ServerName::parse("a.test").unwrap();
    let config = Config::new(name.clone(), StoreKind::File(file.to_owned()));
    Homeserver::open(config, world.env(&name), Arc::new(AllowAll)).await
}

/// Makes a file with a room that has something of everything: messages, topics, forks, a redaction, members of two
/// servers.
async fn fill(file: &Path, version: &str) -> Known {
    let world = World::new();
    let hs = open(&world, file).await.unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let bob = hs.create_account("bob").await.unwrap();
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some(version.into()),
        ..CreateRoom::default()
    };
    let room = hs.create_room(&alice, create).await.unwrap();
    hs.join(&bob, &room, &[]).await.unwrap();
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let theirs = peer.join(&hs, &room, &mallory).await;
    let mut said = Vec::new();
    for number in 0..60 {
        let id = say(&hs, &alice, &room, &format!("message {number}")).await;
        said.push(EventId::parse(&id).unwrap());
        if number % 5 == 0 {
            let topic = format!(r#"{{"topic":"{number}"}}"#);
            hs.set_state(&alice, &room, "m.room.topic", "", &topic, None)
                .await
                .unwrap();
            send(&peer, &hs, &theirs, &mallory, number).await;
        }
    }
    hs.redact(&alice, &room, &said[3], None, None).await.unwrap();
    assert_eq!(
        state(&hs, &alice, &room, "m.room.topic").await.as_deref(),
        Some(r#"{"topic":"55"}"#)
    );
    hs.close().await;
    Known { alice, room, said }
}

/// Makes a file with the room that another has, from an archive.
async fn take(file: &Path, known: &Known, other: &Path) {
    let archive = file.with_extension("jsonl");
    let store = SqliteStore::open(other, SqliteOptions::default()).unwrap();
    let room = store.room(&known.room).unwrap().unwrap().num;
    let nums = store.event_nums(room).unwrap().into_iter();
    let lines = nums.map(|num| store.event_by_num(room, num).unwrap().unwrap().json.to_string());
    fs::write(&archive, lines.collect::<Vec<_>>().join("\n")).unwrap();
    store.close();
    let hs = open(&World::new(), file).await.unwrap();
    hs.create_account("alice").await.unwrap();
    let taken = hs.import_room(&archive, Trust::Signatures).await.unwrap();
    assert_eq!((taken.rejected, taken.left_out), (0, 0));
    hs.close().await;
    let db = Connection::open(file).unwrap();
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert!(
        count("run") > 0 && count("run_ids") > 0,
        "{} events",
        taken.accepted
    );
}

/// An event that follows what the peer saw last: a fork.
async fn send(peer: &Peer, hs: &Homeserver, room: &PeerRoom, user: &UserId, number: usize) {
    let content = format!(r#"{{"body":"{number}"}}"#);
    let event = peer.event(room, user, "test.message", None, &content);
    peer.send(hs, &number.to_string(), &[event]).await;
}

/// Does what a host does, whatever comes of it.
async fn use_it(file: &Path, known: &Known) {
    let world = World::new();
    let Ok(hs) = open(&world, file).await else {
        return;
    };
    let Known { alice, room, said } = known;
    let _ = hs.accounts().await;
    let _ = hs.rooms(alice).await;
    let _ = hs.updates(StreamPos(0), 1_000).await;
    look(&hs, known).await;
    let _ = hs.check_store(false).await;
    let _ = hs
        .send(alice, room, "test.message", r#"{"body":"more"}"#, None)
        .await;
    let _ = hs
        .set_state(alice, room, "m.room.topic", "", r#"{"topic":"more"}"#, None)
        .await;
    let _ = hs.redact(alice, room, &said[5], None, None).await;
    let _ = hs.check_store(true).await;
    let _ = hs
        .send(alice, room, "test.message", r#"{"body":"more"}"#, None)
        .await;
    let _ = hs.purge_history(room, &said[10]).await;
    look(&hs, known).await;
    let _ = hs.backup(&file.with_file_name("copy.db")).await;
    let _ = hs.leave(alice, room, None).await;
    let _ = hs.forget_room(room).await;
    hs.close().await;
}

async fn look(hs: &Homeserver, known: &Known) {
    let Known { alice, room, said } = known;
    let _ = hs.state(alice, room).await;
    let _ = hs.members(alice, room, None).await;
    for event in said {
        let _ = hs.event(alice, room, event).await;
    }
    for direction in [Direction::Backward, Direction::Forward] {
        let mut from: Option<String> = None;
        for _ in 0..20 {
            let page = hs.timeline(alice, room, from.as_deref(), direction, 10).await;
            from = page.ok().and_then(|page| page.next);
            if from.is_none() {
                break;
            }
        }
    }
}

/// Changes, deletes or overwrites something; tells what.
fn damage(file: &Path, seed: u64) -> Vec<String> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    if seed.is_multiple_of(5) {
        return flip_bytes(file, &mut random);
    }
    let db = Connection::open(file).unwrap();
    let times = 1 + random.below(3);
    (0..times)
        .filter_map(|_| change_a_row(&db, &mut random))
        .collect()
}

fn flip_bytes(file: &Path, random: &mut Random) -> Vec<String> {
    let mut bytes = fs::read(file).unwrap();
    let mut flipped = Vec::new();
    for _ in 0..1 + random.below(20) {
        // The first hundred are SQLite's header: with another one it is another file.
        let at = 100 + random.below(bytes.len() - 100);
        bytes[at] ^= 1 << random.below(8);
        flipped.push(format!("byte {at}"));
    }
    fs::write(file, bytes).unwrap();
    flipped
}

fn change_a_row(db: &Connection, random: &mut Random) -> Option<String> {
    let names = |sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    let tables = names("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    // Most of what there is to damage is in these.
    let table = match random.below(2) {
        0 => ["event", "run", "run_ids", "state", "slot", "room"][random.below(6)],
        _ => &tables[random.below(tables.len())],
    };
    let sql = format!("SELECT count(*) FROM {table}");
    let count = db.query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    if count == 0 {
        return None;
    }
    let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"));
    let key = names(&format!(
        "SELECT name FROM pragma_table_info('{table}') WHERE pk > 0"
    ))
    .join(", ");
    let key = if key.is_empty() { "rowid" } else { &key };
    let row = random.below(count);
    let is_row = format!("({key}) IN (SELECT {key} FROM {table} LIMIT 1 OFFSET {row})");
    if random.below(6) == 0 {
        db.execute(&format!("DELETE FROM {table} WHERE {is_row}"), [])
            .unwrap();
        return Some(format!("row {row} of {table} is gone"));
    }
    let column = &columns[random.below(columns.len())];
    let value_at = |row: usize| -> Value {
        let sql = format!("SELECT {column} FROM {table} LIMIT 1 OFFSET {row}");
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let value = match random.below(4) {
        0 => value_at(random.below(count)),
        _ => another(value_at(row), random),
    };
    let changed = db.execute(
        &format!("UPDATE {table} SET {column} = ?1 WHERE {is_row}"),
        [&value],
    );
    // What a rule of the schema forbids cannot be in a file either.
    changed
        .ok()
        .map(|_| format!("{table}.{column} of row {row} is {value:?}"))
}

fn another(value: Value, random: &mut Random) -> Value {
    match value {
        Value::Null => Value::Integer(random.below(40) as i64),
        Value::Integer(value) => Value::Integer(match random.below(10) {
            0 => -1,
            1 => 0,
            2 => 1 << 31,
            3 => u32::MAX.into(),
            4 => i64::MAX,
            5 => i64::MIN,
            6 => value ^ (1 << random.below(40)),
            7 => value.wrapping_sub(1),
            8 => random.below(60) as i64,
            _ => value.wrapping_add(1),
        }),
        Value::Real(value) => Value::Real(-value),
        Value::Text(text) => Value::Text(match random.below(5) {
            0 => String::new(),
            1 => "{}".into(),
            2 => "x".repeat(70_000),
            3 => text.chars().take(random.below(text.len() + 1)).collect(),
            _ => text.replace(['a', ':'], "1"),
        }),
        Value::Blob(mut bytes) => {
            match random.below(5) {
                0 => bytes.clear(),
                1 => bytes.truncate(random.below(bytes.len() + 1)),
                2 => bytes = (0..random.below(60)).map(|_| random.below(256) as u8).collect(),
                3 => bytes.extend_from_slice(&[0xff; 20]),
                _ => {
                    if !bytes.is_empty() {
                        let at = random.below(bytes.len());
                        bytes[at] ^= 1 << random.below(8);
                    }
                }
            }
            Value::Blob(bytes)
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}
