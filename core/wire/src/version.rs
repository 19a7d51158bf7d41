//! The one table of room versions: a constant of named flags each.
//!
//! Code asks a flag, never a version's name.

use crate::error::{Code, Error, Result};
use crate::id::Excerpt;
use alloc::{format, vec::Vec};

/// How events look on the wire (EV-2, ID-8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventFormat {
    /// Versions 1 and 2: `event_id` on the wire, references are `[id, hashes]` pairs.
    ServerIds,
    /// Version 3: ids are reference hashes in standard base64.
    HashIds,
    /// Version 4 and later: ids are reference hashes in URL-safe base64.
    UrlSafeHashIds,
}

/// Which state resolution algorithm a version has (SR-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// Version 1.
    V1,
    /// Versions 2 to 11 and I.1.
    V2,
    /// Version 12: from the empty map, with the conflicted subgraph (SR-10, SR-13).
    V2_1,
}

/// Where power levels may come as other than integers (AUTH-23, AUTH-25).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerFormat {
    /// Versions 1 to 5: integers, strings and floats.
    Lenient,
    /// Versions 6 to 9: integers and strings.
    Strings,
    /// Version 10 and later: integers only.
    Integers,
}

/// One room version: every rule in which versions differ, as a named flag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomVersion {
    /// The name in `room_version` (ID-9).
    pub id: &'static str,
    /// Event ids and references.
    pub event_format: EventFormat,
    /// State resolution.
    pub resolution: Resolution,
    /// CJ-2 holds on the whole PDU (6).
    pub strict_json: bool,
    /// Keys must have been valid at the time of the event (5, EV-17).
    pub key_validity: bool,
    /// `m.room.aliases` has its own authorization rule and survives redaction (1–5).
    pub special_aliases: bool,
    /// `notifications` in power levels is guarded (6).
    pub guards_notifications: bool,
    /// Redactions are judged by AUTH-11 (1–2); later they pass ordinary rules and are applied by EV-12.
    pub redaction_rule: bool,
    /// `knock` (7).
    pub knock: bool,
    /// `restricted` joins (8).
    pub restricted: bool,
    /// `join_authorised_via_users_server` survives redaction (9; 8 has the EV-10 gap).
    pub redaction_keeps_authorised_via: bool,
    /// `knock_restricted` (10).
    pub knock_restricted: bool,
    /// How power levels are written.
    pub power: PowerFormat,
    /// Version 11's redaction: the create whole, `redacts` in content, fewer top-level keys (EV-10).
    pub redaction_v11: bool,
    /// The creator is the create event's sender, and `content.creator` is not needed (11).
    pub creator_is_sender: bool,
    /// `redacts` stands in `content` (11).
    pub redacts_in_content: bool,
    /// Version 12: the room id is the create event's hash, and the create is no auth event (EV-4).
    pub room_id_is_create_hash: bool,
    /// Version 12: creators rank above every level (AUTH-26).
    pub creators_rank_above: bool,
    /// Over-long identifiers (≤255 code points, >255 bytes) drop the event rather than reject it (ID-12).
    pub drops_long_ids: bool,
    /// MSC1767: `m.room.message` and its kin are banned in favour of extensible events (I1-6).
    pub extensible_events: bool,
    /// Prefix of event types and blocks while MSC1767 is unstable in this version (I1-8), else `m.`.
    pub extensible_prefix: &'static str,
}

const V1: RoomVersion = RoomVersion {
    id: "1",
    event_format: EventFormat::ServerIds,
    resolution: Resolution::V1,
    strict_json: false,
    key_validity: false,
    special_aliases: true,
    guards_notifications: false,
    redaction_rule: true,
    knock: false,
    restricted: false,
    redaction_keeps_authorised_via: false,
    knock_restricted: false,
    power: PowerFormat::Lenient,
    redaction_v11: false,
    creator_is_sender: false,
    redacts_in_content: false,
    room_id_is_create_hash: false,
    creators_rank_above: false,
    drops_long_ids: false,
    extensible_events: false,
    extensible_prefix: "m.",
};
const V2: RoomVersion = RoomVersion {
    id: "2",
    resolution: Resolution::V2,
    ..V1
};
const V3: RoomVersion = RoomVersion {
    id: "3",
    event_format: EventFormat::HashIds,
    redaction_rule: false,
    ..V2
};
const V4: RoomVersion = RoomVersion {
    id: "4",
    event_format: EventFormat::UrlSafeHashIds,
    ..V3
};
const V5: RoomVersion = RoomVersion {
    id: "5",
    key_validity: true,
    ..V4
};
const V6: RoomVersion = RoomVersion {
    id: "6",
    strict_json: true,
    special_aliases: false,
    guards_notifications: true,
    power: PowerFormat::Strings,
    ..V5
};
const V7: RoomVersion = RoomVersion {
    id: "7",
    knock: true,
    ..V6
};
const V8: RoomVersion = RoomVersion {
    id: "8",
    restricted: true,
    ..V7
};
const V9: RoomVersion = RoomVersion {
    id: "9",
    redaction_keeps_authorised_via: true,
    ..V8
};
const V10: RoomVersion = RoomVersion {
    id: "10",
    knock_restricted: true,
    power: PowerFormat::Integers,
    ..V9
};
const V11: RoomVersion = RoomVersion {
    id: "11",
    redaction_v11: true,
    creator_is_sender: true,
    redacts_in_content: true,
    drops_long_ids: true,
    ..V10
};
const V12: RoomVersion = RoomVersion {
    id: "12",
    resolution: Resolution::V2_1,
    room_id_is_create_hash: true,
    creators_rank_above: true,
    ..V11
};
const I1: RoomVersion = RoomVersion {
    id: "I.1",
    extensible_events: true,
    ..V10
};
const MSC1767: RoomVersion = RoomVersion {
    id: "org.matrix.msc1767.10",
    extensible_prefix: "org.matrix.msc1767.",
    ..I1
};

/// Every room version there is.
pub static TABLE: &[RoomVersion] = &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, I1, MSC1767];

impl RoomVersion {
    /// The version named `id`, if it is known.
    #[must_use]
    pub fn get(id: &str) -> Option<&'static RoomVersion> {
        TABLE.iter().find(|version| version.id == id)
    }

    /// The version that a user or a server names.
    ///
    /// # Errors
    /// [`Code::UnknownRoomVersion`], listing those that are known.
    pub fn named(id: &str) -> Result<&'static RoomVersion> {
        Self::get(id).ok_or_else(|| {
            let all = Self::supported().collect::<Vec<_>>().join(", ");
            let about = format!("room version {:?} is not one of {all}", Excerpt(id));
            Error::new(Code::UnknownRoomVersion, about)
        })
    }

    /// The names of all versions.
    pub fn supported() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|version| version.id)
    }
}
