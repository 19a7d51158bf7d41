//! What the tests of stores share: values by number, and folders that go away.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may")]

pub(crate) mod random;

use roomlet_store::*;
use roomlet_wire::{
    Code, EventId, EventNum, KeyId, Result, RoomId, RoomNum, RoomVersion, ServerName, SlotNum, StateNum,
    StreamPos, UserId, base64,
};
use std::path::{Path, PathBuf};

pub(crate) const ROOM: RoomNum = RoomNum(1);

/// A new folder, deleted when this is dropped.
pub(crate) struct TempDir(tempfile::TempDir);

impl TempDir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Where the test's store is.
    pub(crate) fn db(&self) -> PathBuf {
        self.0.path().join("store.db")
    }
}

pub(crate) fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn try_commit(store: &dyn Store, writes: Vec<Write>) -> Result<StreamPos> {
    block_on(store.commit(Commit { writes }))
}

pub(crate) fn commit(store: &dyn Store, writes: impl Into<Vec<Write>>) -> StreamPos {
    try_commit(store, writes.into()).unwrap()
}

pub(crate) fn commit_code(store: &dyn Store, writes: impl Into<Vec<Write>>) -> Code {
    try_commit(store, writes.into()).unwrap_err().code()
}

pub(crate) fn version() -> &'static RoomVersion {
    RoomVersion::get("10").unwrap()
}

pub(crate) fn room_id(n: u32) -> RoomId {
    RoomId::parse(&format!("!room{n}:example.org")).unwrap()
}

/// The id of event `n`, a URL-safe hash.
pub(crate) fn event_id(n: u32) -> EventId {
    let mut hash = [0xfb; 32];
    hash[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
    hash[4..8].copy_from_slice(&n.to_be_bytes());
    EventId::parse(&format!("${}", base64::encode_url_safe(&hash))).unwrap()
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(&format!("@{name}")).unwrap()
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

pub(crate) fn record(num: u32) -> RoomRecord {
    RoomRecord {
        num: RoomNum(num),
        id: room_id(num),
        version: version(),
        forward: vec![EventNum(3), EventNum(300)],
        current_state: StateNum(9),
        next_event: EventNum(301),
        next_state: StateNum(10),
        next_slot: SlotNum(4),
    }
}

pub(crate) fn event_row(num: u32, depth: i64) -> EventRow {
    EventRow {
        num: EventNum(num),
        id: event_id(num),
        json: format!(r#"{{"depth":{depth},"n":{num}}}"#).into(),
        depth,
        flags: EventFlags::default(),
        state_before: Some(StateNum(num)),
        state_after: Some(StateNum(num + 1)),
        redacted_by: None,
    }
}

pub(crate) fn event(num: u32, depth: i64) -> Write {
    Write::Event {
        room: ROOM,
        row: event_row(num, depth),
    }
}

pub(crate) fn member(name: &str, membership: &str, event: u32) -> Write {
    let membership = Some((membership.to_owned(), EventNum(event)));
    Write::Member {
        room: ROOM,
        user: user(name),
        membership,
    }
}

pub(crate) fn invite_row(name: &str, room: u32, membership: &str) -> InviteRow {
    InviteRow {
        user: user(name),
        room: room_id(room),
        version: version(),
        event_json: format!(r#"{{"content":{{"membership":"{membership}"}}}}"#).into(),
        preview_json: r#"[{"type":"m.room.create"}]"#.into(),
    }
}

/// As [`invite_row`], by a user of `server`.
pub(crate) fn invite_of(server: &str, name: &str, room: u32, membership: &str) -> InviteRow {
    InviteRow {
        event_json: format!(r#"{{"content":{{"membership":"{membership}"}},"sender":"@i:{server}"}}"#).into(),
        ..invite_row(name, room, membership)
    }
}

pub(crate) fn rescind(server_name: &str, name: &str, room: u32) -> Write {
    Write::Rescind {
        user: user(name),
        room: room_id(room),
        server: server(server_name),
        update: Box::new(Update::Membership {
            room: room_id(room),
            user: user(name),
            membership: "leave".into(),
            sender: user("i:x.org"),
        }),
    }
}

pub(crate) fn pdu(destination: &str, room: u32, event: u32) -> Write {
    let item = OutboxItem::Pdu {
        room: RoomNum(room),
        event: EventNum(event),
    };
    Write::Outbox {
        destination: server(destination),
        item,
    }
}

pub(crate) fn edu(destination: &str, json: &str) -> Write {
    Write::Outbox {
        destination: server(destination),
        item: OutboxItem::Edu(json.to_owned()),
    }
}

pub(crate) fn staged(room: u32, event: u32, origin: &str) -> StagedPdu {
    StagedPdu {
        room: RoomNum(room),
        event: event_id(event),
        origin: server(origin),
        json: "{}".into(),
    }
}

pub(crate) fn key(id: &str, key: &str, valid_until: i64, expired_at: Option<i64>) -> KeyRow {
    KeyRow {
        server: server("example.org"),
        id: KeyId::parse(id).unwrap(),
        key: key.to_owned(),
        valid_until,
        expired_at,
    }
}

pub(crate) fn update(event: u32) -> Write {
    Write::Update(Update::Event {
        room: room_id(1),
        event: event_id(event),
    })
}

pub(crate) fn meta(name: &str, value: &str) -> Write {
    Write::Meta {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// The numbers of `rows`.
pub(crate) fn nums(rows: &[EventRow]) -> Vec<u32> {
    rows.iter().map(|row| row.num.0).collect()
}

/// Pairs of room number and membership.
pub(crate) fn rooms_of(store: &dyn Store, name: &str) -> Vec<(String, String)> {
    let rooms = store.user_rooms(&user(name)).unwrap();
    rooms
        .into_iter()
        .map(|row| (row.room.as_str().to_owned(), row.membership))
        .collect()
}
