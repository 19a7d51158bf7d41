//! What happens between three servers while the store of one of them fails.

use crate::{common::archive_of, servers::Node};
use roomlet_homeserver::{Code, CreateRoom, EventId, RoomId, Trust};
use roomlet_world::{World, events_of};
use std::{ops::Range, time::Duration};
use tempfile::NamedTempFile;

/// How often one waits for what is delivered.
const PAUSES: u32 = 60;

/// The servers after the story, and what was acknowledged to their users.
pub(crate) struct Told {
    pub(crate) a: Node,
    pub(crate) b: Node,
    pub(crate) c: Node,
    /// The room that all are in.
    pub(crate) room: RoomId,
    /// A room of Alice's, in which Bob was.
    pub(crate) other: RoomId,
    /// What that one was replaced by.
    pub(crate) upgraded: RoomId,
    /// The message that was redacted, and by which event.
    pub(crate) redacted: (EventId, EventId),
    /// The messages of the room, with their ids.
    pub(crate) said: Vec<(String, EventId)>,
}

impl Told {
    /// All servers.
    pub(crate) fn nodes(&self) -> [&Node; 3] {
        [&self.a, &self.b, &self.c]
    }
}

/// Waits until what can be delivered is, also where that failed a few times.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_secs(120)).await;
}

/// Waits until all have told each other what they have to.
async fn settle(nodes: [&Node; 3]) {
    for _ in 0..PAUSES {
        pause().await;
        if !nodes.iter().any(|node| node.owes()) {
            return;
        }
    }
    panic!("what other servers are owed never reaches them");
}

