//! Events that come after those that follow them.

use crate::common::{WithPeer, bodies, with_peer};
use roomlet_store::Store;
use roomlet_wire::{EventId, Map, Value};
use roomlet_world::list;

/// Lets the peer tell the state as it is now, of which nothing has to be fetched.
fn serve_present_state(test: &WithPeer) {
    let told = Map::from([
        (
            "pdu_ids".to_owned(),
            list(test.room.state.values().map(|id| id.as_str())),
        ),
        ("auth_chain_ids".to_owned(), Value::Array(Vec::new())),
    ]);
    test.peer.answer_with("/_matrix/federation/v1/state_ids/", told);
}

/// The forward extremities.
fn forward(test: &WithPeer) -> Vec<EventId> {
    let record = test.a.record(&test.room.id);
    let event = |num| test.a.store.event_by_num(record.num, num).unwrap().unwrap().id;
    record.forward.into_iter().map(event).collect()
}

#[tokio::test(start_paused = true)]
async fn what_others_follow_already_is_no_extremity() {
    let mut test = with_peer("10").await;
    serve_present_state(&test);
    let [one, two, three] =
        ["one", "two", "three"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    test.peer.send(&test.a.hs, "1", &[three]).await;
    test.world.quiet().await;
    test.peer.send(&test.a.hs, "2", &[one]).await;
    test.peer.send(&test.a.hs, "3", &[two]).await;
    assert_eq!(
        bodies(&test.a.hs, &test.alice, &test.room.id).await,
        ["one", "two", "three"]
    );
    assert_eq!(forward(&test), test.room.latest);
}
