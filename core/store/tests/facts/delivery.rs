//! Staged PDUs, the outbox, destinations; what a commit is.

use crate::common::*;
use roomlet_store::*;
use roomlet_wire::{Code, EventId, EventNum, RoomNum, StreamPos};

/// The outbox of a destination in short form: `room/event` or the EDU.
fn queue(store: &dyn Store, destination: &str) -> Vec<String> {
    let rows = store.outbox(&server(destination), 100).unwrap();
    assert!(rows.is_sorted_by(|a, b| a.seq < b.seq));
    let item = |row: OutboxRow| match row.item {
        OutboxItem::Pdu { room, event } => format!("{}/{}", room.0, event.0),
        OutboxItem::Forgotten { room, json } => format!("{}/{json}", room.0),
        OutboxItem::Edu(json) => json,
    };
    rows.into_iter().map(item).collect()
}

fn done(destination: &str, up_to: u64) -> Write {
    Write::OutboxDone {
        destination: server(destination),
        up_to,
    }
}

fn in_flight(destination: &str, up_to: u64) -> Write {
    let in_flight = Some(InFlight {
        txn_id: "t1".to_owned(),
        body: "{\"pdus\":[]}".into(),
        up_to,
    });
    let row = DestinationRow {
        in_flight,
        failures: 3,
        retry_at: 77,
    };
    Write::Destination {
        destination: server(destination),
        row,
    }
}

pub(crate) fn staged_pdus_come_in_order_of_arrival(store: &dyn Store) {
    let rows = [
        staged(2, 9, "a.org"),
        staged(1, 5, "b.org"),
        staged(1, 1, "a.org"),
    ];
    commit(store, rows.clone().map(Write::Stage));
    assert_eq!(store.staged(None).unwrap(), rows);
    assert_eq!(store.staged(Some(RoomNum(1))).unwrap(), rows[1..]);
    assert_eq!(store.rooms_with_staged().unwrap(), [RoomNum(1), RoomNum(2)]);
    commit(
        store,
        [
            Write::Unstage {
                room: RoomNum(1),
                event: event_id(1),
            },
            Write::Stage(rows[2].clone()),
        ],
    );
    commit(
        store,
        [Write::Unstage {
            room: RoomNum(2),
            event: event_id(5),
        }],
    );
    commit(
        store,
        [Write::Unstage {
            room: RoomNum(1),
            event: event_id(5),
        }],
    );
    assert_eq!(store.staged(None).unwrap(), [rows[0].clone(), rows[2].clone()]);
}

pub(crate) fn a_pdu_staged_again_keeps_its_place(store: &dyn Store) {
    let again = StagedPdu {
        json: "{\"a\":1}".into(),
        ..staged(1, 5, "c.org")
    };
    commit(
        store,
        [
            Write::Stage(staged(1, 5, "a.org")),
            Write::Stage(staged(1, 6, "a.org")),
        ],
    );
    commit(store, [Write::Stage(again.clone())]);
    assert_eq!(store.staged(None).unwrap(), [again, staged(1, 6, "a.org")]);
}

/// Events with an id that is too long in bytes are held as rejected in some versions (ID-12).
pub(crate) fn an_id_of_many_bytes_comes_back(store: &dyn Store) {
    let id = format!("${}:b.org", "ä".repeat(240));
    let long = StagedPdu {
        event: EventId::parse_any_length(&id).unwrap(),
        ..staged(1, 5, "b.org")
    };
    commit(store, [Write::Stage(long.clone())]);
    assert_eq!(store.staged(None).unwrap(), [long]);
}

pub(crate) fn the_outbox_is_a_queue_per_destination(store: &dyn Store) {
    commit(
        store,
        [
            pdu("a.org", 1, 1),
            pdu("b.org", 1, 1),
            edu("a.org", "{}"),
            pdu("a.org", 2, 7),
        ],
    );
    assert_eq!(queue(store, "a.org"), ["1/1", "{}", "2/7"]);
    assert_eq!(queue(store, "b.org"), ["1/1"]);
    let first = store.outbox(&server("a.org"), 2).unwrap();
    assert_eq!(first.len(), 2);
    commit(store, [done("a.org", first[1].seq)]);
    assert_eq!(queue(store, "a.org"), ["2/7"]);
    assert_eq!(store.outbox_len(&server("a.org")).unwrap(), 1);
    assert_eq!(store.outbox_len(&server("b.org")).unwrap(), 1);
    assert_eq!(store.outbox_len(&server("c.org")).unwrap(), 0);
}

