//! The update stream: resumable, complete, and never at odds with the state.

use crate::common::{Two, say, state, two};
use roomlet_homeserver::{
    AllowAll, Code, Config, CreateRoom, Homeserver, RoomId, RoomUpdate, ServerName, StoreKind, StreamPos,
    UserId,
};
use roomlet_store::{Commit, MemoryStore, Store, Update, Write};
use roomlet_world::{HookedStore, World, told_state};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

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
    let (read, _) = tokio::join!(
        test.b.hs.updates(last, 10),
        say(&test.a.hs, &test.alice, &test.room, "now")
    );
    let read = read.unwrap();
    let [entry] = &read[..] else { panic!("{read:?}") };
    assert!(matches!(&entry.update, RoomUpdate::Event(event) if event.content == r#"{"body":"now"}"#));
}

/// Takes the newest event of the stream out of the store, with its update, as a purge does.
fn purge_newest(store: &MemoryStore) {
    let updates = store.updates(StreamPos(0), 1_000).unwrap();
    let newest = updates.iter().rev().find_map(|(_, update)| match update {
        Update::Event { event, .. } => Some(event),
        _ => None,
    });
    let (room, event) = store.find_event(newest.unwrap()).unwrap()[0];
    let purge = Write::Purge {
        room,
        events: vec![event],
        states: Vec::new(),
    };
    let mut commit = store.commit(Commit { writes: vec![purge] });
    let done = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(done.is_ready());
}

/// Reads all updates of a room in which somebody said three things while `purges` purges come between the reads of
/// updates and events; how many there are of each.
async fn updates_during(purges: u32) -> (usize, roomlet_homeserver::Result<usize>) {
    let world = World::new();
    let name = ServerName::parse("a.test").unwrap();
    let left = Arc::new(AtomicU32::new(0));
    let purging = left.clone();
    let store = HookedStore::new(move |store, method| {
        let less = |left: u32| left.checked_sub(1);
        if method == "updates"
            && purging
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        {
            purge_newest(store);
        }
        Ok(())
    });
    let hs = Homeserver::open_with(
        Config::new(name.clone(), StoreKind::Memory),
        world.env(&name),
        Arc::new(AllowAll),
        Arc::new(store),
    )
    .await
    .unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let room = hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    for n in 0..3 {
        say(&hs, &alice, &room, &n.to_string()).await;
    }
    let before = hs.updates(StreamPos(0), 1_000).await.unwrap().len();
    left.store(purges, Ordering::Relaxed);
    let during = hs.updates(StreamPos(0), 1_000).await;
    (before, during.map(|entries| entries.len()))
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_updates_are_read_is_no_damage() {
    for purges in [1, 2] {
        let (before, during) = updates_during(purges).await;
        assert_eq!(during, Ok(before - purges as usize));
    }
    // Whoever purges that fast is not waited for.
    let (_, during) = updates_during(3).await;
    assert_eq!(during.unwrap_err().code(), Code::StoreDamaged);
}

#[tokio::test(start_paused = true)]
async fn a_position_that_this_store_never_gave_is_refused() {
    let test = two("10").await;
    test.world.quiet().await;
    let last = test.a.hs.last_update().await.unwrap();
    let beyond = StreamPos(last.0 + 1);
    let error = test.a.hs.updates(beyond, 1).await.unwrap_err();
    assert_eq!(
        (error.code(), error.about()),
        (
            Code::BadParam,
            format!(
                "update {} is beyond the newest of this store, {}",
                beyond.0, last.0
            )
            .as_str()
        )
    );
    // Nobody has handled what was not there yet.
    assert_eq!(test.a.hs.trim_updates(beyond).await, Err(error));
    assert_eq!(
        test.a.hs.updates(StreamPos(0), 1).await.unwrap()[0].pos,
        StreamPos(1)
    );
    test.a.hs.trim_updates(last).await.unwrap();
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
    assert_eq!(
        rest.iter().map(|entry| entry.pos).collect::<Vec<_>>(),
        [StreamPos(last.0 + 1)]
    );
}

/// Bob may set the topic, both servers know it, and then they lose sight of each other.
async fn about_to_differ() -> Two {
    let test = two("10").await;
    let levels = format!(r#"{{"users":{{"{}":100,"{}":50}}}}"#, test.alice, test.bob);
    test.a
        .hs
        .set_state(&test.alice, &test.room, "m.room.power_levels", "", &levels, None)
        .await
        .unwrap();
    test.world.quiet().await;
    test.world.network.cut(&test.a.name, &test.b.name);
    test
}

async fn set_topic(hs: &Homeserver, user: &UserId, room: &RoomId, topic: &str) {
    let content = format!(r#"{{"topic":"{topic}"}}"#);
    hs.set_state(user, room, "m.room.topic", "", &content, None)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
}

async fn heal(test: &Two) {
    test.world.network.heal();
    test.a.hs.wake();
    test.b.hs.wake();
    test.world.quiet().await;
}

/// Both servers show the topic, and whoever read only updates knows the same state.
async fn assert_agreed(test: &Two, topic: &str) {
    for (server, user) in [(&test.a, &test.alice), (&test.b, &test.bob)] {
        let shown = state(&server.hs, user, &test.room, "m.room.topic").await.unwrap();
        assert_eq!(shown, format!(r#"{{"topic":"{topic}"}}"#), "{}", server.name);
        let told = told_state(&server.updates().await, &test.room);
        for event in server.hs.state(user, &test.room).await.unwrap() {
            let slot = (event.kind, event.state_key.unwrap());
            if let Some(id) = told.get(&slot) {
                assert_eq!(*id, event.event_id, "{slot:?} on {}", server.name);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_that_undoes_state_is_told_as_a_change_of_state() {
    let test = about_to_differ().await;
    set_topic(&test.a.hs, &test.alice, &test.room, "hers").await;
    set_topic(&test.b.hs, &test.bob, &test.room, "his").await;
    // Alice takes his power meanwhile, so his topic, though the newer one, does not stand.
    let levels = format!(r#"{{"users":{{"{}":100}}}}"#, test.alice);
    test.a
        .hs
        .set_state(&test.alice, &test.room, "m.room.power_levels", "", &levels, None)
        .await
        .unwrap();
    heal(&test).await;
    assert_agreed(&test, "hers").await;
    let changed = test
        .b
        .updates()
        .await
        .into_iter()
        .filter_map(|update| match update {
            RoomUpdate::StateChanged { kind, event, .. } => Some((kind, event.unwrap().content)),
            _ => None,
        });
    assert_eq!(
        changed.last(),
        Some(("m.room.topic".to_owned(), r#"{"topic":"hers"}"#.to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_updates_learns_which_of_two_topics_stands() {
    let test = about_to_differ().await;
    set_topic(&test.b.hs, &test.bob, &test.room, "his, older").await;
    set_topic(&test.a.hs, &test.alice, &test.room, "hers, newer").await;
    heal(&test).await;
    assert_agreed(&test, "hers, newer").await;
}
