//! Ids that servers choose, in rooms of versions 1 and 2.

use crate::common::{Folder, WithPeer, code, with_peer};
use roomlet_homeserver::{AllowAll, Code, Config, CreateRoom, Homeserver, Preset, ServerName, StoreKind};
use roomlet_store::Store;
use roomlet_wire::{EventId, Map, Value};
use roomlet_world::{World, encode, list, object};
use std::sync::Arc;

/// A join of Mallory, who is joined, that cites a member event of hers.
fn join(test: &WithPeer, id: &str, name: &str, cites: &EventId) -> Map {
    let content = format!(r#"{{"displayname":"{name}","membership":"join"}}"#);
    let mut room = test.room.clone();
    room.state.insert(
        ("m.room.member".to_owned(), test.mallory.to_string()),
        cites.clone(),
    );
    let mut event = room.draft(
        &test.mallory,
        "m.room.member",
        Some(&test.mallory),
        object(&content),
        test.peer.now_ms(),
    );
    event.insert("event_id".into(), id.into());
    test.peer.signed(event, room.version)
}

/// An event may be known from an auth chain before it comes by itself. If it came as another one then, which cites what
/// cites the first, there would be a circle of citations.
#[tokio::test(start_paused = true)]
async fn an_id_that_an_auth_chain_has_is_not_given_to_another_event() {
    for version in ["1", "2"] {
        let mut test = with_peer(version).await;
        let [x, y] = ["$x:peer.test", "$y:peer.test"].map(|id| EventId::parse(id).unwrap());
        let member = test.room.state_id("m.room.member", &test.mallory);
        let chain = [
            (&x, join(&test, &x, "x", &member)),
            (&y, join(&test, &y, "y", &x)),
        ];
        let other = join(&test, &x, "other", &y);

        let state = test.room.state.values().map(|id| id.as_str());
        let told = Map::from([
            ("auth_chain_ids".to_owned(), list([x.as_str(), y.as_str()])),
            ("pdu_ids".to_owned(), list(state)),
        ]);
        test.peer.answer_with("/_matrix/federation/v1/state_ids/", told);
        for (id, event) in chain {
            let pdus = Value::Array(vec![event.into()]);
            test.peer.answer_with(
                &format!("/_matrix/federation/v1/event/{}", encode(id)),
                Map::from([("pdus".to_owned(), pdus)]),
            );
        }
        test.peer.say(&mut test.room, &test.mallory, "unseen");
        let late = test.peer.say(&mut test.room, &test.mallory, "late");
        test.peer.send(&test.a.hs, "1", &[late]).await;
        test.world.quiet().await;
        let num = test.a.record(&test.room.id).num;
        assert!(test.a.store.event(num, &x).unwrap().unwrap().flags.outlier);

        let results = test.peer.send(&test.a.hs, "2", &[other]).await;
        assert_eq!(
            results[x.as_str()].get("error").and_then(Value::as_str),
            Some("event $x:peer.test: another one with this id is held")
        );
        test.a.restart().await;
        let members = test.a.hs.members(&test.alice, &test.room.id, None).await;
        assert_eq!(members.unwrap().len(), 2, "{version}");
        assert_eq!(test.a.hs.check_store(false).await.unwrap().faults, []);
        let hidden = test.a.hs.event(&test.alice, &test.room.id, &x).await;
        assert_eq!(code(hidden), Code::UnknownEvent);
    }
}

/// An id may have 255 characters in these versions, which are more bytes than any other id has (ID-12).
#[tokio::test]
async fn an_id_that_is_too_long_in_bytes_can_be_read_back() {
    let (world, folder) = (World::new(), Folder::new());
    let name = ServerName::parse("a.test").unwrap();
    let config = Config::new(name.clone(), StoreKind::File(folder.file("a")));
    let open = || Homeserver::open(config.clone(), world.env(&name), Arc::new(AllowAll));
    let hs = open().await.unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let create = CreateRoom {
        preset: Preset::Public,
        version: Some("1".into()),
        ..CreateRoom::default()
    };
    let id = hs.create_room(&alice, create).await.unwrap();
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut room = peer.join(&hs, &id, &mallory).await;
    let message = |letter: &str, body: &str, prev: Option<&str>| {
        let content = object(&format!(r#"{{"body":"{body}"}}"#));
        let mut event = room.draft(&mallory, "test.message", None, content, peer.now_ms());
        let name = format!("${}:peer.test", letter.repeat(200));
        event.insert("event_id".into(), name.into());
        if let Some(prev) = prev {
            let pair = Value::Array(vec![prev.into(), Map::new().into()]);
            event.insert("prev_events".into(), Value::Array(vec![pair]));
        }
        peer.signed(event, room.version)
    };
    let (refused, waiting) = (
        message("ä", "refused", None),
        message("ö", "waiting", Some("$nowhere:peer.test")),
    );
    peer.send(&hs, "1", &[refused]).await;
    peer.send(&hs, "2", &[waiting]).await;
    // What waits is counted with this one.
    let [_, late] = ["unseen", "late"].map(|body| peer.say(&mut room, &mallory, body));
    let answer = peer.send_raw(&hs, "3", &[late]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    hs.close().await;
    drop(hs);
    let hs = open().await.unwrap();
    assert_eq!(hs.check_store(false).await.unwrap().faults, []);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_follows_itself_leaves_no_gap() {
    for version in ["1", "2"] {
        let test = with_peer(version).await;
        test.peer.tells_state_ids(&test.room);
        let mut room = test.room.clone();
        let id = EventId::parse("$x:peer.test").unwrap();
        room.latest.push(id.clone());
        let content = object(r#"{"body":"round"}"#);
        let mut event = room.draft(&test.mallory, "test.message", None, content, test.peer.now_ms());
        event.insert("event_id".into(), id.as_str().into());
        test.peer
            .send(&test.a.hs, "1", &[test.peer.signed(event, room.version)])
            .await;
        test.world.quiet().await;
        let num = test.a.record(&room.id).num;
        assert!(test.a.store.event(num, &id).unwrap().is_some());
        assert_eq!(test.a.store.missing_prevs(num).unwrap(), [], "{version}");
    }
}
