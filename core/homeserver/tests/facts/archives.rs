//! Rooms taken from archives.

use crate::common::{WithPeer, archive_of, ban_eve_and_close, bodies, in_room_of_peer, join_eve, say, two};
use roomlet_homeserver::{Code, EventId, Imported, RoomId, RoomUpdate, Trust};
use roomlet_store::Store as _;
use roomlet_wire::{Map, json};
use roomlet_world::{Present, Server, World, events_of};
use std::{fs, path::Path};

fn events(server: &Server, room: &RoomId) -> Vec<String> {
    events_of(&*server.store, room)
}

fn present(server: &Server, room: &RoomId) -> Present {
    Present::of(&*server.store, room)
}

fn all_accepted(room: &RoomId, accepted: usize) -> Imported {
    Imported {
        room: room.clone(),
        accepted: accepted as u64,
        soft_failed: 0,
        rejected: 0,
        known: 0,
        left_out: 0,
        first_fault: None,
    }
}

/// A room with a past: two servers that were apart, each with its own topic, and a redaction.
async fn room_of(version: &str) -> (World, Server, RoomId) {
    let test = two(version).await;
    let oops = say(&test.a.hs, &test.alice, &test.room, "oops").await;
    test.world.quiet().await;
    test.world.network.cut(&test.a.name, &test.b.name);
    for (server, user) in [(&test.a, &test.alice), (&test.b, &test.bob)] {
        say(&server.hs, user, &test.room, "alone").await;
    }
    let topic = r#"{"topic":"apart"}"#;
    test.a
        .hs
        .set_state(&test.alice, &test.room, "m.room.topic", "", topic, None)
        .await
        .unwrap();
    test.world.network.heal();
    test.a.hs.wake();
    test.b.hs.wake();
    test.world.quiet().await;
    let oops = EventId::parse(&oops).unwrap();
    test.a
        .hs
        .redact(&test.alice, &test.room, &oops, None, None)
        .await
        .unwrap();
    say(&test.a.hs, &test.alice, &test.room, "together").await;
    test.world.quiet().await;
    // Bob's server goes on as one of the network: it has keys to ask for.
    std::mem::forget(test.b);
    (test.world, test.a, test.room)
}

