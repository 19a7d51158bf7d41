//! Local sends to a file, beside bare commits of SQLite to another file on the same disk.

use crate::{
    measure::{Bound, Round, measure, report},
    remote::{MESSAGE, Remote},
    world::{Folder, alice, open, runtime},
};
use roomlet_homeserver::{CreateRoom, Homeserver, RoomId};
use rusqlite::{Connection, params};
use std::{path::Path, sync::Arc};
use tokio::task::JoinSet;

/// Senders at the same time.
const SENDERS: usize = 16;

/// SQLite alone, as durable as the server's store.
pub(crate) struct Bare {
    connection: Connection,
    row: Vec<u8>,
}

impl Bare {
    /// A table in a new file, for rows of `bytes`.
    fn new(file: &Path, bytes: usize) -> Self {
        let connection = Connection::open(file).expect("SQLite makes a file");
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .expect("SQLite has a WAL");
        connection
            .pragma_update(None, "synchronous", "FULL")
            .expect("SQLite syncs");
        connection
            .execute_batch("CREATE TABLE bare (key INTEGER PRIMARY KEY, row BLOB NOT NULL) STRICT")
            .expect("SQLite makes a table");
        Self {
            connection,
            row: vec![b'x'; bytes],
        }
    }

    /// One row, one commit.
    fn commit(&self) {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO bare (row) VALUES (?1)")
            .expect("SQL");
        insert.execute(params![self.row]).expect("SQLite inserts");
    }
}

/// Claim: with several users at work, at least 0.7 times as many a second as SQLite makes commits of the same bytes.
/// One user who waits for each answer sees latency instead: SQLite's commit, and beside it the signature and the ways
/// between threads. That ratio is told.
pub(crate) fn run() {
    let (runtime, folder) = (runtime(), Folder::new());
    let file = folder.file("server.db");
    let remote = Arc::new(Remote::new(1));
    let server = runtime.block_on(open(&file, &remote));
    let room = runtime.block_on(new_room(&server));
    runtime.block_on(send(&server, &room));
    let bare = Bare::new(&folder.file("bare.db"), bytes_of_last_send(&file));
    println!("{} bytes in the rows of a send", bare.row.len());
    let one = measure("local send", false, || {
        Round::time(|| bare.commit(), || runtime.block_on(send(&server, &room)))
    });
    let many = measure("local sends at once", false, || {
        Round::time(
            || (0..SENDERS).for_each(|_| bare.commit()),
            || {
                runtime.block_on(async {
                    let mut sends = JoinSet::new();
                    for _ in 0..SENDERS {
                        let (server, room) = (server.clone(), room.clone());
                        sends.spawn(async move { send(&server, &room).await });
                    }
                    sends.join_all().await;
                });
            },
        )
    });
    let rate = SENDERS as f64 / many.subject;
    report(
        "local sends of 16 users / bare SQLite commits",
        1.0 / many.ratio(),
        "x",
        Bound::AtLeast(0.7),
    );
    report("local sends of 16 users", rate, "1/s", Bound::Told);
    report(
        "local sends of one user / bare SQLite commits",
        1.0 / one.ratio(),
        "x",
        Bound::Told,
    );
    report("local sends of one user", 1.0 / one.subject, "1/s", Bound::Told);
    report("bare SQLite commits", 1.0 / one.reference, "1/s", Bound::Told);
    runtime.block_on(server.close());
}

async fn new_room(server: &Homeserver) -> RoomId {
    let user = server.create_account("alice").await.expect("an account");
    server
        .create_room(&user, CreateRoom::default())
        .await
        .expect("a room")
}

/// Sends one message.
pub(crate) async fn send(server: &Homeserver, room: &RoomId) {
    server
        .send(&alice(), room, "m.message", MESSAGE, None)
        .await
        .expect("the message is sent");
}

/// The bytes of all that the last send put into the tables: its event, its place in the stream, the room's record.
fn bytes_of_last_send(file: &Path) -> usize {
    const NUMBER: i64 = 8;
    let connection = Connection::open(file).expect("the store can be read");
    let bytes = |sql: &str| -> i64 {
        connection
            .query_row(sql, [], |row| row.get(0))
            .expect("the store's tables")
    };
    let event = bytes("SELECT length(json) + length(id) FROM event ORDER BY key DESC LIMIT 1");
    let stream = bytes("SELECT length(room) + length(event) FROM stream ORDER BY pos DESC LIMIT 1");
    let room =
        bytes("SELECT length(id) + length(version) + length(forward) FROM room ORDER BY num DESC LIMIT 1");
    // The event's key, depth, flags, two states; the stream's position and tag; five numbers of the room.
    usize::try_from(event + stream + room + 12 * NUMBER).unwrap_or_default()
}
