//! What was acknowledged survives the death of the process.
//!
//! Starts copies of itself that commit as fast as they can, kills them with SIGKILL, and reads what they left.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{ROOM, TempDir, block_on, event, event_id, meta, open, pdu, update};
use roomlet_store::*;
use roomlet_wire::{Code, EventNum, StreamPos};
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// How many acknowledgements to see before each kill.
const ROUNDS: [u32; 6] = [1, 2, 40, 3, 100, 7];

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, verb, path, from] = &arguments[..]
        && verb == "commit"
    {
        return commit_until_killed(Path::new(path), from.parse().unwrap());
    }
    acknowledged_commits_survive_a_kill();
    println!("acknowledged_commits_survive_a_kill ... ok");
}

/// Commits events `from`, `from + 1`, …, two at a time, and prints the number of each once it is durable.
fn commit_until_killed(path: &Path, from: u32) {
    let store = open(path);
    let commit = |n: u32| {
        let writes = vec![
            event(n, n.into()),
            update(n),
            pdu("a.org", 1, n),
            meta("last", &n.to_string()),
        ];
        store.commit(Commit { writes })
    };
    for n in (from..).step_by(2) {
        block_on(async {
            let (first, second) = tokio::join!(commit(n), commit(n + 1));
            first.unwrap();
            second.unwrap();
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{n}\n{}", n + 1).unwrap();
        out.flush().unwrap();
    }
}

fn acknowledged_commits_survive_a_kill() {
    let dir = TempDir::new();
    let mut next = 1;
    for round in ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["commit".as_ref(), dir.db().as_os_str(), next.to_string().as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for _ in 0..round {
            acknowledged = lines
                .next()
                .expect("the child works until it is killed")
                .unwrap()
                .parse()
                .unwrap();
        }
        let locked = SqliteStore::open(dir.db(), SqliteOptions::default()).unwrap_err();
        assert_eq!(locked.code(), Code::StoreLocked, "{locked}");
        child.kill().unwrap();
        // What it printed before it died counts as well.
        for line in lines {
            acknowledged = line.unwrap().parse().unwrap_or(acknowledged);
        }
        child.wait().unwrap();
        next = check(&open(&dir.db()), acknowledged) + 1;
    }
}

/// All events up to `acknowledged` are there; beyond it, whole commits only. The number of the last one.
fn check(store: &SqliteStore, acknowledged: u32) -> u32 {
    store.check().unwrap();
    let last: u32 = store.meta("last").unwrap().unwrap().parse().unwrap();
    assert!(
        last >= acknowledged,
        "{acknowledged} was acknowledged, {last} is the last one there"
    );
    assert_eq!(store.last_update().unwrap(), StreamPos(last.into()));
    assert_eq!(
        store.outbox_len(&common::server("a.org")).unwrap(),
        u64::from(last)
    );
    let updates = store.updates(StreamPos(0), usize::MAX).unwrap();
    assert_eq!(updates.len(), last as usize);
    for n in 1..=last {
        assert_eq!(store.event(ROOM, &event_id(n)).unwrap().unwrap().num, EventNum(n));
    }
    assert_eq!(store.event(ROOM, &event_id(last + 1)).unwrap(), None);
    last
}