#[tokio::test(start_paused = true)]
async fn a_room_from_an_archive_is_as_its_server_has_it() {
    for version in ["1", "3", "10", "12", "I.1"] {
        let (world, a, room) = room_of(version).await;
        let lines = events(&a, &room);
        let archive = archive_of(&lines);
        for (name, trust) in [("c.test", Trust::Nothing), ("d.test", Trust::Signatures)] {
            let c = world.server(name).await;
            let imported = c.hs.import_room(archive.path(), trust).await.unwrap();
            assert_eq!(imported, all_accepted(&room, lines.len()), "{version}");
            assert_eq!(present(&c, &room), present(&a, &room), "{version}");
            assert_eq!(c.updates().await, [], "{version}");
            let again = c.hs.import_room(archive.path(), trust).await.unwrap();
            assert_eq!(
                (again.known, again.accepted),
                (lines.len() as u64, 0),
                "{version}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_beside_an_archive_is_told() {
    let test = two("10").await;
    let archive = archive_of(&events(&test.a, &test.room));
    let before = test.a.updates().await.len();
    // Both wait for the room at the same time, and become durable with one commit.
    let (said, imported) = tokio::join!(
        say(&test.a.hs, &test.alice, &test.room, "meanwhile"),
        test.a.hs.import_room(archive.path(), Trust::Signatures),
    );
    assert_eq!(imported.unwrap().accepted, 0);
    let told = &test.a.updates().await[before..];
    assert!(
        matches!(told, [RoomUpdate::Event(event)] if event.event_id.as_str() == said),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_archive_brings_the_past_of_a_room_that_is_held() {
    let mut test = in_room_of_peer("10", |peer, mallory, room| {
        let eve = join_eve(peer, room);
        for (user, body) in [(&eve, "one"), (mallory, "two"), (&eve, "three")] {
            peer.say(room, user, body);
        }
    })
    .await;
    ban_eve_and_close(&mut test).await;
    let WithPeer { a, alice, room, .. } = test;
    let (held, told) = (present(&a, &room.id), a.updates().await);
    let mut lines: Vec<&Map> = room.events.values().collect();
    lines.sort_by_key(|event| event["depth"].as_int());
    let lines: Vec<String> = lines.into_iter().map(json::map_to_canonical).collect();
    let archive = archive_of(&lines);
    let imported = a.hs.import_room(archive.path(), Trust::Nothing).await;
    let known = Imported {
        known: 3,
        ..all_accepted(&room.id, lines.len() - 3)
    };
    assert_eq!(imported.unwrap(), known);
    assert_eq!((present(&a, &room.id), a.updates().await), (held, told));
    assert_eq!(bodies(&a.hs, &alice, &room.id).await, ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn events_of_an_archive_may_come_before_those_that_they_cite() {
    let (world, a, room) = room_of("10").await;
    let mut lines = events(&a, &room);
    let count = lines.len();
    lines[1..].reverse();
    let c = world.server("c.test").await;
    let archive = archive_of(&lines);
    let imported = c.hs.import_room(archive.path(), Trust::Nothing).await.unwrap();
    assert_eq!(imported, all_accepted(&room, count));
    assert_eq!(present(&c, &room), present(&a, &room));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_in_an_archive_is_counted_and_left_out() {
    let (world, a, room) = room_of("10").await;
    let mut lines = events(&a, &room);
    let count = lines.len() as u64;
    lines.insert(3, "{".into());
    // The last event with another signature, and again as it is.
    let forged = lines.last().unwrap().replace("ed25519:", "ed25519:x");
    lines.insert(lines.len() - 1, forged);
    lines.push(String::new());
    let c = world.server("c.test").await;
    let archive = archive_of(&lines);
    let imported = c.hs.import_room(archive.path(), Trust::Nothing).await.unwrap();
    assert_eq!((imported.accepted, imported.left_out), (count, 2));
    let fault = imported.first_fault.unwrap();
    assert!(fault.contains("line 4: "), "{fault}");
    // Without its second event, which all others cite, nothing but the first can be taken.
    let d = world.server("d.test").await;
    lines.remove(1);
    let archive = archive_of(&lines);
    let imported = d.hs.import_room(archive.path(), Trust::Signatures).await.unwrap();
    assert_eq!((imported.accepted, imported.left_out), (1, count));
}

#[tokio::test(start_paused = true)]
async fn many_faults_in_a_row_do_not_end_an_archive() {
    let test = two("10").await;
    let mut lines = events(&test.a, &test.room);
    let count = lines.len();
    // More than are read at once, and more bytes.
    let faults = vec!["{".to_owned(); 10_000];
    let large = vec![format!("{{{}", " ".repeat(100_000)); 50];
    lines.splice(3..3, faults);
    lines.splice(3..3, large);
    let archive = archive_of(&lines);
    for (name, trust) in [("c.test", Trust::Nothing), ("d.test", Trust::Signatures)] {
        let c = test.world.server(name).await;
        let imported = c.hs.import_room(archive.path(), trust).await.unwrap();
        assert_eq!(imported.accepted as usize, count);
        assert_eq!(imported.left_out, 10_050);
        assert!(imported.first_fault.unwrap().contains(": line 4: "));
        assert_eq!(present(&c, &test.room), present(&test.a, &test.room));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_archive_is_refused() {
    let world = World::new();
    let a = world.server("a.test").await;
    let message = r#"{"type":"m.room.message","content":{}}"#;
    let unknown = r#"{"type":"m.room.create","content":{"room_version":"99"}}"#;
    for (lines, code, about) in [
        (vec![], Code::BadParam, "there is no event"),
        (vec!["{".into()], Code::BadJson, "line 1: "),
        (
            vec![message.into()],
            Code::BadEvent,
            "the first event of an archive is its room's m.room.create",
        ),
        (
            vec![unknown.into()],
            Code::UnknownRoomVersion,
            "room version \"99\" is not one of",
        ),
        (
            vec!["x".repeat(300_000)],
            Code::BadParam,
            "is longer than any event",
        ),
    ] {
        let archive = archive_of(&lines);
        let error =
            a.hs.import_room(archive.path(), Trust::Nothing)
                .await
                .unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.about().contains(about), "{error:?}");
    }
    let error =
        a.hs.import_room(Path::new("/no/such/file"), Trust::Nothing)
            .await
            .unwrap_err();
    assert_eq!(error.code(), Code::BadParam);
    assert!(error.about().starts_with("archive /no/such/file: "), "{error:?}");
    assert_eq!(a.store.rooms().unwrap(), []);
}

/// The archive that the other languages' tests import.
#[tokio::test(start_paused = true)]
async fn the_archive_of_the_bindings_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/archive.jsonl");
    if std::env::var_os("ROOMLET_BLESS").is_some() {
        let (_world, a, room) = room_of("11").await;
        fs::write(&path, events(&a, &room).join("\n") + "\n").unwrap();
    }
    let world = World::new();
    let c = world.server("c.test").await;
    let imported = c.hs.import_room(&path, Trust::Signatures).await.unwrap();
    assert_eq!(imported, all_accepted(&imported.room, 13));
}

#[tokio::test(start_paused = true)]
async fn events_wait_for_others_up_to_16_mib() {
    let test = two("10").await;
    let first = events(&test.a, &test.room).len();
    let body = "x".repeat(60_000);
    for _ in 0..300 {
        say(&test.a.hs, &test.alice, &test.room, &body).await;
    }
    let mut lines = events(&test.a, &test.room);
    let late = lines.remove(first);
    let mut bytes = 0;
    let waiting = lines[first..].iter().take_while(|line| {
        bytes += line.len();
        bytes <= 16 << 20
    });
    let waiting = waiting.count();
    assert!((1..299).contains(&waiting));
    lines.push(late);
    let archive = archive_of(&lines);
    let c = test.world.server("c.test").await;
    let imported = c.hs.import_room(archive.path(), Trust::Signatures).await.unwrap();
    assert_eq!(imported.accepted as usize, first + waiting + 1);
    assert_eq!(imported.left_out as usize, 299 - waiting);
    let fault = imported.first_fault.unwrap();
    assert!(fault.ends_with("which comes too late in the archive"), "{fault}");
}
