//! Single moments at which a store fails, and what nobody would repeat.

use crate::{
    checks::present,
    common::{membership, rooms},
    servers::Node,
    story::{archive, create, create_with, invite, join, kick, pause, say},
};
use roomlet_homeserver::{Direction, Trust};
use roomlet_world::World;

async fn three() -> (World, Node, Node, Node) {
    let world = World::new();
    let a = Node::open(&world, "a.test", "alice", 0..0).await;
    let b = Node::open(&world, "b.test", "bob", 0..0).await;
    let c = Node::open(&world, "c.test", "carol", 0..0).await;
    (world, a, b, c)
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_is_taken_back_is_gone_also_where_the_store_failed_at_first() {
    for method in ["invites", "commit"] {
        let (_world, a, b, _) = three().await;
        let room = create(&a, "10").await;
        invite(&a, &room, &b).await;
        pause().await;
        assert_eq!(rooms(&b.hs, &b.user).await, [(room.clone(), "invite".into())]);
        b.faults.fail_next(method, 1);
        kick(&a, &room, &b).await;
        pause().await;
        assert_eq!(b.faults.met(), [method]);
        assert_eq!(rooms(&b.hs, &b.user).await, [], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_holds_for_an_invite_back_to_a_room_that_all_left() {
    for method in ["invites", "commit"] {
        let (_world, a, b, _) = three().await;
        let room = create_with(&a, &b).await;
        b.hs.leave(&b.user, &room, None).await.unwrap();
        pause().await;
        invite(&a, &room, &b).await;
        pause().await;
        b.faults.fail_next(method, 1);
        kick(&a, &room, &b).await;
        pause().await;
        assert_eq!(b.faults.met(), [method]);
        let is = rooms(&b.hs, &b.user).await;
        assert!(
            is.iter().all(|(_, membership)| membership != "invite"),
            "{method}: {is:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_leaves_no_state_out_because_the_store_of_keys_fails() {
    for calls in 1..6 {
        let (_world, a, b, c) = three().await;
        let room = create_with(&a, &b).await;
        invite(&a, &room, &c).await;
        pause().await;
        // Of Bob's server it knows nothing yet.
        c.faults.fail_next("keys", calls);
        join(&c, &room, &a).await;
        pause().await;
        assert_eq!(present(&c, &room), present(&a, &room), "{calls} calls failed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_not_refused_because_the_store_of_keys_fails() {
    for calls in 1..6 {
        let (_world, a, b, c) = three().await;
        let room = create_with(&a, &b).await;
        pause().await;
        let levels = format!(r#"{{"users":{{"{}":100}},"invite":0}}"#, a.user);
        let set = async || {
            let kind = "m.room.power_levels";
            a.hs.set_state(&a.user, &room, kind, "", &levels, None).await
        };
        a.insist(set).await;
        invite(&b, &room, &c).await;
        pause().await;
        // Bob's server tells Alice's of the join, which Carol's signed.
        a.faults.fail_next("keys", calls);
        join(&c, &room, &b).await;
        pause().await;
        let is = membership(&a.hs, &a.user, &room, &c.user).await;
        assert_eq!(is, "join", "{calls} calls failed");
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_leaves_no_event_out_because_the_store_of_keys_fails() {
    for calls in 1..6 {
        let (_world, a, b, c) = three().await;
        let room = create_with(&a, &b).await;
        pause().await;
        let archive = archive(&a, &room);
        c.faults.fail_next("keys", calls);
        let import = async || c.hs.import_room(archive.path(), Trust::Nothing).await;
        let imported = c.insist(import).await;
        assert_eq!(imported.left_out, 0, "{calls} calls failed: {imported:?}");
        assert_eq!(present(&c, &room), present(&a, &room), "{calls} calls failed");
    }
}

#[tokio::test(start_paused = true)]
async fn history_that_could_not_be_stored_is_asked_for_again() {
    let (_world, a, b, _) = three().await;
    let room = create(&a, "10").await;
    say(&a, &room, "before").await;
    invite(&a, &room, &b).await;
    join(&b, &room, &a).await;
    pause().await;
    b.faults.fail_next("commit", 1);
    let page = async || {
        let page = b.hs.timeline(&b.user, &room, None, Direction::Backward, 100);
        let events = page.await.unwrap().events.into_iter();
        events.filter(|event| event.kind == "test.message").count()
    };
    assert_eq!((page().await, b.faults.met()), (0, vec!["commit".into()]));
    assert_eq!(page().await, 1);
}
