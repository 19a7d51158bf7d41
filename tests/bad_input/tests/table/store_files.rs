//! Edge: the file that the store is in.

use roomlet_homeserver::{AllowAll, Code, Config, Homeserver, Result, ServerName, StoreKind};
use roomlet_store::{SqliteOptions, SqliteStore, Store};
use roomlet_world::World;
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// A folder that goes away with its test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("store.db")
    }
}

fn config(name: &str, path: &Path) -> Config {
    Config::new(ServerName::parse(name).unwrap(), StoreKind::File(path.into()))
}

async fn open(path: &Path) -> Result<Homeserver> {
    let config = config("a.test", path);
    let env = World::new().env(&config.server_name);
    Homeserver::open(config, env, Arc::new(AllowAll)).await
}

/// Makes the store of a server with an account.
async fn make(path: &Path, name: &str) {
    let config = config(name, path);
    let env = World::new().env(&config.server_name);
    let store = Arc::new(sqlite(path));
    let hs = Homeserver::open_with(config, env, Arc::new(AllowAll), store.clone())
        .await
        .unwrap();
    hs.create_account("alice").await.unwrap();
    hs.close().await;
    store.close();
}

/// Commits on the thread that calls: no other thread's time is waited for.
fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(
        path,
        SqliteOptions {
            inline: true,
            ..SqliteOptions::default()
        },
    )
    .unwrap()
}

/// `input` makes what is at the path; opening fails, and leaves it as it is, byte for byte.
async fn file<T>(input: impl AsyncFnOnce(&Path) -> T, code: Code, text: &str) {
    let folder = Folder::new();
    let path = folder.file();
    let _held = input(&path).await;
    let before = fs::read(&path).ok();
    let error = open(&path).await.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.about().contains(text), "{error:?}");
    assert!(fs::read(&path).ok() == before, "the file changed");
}

rows! { file:
    a_file_of_garbage: async |path: &Path| fs::write(path, [7; 8_192]).unwrap() => StoreDamaged, "file is not a database";
    a_file_of_text: async |path: &Path| fs::write(path, "dear diary\n".repeat(1_000)).unwrap() => StoreDamaged, "file is not a database";
    a_file_that_was_cut_off: async |path: &Path| {
        make(path, "a.test").await;
        let whole = fs::read(path).unwrap();
        fs::write(path, &whole[..5_000]).unwrap();
    } => StoreDamaged, "malformed";
    a_file_with_a_spoiled_schema: async |path: &Path| {
        make(path, "a.test").await;
        let mut bytes = fs::read(path).unwrap();
        bytes[100..2_000].fill(0x55);
        fs::write(path, bytes).unwrap();
    } => StoreDamaged, "malformed";
    the_database_of_another_application: async |path: &Path| {
        Connection::open(path).unwrap().execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('x')").unwrap();
    } => StoreDamaged, "a database of another application";
    a_file_of_a_newer_version: async |path: &Path| {
        make(path, "a.test").await;
        Connection::open(path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    } => StoreNewer, "a newer roomlet wrote it (schema 999)";
    a_file_with_a_version_below_zero: async |path: &Path| {
        make(path, "a.test").await;
        Connection::open(path).unwrap().pragma_update(None, "user_version", -1).unwrap();
    } => StoreDamaged, "`user_version` is -1";
    a_file_that_is_open_already: async |path: &Path| {
        make(path, "a.test").await;
        sqlite(path)
    } => StoreLocked, "another owner has it open";
    the_file_of_another_server: async |path: &Path| make(path, "other.test").await => BadParam, "the store belongs to server other.test, not to a.test";
    a_folder_in_place_of_a_file: async |path: &Path| fs::create_dir(path).unwrap() => Store, "open";
}

#[tokio::test(start_paused = true)]
async fn a_file_in_a_folder_that_is_not_there() {
    let folder = Folder::new();
    let path = folder.0.path().join("nowhere").join("store.db");
    let error = open(&path).await.unwrap_err();
    assert_eq!(error.code(), Code::Store, "{error:?}");
    assert!(!path.exists());
}

/// Everything that a store holds in tables, in their order.
fn dump(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let mut names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(|name| name.unwrap())
        .collect();
    let mut out = String::new();
    for name in names {
        let mut rows = connection.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns)
                .map(|i| format!("{:?}", row.get_ref(i).unwrap()))
                .collect();
            out.push_str(&format!("{name} {}\n", values.join(" ")));
        }
    }
    out
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full() {
    let folder = Folder::new();
    let path = folder.file();
    make(&path, "a.test").await;
    let config = config("a.test", &path);
    let env = World::new().env(&config.server_name);
    let store = Arc::new(sqlite(&path));
    let hs = Homeserver::open_with(config, env, Arc::new(AllowAll), store.clone())
        .await
        .unwrap();
    let alice = hs.accounts().await.unwrap().remove(0);
    let room = hs
        .create_room(&alice, roomlet_homeserver::CreateRoom::default())
        .await
        .unwrap();
    let (before, last) = (dump(&path), hs.last_update().await.unwrap());
    store.set_max_bytes(Some(0));
    let content = format!(r#"{{"body":"{}"}}"#, "x".repeat(60_000));
    let error = hs
        .send(&alice, &room, "test.message", &content, Some("t"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::StoreFull, "{error:?}");
    assert!(
        error.about().contains("commit: database or disk is full"),
        "{error:?}"
    );
    assert_eq!(dump(&path), before);
    assert_eq!(store.last_update().unwrap(), last);
    // When there is room again, the same command succeeds.
    store.set_max_bytes(None);
    let event = hs
        .send(&alice, &room, "test.message", &content, Some("t"))
        .await
        .unwrap();
    assert_eq!(hs.event(&alice, &room, &event).await.unwrap().content, content);
}
