//! What the host decides when it opens a server: each limit with its name, default and reason.

use roomlet_wire::ServerName;
use std::path::PathBuf;

/// Where a server's state lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreKind {
    /// A SQLite file, made if it is not there.
    File(PathBuf),
    /// Nothing survives the process.
    Memory,
}

/// How to open a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The server's name: the domain of its users. It cannot change once the store was made.
    pub server_name: ServerName,
    /// Where its state lives.
    pub store: StoreKind,
    /// See [`Limits`].
    pub limits: Limits,
}

impl Config {
    /// Defaults for everything but name and store.
    #[must_use]
    pub fn new(server_name: ServerName, store: StoreKind) -> Self {
        Self {
            server_name,
            store,
            limits: Limits::default(),
        }
    }
}

/// Limits that are the host's policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The version of rooms made without one. Default: `I.1`, which Synapse does not know.
    pub default_room_version: String,
    /// How long one outbound request may take, in milliseconds. Default 30,000: a phone's bad network, and less than
    /// what other servers wait for.
    pub request_timeout_ms: u64,
    /// PDUs a second that one destination is sent after a burst of [`outbound_burst`](Self::outbound_burst). Default
    /// 40: what a Synapse process takes in; it drops what waits beyond 100 in a room.
    pub outbound_pdus_per_second: u32,
    /// PDUs that a destination is sent at once. Default 80.
    pub outbound_burst: u32,
    /// The first wait after a failed delivery, in milliseconds; it doubles each time. Default 2,000.
    pub backoff_first_ms: u64,
    /// The longest wait between deliveries, in milliseconds. Default 3,600,000.
    pub backoff_max_ms: u64,
    /// PDUs owed to one destination beyond which only the newest of each room is kept; the peer fills the rest in
    /// (EC-5). Default 5,000.
    pub outbox_per_destination: u64,
    /// Missing events asked for with one `get_missing_events`. Default 20: Synapse gives no more.
    pub missing_events_per_request: u32,
    /// Rounds of `get_missing_events` before the state is asked for instead (EC-3). Default 20.
    pub missing_events_rounds: u32,
    /// Places for PDUs of one room that wait for missing events, one for each begun 16 KiB; further ones are refused with
    /// [`Busy`](crate::Code::Busy). One server in the room gets half of the places, all that are not a twentieth; where
    /// none is free, who has the most gives some up to those that have fewer. Default 1,000.
    pub staged_per_room: usize,
    /// Rooms whose working state is held in memory; the least used beyond that is dropped. Default 64.
    pub open_rooms: usize,
    /// Bytes of events and states that all open rooms together hold in memory, about, beyond what the room at work needs
    /// for the command at hand; what was used least goes first. Default 33,554,432 (32 MiB).
    pub cache_bytes: usize,
    /// How long a room that nobody touches stays in memory, in milliseconds. Default 60,000.
    pub room_idle_ms: u64,
    /// How long a published key stays valid, in milliseconds. Default 86,400,000 (a day).
    pub key_validity_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_room_version: "I.1".into(),
            request_timeout_ms: 30_000,
            outbound_pdus_per_second: 40,
            outbound_burst: 80,
            backoff_first_ms: 2_000,
            backoff_max_ms: 3_600_000,
            outbox_per_destination: 5_000,
            missing_events_per_request: 20,
            missing_events_rounds: 20,
            staged_per_room: 1_000,
            open_rooms: 64,
            cache_bytes: 32 << 20,
            room_idle_ms: 60_000,
            key_validity_ms: 86_400_000,
        }
    }
}
