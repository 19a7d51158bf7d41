//! What a store holds, in the terms of the domain (EC-9).

use roomlet_wire::{
    EventId, EventNum, KeyId, RoomId, RoomNum, RoomVersion, ServerName, SlotNum, StateNum, StreamPos, UserId,
};
use std::sync::Arc;
use zeroize::Zeroize;

/// A room as a whole: what a room task needs before it can work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomRecord {
    /// Its number in this store.
    pub num: RoomNum,
    /// Its id.
    pub id: RoomId,
    /// Its version.
    pub version: &'static RoomVersion,
    /// The forward extremities (EC-1), ascending.
    pub forward: Vec<EventNum>,
    /// The state that the forward extremities resolve to.
    pub current_state: StateNum,
    /// The next free numbers.
    pub next_event: EventNum,
    /// See `next_event`.
    pub next_state: StateNum,
    /// See `next_event`.
    pub next_slot: SlotNum,
}

/// What this server thinks of an event it holds (EV-21 … EV-23).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventFlags {
    /// Held for its place in auth chains or states only; no state before it is known.
    pub outlier: bool,
    /// Refused by authorization steps 4 or 5.
    pub rejected: bool,
    /// Refused by the current state when it arrived (step 6).
    pub soft_failed: bool,
    /// Fetched as history: it never was a forward extremity and no user was told of it (EC-4).
    pub backfilled: bool,
}

impl EventFlags {
    /// Whether users may see the event, history visibility apart.
    #[must_use]
    pub fn is_shown(self) -> bool {
        !(self.outlier || self.rejected || self.soft_failed)
    }
}

/// An event with all that this server knows of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventRow {
    /// Its number in its room.
    pub num: EventNum,
    /// Its id.
    pub id: EventId,
    /// Its canonical JSON, federation form without `unsigned`; redacted once it was redacted. Shared with the event
    /// that it was made from.
    pub json: Arc<str>,
    /// The sender's claim, here for paging; at most 2^53 − 1.
    pub depth: i64,
    /// See [`EventFlags`].
    pub flags: EventFlags,
    /// The state before it; `None` for outliers.
    pub state_before: Option<StateNum>,
    /// The state after it: that before it, plus itself if it is an accepted state event (EV-22).
    pub state_after: Option<StateNum>,
    /// The redaction that was applied to it.
    pub redacted_by: Option<EventId>,
}

/// A state: a checkpoint (`parent` is `None`, `changes` the whole map) or a delta on another state.
/// The homeserver writes a checkpoint when the deltas since the last one add up to the size of the map, so
/// that reading a state costs at most about twice its size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateRow {
    /// Its number in its room.
    pub num: StateNum,
    /// What the changes apply to.
    pub parent: Option<StateNum>,
    /// Slots set, or with `None` removed.
    pub changes: Vec<(SlotNum, Option<EventNum>)>,
    /// Entries of the whole map.
    pub size: u32,
    /// Changes in all deltas since the last checkpoint, this one's included; 0 for a checkpoint.
    pub since_checkpoint: u32,
}

/// A user's membership in the current state of a room that this server holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRow {
    /// The user.
    pub user: UserId,
    /// `join`, `invite`, `leave`, `ban`, `knock`.
    pub membership: String,
    /// The member event.
    pub event: EventNum,
}

/// Something that a store finds wrong with its medium, as [`Store::findings`](crate::Store::findings) tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The medium's structure is damaged.
    Structure(String),
    /// What leads to other things does not fit these; [`Store::mend`](crate::Store::mend) makes it anew from them.
    Index(String),
    /// Events that cannot be read any more; [`Store::mend`](crate::Store::mend) gives them up.
    Lost(String),
}

/// A room of a local user, as [`Store::user_rooms`](crate::Store::user_rooms) lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRoom {
    /// The room.
    pub room: RoomId,
    /// The user's membership in its current state, or `invite`/`knock`/`leave` by a pending invite.
    pub membership: String,
}

/// An invite (or knock) to a room in which this server is not resident. Several servers may have made one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InviteRow {
    /// The local user that is invited.
    pub user: UserId,
    /// The room.
    pub room: RoomId,
    /// Its version.
    pub version: &'static RoomVersion,
    /// The member event, JSON in federation form.
    pub event_json: Box<str>,
    /// The preview state, a JSON array (FED-38); never trusted as state.
    pub preview_json: Box<str>,
}

