//! Delivery: order, repetition, pace, back-off, restarts.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use roomlet_federation::{LogLevel, Sender, SenderSettings};
use roomlet_store::{OutboxItem, Store, Write};
use roomlet_wire::{json, limits};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use support::*;

fn settings() -> SenderSettings {
    SenderSettings {
        pdus_per_second: 1_000,
        burst: 1_000,
        backoff_first: Duration::from_secs(2),
        backoff_max: Duration::from_secs(60),
        outbox_per_destination: 1_000,
    }
}

fn start(world: &World, settings: SenderSettings) -> Arc<Sender> {
    Sender::start(
        world.store.clone(),
        world.env.clone(),
        world.client.clone(),
        settings,
    )
    .unwrap()
}

fn accept(world: &World) {
    world
        .net
        .answers(|_| Answer::Status(200, r#"{"pdus":{}}"#.into()));
}

#[tokio::test(start_paused = true)]
async fn events_are_delivered_in_the_order_of_the_outbox() {
    let world = world().await;
    accept(&world);
    for n in [3, 1, 2] {
        owe(&*world.store, PEER, n).await;
    }
    let _sender = start(&world, settings());
    pass(10).await;
    let sent = world.net.take();
    assert_eq!(
        sent.iter().map(|(_, request)| pdus(request)).collect::<Vec<_>>(),
        [[3, 1, 2]]
    );
    let (_, request) = &sent[0];
    assert_eq!(
        (request.method.as_str(), &request.destination),
        ("PUT", &server(PEER))
    );
    assert!(
        request.target.starts_with("/_matrix/federation/v1/send/3-"),
        "{}",
        request.target
    );
    let body = json::parse_object(&request.body).unwrap();
    assert_eq!(body["origin"].as_str(), Some(ME));
    assert_eq!(body["origin_server_ts"].as_int(), Some(1_003));
    assert_eq!(world.store.outbox_len(&server(PEER)), Ok(0));
    assert_eq!(world.store.owed(), Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_holds_at_most_50_pdus_and_100_edus() {
    let world = world().await;
    accept(&world);
    for n in 1..=60 {
        owe(&*world.store, PEER, n).await;
    }
    for n in 0..120 {
        let item = OutboxItem::Edu(format!(r#"{{"content":{{"n":{n}}},"edu_type":"t"}}"#));
        commit(
            &*world.store,
            vec![Write::Outbox {
                destination: server(PEER),
                item,
            }],
        )
        .await;
    }
    let _sender = start(&world, settings());
    pass(1_000).await;
    let sent = world.net.take();
    let sizes: Vec<(usize, usize)> = sent
        .iter()
        .map(|(_, request)| {
            let body = json::parse_object(&request.body).unwrap();
            (
                body["pdus"].as_array().unwrap().len(),
                body["edus"].as_array().unwrap().len(),
            )
        })
        .collect();
    assert_eq!(
        sizes,
        [
            (limits::TRANSACTION_PDUS, 0),
            (10, limits::TRANSACTION_EDUS),
            (0, 20)
        ]
    );
    let order: Vec<i64> = sent.iter().flat_map(|(_, request)| pdus(request)).collect();
    assert_eq!(order, (1..=60).collect::<Vec<i64>>());
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_is_repeated_as_it_was_and_what_came_since_goes_after_it() {
    for failure in [500, 404, 403, 401, 429] {
        let world = world().await;
        world
            .net
            .answers(move |_| Answer::Status(failure, r#"{"errcode":"M_X"}"#.into()));
        owe(&*world.store, PEER, 1).await;
        let sender = start(&world, settings());
        pass(100).await;
        owe(&*world.store, PEER, 2).await;
        sender.notify(&server(PEER));
        pass(100).await;
        accept(&world);
        pass(2_000).await;
        let sent = world.net.take();
        assert_eq!(
            sent.iter().map(|(_, r)| pdus(r)).collect::<Vec<_>>(),
            [[1], [1], [2]],
            "{failure}"
        );
        let same = |a: usize, b: usize| {
            let (a, b) = (&sent[a].1, &sent[b].1);
            (a.target == b.target, a.body == b.body)
        };
        assert_eq!(same(0, 1), (true, true));
        assert_eq!(same(1, 2), (false, false));
        assert_eq!(world.store.destination(&server(PEER)), Ok(Default::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn any_body_with_status_200_acknowledges() {
    let world = world().await;
    world.net.answers(|_| Answer::Status(200, "thanks".into()));
    owe(&*world.store, PEER, 1).await;
    let _sender = start(&world, settings());
    pass(10_000).await;
    assert_eq!(world.net.take().len(), 1);
    assert_eq!(world.store.outbox_len(&server(PEER)), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_the_limit() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let _sender = start(&world, settings());
    pass(200_000).await;
    assert_eq!(
        world.net.take_times(),
        [0, 2_000, 6_000, 14_000, 30_000, 62_000, 122_000, 182_000],
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_fails_after_the_timeout() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    owe(&*world.store, PEER, 1).await;
    let _sender = start(&world, settings());
    pass(33_000).await;
    assert_eq!(world.net.take_times(), [0, 32_000]);
}

#[tokio::test(start_paused = true)]
async fn a_wake_tries_at_once_and_forgets_failures() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(40_000).await;
    assert_eq!(world.net.take_times(), [0, 2_000, 6_000, 14_000, 30_000]);
    sender.wake_all();
    pass(3_000).await;
    assert_eq!(world.net.take_times(), [40_000, 42_000]);
}

#[tokio::test(start_paused = true)]
async fn a_wake_during_a_hopeless_attempt_is_not_lost() {
    let world = world().await;
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = stuck.clone();
    world.net.answers(move |_| {
        if is_stuck.load(Ordering::SeqCst) {
            Answer::Never
        } else {
            Answer::Status(200, "{}".into())
        }
    });
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(10_000).await;
    stuck.store(false, Ordering::SeqCst);
    sender.wake_all();
    pass(20_100).await;
    assert_eq!(world.net.take_times(), [0, 30_000]);
    assert_eq!(world.store.outbox_len(&server(PEER)), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_shortens_the_wait_to_the_first_one() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(31_000).await;
    assert_eq!(world.net.take_times(), [0, 2_000, 6_000, 14_000, 30_000]);
    // However often: a peer that asks but never answers is not hammered.
    for _ in 0..10 {
        sender.peer_alive(&server(PEER));
        pass(10).await;
    }
    sender.peer_alive(&server("other.example"));
    pass(3_000).await;
    assert_eq!(world.net.take_times(), [32_000, 34_000]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_gets_a_burst_and_then_a_steady_rate() {
    let world = world().await;
    accept(&world);
    for n in 1..=45 {
        owe(&*world.store, PEER, n).await;
    }
    let _sender = start(
        &world,
        SenderSettings {
            pdus_per_second: 10,
            burst: 20,
            ..settings()
        },
    );
    pass(10_000).await;
    let sent: Vec<(u64, usize)> = world
        .net
        .take()
        .iter()
        .map(|(time, request)| (*time, pdus(request).len()))
        .collect();
    assert_eq!(sent, [(0, 20), (2_000, 20), (2_500, 5)]);
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_remembered_while_nothing_is_owed() {
    let world = world().await;
    accept(&world);
    let sender = start(
        &world,
        SenderSettings {
            pdus_per_second: 10,
            burst: 2,
            ..settings()
        },
    );
    for n in 1..=4 {
        owe(&*world.store, PEER, n).await;
        sender.notify(&server(PEER));
        pass(1).await;
    }
    pass(1_000).await;
    let sent: Vec<(u64, Vec<i64>)> = world
        .net
        .take()
        .iter()
        .map(|(time, request)| (*time, pdus(request)))
        .collect();
    // A wait is for what was owed when it began.
    assert_eq!(sent, [(0, vec![1]), (1, vec![2]), (100, vec![3]), (200, vec![4])]);
}

#[tokio::test(start_paused = true)]
async fn one_transaction_is_in_flight_at_a_time() {
    let world = world().await;
    world
        .net
        .answers(|_| Answer::After(Duration::from_secs(1), 200, "{}".into()));
    let sender = start(&world, settings());
    for n in 1..=5 {
        owe(&*world.store, PEER, n).await;
        sender.notify(&server(PEER));
        pass(300).await;
    }
    pass(5_000).await;
    let sent = world.net.take();
    assert_eq!(
        sent.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
        [0, 1_000, 2_000]
    );
    assert_eq!(
        sent.iter().flat_map(|(_, r)| pdus(r)).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_destination_holds_up_no_other() {
    let world = world().await;
    world.net.answers(|request| {
        if *request.destination == *PEER {
            Answer::Never
        } else {
            Answer::Status(200, "{}".into())
        }
    });
    owe(&*world.store, PEER, 1).await;
    owe(&*world.store, "other.example", 2).await;
    let _sender = start(&world, settings());
    pass(10).await;
    assert_eq!(world.store.owed(), Ok(vec![server(PEER)]));
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_the_failed_transaction_when_its_wait_is_over() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(3_000).await;
    sender.shutdown().await;
    let before = world.net.take();
    assert_eq!(
        before.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
        [0, 2_000]
    );
    owe(&*world.store, PEER, 2).await;
    pass(1_000).await;
    accept(&world);
    let _sender = start(&world, settings());
    pass(10_000).await;
    let after = world.net.take();
    assert_eq!(
        after.iter().map(|(time, _)| *time).collect::<Vec<_>>(),
        [6_000, 6_000]
    );
    assert_eq!(
        (&after[0].1.target, &after[0].1.body),
        (&before[0].1.target, &before[0].1.body)
    );
    assert_eq!(pdus(&after[1].1), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_the_first_try_repeats_the_same_transaction() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    owe(&*world.store, PEER, 1).await;
    owe(&*world.store, PEER, 2).await;
    let sender = start(&world, settings());
    pass(1_000).await;
    sender.shutdown().await;
    let before = world.net.take();
    accept(&world);
    let _sender = start(&world, settings());
    pass(10).await;
    let after = world.net.take();
    assert_eq!(after.len(), 1);
    assert_eq!(
        (&after[0].1.target, &after[0].1.body),
        (&before[0].1.target, &before[0].1.body)
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_shutdown() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(1_000).await;
    world.net.take();
    sender.shutdown().await;
    sender.notify(&server(PEER));
    sender.wake_all();
    pass(100_000).await;
    assert_eq!(world.net.take(), []);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_refused_as_such_is_given_up_after_eight_tries() {
    for status in [400, 413] {
        let world = world().await;
        world.net.answers(move |request| {
            if pdus(request) == [1] {
                Answer::Status(status, "{}".into())
            } else {
                Answer::Status(200, "{}".into())
            }
        });
        owe(&*world.store, PEER, 1).await;
        let sender = start(&world, settings());
        pass(10).await;
        owe(&*world.store, PEER, 2).await;
        sender.notify(&server(PEER));
        pass(600_000).await;
        let sent: Vec<i64> = world
            .net
            .take()
            .iter()
            .flat_map(|(_, request)| pdus(request))
            .collect();
        assert_eq!(sent, [1, 1, 1, 1, 1, 1, 1, 1, 2]);
    }
}

/// A sign of life forgets failures; that the destination does not want this transaction is none.
#[tokio::test(start_paused = true)]
async fn a_refused_transaction_is_given_up_by_a_destination_that_is_busy_with_us_too() {
    let world = world().await;
    world.net.answers(|request| {
        let status = if pdus(request) == [1] { 400 } else { 200 };
        Answer::Status(status, "{}".into())
    });
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(10).await;
    owe(&*world.store, PEER, 2).await;
    for _ in 0..20 {
        sender.peer_alive(&server(PEER));
        pass(3_000).await;
    }
    let sent = world.net.take();
    assert_eq!(sent.last().map(|(_, request)| pdus(request)), Some(vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_was_away_for_long_gets_the_newest_event_of_each_room() {
    let world = world().await;
    let sender = start(
        &world,
        SenderSettings {
            outbox_per_destination: 20,
            ..settings()
        },
    );
    owe(&*world.store, PEER, 1).await;
    sender.notify(&server(PEER));
    pass(100).await;
    for n in 2..=30 {
        owe_in(&*world.store, PEER, n % 2, n).await;
    }
    pass(2_000).await;
    accept(&world);
    world.net.take();
    pass(10_000).await;
    let sent: Vec<Vec<i64>> = world
        .net
        .take()
        .iter()
        .map(|(_, request)| pdus(request))
        .collect();
    assert_eq!(sent, [vec![1], vec![29, 30]]);
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_delivered_are_left_out() {
    let world = world().await;
    accept(&world);
    let destination = || server(PEER);
    let missing = OutboxItem::Pdu {
        room: roomlet_wire::RoomNum(9),
        event: roomlet_wire::EventNum(9),
    };
    commit(
        &*world.store,
        vec![Write::Outbox {
            destination: destination(),
            item: missing,
        }],
    )
    .await;
    let _sender = start(&world, settings());
    pass(10).await;
    assert_eq!(world.net.take(), []);
    assert_eq!(world.store.outbox_len(&server(PEER)), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_each_failure_and_of_the_end_of_them() {
    let world = world().await;
    owe(&*world.store, PEER, 1).await;
    let sender = start(&world, settings());
    pass(1_000).await;
    world
        .net
        .answers(|_| Answer::Status(503, r#"{"errcode":"M_UNKNOWN","error":"at\n lunch"}"#.into()));
    pass(1_500).await;
    let first = "Warn: deliveries to peer.example wait for 2000 ms after failure 1: \
        server peer.example: connection refused";
    let second = "Warn: deliveries to peer.example wait for 4000 ms after failure 2: \
        server peer.example answered 503 M_UNKNOWN: at lunch";
    assert_eq!(world.log.take(), [first, second]);
    sender.shutdown().await;
    accept(&world);
    // The next run knows that there is something to tell.
    let sender = start(&world, settings());
    pass(10_000).await;
    assert_eq!(world.log.take(), ["Info: deliveries to peer.example work again"]);
    owe(&*world.store, PEER, 2).await;
    sender.notify(&server(PEER));
    pass(10_000).await;
    assert_eq!(world.log.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_a_transaction_that_is_given_up() {
    let world = world().await;
    world
        .net
        .answers(|_| Answer::Status(400, r#"{"errcode":"M_BAD_JSON","error":"no"}"#.into()));
    owe(&*world.store, PEER, 1).await;
    let _sender = start(&world, settings());
    pass(600_000).await;
    let lines = world.log.take();
    assert_eq!(lines.len(), 8);
    let (_, request) = &world.net.take()[0];
    let (_, txn_id) = request.target.rsplit_once('/').unwrap();
    let given_up = format!(
        "Error: transaction {txn_id} to peer.example is given up after 8 refusals: \
         server peer.example answered 400 M_BAD_JSON: no"
    );
    assert_eq!(lines[7], given_up);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_the_log_stays_one_line_of_sane_length() {
    let world = world().await;
    world
        .env
        .log(LogLevel::Info, format_args!("a\r\nError: b\u{85}é"));
    for count in [500, 501] {
        world
            .env
            .log(LogLevel::Info, format_args!("{}", "é".repeat(count)));
    }
    let whole = "é".repeat(500);
    let expected = [
        "Info: a  Error: b é".to_owned(),
        format!("Info: {whole}"),
        format!("Info: {whole}…"),
    ];
    assert_eq!(world.log.take(), expected);
}
