//! The file of a store: what it is opened from, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::*;
use roomlet_store::*;
use roomlet_wire::{Code, Error, EventNum, StreamPos};
use std::fs;
use std::path::Path;

fn open_error(path: &Path) -> Error {
    SqliteStore::open(path, SqliteOptions::default()).unwrap_err()
}

/// A store with some hundred events, closed again.
fn filled(path: &Path) {
    let store = open(path);
    commit(&store, (1..=500).map(|n| event(n, n.into())).collect::<Vec<_>>());
}

/// The file as another program sees it.
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

#[test]
fn everything_is_there_after_reopening() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    commit(
        &store,
        [
            Write::Room(record(1)),
            event(1, 1),
            update(1),
            update(2),
            pdu("a.org", 1, 1),
        ],
    );
    let seq = store.outbox(&server("a.org"), 1).unwrap()[0].seq;
    let done = Write::OutboxDone {
        destination: server("a.org"),
        up_to: seq,
    };
    commit(&store, [Write::TrimUpdates(StreamPos(2)), done]);
    drop(store);

    let store = open(&dir.db());
    assert_eq!(store.room(&room_id(1)).unwrap(), Some(record(1)));
    assert_eq!(
        store.event_by_num(ROOM, EventNum(1)).unwrap(),
        Some(event_row(1, 1))
    );
    assert_eq!(store.last_update().unwrap(), StreamPos(2));
    assert_eq!(
        commit(&store, [update(3), pdu("a.org", 1, 2)]),
        StreamPos(3),
        "positions go on after a trim"
    );
    assert!(store.outbox(&server("a.org"), 1).unwrap()[0].seq > seq);
}

#[test]
fn a_second_owner_is_refused_until_the_first_closes() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let error = open_error(&dir.db());
    assert_eq!(error.code(), Code::StoreLocked);
    assert!(error.about().contains("store.db: open:"), "{error}");
    store.close();
    open(&dir.db());
}

#[test]
fn a_link_to_the_file_does_not_get_around_the_lock() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    let link = dir.db().with_file_name("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir.db(), &link).unwrap();
    #[cfg(not(unix))]
    let link = dir.db().parent().unwrap().join(".").join("store.db");
    assert_eq!(open_error(&link).code(), Code::StoreLocked);
    drop(store);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_file_that_is_yet_to_be_made_does_not_get_around_the_lock() {
    let dir = TempDir::new();
    let link = dir.db().with_file_name("link.db");
    std::os::unix::fs::symlink(dir.db(), &link).unwrap();
    let store = open(&link);
    assert_eq!(open_error(&dir.db()).code(), Code::StoreLocked);
    commit(&store, [meta("a", "b")]);
    drop(store);
    assert_eq!(open(&dir.db()).meta("a").unwrap().as_deref(), Some("b"));
}

#[cfg(unix)]
#[test]
fn nothing_is_written_to_a_file_that_is_not_where_it_was_opened() {
    let try_commit = |store: &SqliteStore| {
        let writes = vec![meta("a", "b")];
        block_on(store.commit(Commit { writes })).map(|_| ())
    };
    for inline in [false, true] {
        let dir = TempDir::new();
        let options = SqliteOptions {
            inline,
            ..SqliteOptions::default()
        };
        let store = SqliteStore::open(dir.db(), options).unwrap();
        try_commit(&store).unwrap();
        let away = dir.db().with_file_name("away.db");
        let backup = dir.db().with_file_name("backup.db");
        fs::rename(dir.db(), &away).unwrap();
        for other_is_there in [false, true] {
            if other_is_there {
                fs::write(dir.db(), b"").unwrap();
            }
            let error = try_commit(&store).unwrap_err();
            assert_eq!(error.code(), Code::Store);
            assert!(error.about().contains("moved, deleted or replaced"), "{error}");
            let error = store.backup(&backup).unwrap_err();
            assert!(error.about().contains("moved, deleted or replaced"), "{error}");
            assert!(!backup.exists());
            assert_eq!(dir.db().exists(), other_is_there, "nothing is put in its place");
        }
        // Put back, it goes on.
        fs::rename(&away, dir.db()).unwrap();
        try_commit(&store).unwrap();
        assert_eq!(store.meta("a").unwrap().as_deref(), Some("b"));
        store.backup(&backup).unwrap();
        fs::remove_file(dir.db()).unwrap();
        assert_eq!(try_commit(&store).unwrap_err().code(), Code::Store);
    }
}

#[cfg(unix)]
#[test]
fn a_backup_has_a_name_in_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TempDir::new();
    let store = open(&dir.db());
    commit(&store, [meta("a", "b")]);
    let odd = dir
        .db()
        .with_file_name(std::ffi::OsStr::from_bytes(b"odd\xff.db"));
    let error = store.backup(&odd).unwrap_err();
    assert_eq!(error.code(), Code::BadParam);
    assert!(error.about().ends_with("the path is no UTF-8"), "{error}");
    assert!(!odd.exists());
}