/// Says something; gives it with its id.
pub(crate) async fn say(node: &Node, room: &RoomId, body: &str) -> (String, EventId) {
    let content = format!(r#"{{"body":"{body}"}}"#);
    let send = async || {
        node.hs
            .send(&node.user, room, "test.message", &content, None)
            .await
    };
    let id = node.insist(send).await;
    (body.to_owned(), id)
}

async fn set(node: &Node, room: &RoomId, kind: &str, content: &str) {
    let set = async || node.hs.set_state(&node.user, room, kind, "", content, None).await;
    node.insist(set).await;
}

/// Makes a room for those who are invited.
pub(crate) async fn create(node: &Node, version: &str) -> RoomId {
    let create = CreateRoom {
        name: Some("three".into()),
        version: Some(version.into()),
        ..CreateRoom::default()
    };
    node.insist(async || node.hs.create_room(&node.user, create.clone()).await)
        .await
}

/// Invites the user of another server.
pub(crate) async fn invite(node: &Node, room: &RoomId, target: &Node) {
    node.insist(async || node.hs.invite(&node.user, room, &target.user, None).await)
        .await;
}

/// Joins through another server.
pub(crate) async fn join(node: &Node, room: &RoomId, via: &Node) {
    let via = [via.name.clone()];
    node.insist(async || node.hs.join(&node.user, room, &via).await)
        .await;
}

/// Makes a room that the user of another server joins.
pub(crate) async fn create_with(node: &Node, other: &Node) -> RoomId {
    let room = create(node, "10").await;
    invite(node, &room, other).await;
    join(other, &room, node).await;
    room
}

/// Takes an invite of somebody back.
pub(crate) async fn kick(node: &Node, room: &RoomId, target: &Node) {
    node.insist(async || node.hs.kick(&node.user, room, &target.user, None).await)
        .await;
}

/// Tells the story with one server, by its place, of whose store the calls `failing` fail.
pub(crate) async fn tell(victim: usize, failing: Range<u64>) -> Told {
    let world = World::new();
    let of = |place| if place == victim { failing.clone() } else { 0..0 };
    let a = Node::open(&world, "a.test", "alice", of(0)).await;
    let mut b = Node::open(&world, "b.test", "bob", of(1)).await;
    let mut c = Node::open(&world, "c.test", "carol", of(2)).await;
    let mut said = Vec::new();

    let room = create_with(&a, &b).await;
    said.push(say(&a, &room, "one").await);
    said.push(say(&b, &room, "two").await);
    let levels = format!(r#"{{"users":{{"{}":100,"{}":50}}}}"#, a.user, b.user);
    set(&a, &room, "m.room.power_levels", &levels).await;
    settle([&a, &b, &c]).await;
    let target = said[1].1.clone();
    let redact = async || a.hs.redact(&a.user, &room, &target, None, None).await;
    let by = a.insist(redact).await;
    invite(&b, &room, &c).await;
    settle([&a, &b, &c]).await;
    join(&c, &room, &b).await;
    settle([&a, &b, &c]).await;
    said.push(say(&c, &room, "three").await);
    settle([&a, &b, &c]).await;

    // What waits at the same moment shares a commit, and what is refused takes nothing of the others with it.
    let mine = format!(r#"{{"users":{{"{}":100,"{}":100}}}}"#, a.user, b.user);
    let kind = "m.room.power_levels";
    let refused = b.hs.set_state(&b.user, &room, kind, "", &mine, None);
    let (x, y, z, refused) = tokio::join!(
        say(&a, &room, "at once"),
        say(&b, &room, "as well"),
        say(&b, &room, "and again"),
        refused
    );
    said.extend([x, y, z]);
    assert!(matches!(refused.unwrap_err().code(), Code::Denied | Code::Store));
    settle([&a, &b, &c]).await;

    // A fork, in which two servers say who is right; one of them begins anew.
    world.network.cut(&a.name, &b.name);
    world.network.cut(&b.name, &c.name);
    said.push(say(&a, &room, "left").await);
    set(&a, &room, "m.room.topic", r#"{"topic":"hers"}"#).await;
    said.push(say(&b, &room, "right").await);
    set(&b, &room, "m.room.topic", r#"{"topic":"his"}"#).await;
    set(&b, &room, "m.room.name", r#"{"name":"ours"}"#).await;
    b.restart(&world).await;
    world.network.heal();
    settle([&a, &b, &c]).await;
    a.hs.wake();
    b.hs.wake();
    settle([&a, &b, &c]).await;

    // A gap: Carol's server hears of the newest event alone.
    world.network.cut(&a.name, &c.name);
    world.network.cut(&b.name, &c.name);
    for body in ["gap 1", "gap 2", "gap 3", "gap 4"] {
        said.push(say(&a, &room, body).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    world.network.heal();
    a.hs.wake();
    // It ends when it has the event, and not yet the rest.
    tokio::time::sleep(Duration::from_millis(3)).await;
    c.restart(&world).await;
    settle([&a, &b, &c]).await;
    said.push(say(&b, &room, "four").await);

    // Invites that are taken back: of one who knows nothing of the room, and of one who was in it.
    let other = create(&a, "11").await;
    invite(&a, &other, &b).await;
    invite(&a, &other, &c).await;
    join(&b, &other, &a).await;
    let hello = say(&a, &other, "hello").await.1;
    say(&b, &other, "and good bye").await;
    kick(&a, &other, &c).await;
    settle([&a, &b, &c]).await;
    let leave = async || match b.hs.leave(&b.user, &other, None).await {
        // An earlier try took it.
        Err(error) if error.code() == Code::NotJoined => Ok(()),
        left => left.map(drop),
    };
    b.insist(leave).await;
    settle([&a, &b, &c]).await;
    invite(&a, &other, &b).await;
    kick(&a, &other, &b).await;
    settle([&a, &b, &c]).await;

    // The room is given up, and comes back from an archive.
    let forget = async || match b.hs.forget_room(&other).await {
        Err(error) if error.code() == Code::UnknownRoom => Ok(()),
        forgotten => forgotten,
    };
    b.insist(forget).await;
    let archive = archive(&a, &other);
    b.insist(async || b.hs.import_room(archive.path(), Trust::Nothing).await)
        .await;
    let upgraded = a
        .insist(async || a.hs.upgrade_room(&a.user, &other, "12", &[]).await)
        .await;
    a.insist(async || a.hs.purge_history(&other, &hello).await).await;
    settle([&a, &b, &c]).await;
    Told {
        a,
        b,
        c,
        room,
        other,
        upgraded,
        redacted: (target, by),
        said,
    }
}

/// All events of a room in a file, in the order in which a server took them.
pub(crate) fn archive(node: &Node, room: &RoomId) -> NamedTempFile {
    archive_of(&node.faults.aside(|| events_of(&*node.store, room)))
}
