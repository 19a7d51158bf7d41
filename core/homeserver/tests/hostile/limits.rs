//! What strangers make a server keep is bounded.

use crate::common::{
    WithPeer, bodies, code, history, public_room, state, strangers, with_peer, with_peer_under,
};
use roomlet_homeserver::{AllowAll, Code, Direction, EventId, Limits};
use roomlet_store::Store;
use roomlet_wire::{Map, Value};
use roomlet_world::{World, encode, object};
use std::{sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

#[tokio::test(start_paused = true)]
async fn replies_to_transactions_are_forgotten_after_a_day() {
    let test = with_peer("10").await;
    test.peer.send(&test.a.hs, "first", &[]).await;
    tokio::time::sleep(Duration::from_secs(23 * 3_600)).await;
    test.peer.send(&test.a.hs, "second", &[]).await;
    let reply = |id: &str| test.a.store.txn_reply(&test.peer.name, id).unwrap();
    assert!(reply("first").is_some());
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    test.peer.send(&test.a.hs, "third", &[]).await;
    assert_eq!(reply("first"), None);
    assert!(reply("second").is_some() && reply("third").is_some());
}

#[tokio::test(start_paused = true)]
async fn of_a_huge_preview_little_is_kept() {
    let test = with_peer("10").await;
    let bob = test.a.account("bob").await;
    let room = test.peer.create_room(&test.mallory, "10", "invite");
    let (id, mut body) = test.peer.invite(&room, &test.mallory, &bob);
    let long = "x".repeat(10_000);
    let state = (0..100).map(|n| {
        object(&format!(
            r#"{{"type":"t","state_key":"{n}","sender":"{}","content":{{"x":"{long}"}}}}"#,
            test.mallory
        ))
    });
    body.insert(
        "invite_room_state".into(),
        Value::Array(state.map(Value::Object).collect()),
    );
    let reply = test.peer.send_invite(&test.a.hs, &room, &id, body).await;
    assert_eq!(reply.status, 200);
    let preview = test.a.hs.invite_preview(&bob, &room.id).await.unwrap();
    assert_eq!(preview.matches(r#""state_key""#).count(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_refused_events_is_not_walked_to_its_end() {
    let mut test = with_peer("10").await;
    test.peer.say(&mut test.room, &test.mallory, "behind");
    let mut events: Vec<Map> = test
        .room
        .latest
        .iter()
        .map(|id| test.room.events[id].clone())
        .collect();
    let state = test.room.state.clone();
    for number in 0..1_100 {
        let topic = format!(r#"{{"topic":"{number}"}}"#);
        let event = test
            .peer
            .event(&test.room, &test.mallory, "m.room.topic", Some(""), &topic);
        test.room.push(&event);
        test.room.state = state.clone();
        events.push(event);
    }
    for (number, events) in events.chunks(50).enumerate() {
        test.peer.send(&test.a.hs, &number.to_string(), events).await;
    }
    let history = async |from: &Map| {
        let target = format!(
            "/_matrix/federation/v1/backfill/{}?limit=1&v={}",
            encode(&test.room.id),
            encode(&test.room.id_of(from))
        );
        let reply = test.peer.ask(&test.a.hs, "GET", &target, None).await;
        reply.events("pdus").len()
    };
    assert_eq!(history(&events[900]).await, 1);
    assert_eq!(history(&events[1_100]).await, 0);
}

#[tokio::test(start_paused = true)]
async fn two_users_who_join_a_room_at_once_both_get_in_by_one_handshake() {
    let (world, a, b, alice, bob) = strangers().await;
    let carol = b.account("carol").await;
    let room = public_room(&a, &alice, "10").await;
    let via = [a.name.clone()];
    let (first, second) = tokio::join!(b.hs.join(&bob, &room, &via), b.hs.join(&carol, &room, &via));
    assert_ne!(first.unwrap(), second.unwrap());
    let handshakes = world.network.requests(&b.name, &a.name);
    let handshakes = handshakes
        .iter()
        .filter(|request| request.target.contains("/send_join/"));
    assert_eq!(handshakes.count(), 1);
    let members = b.hs.members(&carol, &room, Some("join")).await.unwrap();
    assert_eq!(members.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn many_forks_are_merged_by_events_that_nobody_sees_and_not_too_often() {
    let test = with_peer("10").await;
    test.world.quiet().await;
    let flood = |first: u32| -> Vec<Map> {
        let forks = (first..first + 30).map(|n| format!(r#"{{"body":"{n}"}}"#));
        forks
            .map(|content| {
                test.peer
                    .event(&test.room, &test.mallory, "test.message", None, &content)
            })
            .collect()
    };
    let dummies = || {
        let received = test.peer.received();
        let kind = Value::from("org.matrix.dummy_event");
        received.iter().filter(|event| event["type"] == kind).count()
    };
    test.peer.send(&test.a.hs, "1", &flood(0)).await;
    assert_eq!(test.a.record(&test.room.id).forward.len(), 3);
    test.peer.send(&test.a.hs, "2", &flood(30)).await;
    assert_eq!(test.a.record(&test.room.id).forward.len(), 33);
    test.world.quiet().await;
    assert_eq!(dummies(), 3);
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await.len(), 60);
    let shown = history(&test.a.hs, &test.alice, &test.room.id).await;
    assert!(shown.iter().all(|event| event.kind != "org.matrix.dummy_event"));
    tokio::time::sleep(Duration::from_secs(600)).await;
    test.peer.send(&test.a.hs, "3", &flood(60)[..1]).await;
    test.world.quiet().await;
    assert_eq!(dummies(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_has_a_command_of_its_own_is_not_sent_as_a_plain_event() {
    let (_world, a, _b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "11").await;
    let create = history(&a.hs, &alice, &room).await.remove(0).event_id;
    let redaction = format!(r#"{{"redacts":"{create}"}}"#);
    let sent =
        a.hs.send(&alice, &room, "m.room.redaction", &redaction, None)
            .await;
    assert_eq!(code(sent), Code::BadParam);
    let invite = r#"{"membership":"invite"}"#;
    let sent =
        a.hs.set_state(&alice, &room, "m.room.member", &bob, invite, None)
            .await;
    assert_eq!(code(sent), Code::BadParam);
    let sent =
        a.hs.set_state(&alice, &room, "m.room.power_levels", "x", "{}", None)
            .await;
    assert_eq!(code(sent), Code::BadParam);
}

#[tokio::test(start_paused = true)]
async fn a_long_chain_of_power_levels_does_not_have_to_fit_into_the_cache_nor_onto_the_stack() {
    let world = World::new();
    let limits = Limits {
        cache_bytes: 10_000,
        ..Limits::default()
    };
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let alice = a.account("alice").await;
    let room = public_room(&a, &alice, "10").await;
    let levels = |number: i32| format!(r#"{{"state_default":{},"users":{{"{alice}":100}}}}"#, number % 40);
    for number in 0..1_000 {
        let kind = "m.room.power_levels";
        a.hs.set_state(&alice, &room, kind, "", &levels(number), None)
            .await
            .unwrap();
    }
    let content = state(&a.hs, &alice, &room, "m.room.power_levels").await;
    assert_eq!(content, Some(levels(999)));
    assert_eq!(history(&a.hs, &alice, &room).await.len(), 1_006);
}

/// As that of a test, for what is measured on its one thread.
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Bytes that a room of 1,000 slots takes in memory after events that each cite one that nobody has; the peer tells of each
/// the state before it, which lacks another one of the slots.
fn bytes_after_told_states(count: usize) -> i64 {
    let runtime = runtime();
    let (world, _a) = runtime.block_on(async {
        let world = World::new();
        let (a, peer) = (world.server("a.test").await, world.peer("peer.test"));
        let (alice, mallory) = (a.account("alice").await, peer.user("mallory"));
        let mut room = peer.create_room(&mallory, "10", "public");
        for number in 0..1_000 {
            let key = number.to_string();
            let event = peer.event(&room, &mallory, "test.set", Some(&key), "{}");
            room.push(&event);
        }
        peer.serve_joins(&room);
        let via = std::slice::from_ref(&peer.name);
        a.hs.join(&alice, &room.id, via).await.unwrap();
        for number in 0..count {
            let mut told = room.clone();
            told.state.remove(&("test.set".to_owned(), number.to_string()));
            peer.tells_state_ids(&told);
            peer.say(&mut room, &mallory, "unseen");
            let seen = peer.say(&mut room, &mallory, "seen");
            peer.send(&a.hs, &number.to_string(), &[seen]).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert!(a.record(&room.id).next_state.0 as usize > count);
        (world, a)
    });
    // A room that nobody touches is closed.
    -allocation_counter::measure(|| runtime.block_on(world.quiet())).bytes_current
}

#[test]
fn a_told_state_takes_no_memory_for_what_it_has_in_common_with_the_present() {
    let bytes = bytes_after_told_states(30) - bytes_after_told_states(0);
    assert!(bytes < 200_000, "{bytes} bytes");
}

/// A room with 500 events of 20 KB that no user sees, on a server that may hold 1 MB in memory.
async fn large_room() -> (WithPeer, Vec<EventId>) {
    let limits = Limits {
        cache_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut test = with_peer_under("10", limits).await;
    let content = format!(r#"{{"x":"{}"}}"#, "x".repeat(20_000));
    let mut ids = Vec::new();
    for number in 0..10 {
        let mut hidden = Vec::new();
        for _ in 0..50 {
            let event = test.peer.event(
                &test.room,
                &test.mallory,
                "org.matrix.dummy_event",
                None,
                &content,
            );
            ids.push(test.room.push(&event));
            hidden.push(event);
        }
        test.peer.send(&test.a.hs, &number.to_string(), &hidden).await;
    }
    test.world.quiet().await;
    (test, ids)
}

#[test]
fn events_that_a_page_passes_over_are_not_all_in_memory() {
    let runtime = runtime();
    let (test, _) = runtime.block_on(large_room());
    let mut seen = 0;
    let read = allocation_counter::measure(|| {
        let (hs, direction) = (&test.a.hs, Direction::Backward);
        let page = hs.timeline(&test.alice, &test.room.id, None, direction, 10);
        seen = runtime.block_on(page).unwrap().events.len();
    });
    assert!(seen > 0);
    assert!(read.bytes_max < 4_000_000, "{} bytes", read.bytes_max);
}

#[test]
fn events_that_are_told_as_a_state_are_not_all_in_memory() {
    let runtime = runtime();
    let (mut test, ids) = runtime.block_on(large_room());
    let mut told = test.room.clone();
    for (number, id) in ids.into_iter().enumerate() {
        told.state.insert(("test.set".into(), number.to_string()), id);
    }
    test.peer.tells_state_ids(&told);
    test.peer.say(&mut test.room, &test.mallory, "unseen");
    let seen = test.peer.say(&mut test.room, &test.mallory, "seen");
    let held = test.a.record(&test.room.id).next_event;
    let taken = allocation_counter::measure(|| {
        runtime.block_on(async {
            test.peer.send(&test.a.hs, "seen", &[seen]).await;
            test.world.quiet().await;
        });
    });
    assert_eq!(test.a.record(&test.room.id).next_event.0, held.0 + 1);
    assert!(taken.bytes_max < 4_000_000, "{} bytes", taken.bytes_max);
}
