//! A whole room from an archive: all rules on, in a file, signatures checked and trusted.

use crate::{
    archive::{Archive, Home},
    engine::rooms::{Branch, KEY, Room},
    measure::{Bound, report},
    process,
    world::{Folder, open_beside, runtime},
};
use roomlet_homeserver::{Imported, StoreKind, Trust};
use roomlet_wire::{KeyId, Pdu, Verified, base64, sign::KeyPair};
use std::{path::Path, time::Instant};

/// Events of the room.
const EVENTS: usize = 100_000;
/// Its members; the rest is what they say and do.
const MEMBERS: usize = 1_000;
/// Every so many events two are sent at once.
const FORK_EVERY: usize = 50;
/// Events whose signatures are checked bare for comparison: the last ones. So many that it takes seconds, as an import does:
/// in a shorter time a processor may run faster than it can for long.
const CHECKS: usize = 50_000;

/// How often each is measured.
const ROUNDS: usize = 5;

/// Claims: with signatures at most 1.25 times what the bare checks of these take, without at least 100,000 events a
/// second and core. Time is that of all cores together; what a clock on the wall says is told beside, where the cores
/// share the checks. Of several rounds the least counts, as other load on the machine only ever adds.
pub(crate) fn run() {
    let folder = Folder::new();
    let archive = folder.file("room.jsonl");
    let last = write_archive(&archive, EVENTS);
    let mut least: Option<[Took; 5]> = None;
    for round in 0..ROUNDS {
        let file = |name: &str| StoreKind::File(folder.file(&format!("{name}-{round}.db")));
        let took = [
            bare(&last),
            import(file("checked"), &archive, Trust::Nothing),
            import(StoreKind::Memory, &archive, Trust::Nothing),
            import(file("trusted"), &archive, Trust::Signatures),
            import(StoreKind::Memory, &archive, Trust::Signatures),
        ];
        least = Some(match least {
            None => took,
            Some(least) => std::array::from_fn(|of| least[of].min(took[of])),
        });
    }
    let [bare, checked, checked_in_memory, trusted, trusted_in_memory] = least.expect("a round");
    let bytes = |path: &Path| std::fs::metadata(path).expect("the file is there").len() as f64;
    report(
        "file of 100,000 events / their JSON",
        bytes(&folder.file("trusted-0.db")) / (bytes(&archive) - EVENTS as f64),
        "x",
        Bound::AtMost(1.2),
    );
    report(
        "ingest of 100,000 events / their bare signature checks",
        checked.cpu / bare.cpu,
        "x",
        Bound::AtMost(1.25),
    );
    report(
        "ingest of 100,000 events into memory / their bare signature checks",
        checked_in_memory.cpu / bare.cpu,
        "x",
        Bound::AtMost(1.25),
    );
    report(
        "ingest of 100,000 events by the clock / their bare signature checks one by one",
        checked.clock / bare.clock,
        "x",
        Bound::AtMost(1.25),
    );
    report(
        "ingest of 100,000 events, signatures trusted",
        EVENTS as f64 / trusted.cpu,
        "events/s a core",
        Bound::AtLeast(100_000.0),
    );
    report(
        "ingest of 100,000 events into memory, signatures trusted",
        EVENTS as f64 / trusted_in_memory.cpu,
        "events/s a core",
        Bound::AtLeast(100_000.0),
    );
}

/// What all the events took, in seconds.
#[derive(Clone, Copy)]
struct Took {
    /// Of processor time.
    cpu: f64,
    clock: f64,
}

impl Took {
    fn min(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            clock: self.clock.min(other.clock),
        }
    }
}

fn import(store: StoreKind, archive: &Path, trust: Trust) -> Took {
    let runtime = runtime();
    runtime.block_on(async {
        let server = open_beside(store, Home::new()).await;
        let (cpu, start) = (process::cpu_seconds(), Instant::now());
        let imported = server.import_room(archive, trust).await.expect("an import");
        let took = Took {
            cpu: process::cpu_seconds() - cpu,
            clock: start.elapsed().as_secs_f64(),
        };
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
        println!(
            "ingest, {trust:?}: {:.2} s of processor time, {:.2} s by the clock",
            took.cpu, took.clock
        );
        server.close().await;
        took
    })
}

/// What the bare checks of the signatures take, from a part of them, each of another event as in the room: how long one
/// takes depends on the signature, and one that was just checked takes less.
fn bare(events: &[Pdu<Verified>]) -> Took {
    let key = KeyPair::from_seed(KeyId::parse(KEY).expect("a key id"), &[5; 32]);
    let signed: Vec<_> = events
        .iter()
        .map(|pdu| {
            let signature = base64::decode(&key.sign(pdu.json().as_bytes())).expect("base64");
            (pdu.json(), signature)
        })
        .collect();
    let public = key.public();
    let (cpu, start) = (process::cpu_seconds(), Instant::now());
    for (message, signature) in &signed {
        assert!(public.verifies(message.as_bytes(), signature));
    }
    let all = EVENTS as f64 / signed.len() as f64;
    Took {
        cpu: (process::cpu_seconds() - cpu) * all,
        clock: start.elapsed().as_secs_f64() * all,
    }
}

/// Writes a room's events; gives the last ones back.
fn write_archive(path: &Path, events: usize) -> Vec<Pdu<Verified>> {
    let (mut room, mut branch) = Room::new(100);
    let mut archive = Archive::create(path);
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
        archive.write_new(&room);
    }
    archive.close();
    let last = &room.nodes[room.nodes.len() - CHECKS..];
    last.iter().map(|node| node.pdu.clone()).collect()
}

/// Two moderators change the topic at once; what comes next cites both.
pub(crate) fn fork(room: &mut Room, branch: Branch, number: usize) -> Branch {
    let mut sides = [branch.clone(), branch];
    for (side, branch) in sides.iter_mut().enumerate() {
        let topic = format!(r#"{{"topic":"the topic of {number} as side {side} sees it"}}"#);
        room.send_state(branch, side, "m.room.topic", "", &topic);
    }
    room.merge(&sides[0], &sides[1])
}
