//! The update stream: resumable, complete, and never at odds with the state.

use crate::common::{say, state, two};
use roomlet_homeserver::{Homeserver, RoomId, RoomUpdate, StreamPos};
use std::{collections::BTreeMap, time::Duration};

/// The state of a room as somebody knows it who reads nothing but updates.
async fn told(server: &roomlet_world::Server, room: &RoomId) -> BTreeMap<(String, String), String> {
    let mut told = BTreeMap::new();
    for update in server.updates().await {
        match update {
            RoomUpdate::Event(event) if event.room_id == *room => {
                if let Some(key) = event.state_key {
                    told.insert((event.kind, key), event.event_id.to_string());
                }
            }
            RoomUpdate::StateChanged { room_id, kind, state_key, event } if room_id == *room => {
                match event {
                    Some(event) => told.insert((kind, state_key), event.event_id.to_string()),
                    None => told.remove(&(kind, state_key)),
                };
            }
            _ => {}
        }
    }
    told
}

async fn positions(hs: &Homeserver, max: usize) -> Vec<StreamPos> {
    let (mut seen, mut at) = (Vec::new(), StreamPos(0));
    while at < hs.last_update().await.unwrap() {
        for entry in hs.updates(at, max).await.unwrap() {
            at = entry.pos;
            seen.push(at);
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn any_step_and_a_restart_give_the_same_updates() {
    let mut test = two("10").await;
    for n in 0..7 {
        say(&test.a.hs, &test.alice, &test.room, &n.to_string()).await;
    }
    let all = positions(&test.a.hs, 1_000).await;
    assert!(all.len() >= 14);
    assert_eq!(positions(&test.a.hs, 1).await, all);
    assert_eq!(positions(&test.a.hs, 3).await, all);
    let updates = test.a.updates().await;
    test.a.restart().await;
    assert_eq!(test.a.updates().await, updates);
    say(&test.a.hs, &test.alice, &test.room, "later").await;
    let later = test.a.hs.updates(*all.last().unwrap(), 10).await.unwrap();
    assert_eq!(later.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_until_there_is_something() {
    let test = two("10").await;
    test.world.quiet().await;
    let last = test.b.hs.last_update().await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(60), test.b.hs.updates(last, 10)).await;
    assert!(waiting.is_err(), "nothing happened");
    let (read, _) = tokio::join!(test.b.hs.updates(last, 10), say(&test.a.hs, &test.alice, &test.room, "now"));
    let read = read.unwrap();
    let [entry] = &read[..] else { panic!("{read:?}") };
    assert!(matches!(&entry.update, RoomUpdate::Event(event) if event.content == r#"{"body":"now"}"#));
}

#[tokio::test(start_paused = true)]
async fn trimmed_updates_are_gone_and_positions_go_on() {
    let mut test = two("10").await;
    let last = test.a.hs.last_update().await.unwrap();
    test.a.hs.trim_updates(last).await.unwrap();
    test.a.restart().await;
    assert_eq!(test.a.hs.last_update().await.unwrap(), last);
    say(&test.a.hs, &test.alice, &test.room, "next").await;
    let rest = test.a.hs.updates(StreamPos(0), 10).await.unwrap();
    assert_eq!(rest.iter().map(|entry| entry.pos).collect::<Vec<_>>(), [StreamPos(last.0 + 1)]);
}

#[tokio::test(start_paused = true)]
async fn merged_histories_tell_of_the_state_that_changed() {
    let test = two("10").await;
    let (a, b, room) = (&test.a, &test.b, &test.room);
    let levels = format!(r#"{{"users":{{"{}":100,"{}":50}}}}"#, test.alice, test.bob);
    a.hs.set_state(&test.alice, room, "m.room.power_levels", "", &levels, None).await.unwrap();
    test.world.quiet().await;
    test.world.network.cut(&a.name, &b.name);
    let topic = |text: &str| format!(r#"{{"topic":"{text}"}}"#);
    b.hs.set_state(&test.bob, room, "m.room.topic", "", &topic("his"), None).await.unwrap();
    test.world.quiet().await;
    a.hs.set_state(&test.alice, room, "m.room.topic", "", &topic("hers"), None).await.unwrap();
    // Alice takes his power meanwhile: her side of the history decides what becomes of his topic.
    let levels = format!(r#"{{"users":{{"{}":100}}}}"#, test.alice);
    a.hs.set_state(&test.alice, room, "m.room.power_levels", "", &levels, None).await.unwrap();
    assert_eq!(state(&b.hs, &test.bob, room, "m.room.topic").await.unwrap(), topic("his"));
    test.world.network.heal();
    a.hs.wake();
    b.hs.wake();
    test.world.quiet().await;
    // A last word that joins both branches.
    say(&a.hs, &test.alice, room, "together").await;
    test.world.quiet().await;
    for (server, user) in [(a, &test.alice), (b, &test.bob)] {
        assert_eq!(state(&server.hs, user, room, "m.room.topic").await.unwrap(), topic("hers"));
        let told = told(server, room).await;
        for event in server.hs.state(user, room).await.unwrap() {
            let slot = (event.kind.clone(), event.state_key.clone().unwrap());
            if let Some(id) = told.get(&slot) {
                assert_eq!(*id, event.event_id.as_str(), "{slot:?} on {}", server.name);
            }
        }
    }
    let changes = b.updates().await.into_iter().filter_map(|update| match update {
        RoomUpdate::StateChanged { kind, .. } => Some(kind),
        _ => None,
    });
    assert!(changes.count() > 0, "the merge changed state without a new event");
}
