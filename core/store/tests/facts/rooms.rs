//! Rooms, states, events, timelines.

use crate::common::*;
use roomlet_store::*;
use roomlet_wire::{Code, EventId, EventNum, RoomNum, SlotNum, StateNum, StreamPos};

pub(crate) fn a_new_store_is_empty(store: &dyn Store) {
    assert_eq!(store.rooms().unwrap(), []);
    assert_eq!(store.room(&room_id(1)).unwrap(), None);
    assert_eq!(store.room_id(ROOM).unwrap(), None);
    assert_eq!(store.next_room().unwrap(), RoomNum(1));
    assert_eq!(store.last_update().unwrap(), StreamPos(0));
    assert_eq!(store.timeline(ROOM, None, Direction::Backward, 10).unwrap(), []);
    assert_eq!(store.owed().unwrap(), []);
    assert_eq!(
        store.destination(&server("a.org")).unwrap(),
        DestinationRow::default()
    );
    assert_eq!(store.meta("name").unwrap(), None);
}

pub(crate) fn a_room_is_read_as_it_was_written(store: &dyn Store) {
    commit(store, [Write::Room(record(1))]);
    assert_eq!(store.room(&room_id(1)).unwrap(), Some(record(1)));
    assert_eq!(store.room_id(ROOM).unwrap(), Some(room_id(1)));
}

pub(crate) fn a_room_is_replaced(store: &dyn Store) {
    let newer = RoomRecord {
        forward: vec![EventNum(301)],
        next_event: EventNum(302),
        ..record(1)
    };
    commit(store, [Write::Room(record(1))]);
    commit(store, [Write::Room(newer.clone())]);
    assert_eq!(store.room(&room_id(1)).unwrap(), Some(newer));
    assert_eq!(store.rooms().unwrap(), [(ROOM, room_id(1))]);
}

pub(crate) fn room_numbers_ascend(store: &dyn Store) {
    commit(store, [Write::Room(record(2)), Write::Room(record(1))]);
    assert_eq!(
        store.rooms().unwrap(),
        [(RoomNum(1), room_id(1)), (RoomNum(2), room_id(2))]
    );
    assert_eq!(store.next_room().unwrap(), RoomNum(3));
}

pub(crate) fn a_room_number_is_never_reused(store: &dyn Store) {
    commit(store, [Write::Room(record(1))]);
    let other_id = RoomRecord {
        id: room_id(2),
        ..record(1)
    };
    let other_num = RoomRecord {
        num: RoomNum(2),
        ..record(1)
    };
    assert_eq!(commit_code(store, [Write::Room(other_id)]), Code::Store);
    assert_eq!(commit_code(store, [Write::Room(other_num)]), Code::Store);
    assert_eq!(store.rooms().unwrap(), [(ROOM, room_id(1))]);
}

pub(crate) fn slots_are_read_by_number(store: &dyn Store) {
    let slot = |slot, kind: &str, state_key: &str| Write::Slot {
        room: ROOM,
        slot: SlotNum(slot),
        kind: kind.to_owned(),
        state_key: state_key.to_owned(),
    };
    commit(
        store,
        [
            slot(1, "m.room.member", "@a:b.org"),
            slot(0, "m.room.create", ""),
            slot(2, "org.x", "a\0b"),
        ],
    );
    let expected = [
        (SlotNum(0), "m.room.create".to_owned(), String::new()),
        (SlotNum(1), "m.room.member".to_owned(), "@a:b.org".to_owned()),
        (SlotNum(2), "org.x".to_owned(), "a\0b".to_owned()),
    ];
    assert_eq!(store.slots(ROOM).unwrap(), expected);
    assert_eq!(store.slots(RoomNum(2)).unwrap(), []);
}

pub(crate) fn states_are_read_as_written(store: &dyn Store) {
    let checkpoint = StateRow {
        num: StateNum(0),
        parent: None,
        changes: (0..1000).map(|n| (SlotNum(n), Some(EventNum(n * 7)))).collect(),
        size: 1000,
        since_checkpoint: 0,
    };
    let delta = StateRow {
        num: StateNum(1),
        parent: Some(StateNum(0)),
        changes: vec![(SlotNum(9), None), (SlotNum(3), Some(EventNum(u32::MAX)))],
        size: 999,
        since_checkpoint: 2,
    };
    let writes = [&checkpoint, &delta].map(|row| Write::State {
        room: ROOM,
        row: row.clone(),
    });
    commit(store, writes);
    assert_eq!(store.state(ROOM, StateNum(0)).unwrap(), Some(checkpoint));
    assert_eq!(store.state(ROOM, StateNum(1)).unwrap(), Some(delta));
    assert_eq!(store.state(ROOM, StateNum(2)).unwrap(), None);
    assert_eq!(store.state(RoomNum(2), StateNum(0)).unwrap(), None);
}

