//! What commands take and give.

use roomlet_wire::{EventId, RoomId, StreamPos, UserId};

/// Who can join a new room, and who may do what in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// By invite; history shared with members.
    #[default]
    Private,
    /// As [`Private`](Self::Private), and everyone invited at creation has the creator's power.
    TrustedPrivate,
    /// Anyone can join.
    Public,
}

/// A room to be made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateRoom {
    /// See [`Preset`].
    pub preset: Preset,
    /// The room version; `None` is [`Limits::default_room_version`](crate::Limits::default_room_version).
    pub version: Option<String>,
    /// `m.room.name`.
    pub name: Option<String>,
    /// `m.room.topic`.
    pub topic: Option<String>,
    /// `type` of the create event, as `m.space`.
    pub room_type: Option<String>,
    /// Users to invite.
    pub invite: Vec<UserId>,
    /// Marks these invites as to a direct chat.
    pub is_direct: bool,
    /// Users who, beside the one who makes it, rank above every power level of the room: version 12 only.
    pub additional_creators: Vec<UserId>,
}

/// An event as users see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomEvent {
    /// Its id.
    pub event_id: EventId,
    /// Its room.
    pub room_id: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// `type`.
    pub kind: String,
    /// Present for state events.
    pub state_key: Option<String>,
    /// The sender's clock, in milliseconds.
    pub origin_server_ts: i64,
    /// `content` as JSON text.
    pub content: String,
    /// The event that this one redacts.
    pub redacts: Option<EventId>,
    /// The redaction that took this one's content.
    pub redacted_by: Option<EventId>,
}

/// Which way a page of a timeline goes.
pub use roomlet_store::Direction;

/// A page of a timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The events, in the direction of the page.
    pub events: Vec<RoomEvent>,
    /// Where the next page begins; `None`: there is nothing more in this direction now. The token that this page was
    /// asked for with stays valid, for a later try.
    pub next: Option<String>,
}

/// A member of a room's current state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// `join`, `invite`, `leave`, `ban` or `knock`.
    pub membership: String,
}

/// A room of a local user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSummary {
    /// The room.
    pub room_id: RoomId,
    /// The user's membership.
    pub membership: String,
}

/// One entry of the update stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UpdateEntry {
    /// Its position: the token to resume after it.
    pub pos: StreamPos,
    /// What happened.
    pub update: RoomUpdate,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoomUpdate {
    /// A new event that users may see, as it is now (redacted, if it was since).
    Event(RoomEvent),
    /// Merging histories changed the current state without a new event.
    StateChanged {
        /// The room.
        room_id: RoomId,
        /// `type` of what changed.
        kind: String,
        /// `state_key` of what changed.
        state_key: String,
        /// What it is now; `None`: there is no such state any more.
        event: Option<RoomEvent>,
    },
    /// A local user's membership changed.
    Membership {
        /// The room.
        room_id: RoomId,
        /// The local user.
        user: UserId,
        /// The new membership.
        membership: String,
        /// Who caused it.
        sender: UserId,
    },
    /// An event lost its content to a redaction.
    Redacted {
        /// The room.
        room_id: RoomId,
        /// The event.
        event: EventId,
        /// The redaction.
        by: EventId,
    },
}
