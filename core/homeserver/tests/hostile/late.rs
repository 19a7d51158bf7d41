//! Events that come after those that follow them.

use crate::common::{WithPeer, bodies, membership, with_peer};
use roomlet_wire::{Map, Value};
use roomlet_world::{Present, encode};

/// The peer says three things, and the last of them arrives; gives the other two.
async fn last_of_three() -> (WithPeer, [Map; 2]) {
    let mut test = with_peer("10").await;
    test.peer.tells_state_ids(&test.room);
    let [one, two, three] =
        ["one", "two", "three"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    test.peer.send(&test.a.hs, "1", &[three]).await;
    test.world.quiet().await;
    (test, [one, two])
}

#[tokio::test(start_paused = true)]
async fn what_others_follow_already_is_no_extremity() {
    let (test, [one, two]) = last_of_three().await;
    test.peer.send(&test.a.hs, "2", &[one]).await;
    test.peer.send(&test.a.hs, "3", &[two]).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two", "three"]
    );
    assert_eq!(
        Present::of(&*test.a.store, &test.room.id).forward,
        test.room.latest
    );
}

/// As [`last_of_three`]; the second is refused.
async fn last_after_refused() -> (WithPeer, [Map; 2]) {
    let mut test = with_peer("10").await;
    let one = test.peer.say(&mut test.room, &test.mallory, "one");
    let before = test.room.state.clone();
    let refused = test.peer.event(
        &test.room,
        &test.mallory,
        "m.room.topic",
        Some(""),
        r#"{"topic":"t"}"#,
    );
    test.room.push(&refused);
    test.room.state = before;
    test.peer.tells_state_ids(&test.room);
    let three = test.peer.say(&mut test.room, &test.mallory, "three");
    test.peer.send(&test.a.hs, "1", &[three]).await;
    test.world.quiet().await;
    (test, [one, refused])
}

#[tokio::test(start_paused = true)]
async fn what_others_follow_through_a_refused_event_is_no_extremity() {
    let (test, [one, refused]) = last_after_refused().await;
    test.peer.send(&test.a.hs, "2", &[one]).await;
    test.peer.send(&test.a.hs, "3", &[refused]).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "three"]
    );
    assert_eq!(
        Present::of(&*test.a.store, &test.room.id).forward,
        test.room.latest
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_new_cannot_be_passed_off_as_history() {
    let (test, [one, two]) = last_of_three().await;
    let leave = test.peer.event(
        &test.room,
        &test.mallory,
        "m.room.member",
        Some(&test.mallory),
        r#"{"membership":"leave"}"#,
    );
    let history = [&leave, &two, &one].map(|event| Value::Object(event.clone()));
    test.peer.answer_with(
        "/_matrix/federation/v1/backfill/",
        Map::from([("pdus".to_owned(), Value::Array(history.to_vec()))]),
    );
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two", "three"]
    );
    test.peer.send(&test.a.hs, "2", &[leave]).await;
    assert_eq!(
        membership(&test.a.hs, &test.alice, &test.room.id, &test.mallory).await,
        "leave"
    );
}

/// A refused event is no part of a reply; what is behind it is reached through it all the same.
#[tokio::test(start_paused = true)]
async fn history_goes_on_behind_an_event_that_was_refused() {
    let (test, [one, refused]) = last_after_refused().await;
    let id = test.room.id_of(&refused);
    let pdus = |event: Map| Map::from([("pdus".to_owned(), Value::Array(vec![event.into()]))]);
    test.peer
        .answer_with("/_matrix/federation/v1/backfill/", pdus(one));
    test.peer.answer_with(
        &format!("/_matrix/federation/v1/event/{}", encode(&id)),
        pdus(refused),
    );
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "three"]
    );
}
