//! Worlds that many tests begin with, and short forms of what they ask.

use roomlet_homeserver::{
    AllowAll, Code, CreateRoom, Direction, Homeserver, Limits, Preset, Result, RoomEvent, RoomId, UserId,
};
use roomlet_world::{Peer, PeerRoom, Server, World, events_of, object};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::NamedTempFile;

/// Two servers, a user on each, both in a public room that Alice made.
pub(crate) struct Two {
    pub(crate) world: World,
    pub(crate) a: Server,
    pub(crate) b: Server,
    pub(crate) alice: UserId,
    pub(crate) bob: UserId,
    pub(crate) room: RoomId,
}

/// Two servers with a user each, and no room yet.
pub(crate) async fn strangers() -> (World, Server, Server, UserId, UserId) {
    let world = World::new();
    let (a, b) = (world.server("a.test").await, world.server("b.test").await);
    let (alice, bob) = (a.account("alice").await, b.account("bob").await);
    (world, a, b, alice, bob)
}

pub(crate) async fn two(version: &str) -> Two {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, version).await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    Two {
        world,
        a,
        b,
        alice,
        bob,
        room,
    }
}

/// A server with Alice in a public room, and a peer whose user Mallory is in it.
pub(crate) struct WithPeer {
    pub(crate) world: World,
    pub(crate) a: Server,
    pub(crate) alice: UserId,
    pub(crate) peer: Arc<Peer>,
    pub(crate) mallory: UserId,
    pub(crate) room: PeerRoom,
}

pub(crate) async fn with_peer(version: &str) -> WithPeer {
    with_peer_under(version, Limits::default()).await
}

pub(crate) async fn with_peer_under(version: &str, limits: Limits) -> WithPeer {
    let world = World::new();
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let alice = a.account("alice").await;
    let room = public_room(&a, &alice, version).await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let room = peer.join(&a.hs, &room, &mallory).await;
    WithPeer {
        world,
        a,
        alice,
        peer,
        mallory,
        room,
    }
}

/// As [`with_peer`], in a room that Mallory made, and in which what `before` makes happen did before Alice came.
pub(crate) async fn in_room_of_peer(
    version: &str,
    before: impl FnOnce(&Peer, &UserId, &mut PeerRoom),
) -> WithPeer {
    let world = World::new();
    let (a, peer) = (world.server("a.test").await, world.peer("peer.test"));
    let (alice, mallory) = (a.account("alice").await, peer.user("mallory"));
    let mut room = peer.create_room(&mallory, version, "public");
    before(&peer, &mallory, &mut room);
    peer.serve_joins(&room);
    let via = std::slice::from_ref(&peer.name);
    a.hs.join(&alice, &room.id, via).await.unwrap();
    room.push(&object(&events_of(&*a.store, &room.id).pop().unwrap()));
    WithPeer {
        world,
        a,
        alice,
        peer,
        mallory,
        room,
    }
}

/// Eve of the peer joins.
pub(crate) fn join_eve(peer: &Peer, room: &mut PeerRoom) -> UserId {
    let eve = peer.user("eve");
    let join = r#"{"membership":"join"}"#;
    room.push(&peer.event(room, &eve, "m.room.member", Some(&eve), join));
    eve
}

/// Mallory bans Eve and closes the room: neither she nor Alice could come in now.
pub(crate) async fn ban_eve_and_close(test: &mut WithPeer) {
    let eve = test.peer.user("eve");
    let rules = [
        ("m.room.member", eve.as_str(), r#"{"membership":"ban"}"#),
        ("m.room.join_rules", "", r#"{"join_rule":"invite"}"#),
    ];
    for (n, (kind, key, content)) in rules.into_iter().enumerate() {
        let event = test
            .peer
            .event(&test.room, &test.mallory, kind, Some(key), content);
        test.room.push(&event);
        test.peer.send(&test.a.hs, &n.to_string(), &[event]).await;
    }
}

pub(crate) async fn public_room(server: &Server, user: &UserId, version: &str) -> RoomId {
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some(version.into()),
        ..CreateRoom::default()
    };
    server.hs.create_room(user, create).await.unwrap()
}

/// Sends a message, and gives its id as text.
pub(crate) async fn say(hs: &Homeserver, user: &UserId, room: &RoomId, body: &str) -> String {
    let content = format!(r#"{{"body":"{body}"}}"#);
    hs.send(user, room, "test.message", &content, None)
        .await
        .unwrap()
        .to_string()
}

/// The whole timeline that a user sees, oldest first.
pub(crate) async fn history(hs: &Homeserver, user: &UserId, room: &RoomId) -> Vec<RoomEvent> {
    let mut events = Vec::new();
    let mut from: Option<String> = None;
    loop {
        let page = hs
            .timeline(user, room, from.as_deref(), Direction::Backward, 10)
            .await
            .unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) if Some(&next) != from.as_ref() => from = Some(next),
            _ => break,
        }
    }
    events.reverse();
    events
}

/// The bodies of the messages that a user sees, oldest first.
pub(crate) async fn bodies(hs: &Homeserver, user: &UserId, room: &RoomId) -> Vec<String> {
    let events = history(hs, user, room).await;
    let messages = events.into_iter().filter(|event| event.kind == "test.message");
    messages
        .map(|event| event.content.replace("{\"body\":\"", "").replace("\"}", ""))
        .collect()
}

/// The content of a state event as a user sees it.
pub(crate) async fn state(hs: &Homeserver, user: &UserId, room: &RoomId, kind: &str) -> Option<String> {
    hs.state_event(user, room, kind, "")
        .await
        .unwrap()
        .map(|event| event.content)
}

/// A user's membership as another one sees it; `none` without a member event.
pub(crate) async fn membership(hs: &Homeserver, seen_by: &UserId, room: &RoomId, user: &UserId) -> String {
    let members = hs.members(seen_by, room, None).await.unwrap();
    members
        .into_iter()
        .find(|member| member.user == *user)
        .map_or("none".into(), |member| member.membership)
}

/// A user's rooms, `room membership` each.
pub(crate) async fn rooms(hs: &Homeserver, user: &UserId) -> Vec<(RoomId, String)> {
    hs.rooms(user)
        .await
        .unwrap()
        .into_iter()
        .map(|room| (room.room_id, room.membership))
        .collect()
}

/// The code that something failed with.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

/// A folder that goes away with this value.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// A file of these lines, which goes away with this value.
pub(crate) fn archive_of(lines: &[String]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    file
}
