//! SQLite answers as the reference in memory does, whatever is committed in whatever order.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{
    random::{Random, dump},
    *,
};
use roomlet_store::*;
use roomlet_wire::KeyId;

const COMMITS: usize = 150;
#[test]
fn sqlite_answers_as_memory_does() {
    let mut failed = 0;
    for seed in 1..=8 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let dir = TempDir::new();
        let memory = MemoryStore::new();
        let open = || {
            SqliteStore::open(
                dir.db(),
                SqliteOptions {
                    inline: true,
                    max_bytes: None,
                },
            )
            .unwrap()
        };
        let mut sqlite = open();
        for n in 0..COMMITS {
            let writes: Vec<_> = (0..random.below(9)).map(|_| random.write()).collect();
            let expected = try_commit(&memory, writes.clone()).map_err(|error| error.code());
            let got = try_commit(&sqlite, writes.clone()).map_err(|error| error.code());
            assert_eq!(got, expected, "seed {seed}, commit {n}: {writes:?}");
            failed += usize::from(got.is_err());
            if n % 10 == 9 {
                let (expected, got) = (dump(&memory), dump(&sqlite));
                for (expected, got) in expected.lines().zip(got.lines()) {
                    assert_eq!(got, expected, "seed {seed}, after commit {n}");
                }
            }
            if n % 50 == 49 {
                drop(sqlite);
                sqlite = open();
            }
        }
        sqlite.check().unwrap();
    }
    assert!(
        (1..4 * COMMITS).contains(&failed),
        "{failed} of {} commits failed",
        8 * COMMITS
    );
}

#[test]
fn own_keys_print_without_their_seed() {
    let own = OwnKey {
        id: KeyId::parse("ed25519:1").unwrap(),
        seed: [0x5e; 32],
        expired_at: None,
    };
    assert_eq!(
        format!("{own:?}"),
        "OwnKey { id: ed25519:1, expired_at: None, .. }"
    );
}
