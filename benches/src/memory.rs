//! What rooms take in memory: at rest, open, and while a large one is taken from an archive.

use crate::{
    archive::{Archive, Home},
    engine::rooms::Room,
    measure::{Bound, report},
    process::{forget_peak, peak_bytes, resident_bytes},
    world::{Folder, open_beside, runtime},
};
use roomlet_homeserver::{CreateRoom, StoreKind, Trust};
use std::{path::Path, process::Command};

/// Argument that makes the program [`open_and_tell`].
pub(crate) const CHILD: &str = "open-room-and-tell";
/// Argument that makes the program [`ingest_and_tell`].
pub(crate) const INGEST_CHILD: &str = "ingest-and-tell";

/// Rooms that lie at rest.
const AT_REST: usize = 2_000;
/// Members of the open room.
const MEMBERS: usize = 10_000;
/// Events of the large archive.
const EVENTS: usize = 100_000;

/// Claims: a room at rest takes no memory that shows; the others are told.
pub(crate) fn run() {
    let folder = Folder::new();
    ingest(&folder);
    open(&folder);
    at_rest(&folder);
}

/// Opens a server on a file with many rooms, beside one on a file with none.
fn at_rest(folder: &Folder) {
    let (full, empty) = (folder.file("full.db"), folder.file("empty.db"));
    let store = |path: &Path| StoreKind::File(path.to_owned());
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(store(&full), Home::new()).await;
        let alice = server.create_account("alice").await.expect("an account");
        for _ in 0..AT_REST {
            let room = server.create_room(&alice, CreateRoom::default()).await;
            room.expect("a room");
        }
        server.close().await;
        // Its file is free once nobody has it.
        drop(server);
        open_beside(store(&empty), Home::new()).await.close().await;
        // What opening takes by itself was taken once before.
        let before = resident_bytes();
        let without = open_beside(store(&empty), Home::new()).await;
        let between = resident_bytes();
        let with = open_beside(store(&full), Home::new()).await;
        let after = resident_bytes();
        let more = ((after - between) - (between - before)).max(0.0);
        report(
            "memory of a room at rest",
            more / AT_REST as f64,
            "bytes",
            Bound::AtMost(256.0),
        );
        without.close().await;
        with.close().await;
    });
}

/// Opens a room of many members.
fn open(folder: &Folder) {
    let (file, db) = (folder.file("members.jsonl"), folder.file("members.db"));
    {
        let (mut room, mut branch) = Room::new(100);
        for number in 1..MEMBERS {
            room.send_member(&mut branch, number, 0);
        }
        let mut archive = Archive::create(&file);
        archive.write_new(&room);
        archive.close();
    }
    let first = folder.file("first.jsonl");
    let lines = std::fs::read_to_string(&file).expect("the archive is there");
    let create = lines.lines().next().unwrap_or_default();
    std::fs::write(&first, create).expect("the disk has place");
    drop(lines);
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(StoreKind::File(db.clone()), Home::new()).await;
        let imported = server.import_room(&file, Trust::Signatures).await;
        imported.expect("an import");
        server.close().await;
    });
    report(
        "memory of an open room of 10,000 members",
        told_by_child(CHILD, &db, &first) / 1e6,
        "MB",
        Bound::Told,
    );
}

/// The bytes that this program tells in a process of its own, which has no memory left from before.
fn told_by_child(mode: &str, db: &Path, archive: &Path) -> f64 {
    let program = std::env::current_exe().expect("the program knows where it is");
    let child = Command::new(program).args([mode.as_ref(), db, archive]).output();
    let said = String::from_utf8(child.expect("the program starts").stdout).expect("text");
    said.trim().parse().expect("a number")
}

/// Opens the room of a file and tells how many bytes that took. `archive` has its first event alone.
pub(crate) fn open_and_tell(db: &Path, archive: &Path) {
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(StoreKind::File(db.to_owned()), Home::new()).await;
        let before = resident_bytes();
        // The one event is known: nothing is done but to open the room.
        let imported = server.import_room(archive, Trust::Signatures).await;
        assert_eq!(imported.expect("an import").known, 1);
        println!("{}", resident_bytes() - before);
        server.close().await;
    });
}

/// Takes a large room from an archive.
fn ingest(folder: &Folder) {
    let file = folder.file("large.jsonl");
    {
        let (mut room, mut branch) = Room::new(100);
        let mut archive = Archive::create(&file);
        for number in 1..1_000 {
            room.send_member(&mut branch, number, 0);
        }
        while room.nodes.len() < EVENTS {
            let sender = room.nodes.len() % 1_000;
            room.send_message(&mut branch, sender);
        }
        archive.write_new(&room);
        archive.close();
    }
    report(
        "most memory during the ingest of 100,000 events",
        told_by_child(INGEST_CHILD, &folder.file("large.db"), &file) / 1e6,
        "MB",
        Bound::Told,
    );
}

/// Takes the room of an archive and tells how many bytes that took at most.
pub(crate) fn ingest_and_tell(db: &Path, archive: &Path) {
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(StoreKind::File(db.to_owned()), Home::new()).await;
        forget_peak();
        let before = resident_bytes();
        let imported = server.import_room(archive, Trust::Signatures).await;
        assert_eq!(imported.expect("an import").accepted, EVENTS as u64);
        println!("{}", peak_bytes() - before);
        server.close().await;
    });
}
