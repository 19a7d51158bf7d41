//! What other servers are owed reaches them, over cuts and restarts.

use crate::common::{Two, bodies, code, public_room, say, two};
use roomlet_homeserver::{AllowAll, Code, Limits};
use roomlet_store::Store;
use roomlet_world::World;
use std::{sync::Arc, time::Duration};

async fn cut_and_say(test: &Two, count: usize) -> Vec<String> {
    test.world.network.cut(&test.a.name, &test.b.name);
    for n in 0..count {
        say(&test.a.hs, &test.alice, &test.room, &n.to_string()).await;
    }
    (0..count).map(|n| n.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_during_a_cut_arrives_after_it_in_order() {
    let test = two("10").await;
    let expected = cut_and_say(&test, 120).await;
    test.world.quiet().await;
    assert!(bodies(&test.b.hs, &test.bob, &test.room).await.is_empty());
    test.world.network.heal();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &test.room).await, expected);
    assert!(test.a.store.owed().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_outbox_survives_a_restart() {
    let mut test = two("I.1").await;
    let expected = cut_and_say(&test, 5).await;
    test.a.restart().await;
    assert_eq!(test.a.store.owed().unwrap(), std::slice::from_ref(&test.b.name));
    test.world.network.heal();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &test.room).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_wake_ends_the_wait_of_a_long_outage() {
    let test = two("10").await;
    let expected = cut_and_say(&test, 3).await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    test.world.network.heal();
    test.a.hs.wake();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &test.room).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_shortens_the_wait() {
    let test = two("10").await;
    let expected = cut_and_say(&test, 3).await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    test.world.network.heal();
    say(&test.b.hs, &test.bob, &test.room, "hello").await;
    test.b.hs.wake();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seen = bodies(&test.b.hs, &test.bob, &test.room).await;
    assert!(expected.iter().all(|body| seen.contains(body)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_the_newest_event_brings_the_others() {
    let world = World::new();
    let limits = Limits {
        outbox_per_destination: 10,
        ..Limits::default()
    };
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let mut b = world.server("b.test").await;
    let (alice, bob) = (a.account("alice").await, b.account("bob").await);
    let room = public_room(&a, &alice, "10").await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    b.stop().await;
    for n in 0..60 {
        say(&a.hs, &alice, &room, &n.to_string()).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(
        a.store.outbox_len(&b.name).unwrap() < 60,
        "the older ones were let go"
    );
    b.start().await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    let expected: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&b.hs, &bob, &room).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_no_server_answers_is_unreachable_and_leaves_nothing() {
    let test = two("10").await;
    let erin = test.b.account("erin").await;
    let elsewhere = roomlet_homeserver::RoomId::parse("!x:gone.test").unwrap();
    let before = test.b.contents();
    assert_eq!(
        code(test.b.hs.join(&erin, &elsewhere, &[]).await),
        Code::Unreachable
    );
    assert_eq!(test.b.contents(), before);
}

#[tokio::test(start_paused = true)]
async fn the_next_server_is_asked_when_the_first_is_down() {
    let test = two("10").await;
    let c = test.world.server("c.test").await;
    let carol = c.account("carol").await;
    let gone = roomlet_homeserver::ServerName::parse("gone.test").unwrap();
    let via = [gone, test.b.name.clone()];
    c.hs.join(&carol, &test.room, &via).await.unwrap();
    test.world.quiet().await;
    // The resident that took the join told the others.
    assert_eq!(
        crate::common::membership(&test.a.hs, &test.alice, &test.room, &carol).await,
        "join"
    );
    say(&test.a.hs, &test.alice, &test.room, "welcome").await;
    test.world.quiet().await;
    assert_eq!(bodies(&c.hs, &carol, &test.room).await.last().unwrap(), "welcome");
}
