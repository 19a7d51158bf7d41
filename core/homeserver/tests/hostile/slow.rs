//! Servers that take their time.

use crate::common::{Two, WithPeer, bodies, membership, public_room, rooms, say, strangers, two, with_peer};
use async_trait::async_trait;
use roomlet_homeserver::{Code, Direction, Homeserver, Request, Response, UserId};
use roomlet_store::Store;
use roomlet_wire::{
    Error, KeyId, Map, Value,
    sign::{self, KeyPair},
};
use roomlet_world::{Endpoint, Peer, PeerRoom, encode, list, object};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

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

/// A room with Alice of one server, and Bob of the other, which may let nobody in; its Carol may come in.
async fn with_carol_outside() -> (Two, UserId) {
    let test = two("10").await;
    let (alice, room, via) = (&test.alice, &test.room, std::slice::from_ref(&test.a.name));
    let carol = test.b.account("carol").await;
    let club = public_room(&test.a, alice, "10").await;
    test.b.hs.join(&carol, &club, via).await.unwrap();
    let rules = format!(
        r#"{{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{club}"}}]}}"#
    );
    let levels = format!(r#"{{"invite":50,"users":{{"{alice}":100}}}}"#);
    for (kind, content) in [("m.room.join_rules", rules), ("m.room.power_levels", levels)] {
        let set = test.a.hs.set_state(alice, room, kind, "", &content, None);
        set.await.unwrap();
    }
    test.world.quiet().await;
    (test, carol)
}

#[tokio::test(start_paused = true)]
async fn a_long_join_does_not_hold_up_the_events_of_a_room_that_others_here_are_in() {
    let (test, carol) = with_carol_outside().await;
    let (a, b, room) = (&test.a, &test.b, &test.room);
    test.world.network.plug(&a.name, Arc::new(FarAway(a.hs.clone())));
    let (hs, id, user) = (b.hs.clone(), room.clone(), carol.clone());
    let join = tokio::spawn(async move { hs.join(&user, &id, &[]).await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    say(&a.hs, &test.alice, room, "hello").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bodies(&b.hs, &test.bob, room).await, ["hello"]);
    assert!(!join.is_finished());
    join.await.unwrap().unwrap();
    test.world.quiet().await;
    assert_eq!(membership(&b.hs, &test.bob, room, &carol).await, "join");
    assert_eq!(b.record(room).forward.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whom_another_server_lets_in_is_in_the_room_at_once_whatever_is_still_on_its_way() {
    let (test, carol) = with_carol_outside().await;
    let (a, b, room) = (&test.a, &test.b, &test.room);
    test.world.network.unplug(&b.name);
    say(&a.hs, &test.alice, room, "on its way").await;
    b.hs.join(&carol, room, &[]).await.unwrap();
    assert_eq!(membership(&b.hs, &test.bob, room, &carol).await, "join");
    test.world.network.plug(&b.name, Arc::new(FarAway(b.hs.clone())));
    test.world.quiet().await;
    assert_eq!(bodies(&b.hs, &test.bob, room).await, ["on its way"]);
    assert_eq!(b.record(room).forward.len(), 1);
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
    /// What it has been asked for, made up or sent; the numbers of two do not meet.
    count: AtomicU32,
    delay: Duration,
    load: Arc<Load>,
}

/// How many requests for what a room lacks several dawdlers have at once.
#[derive(Default)]
struct Load {
    now: AtomicU32,
    most: AtomicU32,
}

impl Load {
    async fn hold(&self, delay: Duration) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let _over = Over(self);
        tokio::time::sleep(delay).await;
    }
}

/// Also where the one who asked went away.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Dawdler {
    /// Twelve in the room of the test.
    async fn dozen(test: &WithPeer, load: &Arc<Load>) -> Vec<Arc<Self>> {
        let mut all = Vec::new();
        for number in 1..=12 {
            all.push(Self::join(test, number, load).await);
        }
        all
    }

    /// Plugs one in whose user is in the room of the test.
    async fn join(test: &WithPeer, number: u32, load: &Arc<Load>) -> Arc<Self> {
        // In front of the honest one in the order of names.
        let peer = test.world.peer(&format!("a{number}.test"));
        let room = peer.join(&test.a.hs, &test.room.id, &peer.user("dora")).await;
        test.world.quiet().await;
        Self {
            peer,
            room,
            count: (number * 1_000_000).into(),
            delay: Duration::from_secs(29),
            load: load.clone(),
        }
        .plug(test)
    }

    fn plug(self, test: &WithPeer) -> Arc<Self> {
        let dawdler = Arc::new(self);
        test.world.network.plug(&dawdler.peer.name, dawdler.clone());
        dawdler
    }

    /// The number of something new.
    fn number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// An event that does not exist.
    fn fresh(&self) -> String {
        format!("${:0>43}", self.number())
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

    /// Sends so many events that wait for what does not exist.
    async fn send_orphans(&self, to: &Homeserver, count: usize) {
        let orphans: Vec<Map> = (0..count).map(|_| self.orphan()).collect();
        self.peer.send(to, &self.number().to_string(), &orphans).await;
    }
}

#[async_trait]
impl Endpoint for Dawdler {
    async fn serve(&self, request: Request) -> Response {
        if request.target.starts_with("/_matrix/key/") {
            let keys = self.peer.key_document(self.peer.now_ms() + 86_400_000);
            return Response::ok(&self.peer.signed_json(keys));
        }
        if request.target.contains("/send/") {
            return Response::ok(&object(r#"{"pdus":{}}"#));
        }
        self.load.hold(self.delay).await;
        if request.target.contains("/state_ids/") {
            let ids = list((0..40).map(|_| self.fresh()));
            let none = Value::Array(Vec::new());
            return Response::ok(&Map::from([
                ("auth_chain_ids".to_owned(), none),
                ("pdu_ids".to_owned(), ids),
            ]));
        }
        for (path, key) in [("/get_missing_events/", "events"), ("/backfill/", "pdus")] {
            if request.target.contains(path) {
                // Makes up what comes before the event that is asked about.
                let events = Value::Array(vec![self.orphan().into()]);
                return Response::ok(&Map::from([(key.to_owned(), events)]));
            }
        }
        Response::error(&Error::new(Code::UnknownEvent, "not here"))
    }
}

/// Sends an event whose parent the honest peer gives when asked; whether it is taken within so many seconds.
async fn is_filled_within(test: &mut WithPeer, seconds: u64) -> bool {
    is_filled_with(test, Vec::new(), seconds).await
}

/// As [`is_filled_within`], where the peer gives other events as well.
async fn is_filled_with(test: &mut WithPeer, others: Vec<Map>, seconds: u64) -> bool {
    let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    let events = others.into_iter().chain([one]).map(Value::Object).collect();
    test.peer.answer_with(
        "/_matrix/federation/v1/get_missing_events/",
        Map::from([("events".to_owned(), Value::Array(events))]),
    );
    let results = test
        .peer
        .send(&test.a.hs, test.room.latest[0].as_str(), &[two])
        .await;
    assert_eq!(results[test.room.latest[0].as_str()], Value::Object(Map::new()));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let num = test.a.record(&test.room.id).num;
    test.a.store.event(num, &test.room.latest[0]).unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_slowly_does_not_hold_up_the_gaps_of_others() {
    let mut test = with_peer("10").await;
    let dawdler = Dawdler::join(&test, 1, &Arc::default()).await;
    dawdler.send_orphans(&test.a.hs, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_filled_within(&mut test, 10).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_outside_the_room_holds_up_the_gaps_of_others_for_a_moment_only() {
    let mut test = with_peer("10").await;
    let dawdler = Dawdler {
        peer: test.world.peer("slow.test"),
        room: test.room.clone(),
        count: 0.into(),
        delay: Duration::from_secs(29),
        load: Arc::default(),
    }
    .plug(&test);
    dawdler.send_orphans(&test.a.hs, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_filled_within(&mut test, 10).await);
}

#[tokio::test(start_paused = true)]
async fn many_servers_that_answer_slowly_hold_up_the_gaps_of_others_for_seconds_each() {
    let mut test = with_peer("10").await;
    let load = Arc::<Load>::default();
    for dawdler in Dawdler::dozen(&test, &load).await {
        dawdler.send_orphans(&test.a.hs, 1).await;
    }
    assert!(is_filled_within(&mut test, 61).await);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(load.most.load(Ordering::Relaxed), 2, "answers waited for at once");
}

#[tokio::test(start_paused = true)]
async fn servers_that_answer_slowly_and_send_ever_more_are_not_served_first() {
    let mut test = with_peer("10").await;
    let dawdlers = Dawdler::dozen(&test, &Arc::default()).await;
    for minute in 0..24 {
        for dawdler in &dawdlers {
            dawdler.send_orphans(&test.a.hs, 1).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        if minute % 6 == 5 {
            assert!(is_filled_within(&mut test, 25).await, "after {minute} minutes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_events_of_one_server_that_is_never_late_are_not_served_first() {
    let mut test = with_peer("10").await;
    let peer = test.world.peer("a.peer.test");
    let dawdler = Dawdler {
        room: peer.join(&test.a.hs, &test.room.id, &peer.user("dora")).await,
        peer,
        count: 0.into(),
        delay: Duration::from_secs(2),
        load: Arc::default(),
    }
    .plug(&test);
    for _ in 0..2 {
        dawdler.send_orphans(&test.a.hs, 50).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(is_filled_within(&mut test, 10).await);
}

/// A peer whose answers take a while.
struct Late(Arc<Peer>, Duration);

#[async_trait]
impl Endpoint for Late {
    async fn serve(&self, request: Request) -> Response {
        tokio::time::sleep(self.1).await;
        self.0.serve(&request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_and_honest_is_waited_for_where_others_are_not_held_up() {
    let mut test = with_peer("10").await;
    let late = Late(test.peer.clone(), Duration::from_secs(25));
    test.world.network.plug(&test.peer.name, Arc::new(late));
    assert!(is_filled_within(&mut test, 60).await);
}

/// Gives nothing, its keys neither, and takes its time to say so.
struct Mute;

#[async_trait]
impl Endpoint for Mute {
    async fn serve(&self, _: Request) -> Response {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Response::error(&Error::new(Code::UnknownEvent, "not here"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_is_not_slow_for_giving_events_whose_keys_others_give_slowly() {
    let mut test = with_peer("10").await;
    let dawdlers = Dawdler::dozen(&test, &Arc::default()).await;
    let mute = test.world.peer("mute.test");
    let room = mute.join(&test.a.hs, &test.room.id, &mute.user("mona")).await;
    test.world.quiet().await;
    test.world.network.plug(&mute.name, Arc::new(Mute));
    let key = KeyPair::from_seed(KeyId::parse("ed25519:new").unwrap(), &[7; 32]);
    let mut theirs = mute.event(&room, &mute.user("mona"), "test.message", None, "{}");
    theirs.remove("signatures");
    sign::sign_event(&mut theirs, room.version, &mute.name, &key);
    for dawdler in dawdlers {
        dawdler.send_orphans(&test.a.hs, 1).await;
    }
    assert!(is_filled_with(&mut test, vec![theirs], 80).await);
}

/// Alice's page of a room with a gap, and how long it took to get, in seconds. So many branches of it do not exist.
async fn page_over_gap(
    test: &mut WithPeer,
    dead: u32,
    serve: impl FnOnce(&Peer, [Map; 2]),
) -> (Vec<String>, u64) {
    let before = test.room.clone();
    let [one, two] = ["one", "two"].map(|body| test.peer.say(&mut test.room, &test.mallory, body));
    let content = object(r#"{"body":"three"}"#);
    let now = test.peer.now_ms();
    let mut three = test.room.draft(&test.mallory, "test.message", None, content, now);
    let two_id = test.room.id_of(&two).to_string();
    let branches = (0..dead).map(|n| format!("${n:z>43}")).chain([two_id]);
    three.insert("prev_events".into(), list(branches));
    let three = test.peer.signed(three, test.room.version);
    test.peer.tells_state_ids(&before);
    test.peer.send(&test.a.hs, "t", &[three]).await;
    test.world.quiet().await;
    serve(&test.peer, [two, one]);
    let (begin, ours) = (Instant::now(), &test.a.hs);
    let page = ours
        .timeline(&test.alice, &test.room.id, None, Direction::Backward, 100)
        .await
        .unwrap();
    let messages = page.events.iter().filter(|event| event.kind == "test.message");
    let mut messages: Vec<String> = messages.map(|event| event.content.clone()).collect();
    messages.reverse();
    (messages, begin.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn history_that_somebody_has_is_got_past_servers_that_answer_slowly() {
    let mut test = with_peer("10").await;
    Dawdler::dozen(&test, &Arc::default()).await;
    let (messages, seconds) = page_over_gap(&mut test, 0, |peer, history| {
        let history = Value::Array(history.map(Value::Object).into());
        peer.answer_with(
            "/_matrix/federation/v1/backfill/",
            Map::from([("pdus".to_owned(), history)]),
        );
    })
    .await;
    assert_eq!(
        messages,
        [r#"{"body":"one"}"#, r#"{"body":"two"}"#, r#"{"body":"three"}"#]
    );
    assert!(seconds <= 61, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn history_that_nobody_has_is_waited_for_while_a_server_that_answers_says_so() {
    let mut test = with_peer("10").await;
    Dawdler::dozen(&test, &Arc::default()).await;
    let (messages, seconds) = page_over_gap(&mut test, 0, |_, _| {}).await;
    assert_eq!(messages, [r#"{"body":"three"}"#]);
    assert!(seconds <= 61, "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn history_that_slow_servers_may_have_is_waited_for_not_longer_than_for_one() {
    let mut test = with_peer("10").await;
    Dawdler::dozen(&test, &Arc::default()).await;
    let network = test.world.network.clone();
    let (messages, seconds) = page_over_gap(&mut test, 9, |peer, _| network.unplug(&peer.name)).await;
    assert_eq!(messages, [r#"{"body":"three"}"#]);
    assert!(seconds <= 301, "{seconds}");
}

/// A leave that a guest of this number wants to hand in at a.test, after an event that does not exist.
fn leave_into_nowhere(test: &WithPeer, number: u32) -> (Arc<Peer>, String, Map) {
    let guest = test.world.peer(&format!("guest{number}.test"));
    let user = guest.user("g");
    let content = object(r#"{"membership":"leave"}"#);
    let now = guest.now_ms();
    let mut leave = test.room.draft(&user, "m.room.member", Some(&user), content, now);
    leave.insert("prev_events".into(), list([format!("${number:z>43}")]));
    let leave = guest.signed(leave, test.room.version);
    let (room, id) = (encode(&test.room.id), encode(&test.room.id_of(&leave)));
    (
        guest,
        format!("/_matrix/federation/v2/send_leave/{room}/{id}"),
        leave,
    )
}

#[tokio::test(start_paused = true)]
async fn what_guests_hand_in_is_looked_up_for_seconds_and_a_few_at_a_time() {
    let test = with_peer("10").await;
    let load = Arc::<Load>::default();
    Dawdler::dozen(&test, &load).await;
    let begin = Instant::now();
    let mut guests = JoinSet::new();
    for number in 0..40 {
        let (guest, target, leave) = leave_into_nowhere(&test, number);
        let hs = test.a.hs.clone();
        guests.spawn(async move { guest.ask(&hs, "PUT", &target, Some(leave)).await.status });
    }
    let statuses = guests.join_all().await;
    assert!(
        statuses.iter().all(|status| [400, 429].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(load.most.load(Ordering::Relaxed), 2);
    assert!(begin.elapsed() < Duration::from_secs(45), "{:?}", begin.elapsed());
}
