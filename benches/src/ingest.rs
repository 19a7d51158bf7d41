//! A whole room from an archive: all rules on, in a file, signatures checked and trusted.

use crate::{
    engine::rooms::{Branch, KEY, Room, SERVER},
    measure::{Bound, report},
    remote::published_key,
    world::{Folder, open_beside, runtime},
};
use async_trait::async_trait;
use roomlet_homeserver::{
    Code, Error, Imported, Request, Response, Result, ServerName, StoreKind, Transport, Trust,
};
use roomlet_wire::{KeyId, Pdu, Verified, base64, sign::KeyPair};
use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
    time::Instant,
};

/// Events of the room.
const EVENTS: usize = 100_000;
/// Its members; the rest is what they say and do.
const MEMBERS: usize = 1_000;
/// Every so many events two are sent at once.
const FORK_EVERY: usize = 50;
/// Bare checks of a signature that are timed.
const CHECKS: usize = 2_000;

/// The server that the room is of: it publishes its key.
struct Home {
    name: ServerName,
    key: KeyPair,
}

#[async_trait]
impl Transport for Home {
    async fn send(&self, request: Request) -> Result<Response> {
        if request.target.starts_with("/_matrix/key/v2/server") {
            Ok(Response::ok(&published_key(&self.name, &self.key)))
        } else {
            let about = format!("no way to {}", request.destination);
            Err(Error::new(Code::Unreachable, about))
        }
    }
}

/// Claims: with signatures at most 1.25 times what the bare checks of these take, without at least 100,000 events a
/// second and core. Time is that of all cores together.
pub(crate) fn run() {
    let folder = Folder::new();
    let archive = folder.file("room.jsonl");
    let signed = write_archive(&archive, EVENTS);
    let file = |name: &str| StoreKind::File(folder.file(name));
    let checked = import(file("checked.db"), &archive, Trust::Nothing);
    let bare = bare(&signed) * EVENTS as f64;
    let trusted = import(file("trusted.db"), &archive, Trust::Signatures);
    let bytes = |path: &Path| std::fs::metadata(path).expect("the file is there").len() as f64;
    report(
        "file of 100,000 events / their JSON",
        bytes(&folder.file("trusted.db")) / (bytes(&archive) - EVENTS as f64),
        "x",
        Bound::AtMost(1.2),
    );
    let in_memory = import(StoreKind::Memory, &archive, Trust::Signatures);
    report(
        "ingest of 100,000 events / their bare signature checks",
        checked / bare,
        "x",
        Bound::AtMost(1.25),
    );
    report(
        "ingest of 100,000 events, signatures trusted",
        EVENTS as f64 / trusted,
        "events/s a core",
        Bound::AtLeast(100_000.0),
    );
    report(
        "ingest of 100,000 events into memory, signatures trusted",
        EVENTS as f64 / in_memory,
        "events/s a core",
        Bound::AtLeast(100_000.0),
    );
}

/// Seconds of processor time that the import took.
fn import(store: StoreKind, archive: &Path, trust: Trust) -> f64 {
    let home = Home {
        name: ServerName::parse(SERVER).expect("a server name"),
        key: KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[5; 32]),
    };
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(store, Arc::new(home)).await;
        let (cpu, start) = (processor_seconds(), Instant::now());
        let imported = server.import_room(archive, trust).await.expect("an import");
        let (cpu, wall) = (processor_seconds() - cpu, start.elapsed().as_secs_f64());
        let expected = Imported {
            room: imported.room.clone(),
            accepted: EVENTS as u64,
            soft_failed: 0,
            rejected: 0,
            known: 0,
            left_out: 0,
            first_fault: None,
        };
        assert_eq!(imported, expected);
        println!("ingest, {trust:?}: {cpu:.2} s of processor time, {wall:.2} s by the clock");
        server.close().await;
        cpu
    })
}

/// Seconds that the bare check of one signature takes.
fn bare(pdu: &Pdu<Verified>) -> f64 {
    let key = KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[5; 32]);
    let message = pdu.to_json();
    let signature = base64::decode(&key.sign(message.as_bytes())).expect("base64");
    let public = key.public();
    let start = processor_seconds();
    for _ in 0..CHECKS {
        assert!(public.verifies(message.as_bytes(), &signature));
    }
    (processor_seconds() - start) / CHECKS as f64
}

/// The processor time of this process, in seconds.
fn processor_seconds() -> f64 {
    let usage = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let after = usage.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// Writes a room's events; gives an ordinary one back.
fn write_archive(path: &Path, events: usize) -> Pdu<Verified> {
    let (mut room, mut branch) = Room::new(100);
    let mut written = 0;
    let mut file = BufWriter::new(File::create(path).expect("the folder can be written"));
    for number in 1..MEMBERS {
        room.send_member(&mut branch, number, 0);
    }
    let mut number = 0;
    while room.nodes.len() < events {
        number += 1;
        if number % FORK_EVERY == 0 && room.nodes.len() + 3 <= events {
            branch = fork(&mut room, branch, number);
        }
        let sender = number * 7 % MEMBERS;
        if number % 10 == 0 {
            room.send_member(&mut branch, sender, number);
        } else {
            room.send_message(&mut branch, sender);
        }
        for node in &room.nodes[written..] {
            file.write_all(node.pdu.json().as_bytes())
                .expect("the disk has place");
            file.write_all(b"\n").expect("the disk has place");
        }
        written = room.nodes.len();
    }
    file.flush().expect("the disk has place");
    room.nodes[room.nodes.len() - 1].pdu.clone()
}

/// Two moderators change the topic at once; what comes next cites both.
fn fork(room: &mut Room, branch: Branch, number: usize) -> Branch {
    let mut sides = [branch.clone(), branch];
    for (side, branch) in sides.iter_mut().enumerate() {
        let topic = format!(r#"{{"topic":"the topic of {number} as side {side} sees it"}}"#);
        room.send_state(branch, side, "m.room.topic", "", &topic);
    }
    room.merge(&sides[0], &sides[1])
}
