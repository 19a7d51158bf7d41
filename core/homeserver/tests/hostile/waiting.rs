//! Events that wait for others: nobody can make the rest wait with them.

use crate::common::{WithPeer, bodies, public_room, with_peer, with_peer_under};
use async_trait::async_trait;
use roomlet_homeserver::{AllowAll, Limits, Request, Response};
use roomlet_store::Store;
use roomlet_wire::{Map, UserId, Value};
use roomlet_world::{Endpoint, Peer, PeerRoom, Server, World, encode, list};
use std::{sync::Arc, time::Duration};

/// A message after an event that does not exist; the peer does not build on it.
fn orphan(test: &WithPeer, n: u32) -> Map {
    let content = roomlet_world::object(&format!(r#"{{"body":"orphan {n}"}}"#));
    let mut event = test
        .room
        .draft(&test.mallory, "test.message", None, content, test.peer.now_ms());
    event.insert("prev_events".into(), list([format!("${n:0>43}")]));
    test.peer.signed(event, test.room.version)
}

fn serve_missing(test: &WithPeer, event: &Map) {
    let events = Value::Array(vec![event.clone().into()]);
    test.peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), events)]),
    );
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_nobody_fills_does_not_hold_up_the_next_one() {
    let mut test = with_peer("10").await;
    test.peer.send(&test.a.hs, "1", &[orphan(&test, 1)]).await;
    test.world.quiet().await;
    let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    serve_missing(&test, &one);
    test.peer.send(&test.a.hs, "2", &[two]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two"]
    );
    assert_eq!(test.a.store.staged(None).unwrap().len(), 1, "the orphan");
}

