//! Servers that take their time.

use crate::common::{bodies, membership, public_room, rooms, say, strangers, with_peer};
use async_trait::async_trait;
use roomlet_homeserver::{Code, Homeserver, Request, Response};
use roomlet_store::Store;
use roomlet_wire::{Error, Map, Value};
use roomlet_world::{Endpoint, Peer, PeerRoom, list, object};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A homeserver whose answers to joins take a while to arrive.
struct FarAway(Homeserver);

#[async_trait]
impl Endpoint for FarAway {
    async fn serve(&self, request: Request) -> Response {
        let is_join = request.target.contains("/send_join/");
        let response = self.0.handle_request(request).await;
        if is_join {
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
        response
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_during_a_long_join_is_not_lost() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    world.network.plug(&a.name, Arc::new(FarAway(a.hs.clone())));
    let (via, hs, id, user) = (a.name.clone(), b.hs.clone(), room.clone(), bob.clone());
    let join = tokio::spawn(async move { hs.join(&user, &id, &[via]).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    say(&a.hs, &alice, &room, "welcome").await;
    join.await.unwrap().unwrap();
    world.quiet().await;
    assert_eq!(bodies(&b.hs, &bob, &room).await, ["welcome"]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_a_join_goes_on_has_left_everywhere() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    world.network.plug(&a.name, Arc::new(FarAway(a.hs.clone())));
    let (hs, id, user) = (b.hs.clone(), room.clone(), bob.clone());
    let join = tokio::spawn(async move { hs.join(&user, &id, &[]).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    b.hs.leave(&bob, &room, None).await.unwrap();
    join.await.unwrap().unwrap();
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "leave");
    assert_eq!(rooms(&b.hs, &bob).await, [(room, "leave".to_owned())]);
}

/// A peer that is never late enough to count as away, and always has one more thing to be asked for.
struct Dawdler {
    peer: Arc<Peer>,
    room: PeerRoom,
    asked: AtomicU32,
}

impl Dawdler {
    /// An event that does not exist.
    fn fresh(&self) -> String {
        format!("${:0>43}", self.asked.fetch_add(1, Ordering::Relaxed))
    }

    /// A message after one.
    fn orphan(&self) -> Map {
        let user = self.peer.user("dora");
        let now = self.peer.now_ms();
        let mut event = self
            .room
            .draft(&user, "test.message", None, object(r#"{"body":"wait"}"#), now);
        event.insert("prev_events".into(), list([self.fresh()]));
        self.peer.signed(event, self.room.version)
    }
}

#[async_trait]
impl Endpoint for Dawdler {
    async fn serve(&self, request: Request) -> Response {
        if request.target.starts_with("/_matrix/key/") {
            let keys = self.peer.key_document(self.peer.now_ms() + 86_400_000);
            return Response::ok(&self.peer.signed_json(keys));
        }
        tokio::time::sleep(Duration::from_secs(29)).await;
        if request.target.contains("/state_ids/") {
            let ids = list((0..40).map(|_| self.fresh()));
            let none = Value::Array(Vec::new());
            return Response::ok(&Map::from([
                ("auth_chain_ids".to_owned(), none),
                ("pdu_ids".to_owned(), ids),
            ]));
        }
        if request.target.contains("/get_missing_events/") {
            // Makes up what comes before the event that is asked about.
            let events = Value::Array(vec![self.orphan().into()]);
            return Response::ok(&Map::from([("events".to_owned(), events)]));
        }
        Response::error(&Error::new(Code::UnknownEvent, "not here"))
    }
}

/// Whether a gap that another server fills is filled so many seconds after one that the dawdler does not.
async fn is_filled_beside_a_dawdler(is_in_the_room: bool, seconds: u64) -> bool {
    let mut test = with_peer("10").await;
    let peer = test.world.peer("slow.test");
    let room = match is_in_the_room {
        true => peer.join(&test.a.hs, &test.room.id, &peer.user("dora")).await,
        false => test.room.clone(),
    };
    let dawdler = Arc::new(Dawdler {
        peer: peer.clone(),
        room,
        asked: AtomicU32::new(0),
    });
    test.world.quiet().await;
    test.world.network.plug(&peer.name, dawdler.clone());
    peer.send(&test.a.hs, "1", &[dawdler.orphan()]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    test.peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), Value::Array(vec![one.into()]))]),
    );
    test.peer.send(&test.a.hs, "1", &[two]).await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let num = test.a.record(&test.room.id).num;
    test.a.store.event(num, &test.room.latest[0]).unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_slowly_does_not_hold_up_the_gaps_of_others() {
    assert!(is_filled_beside_a_dawdler(true, 600).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_outside_the_room_holds_up_the_gaps_of_others_for_a_moment_only() {
    assert!(is_filled_beside_a_dawdler(false, 60).await);
}
