//! What operations take and give, and how it becomes the core's types.

use super::error::RoomletError;
use roomlet_homeserver as core;
use roomlet_homeserver::{RoomId, ServerName, UserId};

/// One federation request. An HTTP host sends it as it is to `destination`.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Request {
    /// The name of the server it is for, before any discovery; of an inbound request: this server's.
    pub destination: String,
    /// `GET`, `PUT` or `POST`.
    pub method: String,
    /// Path and query exactly as on the wire, from `/_matrix`.
    pub target: String,
    /// The value of each `Authorization` header.
    pub authorization: Vec<String>,
    /// The body, JSON with content type `application/json`; empty if there is none.
    pub body: Vec<u8>,
}

impl From<core::Request> for Request {
    fn from(request: core::Request) -> Self {
        Self {
            destination: request.destination.as_str().into(),
            method: request.method,
            target: request.target,
            authorization: request.authorization,
            body: request.body,
        }
    }
}

impl TryFrom<Request> for core::Request {
    type Error = RoomletError;

    fn try_from(request: Request) -> Result<Self, RoomletError> {
        Ok(Self {
            destination: ServerName::parse(&request.destination)?,
            method: request.method,
            target: request.target,
            authorization: request.authorization,
            body: request.body,
        })
    }
}

/// The response to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON, with content type `application/json`.
    pub body: Vec<u8>,
}

impl From<core::Response> for Response {
    fn from(response: core::Response) -> Self {
        Self {
            status: response.status,
            body: response.body,
        }
    }
}

impl From<Response> for core::Response {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            body: response.body,
        }
    }
}

/// Who can join a new room, and who may do what in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Preset {
    /// By invite; history shared with members.
    Private,
    /// As private, and everyone invited at creation has the creator's power.
    TrustedPrivate,
    /// Anyone can join.
    Public,
}

impl From<Preset> for core::Preset {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Private => Self::Private,
            Preset::TrustedPrivate => Self::TrustedPrivate,
            Preset::Public => Self::Public,
        }
    }
}

/// A room to be made.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct CreateRoom {
    /// Who can join, and who may do what.
    pub preset: Preset,
    /// The room version; without it `Limits.default_room_version`.
    #[uniffi(default = None)]
    pub version: Option<String>,
    /// The room's name.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// The room's topic.
    #[uniffi(default = None)]
    pub topic: Option<String>,
    /// The type in the room's create event, as `m.space`.
    #[uniffi(default = None)]
    pub room_type: Option<String>,
    /// Ids of users to invite.
    #[uniffi(default = [])]
    pub invite: Vec<String>,
    /// Marks these invites as to a direct chat.
    #[uniffi(default = false)]
    pub is_direct: bool,
    /// Ids of users who are creators beside the one who makes the room (room versions from 12).
    #[uniffi(default = [])]
    pub additional_creators: Vec<String>,
}

impl TryFrom<CreateRoom> for core::CreateRoom {
    type Error = RoomletError;

    fn try_from(room: CreateRoom) -> Result<Self, RoomletError> {
        Ok(Self {
            preset: room.preset.into(),
            version: room.version,
            name: room.name,
            topic: room.topic,
            room_type: room.room_type,
            invite: users(&room.invite)?,
            is_direct: room.is_direct,
            additional_creators: users(&room.additional_creators)?,
        })
    }
}

pub(super) fn users(ids: &[String]) -> Result<Vec<UserId>, RoomletError> {
    ids.iter().map(|id| Ok(UserId::parse(id)?)).collect()
}

/// What became of an archive's events.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct ImportReport {
    /// The id of the room.
    pub room_id: String,
    /// Events that are part of the room now.
    pub accepted: u64,
    /// Events that are part of it and that users do not see.
    pub soft_failed: u64,
    /// Events that are held as refused.
    pub rejected: u64,
    /// Events that the room had before.
    pub known: u64,
    /// Events that are wrong or cite what is not in the archive.
    pub left_out: u64,
    /// What was wrong first.
    pub first_fault: Option<String>,
}

impl From<core::Imported> for ImportReport {
    fn from(imported: core::Imported) -> Self {
        Self {
            room_id: imported.room.as_str().to_owned(),
            accepted: imported.accepted,
            soft_failed: imported.soft_failed,
            rejected: imported.rejected,
            known: imported.known,
            left_out: imported.left_out,
            first_fault: imported.first_fault,
        }
    }
}

/// What a check of the store found.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct StoreReport {
    /// Rooms that were looked at.
    pub rooms: u64,
    /// Events that were looked at.
    pub events: u64,
    /// States that were looked at.
    pub states: u64,
    /// What is wrong.
    pub faults: Vec<StoreFault>,
}

/// Something in the store that does not fit together.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct StoreFault {
    /// Its kind: `file`, `index`, `lost-event`, `room`, `event-form`, `event-id`, `slot`, `auth-event`, `event-state`,
    /// `state-parent`, `state-event`, `extremity`, `current-state`, `member`, `missing-event` or `delivery`.
    pub kind: String,
    /// What is wrong, and where.
    pub about: String,
    /// Whether it was put right.
    pub is_repaired: bool,
}

