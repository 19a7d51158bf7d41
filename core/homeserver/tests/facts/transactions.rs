//! Transactions are taken once, and client transaction ids make retries safe.

use crate::common::{bodies, history, two, with_peer};
use roomlet_homeserver::EventId;
use roomlet_store::{Commit, Store as _, Write};
use roomlet_wire::Value;
use roomlet_world::{encode, object};

#[tokio::test(start_paused = true)]
async fn a_repeated_transaction_gets_the_stored_reply_whatever_it_holds() {
    let mut test = with_peer("10").await;
    let first = test.peer.say(&mut test.room, &test.mallory, "first");
    let reply = test.peer.send_raw(&test.a.hs, "t", &[first]).await;
    let second = test.peer.say(&mut test.room, &test.mallory, "second");
    let before = test.a.contents();
    assert_eq!(
        test.peer
            .send_raw(&test.a.hs, "t", std::slice::from_ref(&second))
            .await,
        reply
    );
    assert_eq!(test.a.contents(), before);
    test.a.restart().await;
    assert_eq!(
        test.peer
            .send_raw(&test.a.hs, "t", std::slice::from_ref(&second))
            .await,
        reply
    );
    assert_eq!(test.a.contents(), before);
    test.peer.send(&test.a.hs, "u", &[second]).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["first", "second"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_transaction_id_is_each_servers_own() {
    let mut test = with_peer("10").await;
    let other = test.world.peer("other.test");
    let nancy = other.user("nancy");
    let first = test.peer.say(&mut test.room, &test.mallory, "first");
    test.peer.send(&test.a.hs, "t", &[first]).await;
    let mut room = other.join(&test.a.hs, &test.room.id, &nancy).await;
    let second = other.say(&mut room, &nancy, "second");
    other.send(&test.a.hs, "t", &[second]).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["first", "second"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_event_does_not_take_the_others_with_it() {
    let mut test = with_peer("10").await;
    let first = test.peer.say(&mut test.room, &test.mallory, "first");
    let second = test.peer.say(&mut test.room, &test.mallory, "second");
    let mut unsigned = test
        .peer
        .event(&test.room, &test.mallory, "test.message", None, "{}");
    unsigned.insert("signatures".into(), object("{}").into());
    let mut formless = unsigned.clone();
    formless.remove("depth");
    let results = test
        .peer
        .send(&test.a.hs, "t", &[unsigned, first, formless, second])
        .await;
    assert_eq!(results.len(), 3);
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["first", "second"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_twice_is_taken_once() {
    let mut test = with_peer("10").await;
    let said = test.peer.say(&mut test.room, &test.mallory, "once");
    test.peer
        .send(&test.a.hs, "1", &[said.clone(), said.clone()])
        .await;
    let before = test.a.contents();
    test.peer.send(&test.a.hs, "2", &[said]).await;
    assert_eq!(test.a.contents(), before);
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, ["once"]);
}

#[tokio::test(start_paused = true)]
async fn events_of_several_rooms_come_in_one_transaction() {
    let mut test = with_peer("10").await;
    let other = crate::common::public_room(&test.a, &test.alice, "11").await;
    let mut other = test.peer.join(&test.a.hs, &other, &test.mallory).await;
    let one = test.peer.say(&mut test.room, &test.mallory, "one");
    let two = test.peer.say(&mut other, &test.mallory, "two");
    let results = test.peer.send(&test.a.hs, "t", &[two, one]).await;
    assert_eq!(results.len(), 2);
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, ["one"]);
    assert_eq!(bodies(&test.a.hs, &test.alice, &other.id).await, ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_room_does_not_keep_the_events_of_others_out() {
    let mut test = with_peer("10").await;
    let sound = crate::common::public_room(&test.a, &test.alice, "11").await;
    let mut sound = test.peer.join(&test.a.hs, &sound, &test.mallory).await;
    let room = test.a.record(&test.room.id).num;
    let levels = test.room.state_id("m.room.power_levels", "");
    let mut row = test.a.store.event(room, &levels).unwrap().unwrap();
    row.json = "{}".into();
    let writes = vec![Write::Event { room, row }];
    test.a.store.commit(Commit { writes }).await.unwrap();
    test.a.restart().await;
    let lost = test.peer.say(&mut test.room, &test.mallory, "lost");
    let taken = test.peer.say(&mut sound, &test.mallory, "taken");
    let events = [lost, taken];
    let answer = test.peer.send_raw(&test.a.hs, "t", &events).await;
    assert_eq!(answer.status, 200);
    assert_eq!(bodies(&test.a.hs, &test.alice, &sound.id).await, ["taken"]);
    let errors = answer.body.get("pdus").unwrap().get(test.room.latest[0].as_str());
    assert_eq!(
        errors.unwrap().get("error").and_then(Value::as_str),
        Some("an error inside the server")
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_transaction_gives_the_same_event_also_after_a_restart() {
    let mut test = two("10").await;
    let room = test.room.clone();
    let first = test
        .a
        .hs
        .send(&test.alice, &room, "test.message", r#"{"body":"1"}"#, Some("t"))
        .await
        .unwrap();
    let again = test
        .a
        .hs
        .send(&test.alice, &room, "test.message", r#"{"body":"2"}"#, Some("t"))
        .await
        .unwrap();
    assert_eq!(again, first);
    test.a.restart().await;
    let again = test
        .a
        .hs
        .send(&test.alice, &room, "test.message", r#"{"body":"3"}"#, Some("t"))
        .await
        .unwrap();
    assert_eq!(again, first);
    test.world.quiet().await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &room).await, ["1"]);
    // Another user's transaction of the same name is another.
    let other = test
        .b
        .hs
        .send(&test.bob, &room, "test.message", r#"{"body":"4"}"#, Some("t"))
        .await
        .unwrap();
    assert_ne!(other, first);
}

#[tokio::test(start_paused = true)]
async fn a_client_transaction_that_is_retried_at_once_sends_once() {
    let test = two("10").await;
    let send = || {
        test.a.hs.send(
            &test.alice,
            &test.room,
            "test.message",
            r#"{"body":"1"}"#,
            Some("t"),
        )
    };
    let (one, two, three) = tokio::join!(send(), send(), send());
    assert_eq!(one.clone().unwrap(), two.unwrap());
    assert_eq!(one.unwrap(), three.unwrap());
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room).await, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_redaction_with_a_transaction_id_is_sent_once() {
    let test = two("10").await;
    let said = test
        .a
        .hs
        .send(&test.alice, &test.room, "test.message", "{}", None)
        .await
        .unwrap();
    let redact = || test.a.hs.redact(&test.alice, &test.room, &said, None, Some("r"));
    assert_eq!(redact().await.unwrap(), redact().await.unwrap());
    let redactions = history(&test.a.hs, &test.alice, &test.room).await;
    assert_eq!(
        redactions
            .iter()
            .filter(|event| event.kind == "m.room.redaction")
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_with_a_wrong_hash_is_taken_redacted() {
    let mut test = with_peer("10").await;
    let mut said = test.peer.event(
        &test.room,
        &test.mallory,
        "test.message",
        None,
        r#"{"body":"signed"}"#,
    );
    said.insert(
        "content".into(),
        object(r#"{"body":"changed on the way"}"#).into(),
    );
    let id = test.room.push(&said);
    let results = test.peer.send(&test.a.hs, "t", &[said]).await;
    assert_eq!(results[id.as_str()], object("{}").into());
    assert_eq!(
        test.a
            .hs
            .event(&test.alice, &test.room.id, &id)
            .await
            .unwrap()
            .content,
        "{}"
    );
    let target = format!("/_matrix/federation/v1/event/{}", encode(&id));
    let reply = test.peer.ask(&test.a.hs, "GET", &target, None).await;
    assert_eq!(reply.events("pdus")[0]["content"], object("{}").into());
}

#[tokio::test(start_paused = true)]
async fn an_event_after_a_soft_failed_one_takes_the_place_of_what_that_followed() {
    let test = with_peer("10").await;
    let nancy = test.peer.user("nancy");
    let mut room = test.peer.join(&test.a.hs, &test.room.id, &nancy).await;
    let ban = test
        .a
        .hs
        .ban(&test.alice, &room.id, &test.mallory, None)
        .await
        .unwrap();
    // A branch that does not know of the ban: Mallory's event is allowed there, and refused by the present.
    let aside = test.peer.say(&mut room, &nancy, "aside");
    let late = test.peer.say(&mut room, &test.mallory, "late");
    let after = test.peer.say(&mut room, &nancy, "after");
    test.peer
        .send(&test.a.hs, "t1", &[aside, late.clone(), after.clone()])
        .await;
    let record = test.a.record(&room.id);
    let held = |num| test.a.store.event_by_num(record.num, num).unwrap().unwrap();
    let mut forward: Vec<EventId> = record.forward.iter().map(|num| held(*num).id).collect();
    forward.sort_unstable();
    let mut wanted = vec![ban, room.id_of(&after)];
    wanted.sort_unstable();
    assert_eq!(forward, wanted);
    let late = test
        .a
        .store
        .event(record.num, &room.id_of(&late))
        .unwrap()
        .unwrap();
    assert!(late.flags.soft_failed);
}
