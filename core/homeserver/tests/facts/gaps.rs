//! Events whose parents are not here: fetched, or waited for; and events that the present refuses.

use crate::common::{
    WithPeer, ban_eve_and_close, bodies, history, in_room_of_peer, join_eve, say, state, with_peer,
};
use roomlet_homeserver::{EventId, Response};
use roomlet_store::Store;
use roomlet_wire::{Map, Value, json};
use roomlet_world::{PeerRoom, Present, StateIds, encode, list, object};
use std::collections::{BTreeSet, VecDeque};

/// Three messages, of which the newest alone is sent.
fn three(test: &mut WithPeer) -> [Map; 3] {
    ["one", "two", "three"].map(|body| test.peer.say(&mut test.room, &test.mallory, body))
}

fn serve_missing(test: &WithPeer, events: &[Map]) {
    let events = Value::Array(events.iter().cloned().map(Value::Object).collect());
    let body = Map::from([("events".to_owned(), events)]);
    test.peer
        .answer_with("/_matrix/federation/v1/get_missing_events/", body);
}

/// Lets the peer tell states and single events, as they are in `room`.
fn serve_states(test: &WithPeer, room: &PeerRoom) {
    let chain = room.events.keys().map(|id| id.as_str());
    let ids = Map::from([
        ("auth_chain_ids".to_owned(), list(chain)),
        (
            "pdu_ids".to_owned(),
            list(room.state.values().map(|id| id.as_str())),
        ),
    ]);
    test.peer.answer_with("/_matrix/federation/v1/state_ids/", ids);
    for (id, event) in &room.events {
        let pdus = Value::Array(vec![event.clone().into()]);
        test.peer.answer_with(
            &format!("/_matrix/federation/v1/event/{}", encode(id)),
            Map::from([("pdus".to_owned(), pdus)]),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_filled_with_missing_events() {
    let mut test = with_peer("10").await;
    let [one, two, three] = three(&mut test);
    serve_missing(&test, &[two, one]);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.world.quiet().await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two", "three"]
    );
    assert!(test.a.store.staged(None).unwrap().is_empty());
    assert_eq!(test.a.record(&test.room.id).forward.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_a_gap_stays_the_state_is_asked_for() {
    let mut test = with_peer("10").await;
    let before = test.room.clone();
    let [_, _, three] = three(&mut test);
    serve_states(&test, &before);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.world.quiet().await;
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, ["three"]);
    let missing = test
        .a
        .store
        .missing_prevs(test.a.record(&test.room.id).num)
        .unwrap();
    assert_eq!(missing.len(), 1, "a backward extremity");
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_explains_are_given_up() {
    let mut test = with_peer("10").await;
    let [_, _, three] = three(&mut test);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    assert_eq!(test.a.store.staged(None).unwrap().len(), 1);
    test.world.quiet().await;
    assert_eq!(
        test.a.store.staged(None).unwrap().len(),
        1,
        "the peer may be away only for now"
    );
    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
    assert!(test.a.store.staged(None).unwrap().is_empty());
    assert!(bodies(&test.a.hs, &test.alice, &test.room.id).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_loses_no_event_that_waits() {
    let mut test = with_peer("10").await;
    let [one, two, three] = three(&mut test);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.a.stop().await;
    assert_eq!(test.a.store.staged(None).unwrap().len(), 1);
    serve_missing(&test, &[one, two]);
    test.a.start().await;
    test.world.quiet().await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two", "three"]
    );
    assert!(test.a.store.staged(None).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_long_gap_is_walked_in_many_rounds() {
    let mut test = with_peer("10").await;
    let messages: Vec<Map> = (0..90)
        .map(|n| test.peer.say(&mut test.room, &test.mallory, &n.to_string()))
        .collect();
    let (room, all) = (test.room.clone(), messages.clone());
    test.peer
        .answer("/_matrix/federation/v1/get_missing_events/", move |request| {
            let body = roomlet_wire::json::parse_object(&request.body).unwrap();
            let latest = body["latest_events"].as_array().unwrap();
            let limit = usize::try_from(body["limit"].as_int().unwrap()).unwrap();
            let at = all
                .iter()
                .position(|event| latest.contains(&Value::from(room.id_of(event).as_str())))
                .unwrap();
            let events = all[at.saturating_sub(limit)..at]
                .iter()
                .cloned()
                .map(Value::Object)
                .collect();
            roomlet_homeserver::Response::ok(&Map::from([("events".to_owned(), Value::Array(events))]))
        });
    test.peer.send(&test.a.hs, "t", &messages[89..]).await;
    test.world.quiet().await;
    let expected: Vec<String> = (0..90).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_present_forbids_is_hidden_and_no_extremity() {
    let mut test = with_peer("10").await;
    // Written, so its sender says, before the ban.
    let late = test.peer.say(&mut test.room, &test.mallory, "late");
    let id = test.room.id_of(&late);
    test.a
        .hs
        .ban(&test.alice, &test.room.id, &test.mallory, None)
        .await
        .unwrap();
    let (record, updates) = (
        test.a.record(&test.room.id),
        test.a.hs.last_update().await.unwrap(),
    );
    let results = test.peer.send(&test.a.hs, "t", &[late]).await;
    assert_eq!(
        results[id.as_str()],
        object("{}").into(),
        "soft failure is this server's own matter"
    );
    let row = test.a.store.event(record.num, &id).unwrap().unwrap();
    assert!(row.flags.soft_failed && !row.flags.rejected);
    assert_eq!(test.a.record(&test.room.id).forward, record.forward);
    assert_eq!(test.a.hs.last_update().await.unwrap(), updates);
    assert!(bodies(&test.a.hs, &test.alice, &test.room.id).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lie_about_the_state_does_not_change_ours_for_the_worse() {
    let mut test = with_peer("10").await;
    test.a
        .hs
        .set_state(
            &test.alice,
            &test.room.id,
            "m.room.topic",
            "",
            r#"{"topic":"ours"}"#,
            None,
        )
        .await
        .unwrap();
    let power = state(&test.a.hs, &test.alice, &test.room.id, "m.room.power_levels")
        .await
        .unwrap();
    // A power grab, refused by its own auth events, told as state at an event behind a gap.
    let levels = format!(r#"{{"users":{{"{}":100}}}}"#, test.mallory);
    let mut lie = test.room.clone();
    lie.push(
        &test
            .peer
            .event(&lie, &test.mallory, "m.room.power_levels", Some(""), &levels),
    );
    let [_, _, three] = three(&mut test);
    serve_states(&test, &lie);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.world.quiet().await;
    assert_eq!(
        state(&test.a.hs, &test.alice, &test.room.id, "m.room.power_levels")
            .await
            .unwrap(),
        power
    );
    assert_eq!(
        state(&test.a.hs, &test.alice, &test.room.id, "m.room.topic")
            .await
            .unwrap(),
        r#"{"topic":"ours"}"#
    );
}

/// Alice bans somebody and sets a topic; the peer goes on telling the state before that. Gives the newest event and the
/// state.
async fn with_a_lie() -> (WithPeer, EventId, StateIds) {
    let test = with_peer("10").await;
    serve_states(&test, &test.room);
    let (hs, id) = (&test.a.hs, &test.room.id);
    let eve = test.peer.user("eve");
    hs.ban(&test.alice, id, &eve, None).await.unwrap();
    let topic = hs.set_state(&test.alice, id, "m.room.topic", "", r#"{"topic":"ours"}"#, None);
    let newest = topic.await.unwrap();
    let state = Present::of(&*test.a.store, id).state;
    (test, newest, state)
}

#[tokio::test(start_paused = true)]
async fn a_lie_about_the_state_does_not_take_the_place_of_what_is_known_before_it() {
    let (mut test, newest, state) = with_a_lie().await;
    // It follows the newest event, and another that comes by itself only.
    test.peer.say(&mut test.room, &test.mallory, "unseen");
    serve_states(&test, &test.room);
    test.room.latest.push(newest);
    let said = test.peer.say(&mut test.room, &test.mallory, "said");
    test.peer.send(&test.a.hs, "t", &[said]).await;
    test.world.quiet().await;
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room.id).await, ["said"]);
    let present = Present::of(&*test.a.store, &test.room.id);
    assert_eq!(present.forward, test.room.latest);
    assert_eq!(present.state, state);
}

#[tokio::test(start_paused = true)]
async fn a_lie_about_the_state_does_not_take_the_place_of_what_comes_after_it() {
    let (mut test, newest, state) = with_a_lie().await;
    test.room.latest = vec![newest];
    let late = test.peer.say(&mut test.room, &test.mallory, "late");
    let said = test.peer.say(&mut test.room, &test.mallory, "said");
    for (txn, event) in [("1", said), ("2", late)] {
        test.peer.send(&test.a.hs, txn, &[event]).await;
        test.world.quiet().await;
        assert_eq!(Present::of(&*test.a.store, &test.room.id).state, state);
    }
    let bodies = bodies(&test.a.hs, &test.alice, &test.room.id).await;
    assert_eq!(bodies, ["late", "said"]);
}

#[tokio::test(start_paused = true)]
async fn a_redaction_of_what_came_late_is_applied_after_the_gap() {
    let mut test = with_peer("10").await;
    let one = test.peer.say(&mut test.room, &test.mallory, "one");
    let target = test.room.id_of(&one);
    let mut redaction = test.room.draft(
        &test.mallory,
        "m.room.redaction",
        None,
        object("{}"),
        test.peer.now_ms(),
    );
    redaction.insert("redacts".into(), target.as_str().into());
    let redaction = test.peer.signed(redaction, test.room.version);
    test.room.push(&redaction);
    serve_missing(&test, &[one]);
    test.peer.send(&test.a.hs, "t", &[redaction]).await;
    test.world.quiet().await;
    let event = test
        .a
        .hs
        .event(&test.alice, &test.room.id, &target)
        .await
        .unwrap();
    assert_eq!(event.content, "{}");
}

/// Gives of what is behind `latest_events` the first ten, breadth first, but for what is behind `earliest_events`.
fn serve_ten(test: &WithPeer) {
    let events = test.room.events.clone();
    test.peer
        .answer("/_matrix/federation/v1/get_missing_events/", move |request| {
            let body = json::parse_object_lenient(&request.body).unwrap();
            let ids = |list: &Value| -> Vec<EventId> {
                let ids = list.as_array().unwrap().iter();
                ids.map(|id| EventId::parse(id.as_str().unwrap()).unwrap())
                    .collect()
            };
            let mut seen: BTreeSet<EventId> = ids(&body["earliest_events"]).into_iter().collect();
            let parents = |id: &EventId| ids(&events[id]["prev_events"]);
            let mut queue: VecDeque<EventId> = ids(&body["latest_events"]).iter().flat_map(parents).collect();
            let mut found = Vec::new();
            while let Some(id) = queue.pop_front().filter(|_| found.len() < 10) {
                if events.contains_key(&id) && seen.insert(id.clone()) {
                    queue.extend(parents(&id));
                    found.push(events[&id].clone().into());
                }
            }
            Response::ok(&Map::from([("events".to_owned(), Value::Array(found))]))
        });
}

#[tokio::test(start_paused = true)]
async fn what_is_here_already_does_not_fill_the_reply() {
    let mut test = with_peer("10").await;
    let mut past = Vec::new();
    for number in 0..20 {
        let event = test.peer.say(&mut test.room, &test.mallory, &number.to_string());
        past.push(test.room.latest[0].clone());
        test.peer.send(&test.a.hs, &number.to_string(), &[event]).await;
    }
    // One that is not here, and another that follows it and much of the past.
    test.peer.say(&mut test.room, &test.mallory, "unseen");
    past.truncate(15);
    past.append(&mut test.room.latest);
    test.room.latest = past;
    let last = test.peer.say(&mut test.room, &test.mallory, "last");
    serve_ten(&test);
    test.peer.send(&test.a.hs, "last", &[last]).await;
    test.world.quiet().await;
    let bodies = bodies(&test.a.hs, &test.alice, &test.room.id).await;
    assert_eq!(bodies[20..], ["unseen", "last"]);
}

#[tokio::test(start_paused = true)]
async fn history_behind_what_is_here_is_no_part_of_a_gap() {
    let mut test = in_room_of_peer("10", |peer, _, room| {
        let eve = join_eve(peer, room);
        peer.say(room, &eve, "before");
    })
    .await;
    // Two branches after the join: on one Eve is banned and the room closed, of the other only the end comes.
    let mut other = test.room.clone();
    ban_eve_and_close(&mut test).await;
    test.peer.say(&mut other, &test.mallory, "unseen");
    let last = test.peer.say(&mut other, &test.mallory, "last");
    let mut latest = [test.room.latest[0].clone(), other.latest[0].clone()];
    latest.sort_unstable();
    let (state, id) = (test.room.state.clone(), test.room.id.clone());
    test.room = other;
    serve_ten(&test);
    test.peer.send(&test.a.hs, "last", &[last]).await;
    test.world.quiet().await;
    let present = Present::of(&*test.a.store, &id);
    assert_eq!(present.forward, latest);
    assert_eq!(present.state, state);
    assert_eq!(bodies(&test.a.hs, &test.alice, &id).await, ["unseen", "last"]);
}

#[tokio::test(start_paused = true)]
async fn forks_of_two_servers_become_one_again_with_the_next_event() {
    let mut test = with_peer("10").await;
    let theirs = test.peer.say(&mut test.room, &test.mallory, "theirs");
    say(&test.a.hs, &test.alice, &test.room.id, "ours").await;
    test.peer.send(&test.a.hs, "t", &[theirs]).await;
    assert_eq!(test.a.record(&test.room.id).forward.len(), 2);
    say(&test.a.hs, &test.alice, &test.room.id, "both").await;
    assert_eq!(test.a.record(&test.room.id).forward.len(), 1);
    test.world.quiet().await;
    let newest = test.peer.received().pop().unwrap();
    assert_eq!(newest["prev_events"].as_array().unwrap().len(), 2);
    assert_eq!(
        history(&test.a.hs, &test.alice, &test.room.id)
            .await
            .last()
            .unwrap()
            .content,
        r#"{"body":"both"}"#
    );
}
