//! Edge: the signatures of an event in a transaction. The answer has an error for its id.

use crate::scene::{Scene, value_of};
use roomlet_wire::{
    Code, Error, KeyId, Map, Pdu, Result, ServerName, Value,
    sign::{KeyPair, KeyRing, PublicKey},
};

/// The keys that the server can have: the peer's.
struct PeersKey<'a>(&'a Scene);

impl KeyRing for PeersKey<'_> {
    fn key(&self, server: &str, id: &str, at: i64, _: bool) -> Result<PublicKey> {
        let peer = &self.0.peer;
        match (
            server == peer.name.as_str() && id == peer.key.id().as_str(),
            at <= peer.now_ms() + 7 * 86_400_000,
        ) {
            (true, true) => Ok(peer.key.public()),
            (true, false) => Err(Error::new(Code::ExpiredKey, "too late")),
            (false, _) => Err(Error::new(Code::UnknownKey, "not known")),
        }
    }
}

async fn refused(input: impl FnOnce(&Scene) -> Map, code: Code, text: &str) {
    let scene = Scene::new().await;
    let event = input(&scene);
    let parsed = Pdu::from_object(event.clone(), scene.room.version).unwrap();
    let id = parsed.id.clone();
    assert_eq!(parsed.verify(&PeersKey(&scene)).unwrap_err().code(), code);
    let before = scene.a.contents();
    let results = scene.peer.send(&scene.a.hs, "bad", &[event]).await;
    let error = results[id.as_str()]
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(error.contains(text), "{results:?}");
    assert_eq!(results.len(), 1);
    scene.is_unchanged(&before).await;
}

fn signed_with(scene: &Scene, signatures: &str) -> Map {
    let mut event = scene.message();
    event.insert("signatures".into(), value_of(signatures));
    event
}

/// A message whose signature stands under another server or key.
fn moved(scene: &Scene, server: &str, key: &str) -> Map {
    let mut event = scene.message();
    let signature = event["signatures"]
        .get("peer.test")
        .unwrap()
        .get("ed25519:peer")
        .unwrap()
        .clone();
    let keys = Map::from([(key.to_owned(), signature)]);
    event.insert(
        "signatures".into(),
        Map::from([(server.to_owned(), keys.into())]).into(),
    );
    event
}

/// A message in somebody else's name, signed by the peer.
fn in_the_name_of(scene: &Scene, sender: &str) -> Map {
    scene.message_with("sender", &format!("{sender:?}"))
}

rows! { refused:
    no_signature_at_all: |s| signed_with(s, "{}") => MissingSignature, "peer.test did not sign it (EV-14)";
    an_empty_entry_of_its_server: |s| signed_with(s, r#"{"peer.test":{}}"#) => MissingSignature, "peer.test did not sign it";
    only_an_unknown_algorithm: |s| moved(s, "peer.test", "rsa:peer") => MissingSignature, "peer.test did not sign it";
    a_key_id_that_is_none: |s| moved(s, "peer.test", "ed25519:!") => MissingSignature, "peer.test did not sign it";
    only_another_servers_signature: |s| moved(s, "a.test", "ed25519:peer") => MissingSignature, "peer.test did not sign it";
    a_signature_of_no_base64: |s| signed_with(s, r#"{"peer.test":{"ed25519:peer":"*"}}"#) => BadSignature, "does not verify (EV-16)";
    a_short_signature: |s| signed_with(s, r#"{"peer.test":{"ed25519:peer":"AAAA"}}"#) => BadSignature, "does not verify";
    a_signature_of_zeros: |s| signed_with(s, &format!(r#"{{"peer.test":{{"ed25519:peer":"{}"}}}}"#, "A".repeat(86))) => BadSignature, "does not verify";
    a_key_that_nobody_has: |s| moved(s, "peer.test", "ed25519:other") => UnknownKey, "key ed25519:other of server peer.test could not be had";
    a_server_that_cannot_be_asked: |s| {
        let mut event = s.room.draft(&s.mallory, "test.message", None, Map::new(), s.peer.now_ms());
        event.insert("sender".into(), "@x:gone.test".into());
        let key = KeyPair::from_seed(KeyId::parse("ed25519:x").unwrap(), &[3; 32]);
        let hash = roomlet_wire::hash::content_hash(&event);
        event.insert("hashes".into(), Map::from([("sha256".to_owned(), hash.into())]).into());
        roomlet_wire::sign::sign_event(&mut event, s.room.version, &ServerName::parse("gone.test").unwrap(), &key);
        event
    } => UnknownKey, "key ed25519:x of server gone.test could not be had";
    an_event_of_next_month: |s| {
        let at = s.peer.now_ms() + 30 * 86_400_000;
        s.message_with("origin_server_ts", &at.to_string())
    } => ExpiredKey, "key ed25519:peer of server peer.test is not valid at";
    a_depth_changed_after_signing: |s| {
        let mut event = s.message();
        event.insert("depth".into(), Value::Int(1));
        event
    } => BadSignature, "does not verify";
    an_event_in_the_name_of_a_local_user: |s| in_the_name_of(s, "@alice:a.test") => MissingSignature, "a.test did not sign it";
    an_event_in_the_name_of_a_third_server: |s| in_the_name_of(s, "@x:third.test") => MissingSignature, "third.test did not sign it";
    a_join_that_its_authoriser_did_not_sign: |s| {
        let content = format!(r#"{{"membership":"join","join_authorised_via_users_server":"{}"}}"#, s.alice);
        s.peer.event(&s.room, &s.peer.user("new"), "m.room.member", Some(&s.peer.user("new")), &content)
    } => MissingSignature, "a.test did not sign it";
}
