//! The store as the homeserver sees it.

use crate::model::*;
use async_trait::async_trait;
use roomlet_wire::{
    EventId, EventNum, Result, RoomId, RoomNum, ServerName, SlotNum, StateNum, StreamPos, UserId,
};
use std::path::Path;

/// Everything durable. Reads are synchronous and short: they see every commit that returned before.
/// Thread-safe: any method from any thread.
///
/// # Errors
/// All methods: [`Code::Store`](roomlet_wire::Code::Store), `StoreFull`, `StoreLocked`, `StoreDamaged`; after a
/// failed commit nothing of it is there.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes `commit` durable, whole or not at all; returns when it is, with the position of the last update that
    /// is in the stream then. Commits that wait at the same moment share one sync of the disk.
    async fn commit(&self, commit: Commit) -> Result<StreamPos>;

    /// Gives space that deleted things had back to the system. Returns when it is done; commits wait meanwhile.
    async fn shrink(&self) -> Result<()>;
    /// Writes a copy of everything, as it is at one moment, to a new file; commits go on meanwhile. Blocks until the copy
    /// is on the disk; if it fails there is none.
    ///
    /// # Errors
    /// [`Code::BadParam`](roomlet_wire::Code::BadParam) if there is such a file, if its path is no UTF-8, or if this
    /// store has none to copy.
    fn backup(&self, to: &Path) -> Result<()>;
    /// What the medium itself finds wrong: its structure, its indexes, events that cannot be read. Reads everything, and
    /// blocks.
    fn findings(&self) -> Result<Vec<Finding>>;
    /// Puts right what [`findings`](Self::findings) finds, other than the structure: makes indexes anew, and deletes events
    /// that cannot be read and what hangs on them. Whole or not at all; commits wait meanwhile.
    async fn mend(&self) -> Result<()>;

    /// The room with this id.
    fn room(&self, id: &RoomId) -> Result<Option<RoomRecord>>;
    /// The id of a room.
    fn room_id(&self, room: RoomNum) -> Result<Option<RoomId>>;
    /// Every room, by number.
    fn rooms(&self) -> Result<Vec<(RoomNum, RoomId)>>;
    /// The number that the next new room gets.
    fn next_room(&self) -> Result<RoomNum>;
    /// All slots of a room, by number.
    fn slots(&self, room: RoomNum) -> Result<Vec<(SlotNum, String, String)>>;
    /// One state.
    fn state(&self, room: RoomNum, state: StateNum) -> Result<Option<StateRow>>;
    /// The numbers of all states of a room, ascending.
    fn state_nums(&self, room: RoomNum) -> Result<Vec<StateNum>>;

    /// An event by its id in a room.
    fn event(&self, room: RoomNum, id: &EventId) -> Result<Option<EventRow>>;
    /// An event by its number.
    fn event_by_num(&self, room: RoomNum, num: EventNum) -> Result<Option<EventRow>>;
    /// The numbers of all events of a room, ascending.
    fn event_nums(&self, room: RoomNum) -> Result<Vec<EventNum>>;
    /// The rooms that hold an event of this id (one, from version 3 on).
    fn find_event(&self, id: &EventId) -> Result<Vec<(RoomNum, EventNum)>>;
    /// Events that users may see (no outliers, rejected or soft-failed ones), from a position, exclusive, or from
    /// the end of the room in that direction.
    fn timeline(
        &self,
        room: RoomNum,
        from: Option<TimelinePos>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<EventRow>>;
    /// The backward extremities: missing event, and those held that cite it.
    fn missing_prevs(&self, room: RoomNum) -> Result<Vec<(EventId, EventNum)>>;
    /// The redactions that name `target`.
    fn redactions_of(&self, room: RoomNum, target: &EventId) -> Result<Vec<EventNum>>;

    /// The members in the current state, all or with one membership, by user id.
    fn members(&self, room: RoomNum, membership: Option<&str>) -> Result<Vec<MemberRow>>;
    /// One member.
    fn member(&self, room: RoomNum, user: &UserId) -> Result<Option<MemberRow>>;
    /// The servers that have joined users, with their number, by name.
    fn joined_servers(&self, room: RoomNum) -> Result<Vec<(ServerName, u32)>>;
    /// A local user's rooms and pending invites, by room id.
    fn user_rooms(&self, user: &UserId) -> Result<Vec<UserRoom>>;
    /// The pending invites of a user to a room, one for each server that made one, in the order in which the first of each
    /// came.
    fn invites(&self, user: &UserId, room: &RoomId) -> Result<Vec<InviteRow>>;
    /// How many pending invites a user has.
    fn invite_count(&self, user: &UserId) -> Result<u64>;

    /// Updates after a position, at most `max`.
    fn updates(&self, after: StreamPos, max: usize) -> Result<Vec<(StreamPos, Update)>>;
    /// The position of the last update.
    fn last_update(&self) -> Result<StreamPos>;

    /// Local users.
    fn accounts(&self) -> Result<Vec<UserId>>;
    /// Whether `user` is one.
    fn has_account(&self, user: &UserId) -> Result<bool>;
    /// The result of an earlier local command.
    fn client_txn(&self, user: &UserId, txn_id: &str) -> Result<Option<EventId>>;

    /// The stored reply to a transaction.
    fn txn_reply(&self, origin: &ServerName, txn_id: &str) -> Result<Option<String>>;
    /// Staged PDUs, all or of one room, in the order of their arrival.
    fn staged(&self, room: Option<RoomNum>) -> Result<Vec<StagedPdu>>;
    /// Rooms that have some, by number.
    fn rooms_with_staged(&self) -> Result<Vec<RoomNum>>;

    /// Destinations to which something is owed.
    fn owed(&self) -> Result<Vec<ServerName>>;
    /// What a destination is owed, by `seq`, at most `max`.
    fn outbox(&self, destination: &ServerName, max: usize) -> Result<Vec<OutboxRow>>;
    /// How many rows a destination is owed.
    fn outbox_len(&self, destination: &ServerName) -> Result<u64>;
    /// How delivery goes; default if never tried.
    fn destination(&self, destination: &ServerName) -> Result<DestinationRow>;

    /// All keys ever had of a server.
    fn keys(&self, server: &ServerName) -> Result<Vec<KeyRow>>;
    /// This server's keys.
    fn own_keys(&self) -> Result<Vec<OwnKey>>;
    /// A named value.
    fn meta(&self, name: &str) -> Result<Option<String>>;
}