#[cfg(unix)]
#[test]
fn nobody_but_the_owner_may_read_what_the_store_writes() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new();
    let store = open(&dir.db());
    commit(&store, vec![event(1, 1)]);
    store.backup(&dir.db().with_file_name("backup.db")).unwrap();
    let mut modes: Vec<(String, u32)> = fs::read_dir(dir.db().parent().unwrap())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    modes.sort();
    let files = [
        "backup.db",
        "store.db",
        "store.db-shm",
        "store.db-wal",
        "store.db.lock",
    ];
    assert_eq!(modes, files.map(|file| (file.to_owned(), 0o600)));
}

#[test]
fn closing_moves_all_into_the_one_file() {
    let dir = TempDir::new();
    filled(&dir.db());
    assert!(!dir.db().with_file_name("store.db-wal").exists());
    let copy = dir.db().with_file_name("copy.db");
    fs::copy(dir.db(), &copy).unwrap();
    assert_eq!(
        open(&copy).event_by_num(ROOM, EventNum(500)).unwrap(),
        Some(event_row(500, 500))
    );
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_stays_as_it_is() {
    let dir = TempDir::new();
    let garbage = b"not a database, but longer than the header of one would be: ".repeat(100);
    fs::write(dir.db(), &garbage).unwrap();
    assert_eq!(open_error(&dir.db()).code(), Code::StoreDamaged);
    assert_eq!(fs::read(dir.db()).unwrap(), garbage);
}

#[test]
fn a_database_of_another_application_is_refused_and_stays_as_it_is() {
    let dir = TempDir::new();
    raw(&dir.db()).execute_batch("CREATE TABLE notes (text)").unwrap();
    let before = fs::read(dir.db()).unwrap();
    let error = open_error(&dir.db());
    assert_eq!(error.code(), Code::StoreDamaged);
    assert!(
        error.about().ends_with("a database of another application"),
        "{error}"
    );
    assert_eq!(fs::read(dir.db()).unwrap(), before);
}

#[test]
fn a_truncated_file_is_damaged() {
    let dir = TempDir::new();
    filled(&dir.db());
    let len = fs::metadata(dir.db()).unwrap().len();
    for kept in [len / 2, len - 4096, 4096, 1000] {
        fs::OpenOptions::new()
            .write(true)
            .open(dir.db())
            .unwrap()
            .set_len(kept)
            .unwrap();
        assert_eq!(
            open_error(&dir.db()).code(),
            Code::StoreDamaged,
            "{kept} of {len} bytes"
        );
    }
}

#[test]
fn an_overwritten_page_is_found_by_the_check() {
    let dir = TempDir::new();
    filled(&dir.db());
    open(&dir.db()).check().unwrap();
    let mut bytes = fs::read(dir.db()).unwrap();
    let pages = bytes.len() / 4096;
    bytes[(pages - 2) * 4096..(pages - 1) * 4096].fill(0xa5);
    fs::write(dir.db(), &bytes).unwrap();
    assert_eq!(open(&dir.db()).check().unwrap_err().code(), Code::StoreDamaged);
}

#[test]
fn a_row_that_cannot_be_ours_is_damage() {
    let dir = TempDir::new();
    let store = open(&dir.db());
    commit(&store, [Write::Room(record(1)), update(1)]);
    drop(store);
    raw(&dir.db())
        .execute_batch("UPDATE room SET forward = x'80'; UPDATE stream SET tag = 99")
        .unwrap();
    let store = open(&dir.db());
    let error = store.room(&room_id(1)).unwrap_err();
    assert_eq!(error.code(), Code::StoreDamaged);
    assert!(
        error.about().ends_with("store.db: room: forward extremities"),
        "{error}"
    );
    assert_eq!(
        store.updates(StreamPos(0), 1).unwrap_err().code(),
        Code::StoreDamaged
    );
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = TempDir::new();
    filled(&dir.db());
    raw(&dir.db()).pragma_update(None, "user_version", 99).unwrap();
    let error = open_error(&dir.db());
    assert_eq!(error.code(), Code::StoreNewer);
    assert!(
        error.about().ends_with("a newer roomlet wrote it (schema 99)"),
        "{error}"
    );
}

#[test]
fn an_empty_file_becomes_a_store() {
    let dir = TempDir::new();
    fs::write(dir.db(), b"").unwrap();
    commit(&open(&dir.db()), [meta("a", "b")]);
    assert_eq!(open(&dir.db()).meta("a").unwrap().as_deref(), Some("b"));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_the_store() {
    let dir = TempDir::new();
    let error = open_error(&dir.db().with_file_name("none").join("store.db"));
    assert_eq!(error.code(), Code::Store);
}

#[test]
fn pages_of_a_timeline_are_read_by_index() {
    let dir = TempDir::new();
    filled(&dir.db());
    let sql = "EXPLAIN QUERY PLAN SELECT json FROM event
        WHERE key >> 32 = ?1 AND flags & 7 = 0 AND (depth, key) < (?2, ?3) ORDER BY depth DESC, key DESC LIMIT ?4";
    let db = raw(&dir.db());
    let mut statement = db.prepare(sql).unwrap();
    let plan: Vec<String> = statement
        .query_map([1, 2, 3, 4], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        plan,
        ["SEARCH event USING INDEX event_timeline (<expr>=? AND depth<?)"]
    );
}
