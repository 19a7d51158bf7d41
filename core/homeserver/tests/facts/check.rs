//! What a check of the store finds, and what a repair puts right.

use crate::common::{say, two};
use roomlet_homeserver::{
    AllowAll, Config, CreateRoom, EventId, Homeserver, ServerName, StoreFault, StoreKind, StoreReport, UserId,
};
use roomlet_store::{Commit, EventRow, RoomRecord, StateRow, Store as _, Write};
use roomlet_wire::{EventNum, SlotNum, StateNum};
use roomlet_world::{HookedStore, World};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A state is as large as the room, and nearly all events share theirs.
#[tokio::test(start_paused = true)]
async fn a_check_reads_each_state_once() {
    let world = World::new();
    let name = ServerName::parse("a.test").unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let store = HookedStore::new(move |_, method| {
        counted.fetch_add(usize::from(method == "state"), Relaxed);
        Ok(())
    });
    let config = Config::new(name.clone(), StoreKind::Memory);
    let hs = Homeserver::open_with(config, world.env(&name), Arc::new(AllowAll), Arc::new(store)).await;
    let hs = hs.unwrap();
    let alice = hs.create_account("alice").await.unwrap();
    let room = hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    for number in 0..100 {
        say(&hs, &alice, &room, &number.to_string()).await;
    }
    reads.store(0, Relaxed);
    let report = hs.check_store(false).await.unwrap();
    assert!(report.events > 100);
    assert_eq!(reads.load(Relaxed) as u64, report.states);
}

/// What is wrong after something was written past the server.
async fn faults_after(
    damage: impl FnOnce(&RoomRecord, EventRow, EventRow) -> Vec<Write>,
) -> (Vec<(String, String, bool)>, Vec<String>) {
    let mut test = two("10").await;
    let said = say(&test.a.hs, &test.alice, &test.room, "hello").await;
    test.world.quiet().await;
    test.a.stop().await;
    let record = test.a.record(&test.room);
    let message = test
        .a
        .store
        .event(record.num, &EventId::parse(&said).unwrap())
        .unwrap()
        .unwrap();
    let create = test
        .a
        .store
        .event_by_num(record.num, EventNum(0))
        .unwrap()
        .unwrap();
    let writes = damage(&record, message, create);
    test.a.store.commit(Commit { writes }).await.unwrap();
    test.a.start().await;
    let shown = |report: StoreReport| -> Vec<(String, String, bool)> {
        let show = |fault: StoreFault| {
            let about = fault
                .about
                .replace(test.room.as_str(), "ROOM")
                .replace(said.as_str(), "SAID");
            (fault.kind.to_owned(), about, fault.is_repaired)
        };
        report.faults.into_iter().map(show).collect()
    };
    let found = shown(test.a.hs.check_store(false).await.unwrap());
    let repaired = shown(test.a.hs.check_store(true).await.unwrap());
    let kinds = |faults: &[(String, String, bool)]| -> Vec<String> {
        faults.iter().map(|(kind, ..)| kind.clone()).collect()
    };
    assert_eq!(kinds(&found), kinds(&repaired));
    assert!(found.iter().all(|(.., is_repaired)| !is_repaired));
    let left = shown(test.a.hs.check_store(false).await.unwrap());
    (repaired, kinds(&left))
}

fn unrepaired(kind: &str, about: &str) -> (Vec<(String, String, bool)>, Vec<String>) {
    (vec![(kind.into(), about.into(), false)], vec![kind.into()])
}

fn repaired(kind: &str, about: &str) -> (Vec<(String, String, bool)>, Vec<String>) {
    (vec![(kind.into(), about.into(), true)], vec![])
}

