//! Rooms of versions that let numbers be anything (CJ-5).

use crate::common::{membership, with_peer};

#[tokio::test(start_paused = true)]
async fn a_number_that_is_no_integer_hides_no_members() {
    for version in ["1", "5"] {
        let test = with_peer(version).await;
        let content = r#"{"a":1.5,"b":123456789012345678901234567890,"membership":"join"}"#;
        let key = Some(test.mallory.as_str());
        let join = test
            .peer
            .event(&test.room, &test.mallory, "m.room.member", key, content);
        test.peer.send(&test.a.hs, "1", &[join]).await;
        let (hs, alice, room) = (&test.a.hs, &test.alice, &test.room.id);
        let event = hs.state_event(alice, room, "m.room.member", &test.mallory).await;
        assert_eq!(event.unwrap().unwrap().content, content, "{version}");
        assert_eq!(membership(hs, alice, room, &test.mallory).await, "join");
    }
}
