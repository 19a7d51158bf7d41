//! Members, users, updates, keys.

use crate::common::*;
use roomlet_store::*;
use roomlet_wire::{EventNum, KeyId, RoomNum, StreamPos};

fn names(rows: &[MemberRow]) -> Vec<&str> {
    rows.iter().map(|row| row.user.as_str()).collect()
}

fn pairs(rows: &[(u32, &str)]) -> Vec<(String, String)> {
    rows.iter()
        .map(|(room, membership)| (room_id(*room).as_str().to_owned(), (*membership).to_owned()))
        .collect()
}

pub(crate) fn members_are_listed_by_user(store: &dyn Store) {
    commit(
        store,
        [
            member("b:x.org", "join", 2),
            member("c:x.org", "leave", 3),
            member("a:x.org", "join", 1),
        ],
    );
    commit(store, [member("b:x.org", "ban", 4)]);
    assert_eq!(
        names(&store.members(ROOM, None).unwrap()),
        ["@a:x.org", "@b:x.org", "@c:x.org"]
    );
    assert_eq!(names(&store.members(ROOM, Some("join")).unwrap()), ["@a:x.org"]);
    assert_eq!(names(&store.members(ROOM, Some("invite")).unwrap()), [""; 0]);
    let banned = MemberRow {
        user: user("b:x.org"),
        membership: "ban".to_owned(),
        event: EventNum(4),
    };
    assert_eq!(store.member(ROOM, &user("b:x.org")).unwrap(), Some(banned));
    assert_eq!(store.member(RoomNum(2), &user("b:x.org")).unwrap(), None);
}

pub(crate) fn a_member_leaves_the_list_when_the_state_has_none(store: &dyn Store) {
    commit(store, [member("a:x.org", "join", 1)]);
    let gone = || Write::Member {
        room: ROOM,
        user: user("a:x.org"),
        membership: None,
    };
    commit(store, [gone(), gone()]);
    assert_eq!(store.members(ROOM, None).unwrap(), []);
    assert_eq!(store.joined_servers(ROOM).unwrap(), []);
}

pub(crate) fn joined_servers_count_joined_members_only(store: &dyn Store) {
    commit(
        store,
        [
            member("a:x.org", "join", 1),
            member("b:x.org:8448", "join", 2),
            member("c:x.org", "invite", 3),
            member("d:y.org", "join", 4),
            member("e:y.org", "join", 5),
            member("e:y.org", "join", 6),
            member("f:z.org", "join", 7),
            member("f:z.org", "leave", 8),
        ],
    );
    let expected = [
        (server("x.org"), 1),
        (server("x.org:8448"), 1),
        (server("y.org"), 2),
    ];
    assert_eq!(store.joined_servers(ROOM).unwrap(), expected);
    commit(
        store,
        [member("c:x.org", "join", 9), member("d:y.org", "ban", 10)],
    );
    let expected = [
        (server("x.org"), 2),
        (server("x.org:8448"), 1),
        (server("y.org"), 1),
    ];
    assert_eq!(store.joined_servers(ROOM).unwrap(), expected);
    assert_eq!(store.joined_servers(RoomNum(2)).unwrap(), []);
}

pub(crate) fn user_rooms_merge_memberships_and_invites(store: &dyn Store) {
    commit(
        store,
        [
            Write::Room(record(1)),
            member("a:x.org", "leave", 1),
            member("b:x.org", "join", 2),
        ],
    );
    commit(store, [Write::Invite(invite_row("a:x.org", 2, "invite"))]);
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "leave"), (2, "invite")]));
    assert_eq!(rooms_of(store, "b:x.org"), pairs(&[(1, "join")]));
    assert_eq!(rooms_of(store, "c:x.org"), []);
}

pub(crate) fn a_pending_invite_wins_unless_joined(store: &dyn Store) {
    commit(store, [Write::Room(record(1)), member("a:x.org", "leave", 1)]);
    commit(store, [Write::Invite(invite_row("a:x.org", 1, "invite"))]);
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "invite")]));
    commit(store, [member("a:x.org", "join", 2)]);
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "join")]));
}

pub(crate) fn a_pending_knock_is_listed_as_knock(store: &dyn Store) {
    let broken = InviteRow {
        event_json: "{".into(),
        ..invite_row("a:x.org", 2, "")
    };
    commit(
        store,
        [
            Write::Invite(invite_row("a:x.org", 1, "knock")),
            Write::Invite(broken),
        ],
    );
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "knock"), (2, "invite")]));
}

pub(crate) fn an_invite_is_read_as_written_and_dropped(store: &dyn Store) {
    let row = invite_row("a:x.org", 1, "invite");
    let drop = Write::DropInvite {
        user: user("a:x.org"),
        room: room_id(1),
    };
    commit(
        store,
        [
            Write::Invite(invite_row("a:x.org", 1, "knock")),
            Write::Invite(row.clone()),
        ],
    );
    assert_eq!(store.invites(&user("a:x.org"), &room_id(1)).unwrap(), [row]);
    assert_eq!(store.invites(&user("a:x.org"), &room_id(2)).unwrap(), []);
    commit(store, [drop]);
    assert_eq!(store.invites(&user("a:x.org"), &room_id(1)).unwrap(), []);
    assert_eq!(rooms_of(store, "a:x.org"), []);
}

