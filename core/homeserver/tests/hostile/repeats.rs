//! Requests that are made again and again.

use crate::common::with_peer;
use roomlet_homeserver::{AllowAll, Code, Config, CreateRoom, Homeserver, Preset, StoreKind};
use roomlet_store::Store;
use roomlet_wire::{Error, EventId, ServerName, Value};
use roomlet_world::{HookedStore, World, encode};
use std::sync::{Arc, Mutex};

#[tokio::test(start_paused = true)]
async fn a_join_that_is_handed_in_again_is_not_sent_out_again() {
    let test = with_peer("10").await;
    let other = test.world.peer("other.test");
    other.join(&test.a.hs, &test.room.id, &other.user("oscar")).await;
    let third = test.world.peer("third.test");
    let known = third.join(&test.a.hs, &test.room.id, &third.user("trudy")).await;
    let id = known.state_id("m.room.member", "@trudy:third.test");
    let join = known.events[&id].clone();
    let target = format!(
        "/_matrix/federation/v2/send_join/{}/{}",
        encode(&test.room.id),
        encode(&id)
    );
    for _ in 0..20 {
        let reply = third.ask(&test.a.hs, "PUT", &target, Some(join.clone())).await;
        assert_eq!(reply.status, 200);
    }
    test.world.quiet().await;
    let of_trudy = Value::from("@trudy:third.test");
    let received = other.received();
    let joins = received.iter().filter(|event| event["sender"] == of_trudy);
    assert_eq!(joins.count(), 1);
}

/// The resident crashes when it has taken a join, and before it does anything else: what comes after the commit is lost.
#[tokio::test(start_paused = true)]
async fn a_join_that_was_taken_before_a_crash_is_sent_out_all_the_same() {
    let world = World::new();
    let name = ServerName::parse("a.test").unwrap();
    let watched: Arc<Mutex<Option<EventId>>> = Arc::default();
    let id = watched.clone();
    let store = HookedStore::new(move |store, method| {
        let mut id = id.lock().unwrap();
        let is_held = |id: &mut EventId| !store.find_event(id).unwrap().is_empty();
        match id.take_if(|id| method == "commit" && is_held(id)) {
            Some(_) => Err(Error::new(Code::Store, "the process is killed")),
            None => Ok(()),
        }
    });
    let config = Config::new(name.clone(), StoreKind::Memory);
    let env = world.env(&name);
    let hs = Homeserver::open_with(config, env, Arc::new(AllowAll), Arc::new(store)).await;
    let hs = hs.unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some("10".into()),
        ..CreateRoom::default()
    };
    let room = hs.create_room(&alice, create).await.unwrap();
    let other = world.peer("other.test");
    let mut known = other.join(&hs, &room, &other.user("oscar")).await;
    // The template is of another resident, and what it cites has to be fetched from there.
    let late = other.say(&mut known, &other.user("oscar"), "late");
    let events = Value::Array(vec![Value::Object(late)]);
    other.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        [("events".to_owned(), events)].into(),
    );
    let third = world.peer("third.test");
    let trudy = third.user("trudy");
    let join = r#"{"membership":"join"}"#;
    let join = third.event(&known, &trudy, "m.room.member", Some(&trudy), join);
    let id = known.id_of(&join);
    *watched.lock().unwrap() = Some(id.clone());
    let target = format!(
        "/_matrix/federation/v2/send_join/{}/{}",
        encode(&room),
        encode(&id)
    );
    third.ask(&hs, "PUT", &target, Some(join.clone())).await;
    assert_eq!(
        third.ask(&hs, "PUT", &target, Some(join.clone())).await.status,
        200
    );
    world.quiet().await;
    let received = other.received();
    let joins = received
        .iter()
        .filter(|event| event["sender"] == trudy.as_str().into());
    assert_eq!(joins.count(), 1);
}
