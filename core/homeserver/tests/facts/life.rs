//! Opening, closing, restarting.

use crate::common::{bodies, code, history, public_room, say, state, strangers, two};
use roomlet_homeserver::{
    AllowAll, Code, Config, CreateRoom, Direction, Homeserver, Limits, ServerName, StoreKind, StreamPos,
};
use roomlet_world::{World, encode};
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn every_operation_of_a_closed_server_answers_closed() {
    let test = two("10").await;
    let (hs, alice, bob, room) = (&test.a.hs, &test.alice, &test.bob, &test.room);
    let event = history(hs, alice, room).await.pop().unwrap().event_id;
    hs.close().await;
    hs.close().await;
    let codes = [
        code(hs.create_account("x").await),
        code(hs.accounts().await),
        code(hs.create_room(alice, CreateRoom::default()).await),
        code(hs.invite(alice, room, bob, None).await),
        code(hs.join(alice, room, &[]).await),
        code(hs.leave(alice, room, None).await),
        code(hs.kick(alice, room, bob, None).await),
        code(hs.ban(alice, room, bob, None).await),
        code(hs.unban(alice, room, bob, None).await),
        code(hs.send(alice, room, "m.test", "{}", None).await),
        code(hs.set_state(alice, room, "m.test", "", "{}", None).await),
        code(hs.redact(alice, room, &event, None, None).await),
        code(hs.timeline(alice, room, None, Direction::Forward, 1).await),
        code(hs.event(alice, room, &event).await),
        code(hs.state(alice, room).await),
        code(hs.state_event(alice, room, "m.room.create", "").await),
        code(hs.members(alice, room, None).await),
        code(hs.rooms(alice).await),
        code(hs.invite_preview(alice, room).await),
        code(hs.updates(StreamPos(0), 1).await),
        code(hs.last_update().await),
        code(hs.trim_updates(StreamPos(0)).await),
    ];
    assert_eq!(codes, [Code::Closed; 22]);
    let peer = test.world.peer("peer.test");
    let reply = peer.ask(hs, "GET", "/_matrix/federation/v1/version", None).await;
    assert_eq!(
        (reply.status, reply.text("error")),
        (503, "server a.test: closed")
    );
    hs.wake();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_hears_of_the_end() {
    let test = two("10").await;
    test.world.quiet().await;
    let last = test.a.hs.last_update().await.unwrap();
    let (waiting, ()) = tokio::join!(test.a.hs.updates(last, 1), test.a.hs.close());
    assert_eq!(code(waiting), Code::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_server_goes_on_where_it_was() {
    let mut test = two("11").await;
    say(&test.a.hs, &test.alice, &test.room, "before").await;
    let keys = test
        .world
        .peer("peer.test")
        .ask(&test.a.hs, "GET", "/_matrix/key/v2/server", None)
        .await;
    let (all, updates) = (
        history(&test.a.hs, &test.alice, &test.room).await,
        test.a.updates().await,
    );
    test.a.restart().await;
    assert_eq!(history(&test.a.hs, &test.alice, &test.room).await, all);
    assert_eq!(test.a.updates().await, updates);
    let again = test
        .world
        .peer("peer.test")
        .ask(&test.a.hs, "GET", "/_matrix/key/v2/server", None)
        .await;
    assert_eq!(again.body.get("verify_keys"), keys.body.get("verify_keys"));
    say(&test.a.hs, &test.alice, &test.room, "after").await;
    test.world.quiet().await;
    assert_eq!(
        bodies(&test.b.hs, &test.bob, &test.room).await,
        ["before", "after"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_belongs_to_one_name() {
    let world = World::new();
    let a = world.server("a.test").await;
    a.hs.close().await;
    let other = ServerName::parse("other.test").unwrap();
    let config = Config::new(other.clone(), StoreKind::Memory);
    let opened = Homeserver::open_with(config, world.env(&other), Arc::new(AllowAll), a.store.clone()).await;
    let error = opened.unwrap_err();
    assert_eq!(error.code(), Code::BadParam);
    assert_eq!(
        error.about(),
        "the store belongs to server a.test, not to other.test"
    );
}

#[tokio::test(start_paused = true)]
async fn limits_that_mean_nothing_are_refused_at_once() {
    let world = World::new();
    let name = ServerName::parse("a.test").unwrap();
    let open = async |limits| {
        let mut config = Config::new(name.clone(), StoreKind::Memory);
        config.limits = limits;
        let opened = Homeserver::open(config, world.env(&name), Arc::new(AllowAll)).await;
        let error = opened.unwrap_err();
        (error.code(), error.about().split(", ").next().unwrap().to_owned())
    };
    let version = Limits {
        default_room_version: "99".into(),
        ..Limits::default()
    };
    let about = "default_room_version: room version \"99\" is not one of 1".to_owned();
    assert_eq!(open(version).await, (Code::UnknownRoomVersion, about));
    let validity = Limits {
        key_validity_ms: 0,
        ..Limits::default()
    };
    let about = "key_validity_ms: 0 is not above 0".to_owned();
    assert_eq!(open(validity).await, (Code::BadParam, about));
}

#[tokio::test(start_paused = true)]
async fn more_rooms_than_are_held_in_memory_work_all_the_same() {
    let world = World::new();
    let limits = Limits {
        open_rooms: 2,
        ..Limits::default()
    };
    let a = world.server_with("a.test", limits, Arc::new(AllowAll)).await;
    let alice = a.account("alice").await;
    let mut rooms = Vec::new();
    for n in 0..6 {
        let create = CreateRoom {
            name: Some(n.to_string()),
            ..CreateRoom::default()
        };
        rooms.push(a.hs.create_room(&alice, create).await.unwrap());
    }
    for _ in 0..2 {
        for (n, room) in rooms.iter().enumerate() {
            say(&a.hs, &alice, room, "hello").await;
            let name = state(&a.hs, &alice, room, "m.room.name").await.unwrap();
            assert_eq!(name, format!(r#"{{"name":"{n}"}}"#));
        }
    }
    assert_eq!(bodies(&a.hs, &alice, &rooms[0]).await, ["hello", "hello"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_a_server_joins_is_not_lost() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    let via = [a.name.clone()];
    let talk = async {
        for n in 0..20 {
            say(&a.hs, &alice, &room, &n.to_string()).await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let (joined, ()) = tokio::join!(b.hs.join(&bob, &room, &via), talk);
    joined.unwrap();
    world.quiet().await;
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&b.hs, &bob, &room).await, expected);
}

#[tokio::test(start_paused = true)]
async fn public_endpoints_need_no_signature() {
    let world = World::new();
    let a = world.server("a.test").await;
    let peer = world.peer("peer.test");
    for target in ["/_matrix/federation/v1/version", "/_matrix/key/v2/server"] {
        let mut request = peer.request(&a.name, "GET", target, None);
        request.authorization.clear();
        assert_eq!(a.hs.handle_request(request).await.status, 200, "{target}");
    }
    let user = encode("@nobody:a.test");
    let reply = peer
        .ask(
            &a.hs,
            "GET",
            &format!("/_matrix/federation/v1/query/profile?user_id={user}"),
            None,
        )
        .await;
    assert_eq!((reply.status, reply.text("errcode")), (404, "M_NOT_FOUND"));
}