pub(crate) fn what_is_owed_of_a_forgotten_room_stays(store: &dyn Store) {
    let row = |num, json: &str| EventRow {
        json: json.into(),
        ..event_row(num, 1)
    };
    let event = |num, json| Write::Event {
        room: RoomNum(1),
        row: row(num, json),
    };
    commit(store, [event(1, r#"{"n":1}"#), event(2, r#"{"n":2}"#)]);
    commit(
        store,
        [
            pdu("a.org", 1, 1),
            pdu("a.org", 2, 1),
            pdu("a.org", 1, 2),
            // Of an event that is not held.
            pdu("a.org", 1, 3),
            edu(&server("a.org"), "{}"),
            pdu("b.org", 1, 2),
            pdu("c.org", 1, 3),
        ],
    );
    let (room, id) = (RoomNum(1), room_id(1));
    commit(store, [Write::Forget { room, id }]);
    let left = [r#"1/{"n":1}"#, "2/1", r#"1/{"n":2}"#, "{}"];
    assert_eq!(queue(store, "a.org"), left);
    assert_eq!(queue(store, "b.org"), [r#"1/{"n":2}"#]);
    assert_eq!(store.owed().unwrap(), [server("a.org"), server("b.org")]);
    let events = Vec::new();
    let states = Vec::new();
    commit(store, [Write::Purge { room, events, states }]);
    assert_eq!(queue(store, "a.org"), left);
    let destination = server("a.org");
    commit(store, [Write::OutboxCollapse { destination }]);
    assert_eq!(queue(store, "a.org"), left[1..]);
    let last = store.outbox(&server("b.org"), 1).unwrap()[0].seq;
    commit(store, [done("b.org", last)]);
    assert_eq!(store.owed().unwrap(), [server("a.org")]);
}

pub(crate) fn outbox_numbers_are_never_reused(store: &dyn Store) {
    commit(store, [pdu("a.org", 1, 1)]);
    let last = store.outbox(&server("a.org"), 1).unwrap()[0].seq;
    commit(store, [done("a.org", last), pdu("a.org", 1, 2)]);
    assert!(store.outbox(&server("a.org"), 1).unwrap()[0].seq > last);
    commit(store, [done("a.org", u64::MAX)]);
    assert_eq!(queue(store, "a.org"), [""; 0]);
}

pub(crate) fn collapse_keeps_the_newest_pdu_of_each_room_and_all_edus(store: &dyn Store) {
    commit(
        store,
        [
            pdu("a.org", 1, 1),
            edu("a.org", "e1"),
            pdu("a.org", 2, 9),
            pdu("a.org", 1, 2),
            edu("a.org", "e2"),
        ],
    );
    commit(store, [pdu("b.org", 1, 1), pdu("b.org", 1, 2)]);
    commit(
        store,
        [Write::OutboxCollapse {
            destination: server("a.org"),
        }],
    );
    assert_eq!(queue(store, "a.org"), ["e1", "2/9", "1/2", "e2"]);
    assert_eq!(queue(store, "b.org"), ["1/1", "1/2"]);
}

pub(crate) fn owed_lists_rows_and_transactions_in_flight(store: &dyn Store) {
    let idle = DestinationRow {
        in_flight: None,
        failures: 1,
        retry_at: 5,
    };
    commit(
        store,
        [
            pdu("c.org", 1, 1),
            pdu("c.org", 1, 2),
            edu("a.org", "{}"),
            in_flight("b.org", 1),
        ],
    );
    commit(
        store,
        [
            in_flight("a.org", 1),
            Write::Destination {
                destination: server("d.org"),
                row: idle,
            },
        ],
    );
    assert_eq!(store.owed().unwrap(), ["a.org", "b.org", "c.org"].map(server));
    commit(store, [done("c.org", u64::MAX), done("a.org", u64::MAX)]);
    assert_eq!(store.owed().unwrap(), ["a.org", "b.org"].map(server));
}

pub(crate) fn a_destination_is_read_as_written(store: &dyn Store) {
    commit(store, [in_flight("a.org", 12)]);
    let flight = InFlight {
        txn_id: "t1".to_owned(),
        body: "{\"pdus\":[]}".into(),
        up_to: 12,
    };
    let expected = DestinationRow {
        in_flight: Some(flight),
        failures: 3,
        retry_at: 77,
    };
    assert_eq!(store.destination(&server("a.org")).unwrap(), expected);
    let row = DestinationRow::default();
    commit(
        store,
        [Write::Destination {
            destination: server("a.org"),
            row: row.clone(),
        }],
    );
    assert_eq!(store.destination(&server("a.org")).unwrap(), row);
}

pub(crate) fn a_failed_commit_leaves_nothing(store: &dyn Store) {
    commit(store, [event(1, 1), update(1), pdu("a.org", 1, 1)]);
    let taken = Write::Event {
        room: ROOM,
        row: EventRow {
            num: EventNum(2),
            ..event_row(1, 1)
        },
    };
    let writes = [
        event(3, 3),
        update(3),
        pdu("a.org", 1, 3),
        meta("a", "b"),
        member("a:x.org", "join", 3),
        taken,
    ];
    assert_eq!(commit_code(store, writes), Code::Store);
    assert_eq!(store.event(ROOM, &event_id(3)).unwrap(), None);
    assert_eq!(store.last_update().unwrap(), StreamPos(1));
    assert_eq!(queue(store, "a.org"), ["1/1"]);
    assert_eq!(store.meta("a").unwrap(), None);
    assert_eq!(store.joined_servers(ROOM).unwrap(), []);
    assert_eq!(
        commit(store, [update(4)]),
        StreamPos(2),
        "the position was not used up"
    );
}

pub(crate) fn later_writes_of_a_commit_win(store: &dyn Store) {
    commit(
        store,
        [
            meta("a", "1"),
            meta("a", "2"),
            member("a:x.org", "join", 1),
            member("a:x.org", "leave", 2),
        ],
    );
    assert_eq!(store.meta("a").unwrap().as_deref(), Some("2"));
    assert_eq!(store.joined_servers(ROOM).unwrap(), []);
}

pub(crate) fn an_empty_commit_returns_the_last_position(store: &dyn Store) {
    assert_eq!(commit(store, []), StreamPos(0));
    commit(store, [update(1)]);
    assert_eq!(commit(store, []), StreamPos(1));
}
