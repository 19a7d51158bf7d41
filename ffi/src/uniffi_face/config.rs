//! How a homeserver is opened: its name, its store, its limits.

use super::error::RoomletError;
use roomlet_homeserver as core;
use roomlet_homeserver::ServerName;
use std::path::PathBuf;

/// How to open a homeserver.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Config {
    /// The server's name, the domain of its users: `example.org`, `example.org:8448`. It cannot change once the
    /// store was made.
    pub server_name: String,
    /// The SQLite file, made if it is not there; without it nothing survives the process.
    #[uniffi(default = None)]
    pub path: Option<String>,
    /// Limits that are the host's policy; without them the defaults of [`Limits`].
    #[uniffi(default = None)]
    pub limits: Option<Limits>,
}

impl TryFrom<Config> for core::Config {
    type Error = RoomletError;

    fn try_from(config: Config) -> Result<Self, RoomletError> {
        let server_name = ServerName::parse(&config.server_name)?;
        let store = config.path.map_or(core::StoreKind::Memory, |path| {
            core::StoreKind::File(PathBuf::from(path))
        });
        let limits = config.limits.map_or_else(core::Limits::default, Into::into);
        Ok(Self {
            server_name,
            store,
            limits,
        })
    }
}

/// Limits that are the host's policy. Zero is a limit like another here, not the default as in C.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Limits {
    /// The version of rooms made without one. Synapse does not know the default.
    #[uniffi(default = "I.1")]
    pub default_room_version: String,
    /// How long one outbound request may take, in milliseconds.
    #[uniffi(default = 30000)]
    pub request_timeout_ms: u64,
    /// Events a second that one destination is sent after a burst.
    #[uniffi(default = 40)]
    pub outbound_pdus_per_second: u32,
    /// Events that a destination is sent at once.
    #[uniffi(default = 80)]
    pub outbound_burst: u32,
    /// The first wait after a failed delivery, in milliseconds; it doubles each time.
    #[uniffi(default = 2000)]
    pub backoff_first_ms: u64,
    /// The longest wait between deliveries, in milliseconds.
    #[uniffi(default = 3600000)]
    pub backoff_max_ms: u64,
    /// Events owed to one destination beyond which only the newest of each room is kept.
    #[uniffi(default = 5000)]
    pub outbox_per_destination: u64,
    /// Missing events asked for with one request.
    #[uniffi(default = 20)]
    pub missing_events_per_request: u32,
    /// Such requests before the room's state is asked for instead.
    #[uniffi(default = 20)]
    pub missing_events_rounds: u32,
    /// Events of one room that wait for missing ones; further ones are refused.
    #[uniffi(default = 1000)]
    pub staged_per_room: u32,
    /// Rooms whose working state is held in memory.
    #[uniffi(default = 64)]
    pub open_rooms: u32,
    /// Bytes of events and states that all open rooms together hold in memory, about.
    #[uniffi(default = 33554432)]
    pub cache_bytes: u64,
    /// How long a room that nobody touches stays in memory, in milliseconds.
    #[uniffi(default = 60000)]
    pub room_idle_ms: u64,
    /// How long a published signing key stays valid, in milliseconds.
    #[uniffi(default = 86400000)]
    pub key_validity_ms: i64,
}

impl From<Limits> for core::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            default_room_version: limits.default_room_version,
            request_timeout_ms: limits.request_timeout_ms,
            outbound_pdus_per_second: limits.outbound_pdus_per_second,
            outbound_burst: limits.outbound_burst,
            backoff_first_ms: limits.backoff_first_ms,
            backoff_max_ms: limits.backoff_max_ms,
            outbox_per_destination: limits.outbox_per_destination,
            missing_events_per_request: limits.missing_events_per_request,
            missing_events_rounds: limits.missing_events_rounds,
            staged_per_room: limits.staged_per_room as usize,
            open_rooms: limits.open_rooms as usize,
            cache_bytes: usize::try_from(limits.cache_bytes).unwrap_or(usize::MAX),
            room_idle_ms: limits.room_idle_ms,
            key_validity_ms: limits.key_validity_ms,
        }
    }
}

impl TryFrom<core::Limits> for Limits {
    type Error = std::num::TryFromIntError;

    fn try_from(limits: core::Limits) -> Result<Self, Self::Error> {
        Ok(Self {
            default_room_version: limits.default_room_version,
            request_timeout_ms: limits.request_timeout_ms,
            outbound_pdus_per_second: limits.outbound_pdus_per_second,
            outbound_burst: limits.outbound_burst,
            backoff_first_ms: limits.backoff_first_ms,
            backoff_max_ms: limits.backoff_max_ms,
            outbox_per_destination: limits.outbox_per_destination,
            missing_events_per_request: limits.missing_events_per_request,
            missing_events_rounds: limits.missing_events_rounds,
            staged_per_room: limits.staged_per_room.try_into()?,
            open_rooms: limits.open_rooms.try_into()?,
            cache_bytes: limits.cache_bytes.try_into()?,
            room_idle_ms: limits.room_idle_ms,
            key_validity_ms: limits.key_validity_ms,
        })
    }
}

/// The limits that hold where the host sets none: what [`Limits`] made with nothing but its defaults are.
///
/// # Errors
/// None.
#[uniffi::export]
pub fn default_limits() -> Result<Limits, RoomletError> {
    Limits::try_from(core::Limits::default())
        .map_err(|_| RoomletError::new(core::Code::BadParam, "a default limit is above 4294967295"))
}
