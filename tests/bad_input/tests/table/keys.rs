//! Edge: the document with which a server publishes its keys. Whoever signs with a key that cannot be had is nobody.

use crate::scene::{Scene, value_of};
use roomlet_homeserver::Response;
use roomlet_store::Store;
use roomlet_wire::{Code, KeyId, Map, base64, frame::XMatrix, json, sign};
use roomlet_world::Peer;

const EVENT: &str = "/_matrix/federation/v1/event/%24x%3Aa.test";

/// A peer that was not heard of before publishes what `input` makes, and makes a request signed with its key.
async fn document(input: impl FnOnce(&Peer) -> String, code: Code, text: &str) {
    let scene = Scene::new().await;
    let late = scene.world.peer("late.test");
    let body = input(&late).into_bytes();
    late.answer("/_matrix/key/v2/server", move |_| Response {
        status: 200,
        body: body.clone(),
    });
    let request = late.request(&scene.a.name, "GET", EVENT, None);
    scene.refuses(request, code, code.errcode(), text).await;
}

/// The right document with a field changed, signed as it is then.
fn with(late: &Peer, field: &str, value: &str) -> String {
    let mut document = late.key_document(late.now_ms() + 86_400_000);
    document.insert(field.into(), value_of(value));
    json::map_to_canonical(&late.signed_json(document))
}

fn unsigned(late: &Peer) -> Map {
    late.key_document(late.now_ms() + 86_400_000)
}

rows! { document:
    keys_that_are_no_json: |_| "-----BEGIN PUBLIC KEY-----".into() => Unauthorized, "key ed25519:peer of server late.test could not be had";
    keys_of_another_name: |late| with(late, "server_name", r#""other.test""#) => Unauthorized, "could not be had";
    keys_without_a_time: |late| with(late, "valid_until_ts", "null") => Unauthorized, "could not be had";
    keys_that_are_a_list: |late| with(late, "verify_keys", "[]") => Unauthorized, "could not be had";
    no_keys_at_all: |late| with(late, "verify_keys", "{}") => Unauthorized, "could not be had";
    keys_that_nobody_signed: |late| json::map_to_canonical(&unsigned(late)) => Unauthorized, "could not be had";
    keys_changed_after_signing: |late| {
        let mut document = late.signed_json(unsigned(late));
        document.insert("valid_until_ts".into(), (late.now_ms() + 99_000_000).into());
        json::map_to_canonical(&document)
    } => Unauthorized, "could not be had";
    a_document_without_end: |_| "[".repeat(1_000_001) => Unauthorized, "could not be had";
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_valid_until_yesterday() {
    let scene = Scene::new().await;
    let late = scene.world.peer("late.test");
    let body = with(&late, "valid_until_ts", &(late.now_ms() - 1).to_string()).into_bytes();
    late.answer("/_matrix/key/v2/server", move |_| Response {
        status: 200,
        body: body.clone(),
    });
    let before = scene.a.contents();
    let reply = late.ask(&scene.a.hs, "GET", EVENT, None).await;
    assert_eq!((reply.status, reply.text("errcode")), (401, "M_UNAUTHORIZED"));
    let expected = "key ed25519:peer of server late.test is not valid now (EV-18)";
    assert_eq!(reply.text("error"), expected);
    // It is kept, for events of its time; nothing else is.
    let known = scene.a.store.keys(&late.name).unwrap();
    assert_eq!(known.len(), 1);
    let without_keys = |contents: String| contents.split("\n            keys: {").next().unwrap().to_owned();
    assert_eq!(without_keys(scene.a.contents()), without_keys(before));
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_private_half_everybody_knows() {
    let scene = Scene::new().await;
    let late = scene.world.peer("late.test");
    // The key of the specification's signing examples.
    let seed = base64::decode_array("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
    let key = sign::KeyPair::from_seed(KeyId::parse("ed25519:1").unwrap(), &seed);
    let mut document = unsigned(&late);
    let listed = format!(r#"{{"ed25519:1":{{"key":"{}"}}}}"#, key.public().to_base64());
    document.insert("verify_keys".into(), value_of(&listed));
    sign::sign_json(&mut document, &late.name, &key);
    late.answer_with("/_matrix/key/v2/server", document);
    let mut request = late.request(&scene.a.name, "GET", EVENT, None);
    request.authorization = vec![XMatrix::sign(&late.name, &key, &scene.a.name, "GET", EVENT, None)];
    let text = "key ed25519:1 of server late.test could not be had";
    scene
        .refuses(request, Code::Unauthorized, "M_UNAUTHORIZED", text)
        .await;
}