pub(crate) fn each_server_has_an_invite_of_its_own(store: &dyn Store) {
    let of = |server, membership| invite_of(server, "a:x.org", 1, membership);
    let rows = [
        of("a.org", "invite"),
        of("b.org", "knock"),
        of("b.org:1", "invite"),
    ];
    commit(store, rows.clone().map(Write::Invite));
    commit(store, [Write::Invite(of("a.org", "knock"))]);
    let invites = || store.invites(&user("a:x.org"), &room_id(1)).unwrap();
    let rows = [of("a.org", "knock"), rows[1].clone(), rows[2].clone()];
    assert_eq!(invites(), rows);
    commit(store, [Write::Invite(invite_row("b:x.org", 1, "invite"))]);
    assert_eq!(store.invite_count(&user("a:x.org")).unwrap(), 3);
    assert_eq!(store.invite_count(&user("c:x.org")).unwrap(), 0);
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "knock")]));
    // Another user's, another room's, and one that nobody made.
    commit(
        store,
        [
            rescind("a.org", "b:x.org", 1),
            rescind("a.org", "a:x.org", 2),
            rescind("c.org", "a:x.org", 1),
        ],
    );
    assert_eq!(invites(), rows);
    commit(
        store,
        [rescind("a.org", "a:x.org", 1), rescind("b.org", "a:x.org", 1)],
    );
    assert_eq!(invites(), rows[2..]);
    assert_eq!(rooms_of(store, "a:x.org"), pairs(&[(1, "invite")]));
    assert_eq!(store.last_update().unwrap(), StreamPos(0));
    commit(
        store,
        [rescind("b.org:1", "a:x.org", 1), rescind("b.org:1", "a:x.org", 1)],
    );
    assert_eq!(invites(), []);
    assert_eq!(rooms_of(store, "a:x.org"), []);
    let Write::Rescind { update, .. } = rescind("b.org:1", "a:x.org", 1) else {
        unreachable!();
    };
    assert_eq!(store.updates(StreamPos(0), 9).unwrap(), [(StreamPos(1), *update)]);
    commit(store, rows.map(Write::Invite));
    let (user, room) = (user("a:x.org"), room_id(1));
    commit(store, [Write::DropInvite { user, room }]);
    assert_eq!(invites(), []);
}

fn positions(store: &dyn Store, after: u64, max: usize) -> Vec<u64> {
    store
        .updates(StreamPos(after), max)
        .unwrap()
        .iter()
        .map(|(pos, _)| pos.0)
        .collect()
}

pub(crate) fn updates_come_in_order_from_a_position(store: &dyn Store) {
    assert_eq!(commit(store, [update(1), update(2)]), StreamPos(2));
    assert_eq!(commit(store, [meta("a", "b")]), StreamPos(2));
    assert_eq!(commit(store, [update(3)]), StreamPos(3));
    assert_eq!(positions(store, 0, 10), [1, 2, 3]);
    assert_eq!(positions(store, 1, 1), [2]);
    assert_eq!(positions(store, 3, 10), [0; 0]);
    assert_eq!(positions(store, u64::MAX, 10), [0; 0]);
    assert_eq!(store.last_update().unwrap(), StreamPos(3));
}

pub(crate) fn update_positions_never_come_again_after_a_trim(store: &dyn Store) {
    commit(store, [update(1), update(2), Write::TrimUpdates(StreamPos(2))]);
    assert_eq!(positions(store, 0, 10), [0; 0]);
    assert_eq!(store.last_update().unwrap(), StreamPos(2));
    assert_eq!(
        commit(store, [update(3), update(4), Write::TrimUpdates(StreamPos(3))]),
        StreamPos(4)
    );
    assert_eq!(positions(store, 0, 10), [4]);
}

pub(crate) fn updates_of_every_kind_survive(store: &dyn Store) {
    let state = |event| Update::State {
        room: room_id(1),
        kind: "m.room.name".to_owned(),
        state_key: String::new(),
        event,
    };
    let updates = [
        Update::Event {
            room: room_id(1),
            event: event_id(1),
        },
        state(Some(event_id(2))),
        state(None),
        Update::Membership {
            room: room_id(2),
            user: user("a:x.org"),
            membership: "ban".to_owned(),
            sender: user("b:y.org"),
        },
        Update::Redacted {
            room: room_id(1),
            event: event_id(3),
            by: event_id(4),
        },
    ];
    commit(store, updates.clone().map(Write::Update));
    let read: Vec<_> = store
        .updates(StreamPos(0), 10)
        .unwrap()
        .into_iter()
        .map(|(_, update)| update)
        .collect();
    assert_eq!(read, updates);
}

