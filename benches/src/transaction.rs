//! A transaction of 50 PDUs of another server, from the request to the answer, which comes after the commit.

use crate::{
    bare::Bare,
    measure::{Bound, Round, measure, report},
    remote::Remote,
    world::{Folder, alice, open, runtime},
};
use std::sync::Arc;

const PDUS: usize = 50;

/// Claim: at most 3 times as long as checking its signatures.
pub(crate) fn run() {
    let (runtime, folder) = (runtime(), Folder::new());
    let remote = Arc::new(Remote::new(10));
    let server = runtime.block_on(open(&folder.file("server.db"), &remote));
    runtime.block_on(async {
        server.create_account("alice").await.expect("an account");
        server
            .join(&alice(), remote.room(), std::slice::from_ref(remote.name()))
            .await
            .expect("alice joins");
    });
    let mut number = 0;
    let measured = measure("inbound transaction", true, || {
        number += 1;
        let pdus: Vec<_> = (0..PDUS).map(|_| remote.message()).collect();
        let request = remote.transaction(number, &pdus);
        let bare = Bare::new(&remote, &pdus[0]);
        Round::time(
            || (0..PDUS).for_each(|_| bare.verify()),
            || {
                let response = runtime.block_on(server.handle_request(request));
                assert_eq!(response.status, 200);
                assert!(
                    !String::from_utf8_lossy(&response.body).contains("error"),
                    "every PDU is taken"
                );
            },
        )
    });
    report(
        "transaction of 50 PDUs / 50 verifies",
        measured.ratio(),
        "x",
        Bound::AtMost(3.0),
    );
    report(
        "transaction of 50 PDUs",
        measured.subject * 1e3,
        "ms",
        Bound::Told,
    );
    runtime.block_on(server.close());
}
