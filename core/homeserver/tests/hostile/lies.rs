//! Servers that claim what is not so.

use crate::common::{bodies, code, membership, public_room, with_peer};
use async_trait::async_trait;
use roomlet_homeserver::{Code, EventId, Limits, Policy, RoomId, RoomUpdate, ServerName, UserId};
use roomlet_store::Store;
use roomlet_wire::{Map, RoomVersion, Value};
use roomlet_world::{PeerRoom, World, encode, list, object};
use std::{sync::Arc, time::Duration};

fn events(events: &[Map]) -> Value {
    Value::Array(events.iter().cloned().map(Value::Object).collect())
}

#[tokio::test(start_paused = true)]
async fn a_join_that_meets_no_condition_gets_no_signature() {
    let world = World::new();
    let a = world.server("a.test").await;
    let alice = a.account("alice").await;
    let club = public_room(&a, &alice, "10").await;
    let room = public_room(&a, &alice, "10").await;
    let rules = format!(
        r#"{{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{club}"}}]}}"#
    );
    a.hs.set_state(&alice, &room, "m.room.join_rules", "", &rules, None)
        .await
        .unwrap();
    // The peer never asked for a template: it knows what to cite, and names Alice by itself.
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut known = PeerRoom::new(room.clone(), RoomVersion::get("10").unwrap());
    for event in a.hs.state(&alice, &room).await.unwrap() {
        let slot = (event.kind, event.state_key.unwrap());
        known.state.insert(slot, event.event_id);
    }
    let (num, newest) = (a.record(&room).num, a.record(&room).forward[0]);
    let newest = a.store.event_by_num(num, newest).unwrap().unwrap();
    (known.latest, known.depth) = (vec![newest.id], newest.depth);
    let content = format!(r#"{{"membership":"join","join_authorised_via_users_server":"{alice}"}}"#);
    let join = peer.event(&known, &mallory, "m.room.member", Some(&mallory), &content);
    let target = format!(
        "/_matrix/federation/v2/send_join/{}/{}",
        encode(&room),
        encode(&known.id_of(&join))
    );
    let reply = peer.ask(&a.hs, "PUT", &target, Some(join)).await;
    assert_eq!((reply.status, reply.text("errcode")), (403, "M_FORBIDDEN"));
    assert_eq!(membership(&a.hs, &alice, &room, &mallory).await, "none");
}

#[tokio::test(start_paused = true)]
async fn a_lie_about_the_past_rejects_no_event_of_the_present() {
    let world = World::new();
    let (a, peer) = (world.server("a.test").await, world.peer("peer.test"));
    let (alice, mallory) = (a.account("alice").await, peer.user("mallory"));
    let mut room = peer.create_room(&mallory, "10", "public");
    peer.serve_joins(&room);
    a.hs.join(&alice, &room.id, std::slice::from_ref(&peer.name))
        .await
        .unwrap();
    // The power levels, which a.test holds as an outlier, as history on an empty state.
    let levels = room.state_id("m.room.power_levels", "");
    let rules = room.state_id("m.room.join_rules", "");
    let history = [room.events[&levels].clone(), room.events[&rules].clone()];
    peer.answer_with(
        "/_matrix/federation/v1/backfill/",
        Map::from([("pdus".to_owned(), events(&history))]),
    );
    peer.answer_with(
        "/_matrix/federation/v1/state_ids/",
        object(r#"{"pdu_ids":[],"auth_chain_ids":[]}"#),
    );
    bodies(&a.hs, &alice, &room.id).await;
    let num = a.record(&room.id).num;
    let held = a.store.event(num, &levels).unwrap().unwrap();
    assert!(!held.flags.rejected, "{:?}", held.flags);
    let record = a.record(&room.id);
    let newest = a.store.event_by_num(num, record.forward[0]).unwrap().unwrap();
    (room.latest, room.depth) = (vec![newest.id], newest.depth);
    let after = peer.say(&mut room, &mallory, "after");
    peer.send(&a.hs, "t", &[after]).await;
    assert_eq!(bodies(&a.hs, &alice, &room.id).await, ["after"]);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_had_whole_is_not_taken() {
    let mut test = with_peer("10").await;
    let state: Vec<EventId> = test.room.state.values().cloned().collect();
    test.peer.say(&mut test.room, &test.mallory, "unseen");
    let late = test.peer.say(&mut test.room, &test.mallory, "late");
    let unknown = (0..41).map(|n| format!("${n:0>43}"));
    let ids: Vec<String> = state.iter().map(ToString::to_string).chain(unknown).collect();
    let told = Map::from([
        ("pdu_ids".to_owned(), list(ids)),
        ("auth_chain_ids".to_owned(), Value::Array(Vec::new())),
    ]);
    test.peer.answer_with("/_matrix/federation/v1/state_ids/", told);
    test.peer.send(&test.a.hs, "t", &[late]).await;
    test.world.quiet().await;
    assert_eq!(test.a.store.staged(None).unwrap().len(), 1, "it waits");
    assert!(bodies(&test.a.hs, &test.alice, &test.room.id).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_create_event_in_the_chain_does_not_take_the_rooms_place() {
    let world = World::new();
    let (a, peer) = (world.server("a.test").await, world.peer("peer.test"));
    let (alice, mallory) = (a.account("alice").await, peer.user("mallory"));
    let room = peer.create_room(&mallory, "10", "public");
    let mut chain: Vec<Map> = room.events.values().cloned().collect();
    let mut other = room.draft(
        &mallory,
        "m.room.create",
        Some(""),
        object(&format!(r#"{{"room_version":"10","creator":"{mallory}","x":1}}"#)),
        1,
    );
    other.insert("prev_events".into(), Value::Array(Vec::new()));
    other.insert("auth_events".into(), Value::Array(Vec::new()));
    other.insert("depth".into(), Value::Int(0));
    chain.push(peer.signed(other, room.version));
    peer.serve_joins(&room);
    let state = Value::Array(room.state_events());
    peer.answer("/_matrix/federation/v2/send_join/", move |_| {
        roomlet_homeserver::Response::ok(&Map::from([
            ("auth_chain".to_owned(), events(&chain)),
            ("state".to_owned(), state.clone()),
        ]))
    });
    a.hs.join(&alice, &room.id, std::slice::from_ref(&peer.name))
        .await
        .unwrap();
    let create =
        a.hs.state_event(&alice, &room.id, "m.room.create", "")
            .await
            .unwrap()
            .unwrap();
    assert_eq!(create.event_id, room.state_id("m.room.create", ""));
}

/// A host that wants no messages of others.
struct NoMessages;

#[async_trait]
impl Policy for NoMessages {
    async fn accept_invite(&self, _: &RoomId, _: &UserId, _: &UserId) -> bool {
        true
    }
    async fn accept_join(&self, _: &RoomId, _: &UserId) -> bool {
        true
    }
    async fn accept_request(&self, _: &ServerName, _: &str, _: &str) -> bool {
        true
    }
    async fn accept_event(&self, _: &RoomId, _: &EventId, _: &UserId, kind: &str) -> bool {
        kind != "test.message"
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_host_refuses_does_not_come_in_through_a_gap() {
    let world = World::new();
    let a = world
        .server_with("a.test", Limits::default(), Arc::new(NoMessages))
        .await;
    let alice = a.account("alice").await;
    let id = public_room(&a, &alice, "10").await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut room = peer.join(&a.hs, &id, &mallory).await;
    let [one, two] = ["one", "two"].map(|body| peer.say(&mut room, &mallory, body));
    peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), events(std::slice::from_ref(&one)))]),
    );
    peer.send(&a.hs, "t", &[two]).await;
    world.quiet().await;
    let held = a.store.event(a.record(&id).num, &room.id_of(&one)).unwrap();
    assert!(held.unwrap().flags.soft_failed);
    assert!(bodies(&a.hs, &alice, &id).await.is_empty());
    let event = a.hs.event(&alice, &id, &room.latest[0]).await;
    assert_eq!(code(event), Code::UnknownEvent);
}

/// A server can make two rooms of one id: which is the real one nobody can know, and what users saw of the first does not
/// go away because it tells of the second.
#[tokio::test(start_paused = true)]
async fn another_room_of_the_same_id_is_joined_only_when_the_first_is_forgotten() {
    let world = World::new();
    let a = world.server("a.test").await;
    let alice = a.account("alice").await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut first = peer.create_room(&mallory, "10", "public");
    let via = [peer.name.clone()];
    peer.serve_joins(&first);
    a.hs.join(&alice, &first.id, &via).await.unwrap();
    let join = a.hs.state_event(&alice, &first.id, "m.room.member", &alice).await;
    first.latest = vec![join.unwrap().unwrap().event_id];
    let said = peer.say(&mut first, &mallory, "hello");
    peer.send(&a.hs, "1", &[said]).await;
    a.hs.leave(&alice, &first.id, None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = peer.create_room(&mallory, "10", "public");
    assert_eq!(second.id, first.id);
    peer.serve_joins(&second);
    let error = a.hs.join(&alice, &first.id, &via).await.unwrap_err();
    assert_eq!(error.code(), Code::BadReply);
    let wanted = "another room !room:peer.test is held here, with another create event: it stays until it is forgotten";
    assert!(error.about().ends_with(wanted), "{error:?}");
    assert_eq!(bodies(&a.hs, &alice, &first.id).await, ["hello"]);
    a.hs.forget_room(&first.id).await.unwrap();
    a.hs.join(&alice, &first.id, &via).await.unwrap();
    assert_eq!(bodies(&a.hs, &alice, &first.id).await, [""; 0]);
}

/// With the signature the join would stand on an old branch of the room, for all servers.
#[tokio::test(start_paused = true)]
async fn a_join_that_is_refused_is_not_kept_with_the_residents_signature() {
    let mut test = with_peer("10").await;
    let (hs, alice, peer) = (&test.a.hs, &test.alice, &test.peer);
    let id = test.room.id.clone();
    let club = public_room(&test.a, alice, "10").await;
    let rules = format!(
        r#"{{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{club}"}}]}}"#
    );
    for rules in [&rules, r#"{"join_rule":"invite"}"#] {
        hs.set_state(alice, &id, "m.room.join_rules", "", rules, None)
            .await
            .unwrap();
    }
    test.world.quiet().await;
    // Mallory goes on from when the room was restricted, and keeps that to herself.
    let restricted = peer.received()[0].clone();
    test.room.push(&restricted);
    let hidden = peer.say(&mut test.room, &test.mallory, "hidden");
    peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), events(&[hidden]))]),
    );
    let trudy = peer.user("trudy");
    let content = format!(r#"{{"membership":"join","join_authorised_via_users_server":"{alice}"}}"#);
    let join = peer.event(&test.room, &trudy, "m.room.member", Some(&trudy), &content);
    let join_id = encode(&test.room.id_of(&join));
    let target = format!("/_matrix/federation/v2/send_join/{}/{join_id}", encode(&id));
    let reply = peer.ask(hs, "PUT", &target, Some(join)).await;
    assert_eq!(
        (reply.status, reply.text("errcode"), reply.text("error")),
        (
            403,
            "M_FORBIDDEN",
            "m.room.member of @trudy:peer.test is not allowed: AUTH-8d: the user is not invited, the join rule is invite"
        )
    );
    let target = format!("/_matrix/federation/v1/event/{join_id}");
    assert_eq!(peer.ask(hs, "GET", &target, None).await.status, 404);
}

/// Nobody knows better than this server which of its users left: others may not have heard of it, or not tell.
#[tokio::test(start_paused = true)]
async fn who_left_does_not_come_back_with_the_join_of_another_user() {
    let world = World::new();
    let (a, peer) = (world.server("a.test").await, world.peer("peer.test"));
    let (alice, carol, mallory) = (
        a.account("alice").await,
        a.account("carol").await,
        peer.user("mallory"),
    );
    let mut room = peer.create_room(&mallory, "10", "public");
    peer.serve_joins(&room);
    let via = std::slice::from_ref(&peer.name);
    a.hs.join(&alice, &room.id, via).await.unwrap();
    world.quiet().await;
    let num = a.record(&room.id).num;
    let joined = a.store.event_by_num(num, a.record(&room.id).forward[0]);
    room.push(&object(&joined.unwrap().unwrap().json));
    peer.serve_joins(&room);
    a.hs.leave(&alice, &room.id, None).await.unwrap();
    let before = a.updates().await.len();
    a.hs.join(&carol, &room.id, via).await.unwrap();
    assert_eq!(membership(&a.hs, &carol, &room.id, &alice).await, "leave");
    let updates = a.updates().await;
    let told = updates[before..].iter().filter_map(|update| match update {
        RoomUpdate::Membership { user, membership, .. } => Some((user, membership.as_str())),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(&carol, "join")]);
}

/// This server signs the join as its user's, which is not to stand for its word that the user may come in.
#[tokio::test(start_paused = true)]
async fn another_server_lets_nobody_in_by_the_name_of_a_user_of_this_one() {
    let mut test = with_peer("10").await;
    let (hs, id) = (&test.a.hs, test.room.id.clone());
    let carol = test.a.account("carol").await;
    let rules =
        r#"{"join_rule":"restricted","allow":[{"type":"m.room_membership","room_id":"!club:c.test"}]}"#;
    hs.set_state(&test.alice, &id, "m.room.join_rules", "", rules, None)
        .await
        .unwrap();
    test.world.quiet().await;
    test.room.push(&test.peer.received()[0]);
    test.peer.serve_joins(&test.room);
    let content = format!(
        r#"{{"membership":"join","join_authorised_via_users_server":"{}"}}"#,
        test.alice
    );
    let join = test
        .room
        .draft(&carol, "m.room.member", Some(&carol), object(&content), 0);
    test.peer.answer_with(
        "/_matrix/federation/v1/make_join/",
        Map::from([
            ("event".to_owned(), join.into()),
            ("room_version".to_owned(), "10".into()),
        ]),
    );
    let error = hs.join(&carol, &id, &[]).await.unwrap_err();
    assert_eq!(error.errcode(), "M_UNABLE_TO_AUTHORISE_JOIN");
    assert_eq!(membership(hs, &test.alice, &id, &carol).await, "none");
    let requests = test.world.network.requests(&test.a.name, &test.peer.name);
    assert!(
        requests
            .iter()
            .any(|request| request.target.contains("/make_join/"))
    );
    assert!(
        !requests
            .iter()
            .any(|request| request.target.contains("/send_join/"))
    );
}
