//! Keys: what is published, fetched, kept and believed.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use roomlet_federation::{KeyCache, KeySettings};
use roomlet_store::{MemoryStore, OwnKey, Store, Write};
use roomlet_wire::{
    Code, KeyId, Map, ServerName, Value, base64, json,
    sign::{KeyPair, KeyRing, PublicKey, sign_json, verify_json},
};
use std::{sync::Arc, time::Duration};
use support::*;

const DAY: i64 = 86_400_000;
const NOTARY: &str = "notary.example";

fn peer() -> KeyPair {
    pair("ed25519:p", 2)
}

fn serves(world: &World, document: Map) {
    world.net.answers(move |_| Answer::ok(&document));
}

async fn ensure(world: &World, id: &str, at: i64) {
    world.keys.ensure([(server(PEER), key_id(id), at)]).await;
}

/// What the ring says of a key of PEER.
fn ring(world: &World, id: &str, at: i64, check_validity: bool) -> Result<PublicKey, Code> {
    world
        .keys
        .ring()
        .key(&server(PEER), &key_id(id), at, check_validity)
        .map_err(|error| error.code())
}

#[tokio::test(start_paused = true)]
async fn published_keys_are_signed_and_valid_for_the_time_that_is_set() {
    let world = world().await;
    let retired = OwnKey {
        id: key_id("ed25519:before"),
        seed: [7; 32],
        expired_at: Some(5),
    };
    commit(&*world.store, vec![Write::OwnKey(retired)]).await;
    let keys = KeyCache::open(
        world.store.clone(),
        world.env.clone(),
        server(ME),
        KeySettings {
            validity_ms: 2 * DAY,
            ..KeySettings::default()
        },
    )
    .await
    .unwrap();
    pass(10).await;
    let published = keys.published();
    let me = pair("ed25519:me", 1);
    let expected = document(
        ME,
        &[&me],
        &[(&pair("ed25519:before", 7), 5)],
        START + 10 + 2 * DAY,
    );
    assert_eq!(published, expected);
    assert_eq!(
        verify_json(&published, &server(ME), me.id(), &me.public()),
        Ok(())
    );
    assert_eq!(keys.signing_key().id(), me.id());
}

#[tokio::test(start_paused = true)]
async fn keys_are_published_for_an_hour_at_least() {
    let world = world_with(KeySettings {
        validity_ms: 1,
        ..KeySettings::default()
    })
    .await;
    assert_eq!(
        world.keys.published()["valid_until_ts"],
        Value::Int(START + 3_600_000)
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_start_makes_a_key_and_the_next_ones_keep_it() {
    let world = world().await;
    let store = Arc::new(MemoryStore::new());
    let open = || {
        KeyCache::open(
            store.clone(),
            world.env.clone(),
            server(ME),
            KeySettings::default(),
        )
    };
    let made = open().await.unwrap().signing_key();
    assert_eq!(store.own_keys().unwrap().len(), 1);
    assert!(made.id().is_ed25519());
    assert_eq!(open().await.unwrap().signing_key().public(), made.public());
    assert_eq!(store.own_keys().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn own_keys_are_in_the_ring_without_asking_anybody() {
    let world = world().await;
    let me = pair("ed25519:me", 1);
    world
        .keys
        .ensure([
            (server(ME), me.id().clone(), START),
            (server(ME), key_id("ed25519:x"), START),
        ])
        .await;
    let key = |id: &KeyId| world.keys.ring().key(&server(ME), id, START + 100 * DAY, true);
    assert_eq!(key(me.id()), Ok(me.public()));
    assert_eq!(
        key(&key_id("ed25519:x")).map_err(|error| error.code()),
        Err(Code::UnknownKey)
    );
    assert_eq!(world.net.take(), []);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_fetched_once_and_survives_a_restart() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + DAY));
    assert_eq!(ring(&world, "ed25519:p", START, true), Err(Code::UnknownKey));
    for _ in 0..3 {
        ensure(&world, "ed25519:p", START).await;
    }
    assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
    let asked = world.net.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].1.method.as_str(), asked[0].1.target.as_str()),
        ("GET", "/_matrix/key/v2/server")
    );
    assert_eq!(asked[0].1.authorization, Vec::<String>::new());
    let again = KeyCache::open(
        world.store.clone(),
        world.env.clone(),
        server(ME),
        KeySettings::default(),
    );
    let key = again
        .await
        .unwrap()
        .ring()
        .key(&server(PEER), &key_id("ed25519:p"), START, true);
    assert_eq!(key, Ok(peer().public()));
}

