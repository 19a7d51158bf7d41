//! What comes back after a part of the past was given up.

use crate::common::{history, say, with_peer};
use roomlet_wire::{EventId, Map, Value};

#[tokio::test(start_paused = true)]
async fn what_was_redacted_does_not_come_back_whole_when_its_redaction_was_purged() {
    let mut test = with_peer("10").await;
    let (hs, alice, id) = (test.a.hs.clone(), test.alice.clone(), test.room.id.clone());
    let key = test.mallory.to_string();
    let secret = test.peer.event(
        &test.room,
        &test.mallory,
        "m.room.member",
        Some(&key),
        r#"{"displayname":"secret","membership":"join"}"#,
    );
    let secret_id = test.room.push(&secret);
    test.peer.send(&hs, "1", std::slice::from_ref(&secret)).await;
    hs.redact(&alice, &id, &secret_id, None, None).await.unwrap();
    // A branch that follows what was redacted, and not the redaction.
    let branch = test.peer.say(&mut test.room, &test.mallory, "branch");
    test.peer.send(&hs, "2", std::slice::from_ref(&branch)).await;
    let newest = say(&hs, &alice, &id, "newest").await;
    // Nothing is kept because it is owed to somebody.
    test.world.quiet().await;
    hs.purge_history(&id, &EventId::parse(&newest).unwrap())
        .await
        .unwrap();

    test.peer.tells_state_ids(&test.room);
    let past = Value::Array(vec![branch.into(), secret.into()]);
    test.peer.answer_with(
        "/_matrix/federation/v1/backfill/",
        Map::from([("pdus".to_owned(), past)]),
    );
    let seen = history(&hs, &alice, &id).await;
    assert!(seen.iter().any(|event| event.event_id == secret_id));
    assert!(seen.iter().all(|event| !event.content.contains("secret")));
    let member = hs.state_event(&alice, &id, "m.room.member", &key).await;
    assert_eq!(member.unwrap().unwrap().content, r#"{"membership":"join"}"#);
}
