//! Paging back over gaps.

use crate::common::{bodies, public_room, say, strangers, two, with_peer};
use roomlet_homeserver::Direction;
use roomlet_store::Store;
use roomlet_wire::{Map, Value};
use roomlet_world::{list, object};

#[tokio::test(start_paused = true)]
async fn who_pages_to_the_end_gets_there_though_no_server_gives_more() {
    let test = two("10").await;
    test.world.network.cut(&test.a.name, &test.b.name);
    let mut from: Option<String> = None;
    let mut pages = 0;
    loop {
        let page = test
            .b
            .hs
            .timeline(&test.bob, &test.room, from.as_deref(), Direction::Backward, 10)
            .await
            .unwrap();
        pages += 1;
        match page.next {
            Some(next) if pages < 10 => from = Some(next),
            _ => break,
        }
    }
    assert_eq!(pages, 2, "the join, then nothing");
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_middle_is_filled_when_paging_comes_to_it() {
    let mut test = with_peer("10").await;
    let before = test.room.clone();
    let [one, two, three] =
        ["one", "two", "three"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    // At first nobody has the two: the third is taken with the state before it.
    test.peer.tells_state_ids(&before);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.world.quiet().await;
    let history = Value::Array(vec![two.into(), one.into()]);
    test.peer.answer_with(
        "/_matrix/federation/v1/backfill/",
        Map::from([("pdus".to_owned(), history)]),
    );
    let mut from: Option<String> = None;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let page = test
            .a
            .hs
            .timeline(
                &test.alice,
                &test.room.id,
                from.as_deref(),
                Direction::Backward,
                1,
            )
            .await
            .unwrap();
        seen.extend(page.events.into_iter().map(|event| event.content));
        from = page.next;
    }
    assert_eq!(
        seen,
        [r#"{"body":"three"}"#, r#"{"body":"two"}"#, r#"{"body":"one"}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn branches_that_nobody_has_do_not_block_those_that_somebody_has() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    for n in 0..30 {
        say(&a.hs, &alice, &room, &n.to_string()).await;
    }
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut known = peer.join(&a.hs, &room, &mallory).await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    // Forty branches that lead nowhere, taken with the state that the peer tells.
    peer.tells_state_ids(&known);
    for n in 0..2 {
        let mut event = known.draft(
            &mallory,
            "test.message",
            None,
            object(r#"{"body":"fork"}"#),
            peer.now_ms(),
        );
        let nowhere = (0..20).map(|i| format!("${:z>43}", 100 * (n + 1) + i));
        event.insert("prev_events".into(), list(nowhere));
        let event = peer.signed(event, known.version);
        known.keep(&event);
        peer.send(&b.hs, &n.to_string(), &[event]).await;
    }
    world.quiet().await;
    let num = b.record(&room).num;
    assert!(b.store.missing_prevs(num).unwrap().len() > 40);
    let messages = bodies(&b.hs, &bob, &room).await;
    let expected: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let messages: Vec<String> = messages.into_iter().filter(|body| body != "fork").collect();
    assert_eq!(messages, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_claims_to_be_deep_hides_nothing_that_came_before() {
    let mut test = with_peer("10").await;
    test.room.depth = (1 << 53) - 2;
    let deep = test.peer.say(&mut test.room, &test.mallory, "deep");
    test.peer.send(&test.a.hs, "t", &[deep]).await;
    let mut said = vec!["deep".to_owned()];
    for n in 0..60 {
        let n = n.to_string();
        say(&test.a.hs, &test.alice, &test.room.id, &n).await;
        said.push(n);
    }
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, said);
    let b = test.world.server("b.test").await;
    let bob = b.account("bob").await;
    let via = std::slice::from_ref(&test.a.name);
    b.hs.join(&bob, &test.room.id, via).await.unwrap();
    say(&b.hs, &bob, &test.room.id, "bob").await;
    said.push("bob".to_owned());
    assert_eq!(bodies(&b.hs, &bob, &test.room.id).await, said);
}
