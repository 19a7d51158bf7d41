//! The join of a room of 1,000 members: from the resident's reply to the end of the join, commit included.

use crate::{
    bare::Bare,
    measure::{Bound, Round, measure, report},
    remote::Remote,
    world::{Folder, alice, open, runtime},
};
use std::{sync::Arc, time::Instant};

const MEMBERS: usize = 1_000;

/// Claim: at most 3 times as long as checking the signatures of the room's state.
pub(crate) fn run() {
    let runtime = runtime();
    let remote = Arc::new(Remote::new(MEMBERS));
    let bare = Bare::new(&remote, &remote.state()[MEMBERS]);
    let measured = measure("join", true, || {
        let folder = Folder::new();
        let server = runtime.block_on(open(&folder.file("server.db"), &remote));
        let start = Instant::now();
        (0..remote.state().len()).for_each(|_| bare.verify());
        let reference = start.elapsed();
        let subject = runtime.block_on(async {
            server.create_account("alice").await.expect("an account");
            server
                .join(&alice(), remote.room(), std::slice::from_ref(remote.name()))
                .await
                .expect("alice joins");
            remote
                .joined_at()
                .map(|at| at.elapsed())
                .expect("the other server let alice in")
        });
        runtime.block_on(server.close());
        remote.forget_join();
        Round { subject, reference }
    });
    report(
        "join of 1,000 members / its verifies",
        measured.ratio(),
        "x",
        Bound::AtMost(3.0),
    );
    report("join of 1,000 members", measured.subject * 1e3, "ms", Bound::Told);
}
