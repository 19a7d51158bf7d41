//! Commits to a disk: shared syncs, failures alone, a full disk, closing.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use roomlet_store::*;
use roomlet_wire::{Code, Error, EventNum, StreamPos};
use std::path::Path;
use std::sync::Arc;

#[test]
fn a_full_disk_fails_the_commit_and_changes_nothing() {
    for inline in [false, true] {
        let dir = TempDir::new();
        let store = SqliteStore::open(
            dir.db(),
            SqliteOptions {
                inline,
                max_bytes: Some(400 << 10),
            },
        )
        .unwrap();
        let big = |n| {
            let row = EventRow {
                json: "x".repeat(30_000).into(),
                ..event_row(n, n.into())
            };
            vec![Write::Event { room: ROOM, row }, update(n)]
        };
        let (stored, error) = (1..)
            .find_map(|n| try_commit(&store, big(n)).err().map(|error| (n - 1, error)))
            .expect("the limit is reached");
        assert_eq!(error.code(), Code::StoreFull);
        assert!(error.about().contains("store.db: commit:"), "{error}");
        assert!(stored > 2);
        assert_eq!(store.event(ROOM, &event_id(stored + 1)).unwrap(), None);
        assert_eq!(store.last_update().unwrap(), StreamPos(stored.into()));
        assert_eq!(
            nums(&store.timeline(ROOM, None, Direction::Backward, 1).unwrap()),
            [stored]
        );

        store.set_max_bytes(None);
        assert_eq!(
            commit(&store, big(stored + 1)),
            StreamPos(u64::from(stored) + 1),
            "with space again, all is well"
        );
        store.check().unwrap();
    }
}

/// Keeps the writer waiting, as a backup by another program would, until it is dropped.
fn hold(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// Commits all of `commits` at once, while the writer cannot begin; the results in their order.
fn commit_together(
    store: &Arc<SqliteStore>,
    path: &Path,
    commits: Vec<Vec<Write>>,
) -> Vec<Result<StreamPos, Error>> {
    let other = hold(path);
    block_on(async {
        let tasks: Vec<_> = commits
            .into_iter()
            .map(|writes| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(Commit { writes }).await })
            })
            .collect();
        // One turn of the scheduler: each task has handed its commit over and waits.
        tokio::task::yield_now().await;
        drop(other);
        let mut results = Vec::new();
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    })
}

#[test]
fn commits_that_wait_share_a_sync() {
    let dir = TempDir::new();
    let store = Arc::new(open(&dir.db()));
    let results = commit_together(&store, &dir.db(), (1..=30).map(|n| vec![update(n)]).collect());
    let positions: Vec<_> = results.into_iter().map(|result| result.unwrap().0).collect();
    assert_eq!(positions, (1..=30).collect::<Vec<_>>());
    let stats = store.stats();
    assert_eq!(stats.commits, 30);
    // The writer took what was there when it first looked, and then all the rest.
    assert!(stats.transactions <= 2, "{stats:?}");
}

#[test]
fn a_commit_that_fails_fails_alone() {
    let dir = TempDir::new();
    let store = Arc::new(open(&dir.db()));
    commit(&*store, [event(1, 1)]);
    let taken = Write::Event {
        room: ROOM,
        row: EventRow {
            num: EventNum(2),
            ..event_row(1, 1)
        },
    };
    let commits = vec![
        vec![update(1)],
        vec![update(2), taken],
        vec![update(3), event(3, 3)],
    ];
    let results = commit_together(&store, &dir.db(), commits);
    assert_eq!(results[0], Ok(StreamPos(1)));
    assert_eq!(results[1].as_ref().unwrap_err().code(), Code::Store);
    assert_eq!(results[2], Ok(StreamPos(2)));
    let updates: Vec<_> = store
        .updates(StreamPos(0), 9)
        .unwrap()
        .into_iter()
        .map(|(_, update)| update)
        .collect();
    assert_eq!(
        updates,
        [1, 3].map(|n| Update::Event {
            room: room_id(1),
            event: event_id(n)
        })
    );
}

#[test]
fn closing_finishes_commits_that_nobody_waits_for() {
    let dir = TempDir::new();
    let store = Arc::new(open(&dir.db()));
    let other = hold(&dir.db());
    block_on(async {
        let task = tokio::spawn({
            let store = store.clone();
            async move {
                store
                    .commit(Commit {
                        writes: vec![meta("a", "b")],
                    })
                    .await
            }
        });
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    });
    drop(other);
    drop(store);
    assert_eq!(open(&dir.db()).meta("a").unwrap().as_deref(), Some("b"));
}

#[test]
fn reads_see_every_commit_that_returned() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..25 {
                    let name = format!("{thread}/{n}");
                    let pos = commit(store, [meta(&name, "there"), update(n)]);
                    assert_eq!(store.meta(&name).unwrap().as_deref(), Some("there"));
                    assert!(store.last_update().unwrap() >= pos);
                }
            });
        }
    });
    assert_eq!(store.last_update().unwrap(), StreamPos(100));
}

#[test]
fn a_closed_store_answers_closed() {
    for inline in [false, true] {
        let dir = TempDir::new();
        let store = SqliteStore::open(
            dir.db(),
            SqliteOptions {
                inline,
                max_bytes: None,
            },
        )
        .unwrap();
        commit(&store, [meta("a", "b")]);
        store.close();
        store.close();
        assert_eq!(commit_code(&store, [meta("a", "c")]), Code::Closed);
        assert_eq!(store.meta("a").unwrap_err().code(), Code::Closed);
        assert_eq!(store.check().unwrap_err().code(), Code::Closed);
        assert_eq!(open(&dir.db()).meta("a").unwrap().as_deref(), Some("b"));
    }
}
