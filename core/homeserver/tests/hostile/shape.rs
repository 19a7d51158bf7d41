//! Events that no server may send, by ways on which other servers do not look at them so closely.

use crate::common::with_peer;
use roomlet_store::Store;
use roomlet_wire::{Map, Value};
use roomlet_world::list;

/// Other servers drop such an event. If it were part of the room here, what our users say after it would have a gap
/// there that nobody fills.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_sent_does_not_come_in_through_a_gap() {
    let mut test = with_peer("10").await;
    let content = roomlet_world::object(r#"{"body":"wide"}"#);
    let mut wide = test
        .room
        .draft(&test.mallory, "test.message", None, content, test.peer.now_ms());
    let prev = test.room.latest[0].to_string();
    wide.insert("prev_events".into(), list(std::iter::repeat_n(prev, 21)));
    let wide = test.peer.signed(wide, test.room.version);
    let id = test.room.push(&wide);
    let after = test.peer.say(&mut test.room, &test.mallory, "after");
    test.peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), Value::Array(vec![wide.into()]))]),
    );
    test.peer.send(&test.a.hs, "1", &[after]).await;
    test.world.quiet().await;
    let num = test.a.record(&test.room.id).num;
    assert!(test.a.store.event(num, &id).unwrap().is_none());
}