pub(crate) fn accounts_are_listed_by_name(store: &dyn Store) {
    let account = |name| Write::Account(user(name));
    commit(
        store,
        [account("b:x.org"), account("a:x.org"), account("b:x.org")],
    );
    assert_eq!(store.accounts().unwrap(), [user("a:x.org"), user("b:x.org")]);
    assert!(store.has_account(&user("a:x.org")).unwrap());
    assert!(!store.has_account(&user("A:x.org")).unwrap());
}

pub(crate) fn a_client_txn_keeps_its_first_result(store: &dyn Store) {
    let txn = |event| Write::ClientTxn {
        user: user("a:x.org"),
        txn_id: "t".to_owned(),
        result: event_id(event),
    };
    commit(store, [txn(1)]);
    commit(store, [txn(2)]);
    assert_eq!(
        store.client_txn(&user("a:x.org"), "t").unwrap(),
        Some(event_id(1))
    );
    assert_eq!(store.client_txn(&user("b:x.org"), "t").unwrap(), None);
}

pub(crate) fn client_txns_are_forgotten_with_their_room(store: &dyn Store) {
    let txn = |name, txn_id: &str| Write::ClientTxn {
        user: user(name),
        txn_id: txn_id.to_owned(),
        result: event_id(1),
    };
    let all = ["1 a", "1 ", "1 \u{10FFFF}", "1", "10 a", "11 1 a", "2 1 a", "a"];
    commit(store, all.map(|txn_id| txn("a:x.org", txn_id)));
    commit(store, [txn("b:x.org", "1 a")]);
    commit(
        store,
        [Write::Forget {
            room: RoomNum(1),
            id: room_id(1),
        }],
    );
    let held = |txn_id: &&str| store.client_txn(&user("a:x.org"), txn_id).unwrap().is_some();
    let left: Vec<&str> = all.into_iter().filter(held).collect();
    assert_eq!(left, ["1", "10 a", "11 1 a", "2 1 a", "a"]);
    assert_eq!(store.client_txn(&user("b:x.org"), "1 a").unwrap(), None);
}

pub(crate) fn txn_replies_are_forgotten_by_age(store: &dyn Store) {
    let reply = |txn_id: &str, now| Write::TxnReply {
        origin: server("x.org"),
        txn_id: txn_id.to_owned(),
        body: format!("{{\"at\":{now}}}"),
        now,
    };
    commit(store, [reply("old", 10), reply("new", 20)]);
    assert_eq!(
        store.txn_reply(&server("x.org"), "old").unwrap().as_deref(),
        Some("{\"at\":10}")
    );
    assert_eq!(store.txn_reply(&server("y.org"), "old").unwrap(), None);
    commit(store, [Write::TrimTxnReplies(20)]);
    assert_eq!(store.txn_reply(&server("x.org"), "old").unwrap(), None);
    assert_eq!(
        store.txn_reply(&server("x.org"), "new").unwrap().as_deref(),
        Some("{\"at\":20}")
    );
}

pub(crate) fn key_bytes_of_a_known_id_never_change(store: &dyn Store) {
    let put = |row: KeyRow| commit(store, [Write::Key(row)]);
    let held = || store.keys(&server("example.org")).unwrap();
    put(key("ed25519:b", "BBBB", 100, None));
    put(key("ed25519:b", "CCCC", 900, Some(1)));
    assert_eq!(
        held(),
        [key("ed25519:b", "BBBB", 100, None)],
        "another key changes nothing"
    );
    put(key("ed25519:b", "BBBB", 50, None));
    assert_eq!(
        held(),
        [key("ed25519:b", "BBBB", 100, None)],
        "validity does not shrink"
    );
    put(key("ed25519:b", "BBBB", 200, Some(70)));
    put(key("ed25519:b", "BBBB", 300, None));
    put(key("ed25519:a", "AAAA", 1, None));
    assert_eq!(
        held(),
        [
            key("ed25519:a", "AAAA", 1, None),
            key("ed25519:b", "BBBB", 300, Some(70))
        ]
    );
    assert_eq!(store.keys(&server("x.org")).unwrap(), []);
}

pub(crate) fn own_keys_and_meta_are_replaced(store: &dyn Store) {
    let own = |id: &str, seed, expired_at| OwnKey {
        id: KeyId::parse(id).unwrap(),
        seed: [seed; 32],
        expired_at,
    };
    commit(
        store,
        [Write::OwnKey(own("ed25519:1", 1, None)), meta("name", "x.org")],
    );
    let (retired, new) = (own("ed25519:1", 1, Some(5)), own("ed25519:2", 2, None));
    commit(
        store,
        [
            Write::OwnKey(new.clone()),
            Write::OwnKey(retired.clone()),
            meta("name", "y.org"),
        ],
    );
    assert_eq!(store.own_keys().unwrap(), [retired, new]);
    assert_eq!(store.meta("name").unwrap().as_deref(), Some("y.org"));
}