pub(crate) fn an_event_is_read_by_id_and_by_number(store: &dyn Store) {
    let row = EventRow {
        flags: EventFlags {
            outlier: true,
            rejected: true,
            soft_failed: true,
            backfilled: true,
        },
        state_before: None,
        state_after: None,
        redacted_by: Some(event_id(8)),
        json: "{\"body\":\"é\\u0000\"}".into(),
        ..event_row(7, -3)
    };
    commit(
        store,
        [Write::Event {
            room: ROOM,
            row: row.clone(),
        }],
    );
    assert_eq!(store.event(ROOM, &event_id(7)).unwrap(), Some(row.clone()));
    assert_eq!(store.event_by_num(ROOM, EventNum(7)).unwrap(), Some(row));
    assert_eq!(store.event(RoomNum(2), &event_id(7)).unwrap(), None);
    assert_eq!(store.event_by_num(ROOM, EventNum(8)).unwrap(), None);
}

pub(crate) fn states_and_events_of_a_room_are_listed_by_number(store: &dyn Store) {
    let state = |num| StateRow {
        num: StateNum(num),
        parent: None,
        changes: Vec::new(),
        size: 0,
        since_checkpoint: 0,
    };
    let event = |room, num| Write::Event {
        room,
        row: event_row(num, 1),
    };
    let other = RoomNum(ROOM.0 + 1);
    commit(
        store,
        [
            event(ROOM, 3),
            event(ROOM, 1),
            event(other, 2),
            Write::State {
                room: ROOM,
                row: state(5),
            },
            Write::State {
                room: ROOM,
                row: state(0),
            },
            Write::State {
                room: other,
                row: state(1),
            },
        ],
    );
    assert_eq!(store.event_nums(ROOM).unwrap(), [1, 3].map(EventNum));
    assert_eq!(store.state_nums(ROOM).unwrap(), [0, 5].map(StateNum));
    assert_eq!(store.event_nums(other).unwrap(), [EventNum(2)]);
    assert_eq!(store.state_nums(other).unwrap(), [StateNum(1)]);
    assert_eq!(store.state_nums(RoomNum(ROOM.0 + 2)).unwrap(), []);
}

pub(crate) fn event_ids_of_every_form_survive(store: &dyn Store) {
    let hash = "A".repeat(42);
    let ids = [
        "$local:example.org".to_owned(),
        format!("${hash}A"),
        format!("${hash}B"),
        format!("$+/{}", &hash[1..]),
    ];
    for (num, id) in (0..).zip(&ids) {
        let id = EventId::parse(id).unwrap();
        let row = EventRow {
            id: id.clone(),
            redacted_by: Some(id.clone()),
            ..event_row(num, 1)
        };
        commit(
            store,
            [Write::Event {
                room: ROOM,
                row: row.clone(),
            }],
        );
        assert_eq!(store.event(ROOM, &id).unwrap(), Some(row));
    }
}

pub(crate) fn an_event_is_replaced_and_moves_in_the_timeline(store: &dyn Store) {
    let outlier = EventRow {
        flags: EventFlags {
            outlier: true,
            ..EventFlags::default()
        },
        state_before: None,
        state_after: None,
        ..event_row(1, 5)
    };
    commit(
        store,
        [
            Write::Event {
                room: ROOM,
                row: outlier,
            },
            event(2, 6),
        ],
    );
    commit(store, [event(1, 7)]);
    assert_eq!(store.event(ROOM, &event_id(1)).unwrap(), Some(event_row(1, 7)));
    assert_eq!(
        nums(&store.timeline(ROOM, None, Direction::Forward, 10).unwrap()),
        [2, 1]
    );
    let rejected = EventRow {
        flags: EventFlags {
            rejected: true,
            ..EventFlags::default()
        },
        ..event_row(1, 7)
    };
    commit(
        store,
        [Write::Event {
            room: ROOM,
            row: rejected,
        }],
    );
    assert_eq!(
        nums(&store.timeline(ROOM, None, Direction::Forward, 10).unwrap()),
        [2]
    );
}

pub(crate) fn an_event_number_is_never_reused(store: &dyn Store) {
    commit(store, [event(1, 1)]);
    let other_id = EventRow {
        id: event_id(9),
        ..event_row(1, 1)
    };
    let other_num = EventRow {
        id: event_id(1),
        ..event_row(2, 1)
    };
    for row in [other_id, other_num] {
        assert_eq!(
            commit_code(store, [Write::Event { room: ROOM, row }]),
            Code::Store
        );
    }
    assert_eq!(
        store.event_by_num(ROOM, EventNum(1)).unwrap(),
        Some(event_row(1, 1))
    );
    assert_eq!(store.event_by_num(ROOM, EventNum(2)).unwrap(), None);
}

pub(crate) fn an_event_is_found_in_every_room_that_holds_it(store: &dyn Store) {
    let elsewhere = EventRow {
        num: EventNum(4),
        ..event_row(1, 1)
    };
    commit(
        store,
        [
            Write::Event {
                room: RoomNum(2),
                row: elsewhere,
            },
            event(1, 1),
            event(2, 2),
        ],
    );
    assert_eq!(
        store.find_event(&event_id(1)).unwrap(),
        [(ROOM, EventNum(1)), (RoomNum(2), EventNum(4))]
    );
    assert_eq!(store.find_event(&event_id(3)).unwrap(), []);
}

