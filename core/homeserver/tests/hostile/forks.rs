//! Rooms with many branches.

use crate::common::{bodies, public_room, strangers};
use roomlet_wire::Map;

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
