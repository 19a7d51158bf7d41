//! The host's say, and access control lists.

use crate::common::{bodies, code, history, public_room, with_peer};
use async_trait::async_trait;
use roomlet_homeserver::{Code, CreateRoom, EventId, Limits, Policy, RoomId, ServerName, UserId};
use roomlet_world::{PeerRoom, Server, World, encode, object};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// Refuses what a test names, and remembers what it was asked.
#[derive(Default)]
struct Host {
    refused: Mutex<BTreeSet<&'static str>>,
    asked: Mutex<Vec<String>>,
}

impl Host {
    fn refuse(&self, question: &'static str) {
        self.refused.lock().unwrap().insert(question);
    }

    fn answer(&self, question: &str, about: String) -> bool {
        self.asked.lock().unwrap().push(format!("{question} {about}"));
        !self.refused.lock().unwrap().contains(question)
    }

    fn was_asked(&self, question: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == question)
    }
}

#[async_trait]
impl Policy for Host {
    async fn accept_invite(&self, _: &RoomId, sender: &UserId, invitee: &UserId) -> bool {
        self.answer("invite", format!("{sender} {invitee}"))
    }
    async fn accept_join(&self, _: &RoomId, user: &UserId) -> bool {
        self.answer("join", user.to_string())
    }
    async fn accept_request(&self, origin: &ServerName, method: &str, _: &str) -> bool {
        self.answer("request", format!("{origin} {method}"))
    }
    async fn accept_event(&self, _: &RoomId, _: &EventId, sender: &UserId, kind: &str) -> bool {
        self.answer("event", format!("{sender} {kind}"))
    }
}

async fn guarded(world: &World) -> (Server, Arc<Host>, UserId) {
    let host = Arc::new(Host::default());
    let a = world.server_with("a.test", Limits::default(), host.clone()).await;
    let alice = a.account("alice").await;
    (a, host, alice)
}

#[tokio::test(start_paused = true)]
async fn the_host_refuses_invites() {
    let world = World::new();
    let (a, host, alice) = guarded(&world).await;
    let carol = a.account("carol").await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let room = peer.create_room(&mallory, "10", "invite");
    let (id, body) = peer.invite(&room, &mallory, &alice);
    host.refuse("invite");
    let reply = peer.send_invite(&a.hs, &room, &id, body).await;
    assert_eq!((reply.status, reply.text("errcode")), (403, "M_FORBIDDEN"));
    assert_eq!(
        reply.text("error"),
        "the host refuses invites of @mallory:peer.test to @alice:a.test"
    );
    assert!(a.hs.rooms(&alice).await.unwrap().is_empty());
    let own = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    assert_eq!(
        code(a.hs.invite(&alice, &own, &carol, None).await),
        Code::Forbidden
    );
    assert!(host.was_asked("invite @alice:a.test @carol:a.test"));
}