#[tokio::test(start_paused = true)]
async fn a_check_finds_what_does_not_fit_and_repairs_what_follows_from_the_rest() {
    let found = faults_after(|record, message, create| {
        let row = EventRow {
            json: create.json,
            ..message
        };
        vec![Write::Event {
            room: record.num,
            row,
        }]
    })
    .await;
    assert_eq!(found.0[0].0, "event-id");
    assert!(
        found.0[0]
            .1
            .starts_with("room ROOM: event SAID: its JSON is that of $"),
        "{found:?}"
    );

    let found = faults_after(|record, message, _| {
        let row = EventRow {
            json: "{}".into(),
            ..message
        };
        vec![Write::Event {
            room: record.num,
            row,
        }]
    })
    .await;
    assert_eq!(found.0[0].0, "event-form");

    let found = faults_after(|record, message, _| {
        let row = EventRow {
            state_before: Some(StateNum(4_000)),
            ..message
        };
        vec![Write::Event {
            room: record.num,
            row,
        }]
    })
    .await;
    assert_eq!(
        found,
        unrepaired(
            "event-state",
            "room ROOM: event SAID: a state beside it is not there"
        )
    );

    let found = faults_after(|record, _, _| {
        let record = RoomRecord {
            forward: vec![EventNum(4_000)],
            ..record.clone()
        };
        vec![Write::Room(record)]
    })
    .await;
    assert_eq!(
        found,
        repaired("extremity", "room ROOM: extremity number 4000 is not held")
    );

    let found = faults_after(|record, _, _| {
        let record = RoomRecord {
            current_state: StateNum(4_000),
            ..record.clone()
        };
        vec![Write::Room(record)]
    })
    .await;
    assert_eq!(
        found,
        unrepaired(
            "room",
            "room ROOM, number 1: state 4000 of room number 1 is not in the store"
        )
    );

    let state = |record: &RoomRecord, parent, changes| {
        let num = record.current_state;
        let row = StateRow {
            num,
            parent,
            changes,
            size: 1,
            since_checkpoint: 1,
        };
        let room = record.num;
        vec![Write::State { room, row }]
    };
    let found = faults_after(|record, _, _| state(record, Some(record.current_state), vec![])).await;
    let kinds: Vec<&str> = found.0.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(kinds, ["room"]);
    assert!(
        found.0[0].1.ends_with("of room number 1 is not in the store"),
        "{found:?}"
    );
    let found = faults_after(|record, _, _| {
        let create = (SlotNum(0), Some(EventNum(0)));
        state(
            record,
            Some(StateNum(0)),
            vec![create, (SlotNum(4_000), Some(EventNum(1)))],
        )
    })
    .await;
    assert_eq!(found.0[0].0, "slot");
    assert!(
        found.0[0]
            .1
            .ends_with("has an event at slot 4000, which is not there"),
        "{found:?}"
    );

    let alice = UserId::parse("@alice:a.test").unwrap();
    let found = faults_after(|record, _, _| {
        let membership = Some(("ban".to_owned(), EventNum(1)));
        let user = alice.clone();
        vec![Write::Member {
            room: record.num,
            user,
            membership,
        }]
    })
    .await;
    let about = "room ROOM: member @alice:a.test is listed as ban, by the current state join";
    assert_eq!(found, repaired("member", about));
    let found = faults_after(|record, _, _| {
        let user = UserId::parse("@nobody:c.test").unwrap();
        let membership = Some(("join".to_owned(), EventNum(1)));
        vec![Write::Member {
            room: record.num,
            user,
            membership,
        }]
    })
    .await;
    let about = "room ROOM: member @nobody:c.test is listed as join, by the current state none";
    assert_eq!(found, repaired("member", about));

    let found = faults_after(|record, message, _| {
        vec![Write::MissingPrev {
            room: record.num,
            missing: message.id,
            child: EventNum(1),
        }]
    })
    .await;
    let about = "room ROOM: event SAID is listed as missing and is not, or nothing that is held cites it";
    assert_eq!(found, repaired("missing-event", about));
}

#[tokio::test(start_paused = true)]
async fn rooms_of_every_version_are_found_whole() {
    for version in roomlet_homeserver::RoomVersion::supported() {
        let test = two(version).await;
        say(&test.b.hs, &test.bob, &test.room, "hello").await;
        test.world.quiet().await;
        for server in [&test.a, &test.b] {
            let report = server.hs.check_store(true).await.unwrap();
            assert_eq!((report.rooms, report.faults), (1, vec![]), "{version}");
            let record = server.record(&test.room);
            let all = (record.next_event.0.into(), record.next_state.0.into());
            assert_eq!((report.events, report.states), all, "{version}");
        }
    }
}
