//! What is done in a room of 100,000 members beside the same in one of 1,000.

use crate::{
    archive::{Archive, Home},
    engine::rooms::{Branch, Room},
    ingest::fork,
    measure::{Bound, report},
    process::thread_seconds,
    world::{Folder, open_beside, runtime},
};
use roomlet_homeserver::{Homeserver, StoreKind, Trust};
use std::path::PathBuf;
use tokio::runtime::Runtime;

const LARGE: usize = 100_000;
const SMALL: usize = 1_000;
/// Messages, joins and forks that are timed together.
const TIMES: usize = 5_000;
/// What is timed as often, in turns, and then the least disturbed.
const ROUNDS: usize = 5;

/// Claim: a message, a join, and a fork that is resolved each take at most 1.5 times as long.
pub(crate) fn run() {
    let (runtime, folder) = (runtime(), Folder::new());
    let mut rooms = [SMALL, LARGE].map(|members| Measured::new(&runtime, &folder, members));
    for what in ["message", "join", "fork"] {
        let mut least = [f64::MAX; 2];
        for round in 0..ROUNDS {
            for (room, least) in rooms.iter_mut().zip(&mut least) {
                *least = least.min(room.time(&runtime, &folder, what, round));
            }
        }
        report(
            &format!("{what} in a room of 100,000 members / of 1,000"),
            least[1] / least[0],
            "x",
            Bound::AtMost(1.5),
        );
        report(
            &format!("{what} in a room of 100,000 members"),
            least[1] / TIMES as f64 * 1e6,
            "us",
            Bound::Told,
        );
    }
    for room in rooms {
        runtime.block_on(room.server.close());
    }
}

/// A room, and a server that holds it in memory.
struct Measured {
    server: Homeserver,
    room: Room,
    branch: Branch,
    members: usize,
}

impl Measured {
    fn new(runtime: &Runtime, folder: &Folder, members: usize) -> Self {
        let (mut room, mut branch) = Room::new(100);
        for number in 1..members {
            room.send_member(&mut branch, number, 0);
        }
        let file = folder.file(&format!("{members}.jsonl"));
        let mut archive = Archive::create(&file);
        archive.write_new(&room);
        archive.close();
        let server = runtime.block_on(async {
            let server = open_beside(StoreKind::Memory, Home::new()).await;
            let imported = server.import_room(&file, Trust::Signatures).await;
            assert_eq!(imported.expect("an import").accepted, room.nodes.len() as u64);
            server
        });
        Self {
            server,
            room,
            branch,
            members,
        }
    }

    /// Seconds that it takes the server to do `what` [`TIMES`] times.
    fn time(&mut self, runtime: &Runtime, folder: &Folder, what: &str, round: usize) -> f64 {
        let file: PathBuf = folder.file(&format!("{}-{what}-{round}.jsonl", self.members));
        let mut archive = Archive::that_goes_on(&file, &self.room);
        for number in 0..TIMES {
            match what {
                "message" => _ = self.room.send_message(&mut self.branch, number % SMALL),
                "join" => {
                    self.room.send_member(&mut self.branch, self.members, 0);
                    self.members += 1;
                }
                _ => {
                    let branch = std::mem::take(&mut self.branch);
                    self.branch = fork(&mut self.room, branch, number);
                    self.room.send_message(&mut self.branch, number % SMALL);
                }
            }
        }
        archive.write_new(&self.room);
        archive.close();
        runtime.block_on(async {
            let start = thread_seconds();
            let imported = self.server.import_room(&file, Trust::Signatures).await;
            let seconds = thread_seconds() - start;
            let imported = imported.expect("an import");
            assert_eq!((imported.left_out, imported.rejected, imported.known), (0, 0, 1));
            seconds
        })
    }
}