/// One thing that the host is told, at a position of the update stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// An event that users may see became part of a room (new, not backfilled).
    Event {
        /// The room.
        room: RoomId,
        /// The event.
        event: EventId,
    },
    /// Merging histories changed the current state without a new event (EC-11).
    State {
        /// The room.
        room: RoomId,
        /// `type` of the slot.
        kind: String,
        /// `state_key` of the slot.
        state_key: String,
        /// The event that holds it now; `None`: nothing.
        event: Option<EventId>,
    },
    /// A local user's membership changed, also in a room where this server is not resident.
    Membership {
        /// The room.
        room: RoomId,
        /// The local user.
        user: UserId,
        /// The new membership.
        membership: String,
        /// Who caused it.
        sender: UserId,
    },
    /// An event was redacted: its content is gone.
    Redacted {
        /// The room.
        room: RoomId,
        /// The event that lost its content.
        event: EventId,
        /// The redaction.
        by: EventId,
    },
}

impl Update {
    /// The room that it is of.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Event { room, .. }
            | Self::State { room, .. }
            | Self::Membership { room, .. }
            | Self::Redacted { room, .. } => room,
        }
    }
}

/// A PDU that waits, durably, for events that this server lacks (EC-10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagedPdu {
    /// The room.
    pub room: RoomNum,
    /// The event.
    pub event: EventId,
    /// Who sent the transaction that it came in.
    pub origin: ServerName,
    /// Its JSON in federation form, signatures already checked.
    pub json: Box<str>,
}

/// What one other server is owed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    /// Ascending within the store; the order of delivery.
    pub seq: u64,
    /// The room and event to deliver.
    pub item: OutboxItem,
}

/// One thing to deliver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutboxItem {
    /// An event of this server.
    Pdu {
        /// Its room.
        room: RoomNum,
        /// The event.
        event: EventNum,
    },
    /// An event of a room that was forgotten since, as JSON.
    Forgotten {
        /// The number that the room had.
        room: RoomNum,
        /// The event, in federation form.
        json: String,
    },
    /// An EDU that must survive a restart, as JSON.
    Edu(String),
}

/// How delivery to a server goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DestinationRow {
    /// The transaction in flight, if one is: same id and body until it is acknowledged (FED-22).
    pub in_flight: Option<InFlight>,
    /// Failures in a row.
    pub failures: u32,
    /// Not to be tried before this time, in milliseconds.
    pub retry_at: i64,
}

/// A transaction that was sent and not yet acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InFlight {
    /// `txnId`.
    pub txn_id: String,
    /// The body, byte for byte.
    pub body: Box<str>,
    /// Outbox rows up to this `seq` are in it.
    pub up_to: u64,
}

/// A key of another server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRow {
    /// Its server.
    pub server: ServerName,
    /// Its id.
    pub id: KeyId,
    /// The key, unpadded base64.
    pub key: String,
    /// Until when its server vouched for it, in milliseconds (`valid_until_ts`, capped at fetch + 7 days).
    pub valid_until: i64,
    /// `expired_ts` of an old key.
    pub expired_at: Option<i64>,
}

/// A signing key of this server; wiped from memory when dropped (TM-19).
#[derive(Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// Its id.
    pub id: KeyId,
    /// The seed; secret.
    pub seed: [u8; 32],
    /// When it was retired, in milliseconds; the one key without is in use.
    pub expired_at: Option<i64>,
}

impl Drop for OwnKey {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

// Written by hand, as the seed must not get into a log.
impl std::fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnKey")
            .field("id", &self.id)
            .field("expired_at", &self.expired_at)
            .finish_non_exhaustive()
    }
}

/// The order in which a room's timeline is read: by depth, then by arrival here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimelinePos {
    /// The event's depth.
    pub depth: i64,
    /// The event's number.
    pub num: EventNum,
}

/// Which way a page goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To the past.
    Backward,
    /// To the present.
    Forward,
}

/// What becomes durable at once, or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commit {
    /// In this order; later writes may rest on earlier ones.
    pub writes: Vec<Write>,
}

