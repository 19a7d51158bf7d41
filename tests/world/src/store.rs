//! A store that a test reaches into at the moment when it is used.

use async_trait::async_trait;
use roomlet_store::*;
use roomlet_wire::{
    EventId, EventNum, Result, RoomId, RoomNum, ServerName, SlotNum, StateNum, StreamPos, UserId,
};
use std::path::Path;

type Hook = dyn Fn(&MemoryStore, &str) -> Result<()> + Send + Sync;

/// A store in memory, and what a test does where it is used: the hook runs before a write and after a read, and gets
/// the name of the method. An error of it is what that call gives.
pub struct HookedStore {
    inner: MemoryStore,
    hook: Box<Hook>,
}

impl HookedStore {
    /// An empty store.
    pub fn new(hook: impl Fn(&MemoryStore, &str) -> Result<()> + Send + Sync + 'static) -> Self {
        Self {
            inner: MemoryStore::new(),
            hook: Box::new(hook),
        }
    }
}

macro_rules! reads {
    ($(fn $name:ident($($arg:ident: $of:ty),*) -> $out:ty;)*) => {
        $(fn $name(&self, $($arg: $of),*) -> Result<$out> {
            let read = self.inner.$name($($arg),*)?;
            (self.hook)(&self.inner, stringify!($name))?;
            Ok(read)
        })*
    };
}

#[async_trait]
impl Store for HookedStore {
    async fn commit(&self, commit: Commit) -> Result<StreamPos> {
        (self.hook)(&self.inner, "commit")?;
        self.inner.commit(commit).await
    }

    async fn shrink(&self) -> Result<()> {
        (self.hook)(&self.inner, "shrink")?;
        self.inner.shrink().await
    }

    async fn mend(&self) -> Result<()> {
        self.inner.mend().await
    }

    reads! {
        fn backup(to: &Path) -> ();
        fn findings() -> Vec<Finding>;
        fn room(id: &RoomId) -> Option<RoomRecord>;
        fn room_id(room: RoomNum) -> Option<RoomId>;
        fn rooms() -> Vec<(RoomNum, RoomId)>;
        fn next_room() -> RoomNum;
        fn slots(room: RoomNum) -> Vec<(SlotNum, String, String)>;
        fn state(room: RoomNum, state: StateNum) -> Option<StateRow>;
        fn state_nums(room: RoomNum) -> Vec<StateNum>;
        fn event(room: RoomNum, id: &EventId) -> Option<EventRow>;
        fn event_by_num(room: RoomNum, num: EventNum) -> Option<EventRow>;
        fn event_nums(room: RoomNum) -> Vec<EventNum>;
        fn find_event(id: &EventId) -> Vec<(RoomNum, EventNum)>;
        fn timeline(room: RoomNum, from: Option<TimelinePos>, direction: Direction, limit: usize) -> Vec<EventRow>;
        fn missing_prevs(room: RoomNum) -> Vec<(EventId, EventNum)>;
        fn redactions_of(room: RoomNum, target: &EventId) -> Vec<EventNum>;
        fn members(room: RoomNum, membership: Option<&str>) -> Vec<MemberRow>;
        fn member(room: RoomNum, user: &UserId) -> Option<MemberRow>;
        fn joined_servers(room: RoomNum) -> Vec<(ServerName, u32)>;
        fn user_rooms(user: &UserId) -> Vec<UserRoom>;
        fn invites(user: &UserId, room: &RoomId) -> Vec<InviteRow>;
        fn invite_count(user: &UserId) -> u64;
        fn updates(after: StreamPos, max: usize) -> Vec<(StreamPos, Update)>;
        fn last_update() -> StreamPos;
        fn accounts() -> Vec<UserId>;
        fn has_account(user: &UserId) -> bool;
        fn client_txn(user: &UserId, txn_id: &str) -> Option<EventId>;
        fn txn_reply(origin: &ServerName, txn_id: &str) -> Option<String>;
        fn staged(room: Option<RoomNum>) -> Vec<StagedPdu>;
        fn rooms_with_staged() -> Vec<RoomNum>;
        fn owed() -> Vec<ServerName>;
        fn outbox(destination: &ServerName, max: usize) -> Vec<OutboxRow>;
        fn outbox_len(destination: &ServerName) -> u64;
        fn destination(destination: &ServerName) -> DestinationRow;
        fn keys(server: &ServerName) -> Vec<KeyRow>;
        fn own_keys() -> Vec<OwnKey>;
        fn meta(name: &str) -> Option<String>;
    }
}
