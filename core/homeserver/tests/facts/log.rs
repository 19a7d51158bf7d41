//! What the host's log hears, line by line, when something between servers does not work.

use crate::common::{public_room, say, strangers, two, with_peer};
use roomlet_homeserver::{CreateRoom, Homeserver, RoomId, UserId};
use roomlet_world::{Peer, object};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn servers_that_get_along_log_nothing() {
    let mut test = two("10").await;
    for _ in 0..2 {
        say(&test.a.hs, &test.alice, &test.room, "hello").await;
        say(&test.b.hs, &test.bob, &test.room, "hello").await;
        test.world.quiet().await;
        test.a.restart().await;
    }
    assert_eq!(test.a.log.take(), [""; 0]);
    assert_eq!(test.b.log.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_away_and_comes_back() {
    let test = two("10").await;
    test.world.network.cut(&test.a.name, &test.b.name);
    say(&test.a.hs, &test.alice, &test.room, "hello?").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    test.world.network.heal();
    test.a.hs.wake();
    test.world.quiet().await;
    let lines = test.a.log.take();
    let [away, back] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(
        away.starts_with("Warn: deliveries to b.test wait for ")
            && away.ends_with(" ms after failure 1: server b.test: no way to b.test"),
        "{away}"
    );
    assert_eq!(back, "Info: deliveries to b.test work again");
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_taken() {
    let mut test = with_peer("10").await;
    let event = |kind, key, content| test.peer.event(&test.room, &test.mallory, kind, key, content);
    let denied = event("m.room.name", Some(""), r#"{"name":"mine"}"#);
    let mut unsigned = event("test.message", None, "{}");
    unsigned.insert("signatures".into(), object("{}").into());
    let mut formless = unsigned.clone();
    formless.remove("depth");
    let mut homeless = unsigned.clone();
    homeless.remove("room_id");
    let mut elsewhere = unsigned.clone();
    elsewhere.insert("room_id".into(), "!elsewhere:a.test".into());
    let ids = [test.room.id_of(&denied), test.room.id_of(&unsigned)];
    let pdus = [denied, unsigned, formless, homeless, elsewhere];
    test.peer.send(&test.a.hs, "t", &pdus).await;
    // A repetition gets the answer that is stored, and tells nothing new.
    test.peer.send(&test.a.hs, "t", &pdus).await;
    let mut expected = [
        format!(
            "Warn: event {} from peer.test is not taken: AUTH-19: power level 50 needed to send this event, has 0",
            ids[0]
        ),
        format!(
            "Warn: event {} from peer.test is not taken: peer.test did not sign it (EV-14)",
            ids[1]
        ),
        "Warn: events from peer.test that name no room are dropped: 1".into(),
        "Warn: events from peer.test in room !elsewhere:a.test, which this server is not in, are dropped: 1"
            .into(),
        format!(
            "Warn: an event from peer.test in room {} is dropped: event: `depth` is missing (EV-1)",
            test.room.id
        ),
    ];
    let mut lines = test.a.log.take();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);

    // Only the second of two is sent.
    test.peer.say(&mut test.room, &test.mallory, "lost");
    let last = test.peer.say(&mut test.room, &test.mallory, "last");
    test.peer.send(&test.a.hs, "u", std::slice::from_ref(&last)).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let given_up = format!(
        "Warn: event {} from peer.test is not taken: given up after 12 tries, what it cites is not to be had",
        test.room.id_of(&last)
    );
    assert_eq!(test.a.log.take(), [given_up]);
}

#[tokio::test(start_paused = true)]
async fn events_that_come_to_be_refused_while_a_gap_is_filled() {
    let mut test = with_peer("10").await;
    let mut unsigned = test.peer.say(&mut test.room, &test.mallory, "one");
    unsigned.insert("signatures".into(), object("{}").into());
    let id = test.room.id_of(&unsigned);
    let last = test.peer.say(&mut test.room, &test.mallory, "last");
    let body = [("events".to_owned(), vec![unsigned.into()].into())].into();
    test.peer
        .answer_with("/_matrix/federation/v1/get_missing_events/", body);
    test.peer.send(&test.a.hs, "t", &[last]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let expected = format!(
        "Warn: events of room {} in a reply of peer.test are left out: 1, first: event {id}: peer.test did not sign it (EV-14)",
        test.room.id
    );
    assert_eq!(test.a.log.take(), [expected]);
}

/// Asks for the room's state with a signature that is edited.
async fn ask_with(peer: &Peer, hs: &Homeserver, room: &RoomId, edit: fn(String) -> String) {
    let target = format!("/_matrix/federation/v1/state_ids/{room}?event_id=$x");
    let mut request = peer.request(hs.server_name(), "GET", &target, None);
    request.authorization = request.authorization.into_iter().map(edit).collect();
    assert_eq!(hs.handle_request(request).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn requests_with_signatures_that_do_not_hold() {
    let test = with_peer("10").await;
    let (hs, room) = (&test.a.hs, &test.room.id);
    ask_with(&test.peer, hs, room, |header| {
        header.replace("sig=\"", "sig=\"AAAA").replace("AAAA\"", "\"")
    })
    .await;
    let now = test.world.now_ms();
    ask_with(&test.peer, hs, room, |header| {
        header.replace("peer.test", "gone.test")
    })
    .await;
    let lines = test.a.log.take();
    let [bad, key, unknown] = &lines[..] else {
        panic!("{lines:?}")
    };
    let request =
        format!("Warn: request GET /_matrix/federation/v1/state_ids/{room}?event_id=$x is refused: ");
    assert!(bad.starts_with(&request), "{bad}");
    let wanted = format!(
        "Warn: key ed25519:peer of server gone.test, valid at {now}, is not to be had, and not asked for again for 5000 ms: \
         server gone.test: no way to gone.test"
    );
    assert_eq!(*key, wanted);
    assert_eq!(
        *unknown,
        format!("{request}key ed25519:peer of server gone.test could not be had")
    );
}

#[tokio::test(start_paused = true)]
async fn invites_and_leaves_that_fail_halfway() {
    let (_world, mut a, b, alice, bob) = strangers().await;
    let nobody = UserId::parse("@nobody:b.test").unwrap();
    let create = CreateRoom {
        invite: vec![nobody, bob.clone()],
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    assert_eq!(
        a.log.take(),
        [format!(
            "Warn: the invite of @nobody:b.test to new room {room} failed: server b.test answered 404 M_NOT_FOUND: \
             user @nobody:b.test is no account of b.test"
        )]
    );
    let lines = b.log.take();
    let [refused] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(
        refused.starts_with("Warn: event $")
            && refused.ends_with(" from a.test is not taken: user @nobody:b.test is no account of b.test"),
        "{refused}"
    );
    a.stop().await;
    assert_eq!(b.hs.leave(&bob, &room, None).await.unwrap(), None);
    assert_eq!(
        b.log.take(),
        [format!(
            "Warn: the invite of @bob:b.test to room {room} is dropped here alone: server a.test: no way to a.test"
        )]
    );
    // What is a room's own matter is not the log's.
    let public = public_room(&b, &bob, "10").await;
    say(&b.hs, &bob, &public, "alone").await;
    assert_eq!(b.log.take(), [""; 0]);
}
