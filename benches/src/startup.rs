//! Opening a server: how long until it answers, and what memory it takes. Measured in processes of their own.

use crate::{
    measure::{Bound, report},
    remote::Remote,
    world::{Folder, alice, open, runtime},
};
use roomlet_homeserver::{CreateRoom, Preset, RoomId};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The argument that makes this program such a process.
pub(crate) const CHILD: &str = "--open";
const ROOMS: usize = 1_000;
const RUNS: usize = 5;

/// Told, not claimed.
pub(crate) fn run() {
    let folder = Folder::new();
    let empty = folder.file("empty.db");
    let (mut idle, mut opened, mut answered, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let full = folder.file("full.db");
    let room = fill(&full);
    for _ in 0..RUNS {
        idle.push(child(&empty, None)[2]);
        let values = child(&full, Some(&room));
        opened.push(values[0]);
        answered.push(values[1]);
        memory.push(values[2]);
    }
    report("open with 1,000 rooms", middle(opened), "ms", Bound::Told);
    report(
        "open with 1,000 rooms and answer a request",
        middle(answered),
        "ms",
        Bound::Told,
    );
    report(
        "memory with 1,000 rooms after a request",
        middle(memory),
        "MB",
        Bound::Told,
    );
    report("memory of one idle server", middle(idle), "MB", Bound::Told);
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Makes a store with many rooms; one of them.
fn fill(file: &Path) -> RoomId {
    let remote = Arc::new(Remote::new(1));
    runtime().block_on(async {
        let server = open(file, &remote).await;
        server.create_account("alice").await.expect("an account");
        let mut rooms = JoinSet::new();
        for number in 0..ROOMS {
            let server = server.clone();
            rooms.spawn(async move {
                let room = CreateRoom {
                    preset: Preset::Public,
                    name: Some(format!("Room {number}")),
                    ..CreateRoom::default()
                };
                server.create_room(&alice(), room).await.expect("a room")
            });
        }
        let rooms = rooms.join_all().await;
        let room = rooms.into_iter().next().expect("there are rooms");
        // The store has the other server's key from now on.
        let response = server.handle_request(make_join(&remote, &room)).await;
        assert_eq!(response.status, 200, "the rooms are public");
        server.close().await;
        room
    })
}

fn make_join(remote: &Remote, room: &RoomId) -> roomlet_homeserver::Request {
    let escaped = |id: &str| id.replace('!', "%21").replace('@', "%40").replace(':', "%3A");
    let user = escaped(&format!("@creator:{}", remote.name()));
    let target = format!(
        "/_matrix/federation/v1/make_join/{}/{user}?ver={}",
        escaped(room),
        remote.version().id
    );
    remote.request("GET", &target, None)
}

/// Runs the child: milliseconds to open, milliseconds to the first answer, megabytes that both took.
fn child(file: &Path, room: Option<&RoomId>) -> [f64; 3] {
    let program = std::env::current_exe().expect("the program knows where it is");
    let room = room.map_or("", |room| room.as_str());
    let output = Command::new(program)
        .arg(CHILD)
        .arg(file)
        .arg(room)
        .output()
        .expect("the program starts itself");
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<f64> = text
        .split_whitespace()
        .filter_map(|value| value.parse().ok())
        .collect();
    values
        .try_into()
        .unwrap_or_else(|_| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// The child's part: opens `file` and, if there is one, answers a request about `room`.
pub(crate) fn open_and_answer(file: &Path, room: &str) {
    let remote = Arc::new(Remote::new(1));
    let request = RoomId::parse(room).ok().map(|room| make_join(&remote, &room));
    let before = resident_megabytes();
    let runtime = runtime();
    let start = Instant::now();
    let (opened, answered) = runtime.block_on(async {
        let server = open(file, &remote).await;
        let opened = start.elapsed();
        match request {
            Some(request) => assert_eq!(server.handle_request(request).await.status, 200),
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        (opened, start.elapsed())
    });
    let memory = resident_megabytes() - before;
    println!(
        "{} {} {memory}",
        opened.as_secs_f64() * 1e3,
        answered.as_secs_f64() * 1e3
    );
}

/// The memory of this process that is in the machine's memory now, as Linux counts it.
fn resident_megabytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes * 1024.0 / 1e6)
}
