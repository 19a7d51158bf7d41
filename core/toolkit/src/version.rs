//! What the room versions can do.

use roomlet_wire::{
    Result, RoomVersion,
    version::{EventFormat, PowerFormat, Resolution},
};

/// The capabilities of a room version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomVersionInfo {
    /// Its name.
    pub id: String,
    /// False for a draft's, whose name begins with that of its author's server.
    pub is_stable: bool,
    /// How event ids come about: `server` (made up by servers), `hash` or `url_safe_hash` (of the reference hash, in that
    /// alphabet of base64).
    pub event_ids: &'static str,
    /// The algorithm of state resolution: `1`, `2` or `2.1`.
    pub state_resolution: &'static str,
    /// How power levels are written: `lenient` (whatever can be read as a number), `strings` (integers, or text of one)
    /// or `integers`.
    pub power_levels: &'static str,
    /// Events have to be canonical JSON.
    pub strict_canonical_json: bool,
    /// Keys have to have been valid when an event was signed.
    pub enforces_key_validity: bool,
    /// `m.room.aliases` has rules of its own.
    pub special_aliases: bool,
    /// The join rule `knock`.
    pub knock: bool,
    /// The join rule `restricted`.
    pub restricted: bool,
    /// The join rule `knock_restricted`.
    pub knock_restricted: bool,
    /// `redacts` is in the content of a redaction.
    pub redacts_in_content: bool,
    /// The creator is the sender of the create event, which needs no `creator`.
    pub creator_is_sender: bool,
    /// The room id is the hash of the create event.
    pub room_id_is_create_hash: bool,
    /// Creators rank above every power level.
    pub creators_rank_above: bool,
    /// Messages are made of content blocks; `m.room.message` is banned.
    pub extensible_events: bool,
}

/// The names of all room versions.
#[must_use]
pub fn room_versions() -> Vec<String> {
    RoomVersion::supported().map(str::to_owned).collect()
}

/// What a room version can do.
///
/// # Errors
/// `UnknownRoomVersion`.
pub fn room_version(id: &str) -> Result<RoomVersionInfo> {
    let version = RoomVersion::named(id)?;
    Ok(RoomVersionInfo {
        id: version.id.to_owned(),
        is_stable: !version.id.starts_with("org."),
        event_ids: match version.event_format {
            EventFormat::ServerIds => "server",
            EventFormat::HashIds => "hash",
            EventFormat::UrlSafeHashIds => "url_safe_hash",
        },
        state_resolution: match version.resolution {
            Resolution::V1 => "1",
            Resolution::V2 => "2",
            Resolution::V2_1 => "2.1",
        },
        power_levels: match version.power {
            PowerFormat::Lenient => "lenient",
            PowerFormat::Strings => "strings",
            PowerFormat::Integers => "integers",
        },
        strict_canonical_json: version.strict_json,
        enforces_key_validity: version.key_validity,
        special_aliases: version.special_aliases,
        knock: version.knock,
        restricted: version.restricted,
        knock_restricted: version.knock_restricted,
        redacts_in_content: version.redacts_in_content,
        creator_is_sender: version.creator_is_sender,
        room_id_is_create_hash: version.room_id_is_create_hash,
        creators_rank_above: version.creators_rank_above,
        extensible_events: version.extensible_events,
    })
}