pub(crate) fn timeline_orders_by_depth_then_number(store: &dyn Store) {
    commit(
        store,
        [
            event(1, 1),
            event(2, i64::MAX),
            event(3, 5),
            event(4, 2),
            event(5, 5),
            event(6, -1),
        ],
    );
    let forward = store.timeline(ROOM, None, Direction::Forward, 10).unwrap();
    assert_eq!(nums(&forward), [6, 1, 4, 3, 5, 2]);
    let backward = store.timeline(ROOM, None, Direction::Backward, 10).unwrap();
    assert_eq!(nums(&backward), [2, 5, 3, 4, 1, 6]);
}

pub(crate) fn timeline_pages_are_exclusive_of_their_start(store: &dyn Store) {
    commit(
        store,
        [event(1, 1), event(2, 2), event(3, 2), event(4, 2), event(5, 3)],
    );
    let page = |depth, num, direction, limit| {
        let from = Some(TimelinePos {
            depth,
            num: EventNum(num),
        });
        nums(&store.timeline(ROOM, from, direction, limit).unwrap())
    };
    assert_eq!(page(2, 3, Direction::Forward, 10), [4, 5]);
    assert_eq!(page(2, 3, Direction::Forward, 1), [4]);
    assert_eq!(page(2, 3, Direction::Backward, 10), [2, 1]);
    assert_eq!(page(2, 3, Direction::Backward, 1), [2]);
    assert_eq!(page(3, 5, Direction::Forward, 10), []);
    assert_eq!(
        page(1, 9, Direction::Forward, 2),
        [2, 3],
        "a position need not be an event's"
    );
    assert_eq!(
        nums(&store.timeline(ROOM, None, Direction::Backward, 0).unwrap()),
        []
    );
}

pub(crate) fn timeline_hides_outliers_rejected_and_soft_failed_events(store: &dyn Store) {
    let none = EventFlags::default();
    let flags = [
        EventFlags {
            outlier: true,
            ..none
        },
        EventFlags {
            rejected: true,
            ..none
        },
        EventFlags {
            soft_failed: true,
            ..none
        },
        EventFlags {
            backfilled: true,
            ..none
        },
        none,
    ];
    for (num, flags) in (1..).zip(flags) {
        commit(
            store,
            [Write::Event {
                room: ROOM,
                row: EventRow {
                    flags,
                    ..event_row(num, 1)
                },
            }],
        );
    }
    assert_eq!(
        nums(&store.timeline(ROOM, None, Direction::Forward, 10).unwrap()),
        [4, 5]
    );
}

pub(crate) fn timeline_stays_in_its_room(store: &dyn Store) {
    let elsewhere = Write::Event {
        room: RoomNum(2),
        row: event_row(2, 2),
    };
    commit(store, [event(1, 1), elsewhere, event(3, 3)]);
    assert_eq!(
        nums(&store.timeline(ROOM, None, Direction::Forward, 10).unwrap()),
        [1, 3]
    );
    assert_eq!(
        nums(&store.timeline(RoomNum(2), None, Direction::Backward, 10).unwrap()),
        [2]
    );
}

pub(crate) fn missing_prevs_go_when_found(store: &dyn Store) {
    let missing = |missing, child| Write::MissingPrev {
        room: ROOM,
        missing: event_id(missing),
        child: EventNum(child),
    };
    commit(
        store,
        [missing(1, 5), missing(1, 4), missing(2, 5), missing(1, 5)],
    );
    let mut expected = vec![
        (event_id(1), EventNum(4)),
        (event_id(1), EventNum(5)),
        (event_id(2), EventNum(5)),
    ];
    expected.sort();
    assert_eq!(store.missing_prevs(ROOM).unwrap(), expected);
    commit(
        store,
        [Write::FoundPrev {
            room: ROOM,
            missing: event_id(1),
        }],
    );
    assert_eq!(store.missing_prevs(ROOM).unwrap(), [(event_id(2), EventNum(5))]);
}

pub(crate) fn redactions_are_known_before_their_target(store: &dyn Store) {
    let redaction = |target, by| Write::Redaction {
        room: ROOM,
        target: event_id(target),
        by: EventNum(by),
    };
    commit(
        store,
        [redaction(1, 9), redaction(1, 3), redaction(2, 4), redaction(1, 3)],
    );
    assert_eq!(
        store.redactions_of(ROOM, &event_id(1)).unwrap(),
        [EventNum(3), EventNum(9)]
    );
    assert_eq!(store.redactions_of(ROOM, &event_id(3)).unwrap(), []);
    assert_eq!(store.redactions_of(RoomNum(2), &event_id(1)).unwrap(), []);
}
