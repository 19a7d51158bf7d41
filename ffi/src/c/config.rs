//! How a server is opened: its name, its store, its limits.

use super::bytes::{Args, Zeroed, roomlet_bytes};
use roomlet_homeserver::{Config, Limits, Result, ServerName, StoreKind};
use std::mem::offset_of;

/// How to open a server. Zero, or empty, in any field but the first two is its default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomlet_config {
    /// `sizeof(roomlet_config)`.
    pub struct_size: usize,
    /// The server's name, as `example.org` or `localhost:8448`: the domain of its users. It cannot change later.
    pub server_name: roomlet_bytes,
    /// The path of the SQLite file that holds all state, made if it is not there. Beside it are files with the endings
    /// `-wal` and `-shm` while it is open, and `.lock` from then on. Empty: nothing survives the close.
    pub store_path: roomlet_bytes,
    /// The version of rooms made without one. Default `I.1`, which Synapse does not know.
    pub default_room_version: roomlet_bytes,
    /// How long one outbound request may take, in milliseconds. Default 30,000.
    pub request_timeout_ms: u64,
    /// PDUs a second that one destination is sent after a burst. Default 40: what a Synapse process takes in.
    pub outbound_pdus_per_second: u32,
    /// PDUs that one destination is sent at once. Default 80.
    pub outbound_burst: u32,
    /// The first wait after a failed delivery, in milliseconds; it doubles each time. Default 2,000.
    pub backoff_first_ms: u64,
    /// The longest wait between deliveries, in milliseconds. Default 3,600,000.
    pub backoff_max_ms: u64,
    /// PDUs owed to one destination beyond which only the newest of each room is kept; the other server fetches the rest.
    /// Default 5,000.
    pub outbox_per_destination: u64,
    /// Missing events asked for at once. Default 20.
    pub missing_events_per_request: u32,
    /// Rounds of asking for missing events before the state is asked for instead. Default 20.
    pub missing_events_rounds: u32,
    /// Places for PDUs of one room that wait for missing events, one for each begun 16 KiB; further ones are refused. One
    /// server gets half of them at most. Default 1,000.
    pub staged_per_room: u64,
    /// Rooms whose working state is held in memory; the least used beyond that is dropped. Default 64.
    pub open_rooms: u64,
    /// How long a published signing key stays valid, in milliseconds. Default 86,400,000.
    pub key_validity_ms: i64,
    /// Bytes of events and states that all open rooms together hold in memory, about; what was used least goes first.
    /// Default 33,554,432.
    pub cache_bytes: u64,
    /// How long a room that nobody touches stays in memory, in milliseconds. Default 60,000.
    pub room_idle_ms: u64,
}

// SAFETY: integers and pointers.
unsafe impl Zeroed for roomlet_config {}

impl roomlet_config {
    /// The size of the struct's first version, up to and with `key_validity_ms`.
    pub(super) const LEAST: usize = offset_of!(Self, key_validity_ms) + size_of::<i64>();

    /// Reads what is set; the rest has its default.
    ///
    /// # Errors
    /// [`Code::BadArgument`](roomlet_homeserver::Code::BadArgument), [`Code::BadId`](roomlet_homeserver::Code::BadId).
    pub(super) fn read(&self, args: &Args) -> Result<Config> {
        let name: ServerName = args.id(self.server_name, "config.server_name")?;
        let store = match args.optional(self.store_path, "config.store_path")? {
            Some(path) => StoreKind::File(path.into()),
            None => StoreKind::Memory,
        };
        let mut config = Config::new(name, store);
        let limits: &mut Limits = &mut config.limits;
        if let Some(version) = args.optional(self.default_room_version, "config.default_room_version")? {
            limits.default_room_version = version;
        }
        set(&mut limits.request_timeout_ms, self.request_timeout_ms);
        set(
            &mut limits.outbound_pdus_per_second,
            self.outbound_pdus_per_second,
        );
        set(&mut limits.outbound_burst, self.outbound_burst);
        set(&mut limits.backoff_first_ms, self.backoff_first_ms);
        set(&mut limits.backoff_max_ms, self.backoff_max_ms);
        set(&mut limits.outbox_per_destination, self.outbox_per_destination);
        set(
            &mut limits.missing_events_per_request,
            self.missing_events_per_request,
        );
        set(&mut limits.missing_events_rounds, self.missing_events_rounds);
        set(
            &mut limits.staged_per_room,
            usize::try_from(self.staged_per_room).unwrap_or(usize::MAX),
        );
        set(
            &mut limits.open_rooms,
            usize::try_from(self.open_rooms).unwrap_or(usize::MAX),
        );
        set(&mut limits.key_validity_ms, self.key_validity_ms);
        set(
            &mut limits.cache_bytes,
            usize::try_from(self.cache_bytes).unwrap_or(usize::MAX),
        );
        set(&mut limits.room_idle_ms, self.room_idle_ms);
        Ok(config)
    }
}

/// Zero leaves the default.
fn set<T: Default + PartialEq>(limit: &mut T, given: T) {
    if given != T::default() {
        *limit = given;
    }
}