/// One change. Numbers and ids stand for the same thing for ever: a room or event whose number or id is taken by
/// another fails the commit with [`Code::Store`](roomlet_wire::Code::Store). That the id of a new event has no number yet is
/// the caller's word in a commit of many events, where looking would take longer than writing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant's line says what its fields are")]
pub enum Write {
    /// Insert or replace the record of a room.
    Room(RoomRecord),
    /// Insert or replace the name of a slot: `type` and `state_key`.
    Slot {
        room: RoomNum,
        slot: SlotNum,
        kind: String,
        state_key: String,
    },
    /// Insert or replace a state.
    State { room: RoomNum, row: StateRow },
    /// Insert or replace an event: an outlier may become a full event.
    Event { room: RoomNum, row: EventRow },
    /// The event that `child` cites as prev is not held: a backward extremity.
    MissingPrev {
        room: RoomNum,
        missing: EventId,
        child: EventNum,
    },
    /// `missing` is held now.
    FoundPrev { room: RoomNum, missing: EventId },
    /// `by` redacts `target`, which may not be held yet (EV-12).
    Redaction {
        room: RoomNum,
        target: EventId,
        by: EventNum,
    },
    /// A user's membership in the current state, and its event; `None` if the current state has none any more.
    Member {
        room: RoomNum,
        user: UserId,
        membership: Option<(String, EventNum)>,
    },
    /// Insert a pending invite of its user to its room, or replace the one that the same server made (that of the
    /// event's sender), in its place.
    Invite(InviteRow),
    /// The user's invites to the room are pending no more.
    DropInvite { user: UserId, room: RoomId },
    /// The invite that `server` made is pending no more. If it was the user's last one to the room, `update` is appended
    /// to the update stream.
    Rescind {
        user: UserId,
        room: RoomId,
        server: ServerName,
        /// Apart: a write of another kind is not to be as large.
        update: Box<Update>,
    },
    /// Append to the update stream, at the next position.
    Update(Update),
    /// A local user; no change if it is one already.
    Account(UserId),
    /// The result of a local command with a transaction id: a retry gets it back. The first result stays. A `txn_id` that
    /// begins with the number of a room and a space goes with that room ([`Write::Forget`]).
    ClientTxn {
        user: UserId,
        txn_id: String,
        result: EventId,
    },
    /// The reply to an inbound transaction (FED-21), given at `now`, in milliseconds.
    TxnReply {
        origin: ServerName,
        txn_id: String,
        body: String,
        now: i64,
    },
    /// Stage a PDU behind the others; one that is staged already keeps its place and takes the new origin.
    Stage(StagedPdu),
    /// The event is staged no more.
    Unstage { room: RoomNum, event: EventId },
    /// Append to what a destination is owed, with the next `seq`.
    Outbox {
        destination: ServerName,
        item: OutboxItem,
    },
    /// Deletes outbox rows of a destination up to and with `up_to`.
    OutboxDone { destination: ServerName, up_to: u64 },
    /// Keeps only the newest PDU a room, and all EDUs, for a destination that was away for long (EC-5).
    OutboxCollapse { destination: ServerName },
    /// Insert or replace how delivery to a destination goes.
    Destination {
        destination: ServerName,
        row: DestinationRow,
    },
    /// Never replaces the key bytes of an id that is known (FED-17): a row with other ones changes nothing. With the
    /// same ones, `valid_until` only grows, and `expired_at` is set if the row has it.
    Key(KeyRow),
    /// Insert or replace a key of this server.
    OwnKey(OwnKey),
    /// A named value of the server itself (its name, counters).
    Meta { name: String, value: String },
    /// Deletes events and states of a room, and what hangs on events that are not held any more: updates, backward
    /// extremities and redactions that they are the cause of, deliveries.
    Purge {
        room: RoomNum,
        events: Vec<EventNum>,
        states: Vec<StateNum>,
    },
    /// Deletes all there is of a room, pending invites, updates and results of local commands included. Deliveries of its
    /// events stay, as [`OutboxItem::Forgotten`].
    Forget { room: RoomNum, id: RoomId },
    /// Forgets updates up to and with this position; positions go on from the last one ever given.
    TrimUpdates(StreamPos),
    /// Forgets replies to inbound transactions older than this, in milliseconds.
    TrimTxnReplies(i64),
}
