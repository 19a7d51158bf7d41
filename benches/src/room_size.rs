//! One message in a large room beside one in a small room, both on one server's file.

use crate::{
    measure::{Bound, Round, measure, report},
    remote::Remote,
    sends::send,
    world::{Folder, alice, open, runtime},
};
use roomlet_homeserver::{Homeserver, RoomId};
use std::{path::Path, sync::Arc};
use tokio::runtime::Runtime;

const LARGE: usize = 10_000;
const SMALL: usize = 10;

/// Claim: at most 1.3 times as long in a room of 10,000 members as in one of 10.
pub(crate) fn run() {
    let (runtime, folder) = (runtime(), Folder::new());
    let (small, small_room) = joined(&runtime, SMALL, &folder.file("small.db"));
    let (large, large_room) = joined(&runtime, LARGE, &folder.file("large.db"));
    let measured = measure("send to a large room", false, || {
        Round::time(
            || runtime.block_on(send(&small, &small_room)),
            || runtime.block_on(send(&large, &large_room)),
        )
    });
    report(
        "send to 10,000 members / send to 10",
        measured.ratio(),
        "x",
        Bound::AtMost(1.3),
    );
    report(
        "send to 10,000 members",
        measured.subject * 1e3,
        "ms",
        Bound::Told,
    );
    runtime.block_on(async {
        small.close().await;
        large.close().await;
    });
}

/// A server in a room of `members` members.
fn joined(runtime: &Runtime, members: usize, file: &Path) -> (Homeserver, RoomId) {
    let remote = Arc::new(Remote::new(members));
    runtime.block_on(async {
        let server = open(file, &remote).await;
        server.create_account("alice").await.expect("an account");
        server
            .join(&alice(), remote.room(), std::slice::from_ref(remote.name()))
            .await
            .expect("alice joins");
        (server, remote.room().clone())
    })
}
