//! Purging, forgetting and copying what is stored.

use crate::common::{
    Folder, WithPeer, bodies, code, history, in_room_of_peer, membership, public_room, rooms, say, state, two,
};
use roomlet_homeserver::{
    AllowAll, Code, Config, CreateRoom, EventId, Homeserver, Limits, RoomId, StoreKind, StoreReport, UserId,
};
use roomlet_store::Store as _;
use roomlet_world::{PeerRoom, Server, World};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The current state as a user sees it.
async fn present(server: &Server, user: &UserId, room: &RoomId) -> Vec<(String, EventId)> {
    let events = server.hs.state(user, room).await.unwrap();
    events
        .into_iter()
        .map(|event| (event.kind, event.event_id))
        .collect()
}

async fn has_no_faults(server: &Homeserver) {
    assert_eq!(server.check_store(false).await.unwrap().faults, []);
}

#[tokio::test(start_paused = true)]
async fn a_purged_past_is_gone_and_the_room_goes_on() {
    for version in ["1", "10", "12"] {
        let mut test = two(version).await;
        let (room, alice) = (test.room.clone(), test.alice.clone());
        let mut sent = Vec::new();
        for number in 0..30 {
            let (server, user) = [(&test.a, &test.alice), (&test.b, &test.bob)][number % 2];
            sent.push(say(&server.hs, user, &room, &number.to_string()).await);
            if number % 5 == 0 {
                let topic = format!(r#"{{"topic":"{number}"}}"#);
                test.a
                    .hs
                    .set_state(&alice, &room, "m.room.topic", "", &topic, None)
                    .await
                    .unwrap();
            }
            test.world.quiet().await;
        }
        let before = present(&test.a, &alice, &room).await;
        let events = test.a.hs.check_store(false).await.unwrap().events;
        test.world.network.cut(&test.a.name, &test.b.name);
        let from = EventId::parse(&sent[20]).unwrap();
        let gone = test.a.hs.purge_history(&room, &from).await.unwrap();
        // 20 messages, and the topics that are in no state of what stays; the first events are in all auth chains.
        assert_eq!(gone, 20 + 3, "{version}");
        assert_eq!(
            test.a.hs.check_store(false).await.unwrap().events,
            events - gone,
            "{version}"
        );
        has_no_faults(&test.a.hs).await;

        let kept: Vec<String> = (20..30).map(|number| number.to_string()).collect();
        assert_eq!(bodies(&test.a.hs, &alice, &room).await, kept, "{version}");
        assert_eq!(present(&test.a, &alice, &room).await, before, "{version}");
        test.a.restart().await;
        assert_eq!(present(&test.a, &alice, &room).await, before, "{version}");
        let oldest = EventId::parse(&sent[0]).unwrap();
        assert_eq!(
            code(test.a.hs.event(&alice, &room, &oldest).await),
            Code::UnknownEvent
        );

        // Purging what is not there any more changes nothing; neither does purging from where the history begins.
        assert_eq!(
            code(test.a.hs.purge_history(&room, &oldest).await),
            Code::UnknownEvent
        );
        assert_eq!(
            test.a.hs.purge_history(&room, &from).await.unwrap(),
            0,
            "{version}"
        );

        say(&test.a.hs, &alice, &room, "alone").await;
        test.world.network.heal();
        test.a.hs.wake();
        test.b.hs.wake();
        say(&test.b.hs, &test.bob, &room, "together").await;
        test.world.quiet().await;
        // The other server still has the past, and gives it to whom looks.
        let ids = |events: Vec<roomlet_homeserver::RoomEvent>| {
            let mut ids: Vec<EventId> = events.into_iter().map(|event| event.event_id).collect();
            ids.sort_unstable();
            ids
        };
        let (at_a, at_b) = (
            history(&test.a.hs, &alice, &room).await,
            history(&test.b.hs, &test.bob, &room).await,
        );
        assert_eq!(ids(at_a), ids(at_b), "{version}");
        has_no_faults(&test.a.hs).await;
    }
}

/// A room of a peer in which 60 slots were set one after another, with a branch after every second event.
async fn branched() -> (WithPeer, EventId) {
    let mut test = in_room_of_peer("10", |_, _, _| {}).await;
    let (peer, mallory, room) = (&test.peer, &test.mallory, &mut test.room);
    let mut events = Vec::new();
    for number in 0..60 {
        let set = |room: &PeerRoom, key: String| peer.event(room, mallory, "test.set", Some(&key), "{}");
        if number % 2 == 0 {
            events.push(set(room, format!("branch {number}")));
        }
        let event = set(room, number.to_string());
        room.push(&event);
        events.push(event);
    }
    for (number, events) in events.chunks(50).enumerate() {
        peer.send(&test.a.hs, &number.to_string(), events).await;
    }
    let last = peer.say(room, mallory, "last");
    let id = room.id_of(&last);
    peer.send(&test.a.hs, "last", &[last]).await;
    test.world.quiet().await;
    (test, id)
}

#[tokio::test(start_paused = true)]
async fn what_stays_after_a_purge_takes_no_more_place_than_before() {
    let (test, last) = branched().await;
    let (server, alice, room) = (&test.a, &test.alice, &test.room.id);
    let record = server.record(room);
    assert!(record.forward.len() > 20, "{}", record.forward.len());
    let changes = || -> usize {
        let states = server.store.state_nums(record.num).unwrap().into_iter();
        let states = states.filter_map(|num| server.store.state(record.num, num).unwrap());
        states.map(|state| state.changes.len()).sum()
    };
    let before = (present(server, alice, room).await, changes());
    server.hs.purge_history(room, &last).await.unwrap();
    let after = (present(server, alice, room).await, changes());
    assert_eq!(before.0, after.0);
    assert!(after.1 < before.1, "{} changes became {}", before.1, after.1);
    has_no_faults(&server.hs).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_to_a_server_that_is_away_is_not_purged() {
    let test = two("10").await;
    let room = test.room.clone();
    test.world.network.cut(&test.a.name, &test.b.name);
    say(&test.a.hs, &test.alice, &room, "for bob").await;
    let last = say(&test.a.hs, &test.alice, &room, "last").await;
    let from = EventId::parse(&last).unwrap();
    test.a.hs.purge_history(&room, &from).await.unwrap();
    test.world.network.heal();
    test.a.hs.wake();
    test.world.quiet().await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &room).await, ["for bob", "last"]);
}