#[tokio::test(start_paused = true)]
async fn validity_is_capped_at_seven_days_and_matters_where_the_room_version_says() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + 100 * DAY));
    ensure(&world, "ed25519:p", START).await;
    assert_eq!(
        ring(&world, "ed25519:p", START - 1_000 * DAY, true),
        Ok(peer().public())
    );
    assert_eq!(
        ring(&world, "ed25519:p", START + 7 * DAY, true),
        Ok(peer().public())
    );
    assert_eq!(
        ring(&world, "ed25519:p", START + 7 * DAY + 1, true),
        Err(Code::ExpiredKey)
    );
    assert_eq!(
        ring(&world, "ed25519:p", START + 7 * DAY + 1, false),
        Ok(peer().public())
    );
}

#[tokio::test(start_paused = true)]
async fn a_retired_key_vouches_for_what_came_before_only() {
    let world = world().await;
    let old = pair("ed25519:old", 3);
    serves(
        &world,
        document(PEER, &[&peer()], &[(&old, START - DAY)], START + DAY),
    );
    ensure(&world, "ed25519:old", START).await;
    for check_validity in [false, true] {
        assert_eq!(
            ring(&world, "ed25519:old", START - DAY, check_validity),
            Ok(old.public())
        );
        assert_eq!(
            ring(&world, "ed25519:old", START - DAY + 1, check_validity),
            Err(Code::ExpiredKey)
        );
    }
    // What is old stays old: there is nothing to ask for.
    pass(60_000).await;
    ensure(&world, "ed25519:old", START).await;
    assert_eq!(world.net.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_validity_ran_out_is_fetched_again() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + 20_000));
    ensure(&world, "ed25519:p", START + 20_000).await;
    pass(30_000).await;
    serves(&world, document(PEER, &[&peer()], &[], START + 40_000));
    ensure(&world, "ed25519:p", START + 20_000).await;
    assert_eq!(world.net.take().len(), 1);
    ensure(&world, "ed25519:p", START + 30_000).await;
    assert_eq!(world.net.take().len(), 1);
    assert_eq!(
        ring(&world, "ed25519:p", START + 40_000, true),
        Ok(peer().public())
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_id_never_gets_another_key() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + 20_000));
    ensure(&world, "ed25519:p", START).await;
    pass(30_000).await;
    let other = pair("ed25519:p", 8);
    serves(&world, document(PEER, &[&other], &[], START + DAY));
    ensure(&world, "ed25519:p", START + 30_000).await;
    assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
    assert_eq!(
        ring(&world, "ed25519:p", START + 30_000, true),
        Err(Code::ExpiredKey)
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_document_brings_no_retired_key_back() {
    let world = world().await;
    let new = pair("ed25519:q", 4);
    let before = document(PEER, &[&peer()], &[], START + DAY);
    serves(&world, document(PEER, &[&new], &[(&peer(), START)], START + DAY));
    ensure(&world, "ed25519:p", START).await;
    pass(20_000).await;
    serves(&world, before);
    ensure(&world, "ed25519:unknown", START).await;
    assert_eq!(world.net.take().len(), 2);
    assert_eq!(ring(&world, "ed25519:p", START + 1, true), Err(Code::ExpiredKey));
}

#[tokio::test(start_paused = true)]
async fn documents_that_prove_nothing_are_refused() {
    let good = || document(PEER, &[&peer()], &[], START + DAY);
    let edited = |edit: fn(&mut Map)| {
        let mut document = good();
        edit(&mut document);
        document
    };
    let mut signed_by_stranger = good();
    signed_by_stranger.remove("signatures");
    sign_json(&mut signed_by_stranger, &server(PEER), &pair("ed25519:x", 9));
    let mut signed_by_retired = document(PEER, &[], &[(&peer(), START + DAY)], START + DAY);
    sign_json(&mut signed_by_retired, &server(PEER), &peer());
    let seed = base64::decode_array("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    let public_private = KeyPair::from_seed(key_id("ed25519:p"), &seed);
    let many: Vec<KeyPair> = (0..65).map(|n| pair(&format!("ed25519:p{n}"), n)).collect();
    let many_refs: Vec<&KeyPair> = many.iter().collect();
    let cases = [
        (
            "of another server",
            document("other.example", &[&peer()], &[], START + DAY),
        ),
        ("no signature", edited(|d| drop(d.remove("signatures")))),
        (
            "changed after signing",
            edited(|d| drop(d.insert("valid_until_ts".into(), (START + DAY + 1).into()))),
        ),
        ("no time", edited(|d| drop(d.remove("valid_until_ts")))),
        ("no keys", edited(|d| drop(d.remove("verify_keys")))),
        ("signed by a key that is not listed", signed_by_stranger),
        ("signed by a retired key", signed_by_retired),
        (
            "a key that anybody has",
            document(PEER, &[&public_private], &[], START + DAY),
        ),
        ("too many keys", document(PEER, &many_refs, &[], START + DAY)),
    ];
    for (what, document) in cases {
        let world = world().await;
        serves(&world, document);
        ensure(&world, "ed25519:p", START).await;
        assert_eq!(world.net.take().len(), 1, "{what}");
        assert_eq!(world.store.keys(&server(PEER)), Ok(vec![]), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_tasks_ask_a_server_once() {
    let world = world().await;
    let answer = json::map_to_canonical(&document(PEER, &[&peer()], &[], START + DAY));
    world
        .net
        .answers(move |_| Answer::After(Duration::from_secs(1), 200, answer.clone()));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let keys = world.keys.clone();
            tokio::spawn(async move { keys.ensure([(server(PEER), key_id("ed25519:p"), START)]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
        assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
    }
    assert_eq!(world.net.take_times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_task_asked_for_that_was_dropped_since_comes_to_the_others() {
    let world = world().await;
    let answer = json::map_to_canonical(&document(PEER, &[&peer()], &[], START + DAY));
    world
        .net
        .answers(move |_| Answer::After(Duration::from_secs(5), 200, answer.clone()));
    let keys = world.keys.clone();
    let first = tokio::spawn(async move { keys.ensure([(server(PEER), key_id("ed25519:p"), START)]).await });
    pass(1).await;
    let keys = world.keys.clone();
    let second = tokio::spawn(async move { keys.ensure([(server(PEER), key_id("ed25519:p"), START)]).await });
    pass(999).await;
    first.abort();
    second.await.unwrap();
    assert_eq!(world.net.take_times(), [0]);
    assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_moment_only_finds_next_time_what_came_since() {
    let world = world().await;
    let answer = json::map_to_canonical(&document(PEER, &[&peer()], &[], START + DAY));
    world
        .net
        .answers(move |_| Answer::After(Duration::from_secs(5), 200, answer.clone()));
    let wanted = || [(server(PEER), key_id("ed25519:p"), START)];
    let moment = Duration::from_secs(2);
    assert!(!world.keys.ensure_within(wanted(), moment).await);
    assert!(!world.keys.ensure_within(wanted(), moment).await);
    assert!(world.keys.ensure_within(wanted(), moment).await);
    assert_eq!(world.net.take_times(), [0]);
    assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_late_is_not_waited_for_again_at_once() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    let wanted = || [(server(PEER), key_id("ed25519:p"), START)];
    assert!(!world.keys.ensure_within(wanted(), Duration::from_secs(2)).await);
    pass(9_000).await;
    assert!(world.keys.ensure_within(wanted(), Duration::from_millis(1)).await);
    assert_eq!(world.net.take_times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn servers_are_asked_side_by_side() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    let wanted = (0..10).map(|n| (server(&format!("s{n}.example")), key_id("ed25519:p"), START));
    world.keys.ensure(wanted).await;
    assert_eq!(world.net.take_times(), [0; 10]);
    pass(0).await;
    let elapsed = world.env.clock.now_ms() - START;
    assert!((10_000..10_010).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_less_and_less_until_the_network_is_back() {
    let world = world().await;
    for _ in 0..80 {
        ensure(&world, "ed25519:p", START).await;
        pass(1_000).await;
    }
    assert_eq!(world.net.take_times(), [0, 5_000, 15_000, 35_000, 75_000]);
    world.keys.wake();
    ensure(&world, "ed25519:p", START).await;
    assert_eq!(world.net.take_times(), [80_000]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_its_server_does_not_list_is_not_asked_for_at_every_event() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + DAY));
    for _ in 0..15 {
        ensure(&world, "ed25519:other", START).await;
        pass(1_000).await;
    }
    assert_eq!(world.net.take_times(), [0, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn keys_of_other_algorithms_and_of_the_far_future_are_not_asked_for() {
    let world = world().await;
    serves(&world, document(PEER, &[&peer()], &[], START + DAY));
    ensure(&world, "rsa:p", START).await;
    assert_eq!(world.net.take(), []);
    ensure(&world, "ed25519:p", START).await;
    pass(60_000).await;
    ensure(&world, "ed25519:p", START + 60_000 + 7 * DAY + 1).await;
    assert_eq!(world.net.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_keys_of_a_server_whose_name_is_too_long() {
    let world = world().await;
    let long = ServerName::parse_any_length(&format!("{}.example", "a".repeat(300))).unwrap();
    world.keys.ensure([(long, key_id("ed25519:p"), START)]).await;
    assert_eq!(world.net.take(), []);
}

fn notary_settings() -> KeySettings {
    KeySettings {
        notaries: vec![server(NOTARY)],
        ..KeySettings::default()
    }
}

/// A network where PEER is gone and the notary gives `answer`.
fn notary_serves(world: &World, answer: Vec<Map>) {
    let answer = Map::from([(
        "server_keys".to_owned(),
        answer.into_iter().map(Value::from).collect::<Vec<_>>().into(),
    )]);
    world.net.answers(
        move |request| match (&*request.destination.to_string(), request.method.as_str()) {
            (NOTARY, "GET") => Answer::ok(&document(NOTARY, &[&pair("ed25519:n", 5)], &[], START + DAY)),
            (NOTARY, "POST") => Answer::ok(&answer),
            _ => Answer::Unreachable,
        },
    );
}

fn notarised(mut document: Map) -> Map {
    sign_json(
        &mut document,
        &ServerName::parse(NOTARY).unwrap(),
        &pair("ed25519:n", 5),
    );
    document
}

#[tokio::test(start_paused = true)]
async fn a_notary_gives_the_keys_of_a_dead_server() {
    let world = world_with(notary_settings()).await;
    notary_serves(
        &world,
        vec![notarised(document(PEER, &[&peer()], &[], START + DAY))],
    );
    ensure(&world, "ed25519:p", START).await;
    assert_eq!(ring(&world, "ed25519:p", START, true), Ok(peer().public()));
    let asked: Vec<String> = world
        .net
        .take()
        .iter()
        .map(|(_, r)| format!("{} {}", r.destination, r.target))
        .collect();
    assert_eq!(
        asked,
        [
            "peer.example /_matrix/key/v2/server",
            "notary.example /_matrix/key/v2/query",
            "notary.example /_matrix/key/v2/server",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_notary_is_believed_only_with_both_signatures_and_only_for_what_was_asked() {
    let mut without_origin = document(PEER, &[&peer()], &[], START + DAY);
    without_origin.remove("signatures");
    let cases = [
        (
            "no signature of the notary",
            document(PEER, &[&peer()], &[], START + DAY),
        ),
        ("no signature of the server", notarised(without_origin)),
        (
            "another server",
            notarised(document("other.example", &[&peer()], &[], START + DAY)),
        ),
    ];
    for (what, document) in cases {
        let world = world_with(notary_settings()).await;
        notary_serves(&world, vec![document]);
        ensure(&world, "ed25519:p", START).await;
        assert_eq!(world.store.keys(&server(PEER)), Ok(vec![]), "{what}");
        assert_eq!(world.store.keys(&server("other.example")), Ok(vec![]), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn queries_for_own_keys_are_answered() {
    let world = world().await;
    let query = |name: &str| [(server(name), Default::default())].into_iter().collect();
    let own = world.keys.answer_query(&query(ME));
    assert_eq!(
        own["server_keys"],
        Value::Array(vec![world.keys.published().into()])
    );
    assert_eq!(
        world.keys.answer_query(&query(PEER))["server_keys"],
        Value::Array(vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn names_of_strangers_keep_nobody_waiting_whose_keys_are_held() {
    let world = world().await;
    let (old, new) = (peer(), pair("ed25519:q", 3));
    serves(&world, document(PEER, &[&old], &[], START + DAY));
    ensure(&world, "ed25519:p", START).await;
    pass(60_000).await;
    let answer = json::map_to_canonical(&document(PEER, &[&old, &new], &[], START + DAY));
    world.net.answers(move |request| {
        if request.destination.as_str() == PEER {
            Answer::After(Duration::ZERO, 200, answer.clone())
        } else {
            Answer::Never
        }
    });
    let keys = world.keys.clone();
    let strangers = (0..1_000).map(|n| (server(&format!("s{n}.example")), key_id("ed25519:p"), START));
    let strangers = tokio::spawn(async move { keys.ensure(strangers).await });
    pass(1).await;
    let begin = tokio::time::Instant::now();
    ensure(&world, "ed25519:q", START).await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(ring(&world, "ed25519:q", START, true), Ok(new.public()));
    strangers.abort();
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_dead_servers_cost_four_times_the_patience_for_one() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    let dead = (0..1_000).map(|n| (server(&format!("dead{n}.example")), key_id("ed25519:p"), START));
    let begin = tokio::time::Instant::now();
    world.keys.ensure(dead).await;
    assert_eq!(begin.elapsed(), KeySettings::default().timeout * 4);
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_keys_that_cannot_be_had() {
    let world = world().await;
    for _ in 0..8 {
        ensure(&world, "ed25519:p", START).await;
        pass(1_000).await;
    }
    let line = |wait| {
        format!(
            "Warn: key ed25519:p of server peer.example, valid at {START}, is not to be had, \
             and not asked for again for {wait} ms: server peer.example: connection refused"
        )
    };
    assert_eq!(world.log.take(), [line(5_000), line(10_000)]);
    world.keys.wake();
    serves(&world, document(PEER, &[&peer()], &[], START + DAY));
    ensure(&world, "ed25519:other", START).await;
    let missing = format!(
        "Warn: key ed25519:other of server peer.example, valid at {START}, is not to be had, \
         and not asked for again for 10000 ms: it is not among those that are given"
    );
    assert_eq!(world.log.take(), [missing]);
    ensure(&world, "ed25519:p", START).await;
    assert_eq!(world.log.take(), [""; 0]);
}
