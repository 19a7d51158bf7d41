//! Pages of a timeline, and history that only another server holds.

use crate::common::{bodies, code, history, public_room, say, strangers, two, with_peer};
use roomlet_homeserver::{Code, Direction};

#[tokio::test(start_paused = true)]
async fn pages_in_both_directions_give_every_event_once_and_in_order() {
    let (_world, a, _b, alice, _) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    let mut expected: Vec<String> = history(&a.hs, &alice, &room)
        .await
        .iter()
        .map(|e| e.event_id.to_string())
        .collect();
    for n in 0..25 {
        expected.push(say(&a.hs, &alice, &room, &n.to_string()).await);
    }
    for direction in [Direction::Backward, Direction::Forward] {
        let mut seen = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let page =
                a.hs.timeline(&alice, &room, from.as_deref(), direction, 4)
                    .await
                    .unwrap();
            if page.events.is_empty() {
                break;
            }
            assert!(page.events.len() <= 4);
            seen.extend(page.events.into_iter().map(|event| event.event_id.to_string()));
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        if direction == Direction::Backward {
            seen.reverse();
        }
        assert_eq!(seen, expected, "{direction:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forward_token_at_the_end_gives_what_comes_later() {
    let (_world, a, _b, alice, _) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    let end =
        a.hs.timeline(&alice, &room, None, Direction::Forward, 100)
            .await
            .unwrap()
            .next
            .unwrap();
    assert!(
        a.hs.timeline(&alice, &room, Some(&end), Direction::Forward, 10)
            .await
            .unwrap()
            .events
            .is_empty()
    );
    say(&a.hs, &alice, &room, "new").await;
    let page =
        a.hs.timeline(&alice, &room, Some(&end), Direction::Forward, 10)
            .await
            .unwrap();
    assert_eq!(
        page.events
            .iter()
            .map(|event| event.content.as_str())
            .collect::<Vec<_>>(),
        [r#"{"body":"new"}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn history_from_before_the_join_comes_from_the_other_server() {
    let (_world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "I.1").await;
    for n in 0..60 {
        say(&a.hs, &alice, &room, &n.to_string()).await;
    }
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    let expected: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&b.hs, &bob, &room).await, expected);
    let ids = |events: Vec<roomlet_homeserver::RoomEvent>| -> Vec<String> {
        events
            .into_iter()
            .map(|event| event.event_id.to_string())
            .collect()
    };
    assert_eq!(
        ids(history(&b.hs, &bob, &room).await),
        ids(history(&a.hs, &alice, &room).await)
    );
}

#[tokio::test(start_paused = true)]
async fn backfilled_history_is_no_update() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    say(&a.hs, &alice, &room, "old").await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    world.quiet().await;
    let before = b.hs.last_update().await.unwrap();
    assert_eq!(bodies(&b.hs, &bob, &room).await, ["old"]);
    assert_eq!(b.hs.last_update().await.unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_where_no_server_has_more() {
    let test = two("10").await;
    test.world.network.cut(&test.a.name, &test.b.name);
    let page = test
        .b
        .hs
        .timeline(&test.bob, &test.room, None, Direction::Backward, 100)
        .await
        .unwrap();
    assert_eq!(page.events.len(), 1, "the join alone");
    // The rest is still to be had, later.
    let next = page.next.unwrap();
    test.world.network.heal();
    let page = test
        .b
        .hs
        .timeline(&test.bob, &test.room, Some(&next), Direction::Backward, 100)
        .await
        .unwrap();
    assert_eq!(page.events.len(), 6);
    assert_eq!(page.next, None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_pages_history_and_gets_no_more_than_it_asked_for() {
    let test = with_peer("10").await;
    for n in 0..10 {
        say(&test.a.hs, &test.alice, &test.room.id, &n.to_string()).await;
    }
    let (room, from) = (
        roomlet_world::encode(&test.room.id),
        test.a.record(&test.room.id).forward,
    );
    let newest = history(&test.a.hs, &test.alice, &test.room.id)
        .await
        .pop()
        .unwrap()
        .event_id;
    assert_eq!(from.len(), 1);
    let target = format!(
        "/_matrix/federation/v1/backfill/{room}?v={}&limit=5",
        roomlet_world::encode(&newest)
    );
    let reply = test.peer.ask(&test.a.hs, "GET", &target, None).await;
    assert_eq!(reply.events("pdus").len(), 5);
    assert_eq!(test.room.id_of(&reply.events("pdus")[0]), newest);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_somebody_else_is_refused() {
    let (_world, a, _b, alice, _) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    for token in ["", "7", "x_y", "1_", "_1", "1_99999999999"] {
        let page =
            a.hs.timeline(&alice, &room, Some(token), Direction::Backward, 10)
                .await;
        assert_eq!(code(page), Code::BadParam, "{token:?}");
    }
}