/// Commands that wait at the same moment share a commit: what is checked is what was there before, and after.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_checked_while_users_write_has_no_faults() {
    let world = World::new();
    let server = world.server("a.test").await;
    let alice = server.account("alice").await;
    let room = public_room(&server, &alice, "10").await;
    let topic = async |n: u32| {
        let content = format!(r#"{{"topic":"{n}"}}"#);
        let set = server
            .hs
            .set_state(&alice, &room, "m.room.topic", "", &content, None);
        set.await.unwrap();
    };
    let checks = async || {
        for _ in 0..8 {
            has_no_faults(&server.hs).await;
        }
    };
    let writes = async |from: u32| {
        for n in 0..60 {
            topic(from + n).await;
        }
    };
    tokio::join!(checks(), writes(0), writes(1_000), writes(2_000));
}

/// Otherwise who left and forgot at once would be in the room for ever, as all others see it.
#[tokio::test(start_paused = true)]
async fn what_others_are_owed_of_a_room_survives_that_it_is_forgotten() {
    for is_away in [false, true] {
        let mut test = two("10").await;
        let room = test.room.clone();
        if is_away {
            test.world.network.cut(&test.a.name, &test.b.name);
        }
        say(&test.b.hs, &test.bob, &room, "bye").await;
        test.b.hs.leave(&test.bob, &room, None).await.unwrap();
        test.b.hs.forget_room(&room).await.unwrap();
        if is_away {
            test.world.quiet().await;
            test.b.restart().await;
            test.world.network.heal();
            test.b.hs.wake();
        }
        test.world.quiet().await;
        assert_eq!(bodies(&test.a.hs, &test.alice, &room).await, ["bye"]);
        let left = membership(&test.a.hs, &test.alice, &room, &test.bob).await;
        assert_eq!(left, "leave", "{is_away}");
        assert_eq!(test.b.store.owed().unwrap(), []);
        has_no_faults(&test.b.hs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_is_forgotten_when_nobody_is_in_it() {
    let test = two("10").await;
    let (room, alice) = (test.room.clone(), test.alice.clone());
    say(&test.a.hs, &alice, &room, "hello").await;
    let error = test.a.hs.forget_room(&room).await.unwrap_err();
    assert_eq!(
        (error.code(), error.about()),
        (
            Code::Denied,
            format!("room {room} cannot be forgotten: {alice} is in it").as_str()
        )
    );
    let levels = state(&test.a.hs, &alice, &room, "m.room.power_levels")
        .await
        .unwrap();
    let levels = levels.replace(r#""users":{"#, &format!(r#""users":{{"{}":100,"#, test.bob));
    test.a
        .hs
        .set_state(&alice, &room, "m.room.power_levels", "", &levels, None)
        .await
        .unwrap();
    test.a.hs.leave(&alice, &room, None).await.unwrap();
    test.world.quiet().await;
    test.a.hs.forget_room(&room).await.unwrap();
    assert_eq!(test.a.store.rooms().unwrap(), []);
    assert_eq!(rooms(&test.a.hs, &alice).await, []);
    assert_eq!(code(test.a.hs.state(&alice, &room).await), Code::UnknownRoom);
    assert_eq!(code(test.a.hs.forget_room(&room).await), Code::UnknownRoom);
    has_no_faults(&test.a.hs).await;
    // It is a room like any other for who comes back.
    test.b.hs.invite(&test.bob, &room, &alice, None).await.unwrap();
    test.a.hs.join(&alice, &room, &[]).await.unwrap();
    say(&test.a.hs, &alice, &room, "back").await;
    test.world.quiet().await;
    assert_eq!(bodies(&test.b.hs, &test.bob, &room).await, ["hello", "back"]);
    assert_eq!(bodies(&test.a.hs, &alice, &room).await, ["hello", "back"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_room_leaves_its_number_and_its_transactions_to_no_other() {
    let world = World::new();
    let mut server = world.server("a.test").await;
    let alice = server.account("alice").await;
    let first = public_room(&server, &alice, "10").await;
    let send = async |server: &Server, room: &RoomId| {
        let sent = server.hs.send(&alice, room, "test.message", "{}", Some("1"));
        sent.await.unwrap()
    };
    let old = send(&server, &first).await;
    assert_eq!(send(&server, &first).await, old);
    let number = server.record(&first).num;
    server.hs.leave(&alice, &first, None).await.unwrap();
    server.hs.forget_room(&first).await.unwrap();
    server.restart().await;

    let second = public_room(&server, &alice, "10").await;
    let new = send(&server, &second).await;
    assert_ne!(new, old);
    assert_eq!(
        server.hs.event(&alice, &second, &new).await.unwrap().event_id,
        new
    );
    assert!(server.record(&second).num > number);
}

/// A server on a file, a user and a room with a long past.
async fn on_disk(world: &World, file: &Path, limits: Limits) -> (Homeserver, UserId, RoomId, Vec<EventId>) {
    let name = roomlet_homeserver::ServerName::parse("a.test").unwrap();
    let mut config = Config::new(name.clone(), StoreKind::File(file.to_owned()));
    config.limits = limits;
    let hs = Homeserver::open(config, world.env(&name), Arc::new(AllowAll))
        .await
        .unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let room = hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    let body = "x".repeat(2_000);
    let mut sent = Vec::new();
    for number in 0..400 {
        let content = format!(r#"{{"body":"{number} {body}"}}"#);
        sent.push(
            hs.send(&alice, &room, "test.message", &content, None)
                .await
                .unwrap(),
        );
    }
    (hs, alice, room, sent)
}

fn bytes(file: &Path) -> u64 {
    let wal = PathBuf::from(format!("{}-wal", file.display()));
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    size(file) + size(&wal)
}

#[tokio::test]
async fn purging_and_forgetting_give_the_disk_space_back() {
    let (world, folder) = (World::new(), Folder::new());
    let file = folder.file("a.db");
    let (hs, alice, room, sent) = on_disk(&world, &file, Limits::default()).await;
    assert_eq!(hs.purge_history(&room, &sent[0]).await.unwrap(), 0);
    let full = bytes(&file);
    assert!(full > 800_000, "{full}");
    assert_eq!(hs.purge_history(&room, &sent[300]).await.unwrap(), 300);
    let purged = bytes(&file);
    assert!(purged < full * 2 / 5, "{purged} of {full}");
    has_no_faults(&hs).await;
    hs.leave(&alice, &room, None).await.unwrap();
    hs.forget_room(&room).await.unwrap();
    let forgotten = bytes(&file);
    assert!(forgotten < full / 5, "{forgotten} of {full}");
    has_no_faults(&hs).await;
    hs.close().await;
}

#[tokio::test]
async fn a_backup_is_a_store_of_its_own_and_is_made_while_commands_go_on() {
    let (world, folder) = (World::new(), Folder::new());
    let (hs, alice, room, sent) = on_disk(&world, &folder.file("a.db"), Limits::default()).await;
    let copy = folder.file("copy.db");
    let going_on = async {
        for _ in 0..50 {
            hs.send(&alice, &room, "test.message", "{}", None).await.unwrap();
        }
    };
    let (copied, ()) = tokio::join!(hs.backup(&copy), going_on);
    copied.unwrap();
    let again = hs.backup(&copy).await.unwrap_err();
    assert_eq!(again.code(), Code::BadParam);
    assert!(
        again.about().ends_with("copy.db: the file is there already"),
        "{again:?}"
    );
    let nowhere = hs.backup(&folder.file("none/copy.db")).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::Store, "{nowhere:?}");
    hs.close().await;

    let name = roomlet_homeserver::ServerName::parse("a.test").unwrap();
    let config = Config::new(name.clone(), StoreKind::File(copy.clone()));
    let hs = Homeserver::open(config, world.env(&name), Arc::new(AllowAll))
        .await
        .unwrap();
    has_no_faults(&hs).await;
    for event in &sent {
        hs.event(&alice, &room, event).await.unwrap();
    }
    hs.close().await;
    let names = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().contains(".part"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_in_memory_has_nothing_to_copy() {
    let world = World::new();
    let a = world.server("a.test").await;
    let error = a.hs.backup(Path::new("/tmp/never")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.about()),
        (
            Code::BadParam,
            "backup to /tmp/never: the store is in memory and has no file"
        )
    );
    assert_eq!(a.hs.check_store(true).await.unwrap(), StoreReport::default());
}