impl From<core::StoreReport> for StoreReport {
    fn from(report: core::StoreReport) -> Self {
        let faults = report.faults.into_iter().map(|fault| StoreFault {
            kind: fault.kind.to_owned(),
            about: fault.about,
            is_repaired: fault.is_repaired,
        });
        Self {
            rooms: report.rooms,
            events: report.events,
            states: report.states,
            faults: faults.collect(),
        }
    }
}

/// An event as users see it.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct RoomEvent {
    /// Its id.
    pub event_id: String,
    /// The id of its room.
    pub room_id: String,
    /// The id of the user who sent it.
    pub sender: String,
    /// Its type, as `m.room.message`.
    pub kind: String,
    /// Present for state events.
    pub state_key: Option<String>,
    /// When the sender's server says it was sent, in milliseconds since 1970.
    pub origin_server_ts: i64,
    /// Its content: a JSON object.
    pub content: String,
    /// The id of the event that this one redacts.
    pub redacts: Option<String>,
    /// The id of the redaction that took this one's content.
    pub redacted_by: Option<String>,
}

impl From<core::RoomEvent> for RoomEvent {
    fn from(event: core::RoomEvent) -> Self {
        Self {
            event_id: event.event_id.as_str().into(),
            room_id: event.room_id.as_str().into(),
            sender: event.sender.as_str().into(),
            kind: event.kind,
            state_key: event.state_key,
            origin_server_ts: event.origin_server_ts,
            content: event.content,
            redacts: event.redacts.map(|id| id.as_str().into()),
            redacted_by: event.redacted_by.map(|id| id.as_str().into()),
        }
    }
}

/// Which way a page of a timeline goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum Direction {
    /// To the past.
    Backward,
    /// To the present.
    Forward,
}

impl From<Direction> for core::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Backward => Self::Backward,
            Direction::Forward => Self::Forward,
        }
    }
}

/// A page of a timeline.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Page {
    /// The events, in the direction of the page.
    pub events: Vec<RoomEvent>,
    /// Where the next page begins; absent where there is nothing more in this direction now.
    pub next: Option<String>,
}

impl From<core::Page> for Page {
    fn from(page: core::Page) -> Self {
        Self {
            events: page.events.into_iter().map(Into::into).collect(),
            next: page.next,
        }
    }
}

/// A member of a room's current state.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Member {
    /// The user's id.
    pub user_id: String,
    /// `join`, `invite`, `leave`, `ban` or `knock`.
    pub membership: String,
}

impl From<core::Member> for Member {
    fn from(member: core::Member) -> Self {
        Self {
            user_id: member.user.as_str().into(),
            membership: member.membership,
        }
    }
}

/// A room of a local user.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct RoomSummary {
    /// The room's id.
    pub room_id: String,
    /// The user's membership.
    pub membership: String,
}

impl From<core::RoomSummary> for RoomSummary {
    fn from(room: core::RoomSummary) -> Self {
        Self {
            room_id: room.room_id.as_str().into(),
            membership: room.membership,
        }
    }
}

/// One entry of the update stream.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct UpdateEntry {
    /// Its position: the token to resume after it.
    pub pos: u64,
    /// What happened.
    pub update: RoomUpdate,
}

impl From<core::UpdateEntry> for UpdateEntry {
    fn from(entry: core::UpdateEntry) -> Self {
        Self {
            pos: entry.pos.0,
            update: entry.update.into(),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum RoomUpdate {
    /// A new event that users may see, as it is now (redacted, if it was since).
    Event {
        /// The event.
        event: RoomEvent,
    },
    /// Merging histories changed a room's current state without a new event.
    StateChanged {
        /// The room's id.
        room_id: String,
        /// The type of what changed.
        kind: String,
        /// The state key of what changed.
        state_key: String,
        /// What it is now; absent where there is no such state any more.
        event: Option<RoomEvent>,
    },
    /// A local user's membership changed.
    Membership {
        /// The room's id.
        room_id: String,
        /// The local user's id.
        user_id: String,
        /// The new membership.
        membership: String,
        /// The id of the user who caused it.
        sender: String,
    },
    /// An event lost its content to a redaction.
    Redacted {
        /// The room's id.
        room_id: String,
        /// The event's id.
        event_id: String,
        /// The redaction's id.
        redacted_by: String,
    },
}

impl From<core::RoomUpdate> for RoomUpdate {
    fn from(update: core::RoomUpdate) -> Self {
        let room = |id: RoomId| id.as_str().to_owned();
        match update {
            core::RoomUpdate::Event(event) => Self::Event { event: event.into() },
            core::RoomUpdate::StateChanged {
                room_id,
                kind,
                state_key,
                event,
            } => Self::StateChanged {
                room_id: room(room_id),
                kind,
                state_key,
                event: event.map(Into::into),
            },
            core::RoomUpdate::Membership {
                room_id,
                user,
                membership,
                sender,
            } => Self::Membership {
                room_id: room(room_id),
                user_id: user.as_str().into(),
                membership,
                sender: sender.as_str().into(),
            },
            core::RoomUpdate::Redacted { room_id, event, by } => Self::Redacted {
                room_id: room(room_id),
                event_id: event.as_str().into(),
                redacted_by: by.as_str().into(),
            },
        }
    }
}
