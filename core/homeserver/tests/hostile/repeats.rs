//! Requests that are made again and again.

use crate::common::with_peer;
use roomlet_wire::Value;
use roomlet_world::encode;

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