#[tokio::test(start_paused = true)]
async fn events_that_can_be_taken_do_not_keep_alive_those_that_cannot() {
    let mut test = with_peer("10").await;
    test.peer.send(&test.a.hs, "orphan", &[orphan(&test, 1)]).await;
    for n in 0..60 {
        let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
        serve_missing(&test, &one);
        test.peer.send(&test.a.hs, &n.to_string(), &[two]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(test.a.store.staged(None).unwrap().is_empty());
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await.len(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_wake_tries_at_once_what_waits() {
    let mut test = with_peer("10").await;
    let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    test.peer.send(&test.a.hs, "t", &[two]).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    serve_missing(&test, &one);
    test.a.hs.wake();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two"]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_room_that_everybody_left() {
    let test = with_peer("10").await;
    test.peer.send(&test.a.hs, "t", &[orphan(&test, 1)]).await;
    test.world.quiet().await;
    test.a.hs.leave(&test.alice, &test.room.id, None).await.unwrap();
    assert_eq!(test.a.store.staged(None).unwrap().len(), 1);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(test.a.store.staged(None).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_server_gets_half_of_the_places_to_wait_in() {
    let limits = Limits {
        staged_per_room: 4,
        ..Limits::default()
    };
    let test = with_peer_under("10", limits).await;
    let id = &test.room.id;
    let orphans: Vec<Map> = (0..3).map(|n| orphan(&test, n)).collect();
    let results = test.peer.send(&test.a.hs, "t", &orphans).await;
    let errors: Vec<&str> = orphans
        .iter()
        .filter_map(|event| results[test.room.id_of(event).as_str()].get("error")?.as_str())
        .collect();
    let expected =
        format!("what waits in room {id} has 2 places already, 2 of them for peer.test and its like");
    assert_eq!(errors, [expected]);
    assert_eq!(test.a.store.staged(None).unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn servers_outside_the_room_share_the_places_of_one() {
    let world = World::new();
    let limits = Limits {
        staged_per_room: 40,
        ..Limits::default()
    };
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let alice = a.account("alice").await;
    let id = public_room(&a, &alice, "10").await;
    let peer = world.peer("peer.test");
    let room = peer.join(&a.hs, &id, &peer.user("mallory")).await;
    for number in 0..5 {
        let stranger = world.peer(&format!("{number}.test"));
        let content = roomlet_world::object("{}");
        let user = stranger.user("s");
        let mut event = room.draft(&user, "test.message", None, content, peer.now_ms());
        event.insert("prev_events".into(), list([format!("${number:0>43}")]));
        let event = stranger.signed(event, room.version);
        stranger.send(&a.hs, "t", &[event]).await;
    }
    assert_eq!(a.store.staged(None).unwrap().len(), 2, "a twentieth of 40");
}

/// A server with so many places in Alice's room, and peers of these names who are in it.
async fn with_places(places: usize, names: &[&str]) -> (World, Server, UserId, Vec<(Arc<Peer>, PeerRoom)>) {
    let world = World::new();
    let limits = Limits {
        staged_per_room: places,
        ..Limits::default()
    };
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let alice = a.account("alice").await;
    let id = public_room(&a, &alice, "10").await;
    let mut peers = Vec::new();
    for name in names {
        let peer = world.peer(name);
        let room = peer.join(&a.hs, &id, &peer.user("mallory")).await;
        peers.push((peer, room));
    }
    world.quiet().await;
    (world, a, alice, peers)
}

/// A message of Mallory at a peer after an event that does not exist.
fn message(peer: &Peer, room: &PeerRoom, n: usize) -> Map {
    let content = roomlet_world::object(&format!(r#"{{"body":"{n}"}}"#));
    let user = peer.user("mallory");
    let mut event = room.draft(&user, "test.message", None, content, peer.now_ms());
    event.insert("prev_events".into(), list([format!("${n:0>43}")]));
    peer.signed(event, room.version)
}

/// Who sent what waits, in the order of the places.
fn origins(server: &Server) -> Vec<String> {
    let staged = server.store.staged(None).unwrap();
    staged.iter().map(|pdu| pdu.origin.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_has_the_most_places_gives_one_up_for_who_has_fewer() {
    let (_world, a, _alice, peers) = with_places(8, &["1.test", "2.test", "3.test"]).await;
    let mut oldest = Vec::new();
    for (n, (peer, room)) in peers.iter().enumerate() {
        let orphans: Vec<Map> = (0..4).map(|i| message(peer, room, 10 * n + i)).collect();
        oldest.push(room.id_of(&orphans[0]));
        peer.send(&a.hs, "t", &orphans).await;
    }
    assert_eq!(
        origins(&a),
        [
            "1.test", "1.test", "1.test", "2.test", "2.test", "2.test", "3.test", "3.test"
        ],
        "the third has as many as make no difference"
    );
    let lines = a.log.take();
    let given_up: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("given up for"))
        .collect();
    let line = |n: usize, of: &str| {
        let event = &oldest[n];
        let about = "given up for what 3.test sent, as too many of its origin wait";
        format!("Warn: event {event} from {of} is not taken: {about}")
    };
    assert_eq!(given_up, [&line(1, "2.test"), &line(0, "1.test")]);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_stays_with_the_server_that_made_it() {
    let (_world, a, _alice, peers) = with_places(8, &["1.test", "2.test"]).await;
    let [(honest, room), (other, _)] = &peers[..] else {
        panic!("two peers");
    };
    let orphan = message(honest, room, 1);
    other.send(&a.hs, "t", std::slice::from_ref(&orphan)).await;
    assert_eq!(origins(&a), ["2.test"]);
    honest.send(&a.hs, "t", std::slice::from_ref(&orphan)).await;
    assert_eq!(origins(&a), ["1.test"]);
    other.send(&a.hs, "u", std::slice::from_ref(&orphan)).await;
    assert_eq!(origins(&a), ["1.test"]);
}

#[tokio::test(start_paused = true)]
async fn large_events_that_wait_take_more_places() {
    let test = with_peer("10").await;
    let body = "x".repeat(60_000);
    let orphans: Vec<Map> = (0..150)
        .map(|n| {
            let content = roomlet_world::object(&format!(r#"{{"body":"{n} {body}"}}"#));
            let mut event = test
                .room
                .draft(&test.mallory, "test.message", None, content, test.peer.now_ms());
            event.insert("prev_events".into(), list([format!("${n:0>43}")]));
            test.peer.signed(event, test.room.version)
        })
        .collect();
    for (n, orphans) in orphans.chunks(50).enumerate() {
        test.peer.send(&test.a.hs, &n.to_string(), orphans).await;
    }
    assert_eq!(
        test.a.store.staged(None).unwrap().len(),
        125,
        "500 places of 16 KiB"
    );
}

/// Takes every request and answers none.
struct Silent;

#[async_trait]
impl Endpoint for Silent {
    async fn serve(&self, _: Request) -> Response {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_server_that_does_not_answer() {
    let test = with_peer("10").await;
    let silent = test.world.peer("silent.test");
    silent.join(&test.a.hs, &test.room.id, &silent.user("s")).await;
    test.world.quiet().await;
    test.world.network.plug(&silent.name, Arc::new(Silent));
    // A leave on top of an event that does not exist: a.test asks the servers of the room for it.
    let content = roomlet_world::object(r#"{"membership":"leave"}"#);
    let mut leave = test.room.draft(
        &test.mallory,
        "m.room.member",
        Some(&test.mallory),
        content,
        test.peer.now_ms(),
    );
    leave.insert("prev_events".into(), list([format!("${:0>43}", 1)]));
    let leave = test.peer.signed(leave, test.room.version);
    let target = format!(
        "/_matrix/federation/v2/send_leave/{}/{}",
        encode(&test.room.id),
        encode(&test.room.id_of(&leave))
    );
    let (peer, hs) = (test.peer.clone(), test.a.hs.clone());
    let request = tokio::spawn(async move { peer.ask(&hs, "PUT", &target, Some(leave)).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!request.is_finished());
    let closed = tokio::time::timeout(Duration::from_secs(1), test.a.hs.close()).await;
    assert_eq!(closed, Ok(()));
    assert_eq!(request.await.unwrap().status, 503);
}
