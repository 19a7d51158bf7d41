//! Edge: a transaction as a whole.

use crate::scene::{Scene, frame};
use roomlet_homeserver::Request;
use roomlet_wire::{Value, json};

fn many(scene: &Scene, pdus: usize, edus: usize) -> Request {
    let pdu = json::map_to_canonical(&scene.message());
    let (pdus, edus) = (vec![pdu.as_str(); pdus].join(","), vec!["{}"; edus].join(","));
    scene.transaction(&format!(r#"{{"pdus":[{pdus}],"edus":[{edus}]}}"#))
}

rows! { frame:
    pdus_that_are_an_object: |s| s.transaction(r#"{"pdus":{}}"#) => BadParam, "`pdus` is or holds an object; it must be an array";
    edus_that_are_a_string: |s| s.transaction(r#"{"pdus":[],"edus":"all"}"#) => BadParam, "`edus` is or holds a string; it must be an array";
    fifty_one_pdus: |s| many(s, 51, 0) => BadParam, "transaction bad: 51 PDUs and 0 EDUs, at most 50 and 100";
    a_hundred_and_one_edus: |s| many(s, 0, 101) => BadParam, "transaction bad: 0 PDUs and 101 EDUs, at most 50 and 100";
}

/// The edge of transactions with nothing in them that can be answered for: 200, an empty answer, nothing changed.
async fn ignored(input: impl FnOnce(&Scene) -> String) {
    let scene = Scene::new().await;
    let before = scene.a.contents();
    let response = scene.a.hs.handle_request(scene.transaction(&input(&scene))).await;
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, br#"{"pdus":{}}"#.as_slice())
    );
    scene.is_unchanged(&before).await;
}

fn elsewhere(scene: &Scene) -> String {
    let event = scene.message_with("room_id", r#""!elsewhere:peer.test""#);
    format!(r#"{{"pdus":[{}]}}"#, json::map_to_canonical(&event))
}

rows! { ignored:
    pdus_that_are_no_objects: |_| r#"{"pdus":[7,null,"event",[],true]}"#.into();
    a_pdu_without_anything: |_| r#"{"pdus":[{}]}"#.into();
    a_pdu_of_a_room_that_is_not_here: elsewhere;
    edus_that_nobody_knows: |_| r#"{"pdus":[],"edus":[7,{},{"edu_type":"x","content":{}}]}"#.into();
    a_transaction_of_nothing: |_| "{}".into();
}

/// Well-formed and signed, and no part of its room whatever the rules say: nothing of it is kept.
#[tokio::test(start_paused = true)]
async fn a_second_create_event() {
    let scene = Scene::new().await;
    let create = r#"{"creator":"@mallory:peer.test","room_version":"10"}"#;
    let event = scene.state("m.room.create", "", create);
    let before = scene.a.contents();
    let results = scene
        .peer
        .send(&scene.a.hs, "bad", std::slice::from_ref(&event))
        .await;
    let entry = &results[scene.room.id_of(&event).as_str()];
    let error = entry.get("error").and_then(Value::as_str).unwrap_or_default();
    assert!(error.contains("has another create event"), "{results:?}");
    scene.is_unchanged(&before).await;
}

#[tokio::test(start_paused = true)]
async fn a_transaction_replayed_with_other_events() {
    let scene = Scene::new().await;
    let first = scene.peer.send_raw(&scene.a.hs, "t", &[scene.message()]).await;
    let before = scene.a.contents();
    let other = scene.message_with("content", r#"{"body":"other"}"#);
    assert_eq!(scene.peer.send_raw(&scene.a.hs, "t", &[other]).await, first);
    scene.is_unchanged(&before).await;
}
