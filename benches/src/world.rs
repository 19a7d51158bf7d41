//! The world that the measured servers live in: this machine's clock and disk, a fixed source of randomness, and one
//! other server in the same process.

use crate::remote::Remote;
use roomlet_homeserver::{
    AllowAll, Clock, Config, Env, Homeserver, NoLog, Rng, ServerName, StoreKind, Transport, UserId,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The name of the measured server.
pub(crate) const LOCAL: &str = "local.example";

/// This machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A counter, hashed: the same bytes in every run, which is no harm where nothing is secret.
#[derive(Default)]
struct FixedRng(AtomicU64);

impl Rng for FixedRng {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (x >> 56) as u8;
        }
    }
}

/// A folder beside the program, on the same disk as the build, that goes away with this value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = std::env::current_exe().expect("the program knows where it is");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = program.with_file_name(format!("bench-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder of the build can be written");
        Self(path)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is a few files in the folder of the build.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens the measured server on a file; the only other server is `remote`.
pub(crate) async fn open(file: &Path, remote: &Arc<Remote>) -> Homeserver {
    open_beside(StoreKind::File(file.to_owned()), remote.clone()).await
}

/// Opens the measured server; `others` are all the servers there are besides.
pub(crate) async fn open_beside(store: StoreKind, others: Arc<dyn Transport>) -> Homeserver {
    let name = ServerName::parse(LOCAL).expect("a server name");
    let env = Env {
        transport: others,
        clock: Arc::new(SystemClock),
        rng: Arc::new(FixedRng::default()),
        log: Arc::new(NoLog),
    };
    let config = Config::new(name, store);
    Homeserver::open(config, env, Arc::new(AllowAll))
        .await
        .expect("the store opens")
}

/// The user of the measured server.
pub(crate) fn alice() -> UserId {
    UserId::parse(&format!("@alice:{LOCAL}")).expect("a user id")
}

/// The runtime that embedding hosts get too: a worker a core.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads can be started")
}
