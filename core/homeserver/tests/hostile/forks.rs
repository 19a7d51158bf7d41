//! Rooms with many branches.

use crate::common::{WithPeer, bodies, in_room_of_peer, public_room, strangers};
use roomlet_wire::{Map, Value};
use roomlet_world::{Present, encode};

#[tokio::test(start_paused = true)]
async fn deep_branches_from_before_a_user_came_do_not_silence_them() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut before = peer.join(&a.hs, &room, &mallory).await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    peer.tells_state_ids(&before);
    before.depth = 1_000_000;
    let branches: Vec<Map> = (0..12)
        .map(|n| {
            let content = format!(r#"{{"body":"{n}"}}"#);
            peer.event(&before, &mallory, "test.message", None, &content)
        })
        .collect();
    peer.send(&b.hs, "t", &branches).await;
    world.quiet().await;
    assert_eq!(b.record(&room).forward.len(), 13);
    let said =
        b.hs.send(&bob, &room, "test.message", r#"{"body":"here"}"#, None)
            .await;
    assert!(said.is_ok(), "{said:?}");
    assert_eq!(b.record(&room).forward.len(), 4, "ten became one");
    let bodies = bodies(&b.hs, &bob, &room).await;
    assert_eq!(bodies.last().map(String::as_str), Some("here"));
}

/// Two branches of a room: on one nobody is let in any more; on the other, as the peer tells it, Eve joined and set
/// something. Her join comes as what it is, refused, and the second branch goes on. Gives what the room is then.
async fn present_after_a_refused_join(is_restarted: bool) -> Present {
    let test = in_room_of_peer("10", |peer, mallory, room| {
        let levels = format!(r#"{{"users":{{"{mallory}":100}},"events":{{"test.set":0}}}}"#);
        room.push(&peer.event(room, mallory, "m.room.power_levels", Some(""), &levels));
    })
    .await;
    let WithPeer {
        world,
        mut a,
        alice,
        peer,
        mallory,
        mut room,
    } = test;

    let eve = peer.user("eve");
    let mut told = room.clone();
    let closed = r#"{"join_rule":"invite"}"#;
    let closed = peer.event(&room, &mallory, "m.room.join_rules", Some(""), closed);
    told.latest = vec![room.push(&closed)];
    let join = peer.event(
        &told,
        &eve,
        "m.room.member",
        Some(&eve),
        r#"{"membership":"join"}"#,
    );
    told.push(&join);
    let set = peer.event(&told, &eve, "test.set", Some(""), "{}");
    told.push(&set);
    for event in [&join, &set] {
        let target = format!("/_matrix/federation/v1/event/{}", encode(&room.id_of(event)));
        let pdus = Value::Array(vec![event.clone().into()]);
        peer.answer_with(&target, Map::from([("pdus".to_owned(), pdus)]));
    }
    peer.tells_state_ids(&told);
    peer.say(&mut told, &mallory, "unseen");
    let end = peer.say(&mut told, &mallory, "end");
    peer.send(&a.hs, "1", &[closed]).await;
    peer.send(&a.hs, "2", &[end]).await;
    world.quiet().await;
    let more = peer.say(&mut told, &mallory, "more");
    peer.send(&a.hs, "3", &[more, join]).await;
    if is_restarted {
        a.restart().await;
    }
    let last = peer.say(&mut told, &mallory, "last");
    peer.send(&a.hs, "4", &[last]).await;
    assert_eq!(bodies(&a.hs, &alice, &room.id).await, ["end", "more", "last"]);
    Present::of(&*a.store, &room.id)
}

#[tokio::test(start_paused = true)]
async fn what_a_fork_resolves_to_does_not_depend_on_what_is_remembered() {
    let remembered = present_after_a_refused_join(false).await;
    assert_eq!(remembered, present_after_a_refused_join(true).await);
    let set = ("test.set".to_owned(), String::new());
    assert!(!remembered.state.contains_key(&set));
}