#[tokio::test(start_paused = true)]
async fn the_host_refuses_joins_of_other_servers_users() {
    let world = World::new();
    let (a, host, alice) = guarded(&world).await;
    let b = world.server("b.test").await;
    let bob = b.account("bob").await;
    let room = public_room(&a, &alice, "10").await;
    host.refuse("join");
    let error =
        b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
            .await
            .unwrap_err();
    assert_eq!(error.code(), Code::Remote);
    assert!(
        error
            .about()
            .contains("M_FORBIDDEN: the host refuses the join of @bob:b.test"),
        "{error:?}"
    );
    // Its own users are its own matter.
    let carol = a.account("carol").await;
    a.hs.join(&carol, &room, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_host_refuses_requests() {
    let world = World::new();
    let (a, host, _) = guarded(&world).await;
    let peer = world.peer("peer.test");
    host.refuse("request");
    let reply = peer
        .ask(&a.hs, "GET", "/_matrix/federation/v1/event/%24x%3Aa.test", None)
        .await;
    assert_eq!(
        (reply.status, reply.text("error")),
        (403, "the host refuses requests of peer.test")
    );
    assert!(host.was_asked("request peer.test GET"));
    let reply = peer
        .ask(&a.hs, "GET", "/_matrix/federation/v1/version", None)
        .await;
    assert_eq!(
        reply.status, 200,
        "what needs no authentication has no sender to refuse"
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_host_refuses_reaches_no_user() {
    let world = World::new();
    let (a, host, alice) = guarded(&world).await;
    let room = public_room(&a, &alice, "10").await;
    let peer = world.peer("peer.test");
    let mallory = peer.user("mallory");
    let mut room = peer.join(&a.hs, &room, &mallory).await;
    host.refuse("event");
    let updates = a.hs.last_update().await.unwrap();
    let spam = peer.say(&mut room, &mallory, "spam");
    peer.send(&a.hs, "1", &[spam]).await;
    assert!(host.was_asked("event @mallory:peer.test test.message"));
    assert!(bodies(&a.hs, &alice, &room.id).await.is_empty());
    assert_eq!(a.hs.last_update().await.unwrap(), updates);
}

async fn deny_peer(a: &Server, alice: &UserId, room: &RoomId) {
    let acl = r#"{"allow":["*"],"deny":["PEER.test"]}"#;
    a.hs.set_state(alice, room, "m.room.server_acl", "", acl, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_denied_server_takes_no_part() {
    let mut test = with_peer("10").await;
    deny_peer(&test.a, &test.alice, &test.room.id).await;
    let said = test.peer.say(&mut test.room, &test.mallory, "said");
    let id = test.room.id_of(&said);
    let results = test.peer.send(&test.a.hs, "1", &[said]).await;
    let error = object(r#"{"error":"server peer.test is denied by the room's access control list"}"#);
    assert_eq!(results[id.as_str()], error.into());
    assert!(bodies(&test.a.hs, &test.alice, &test.room.id).await.is_empty());
    let newest = history(&test.a.hs, &test.alice, &test.room.id)
        .await
        .pop()
        .unwrap()
        .event_id;
    let (room, event) = (encode(&test.room.id), encode(&newest));
    let user = encode("@other:peer.test");
    for target in [
        format!("/_matrix/federation/v1/make_join/{room}/{user}?ver=10"),
        format!("/_matrix/federation/v1/make_leave/{room}/{user}"),
        format!("/_matrix/federation/v1/state/{room}?event_id={event}"),
        format!("/_matrix/federation/v1/state_ids/{room}?event_id={event}"),
        format!("/_matrix/federation/v1/event_auth/{room}/{event}"),
        format!("/_matrix/federation/v1/backfill/{room}?v={event}&limit=10"),
    ] {
        let reply = test.peer.ask(&test.a.hs, "GET", &target, None).await;
        assert_eq!(
            (reply.status, reply.text("errcode")),
            (403, "M_FORBIDDEN"),
            "{target}"
        );
    }
    let reply = test
        .peer
        .ask(
            &test.a.hs,
            "GET",
            &format!("/_matrix/federation/v1/event/{event}"),
            None,
        )
        .await;
    assert_eq!(reply.status, 200, "single events are not guarded (FED-51)");
}

#[tokio::test(start_paused = true)]
async fn an_invite_of_a_server_that_the_room_denies_is_refused() {
    let mut test = with_peer("10").await;
    let carol = test.a.account("carol").await;
    let room: &mut PeerRoom = &mut test.room;
    deny_peer(&test.a, &test.alice, &room.id).await;
    let (id, body) = test.peer.invite(room, &test.mallory, &carol);
    let reply = test.peer.send_invite(&test.a.hs, room, &id, body).await;
    assert_eq!(
        (reply.status, reply.text("errcode")),
        (403, "M_FORBIDDEN"),
        "{reply:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_does_not_ban_itself() {
    let test = with_peer("10").await;
    for acl in [
        r#"{"allow":["*"],"deny":["a.test"]}"#,
        r#"{"allow":["peer.test"]}"#,
        "{}",
    ] {
        let sent = test
            .a
            .hs
            .set_state(&test.alice, &test.room.id, "m.room.server_acl", "", acl, None)
            .await;
        assert_eq!(code(sent), Code::Denied, "{acl}");
    }
}
