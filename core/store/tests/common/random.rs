//! Random writes of every kind, and all that a store says afterwards.

use super::*;
use std::fmt::Write as _;

/// Names are few, so that writes meet.
const USERS: [&str; 3] = ["a:x.org", "b:x.org", "c:y.org:1"];
const SERVERS: [&str; 3] = ["example.org", "x.org", "y.org:1"];
const MEMBERSHIPS: [&str; 4] = ["join", "invite", "leave", "ban"];

/// A xorshift generator: the same writes for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % end
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u32) as usize]
    }

    fn room(&mut self) -> RoomNum {
        RoomNum(1 + self.below(3))
    }

    fn event(&mut self) -> EventRow {
        let num = self.below(12);
        // Now and then an id that has another number: the commit fails.
        let id = event_id(if self.below(15) == 0 { self.below(12) } else { num });
        let flags = EventFlags {
            outlier: self.below(4) == 0,
            rejected: self.below(6) == 0,
            soft_failed: self.below(6) == 0,
            backfilled: self.chance(),
        };
        let state = self.chance().then(|| StateNum(self.below(9)));
        let redacted_by = self.chance().then(|| event_id(self.below(12)));
        let depth = i64::from(self.below(4));
        EventRow {
            id,
            flags,
            state_before: state,
            state_after: state,
            redacted_by,
            ..event_row(num, depth)
        }
    }

    fn update(&mut self) -> Update {
        let (room, event) = (room_id(self.below(3)), event_id(self.below(12)));
        match self.below(3) {
            0 => Update::Event { room, event },
            1 => Update::State {
                room,
                kind: "m.room.name".to_owned(),
                state_key: String::new(),
                event: self.chance().then_some(event),
            },
            _ => Update::Redacted {
                room,
                event,
                by: event_id(99),
            },
        }
    }

    fn destination(&mut self) -> DestinationRow {
        let up_to = u64::from(self.below(50));
        let in_flight = self.chance().then(|| InFlight {
            txn_id: up_to.to_string(),
            body: format!("{{{up_to}}}").into(),
            up_to,
        });
        DestinationRow {
            in_flight,
            failures: self.below(5),
            retry_at: self.below(100).into(),
        }
    }

    pub(crate) fn write(&mut self) -> Write {
        let room = self.room();
        let target = event_id(self.below(12));
        let num = EventNum(self.below(12));
        let name = user(self.pick(&USERS));
        let other = server(self.pick(&SERVERS));
        let txn_id = self.below(3).to_string();
        match self.below(28) {
            0 => Write::Room(RoomRecord {
                next_event: num,
                ..record(room.0)
            }),
            1 => Write::Slot {
                room,
                slot: SlotNum(self.below(5)),
                kind: txn_id,
                state_key: String::new(),
            },
            2 => {
                let changes = (0..self.below(5))
                    .map(|_| (SlotNum(self.below(9)), self.chance().then_some(num)))
                    .collect();
                let parent = self.chance().then_some(StateNum(1));
                let row = StateRow {
                    num: StateNum(self.below(9)),
                    parent,
                    changes,
                    size: 7,
                    since_checkpoint: 2,
                };
                Write::State { room, row }
            }
            3..=6 => Write::Event {
                room,
                row: self.event(),
            },
            7 => Write::MissingPrev {
                room,
                missing: target,
                child: num,
            },
            8 => Write::FoundPrev {
                room,
                missing: target,
            },
            9 => Write::Redaction {
                room,
                target,
                by: num,
            },
            10 | 11 => {
                let membership = (self.below(5) > 0).then(|| (self.pick(&MEMBERSHIPS).to_owned(), num));
                Write::Member {
                    room,
                    user: name,
                    membership,
                }
            }
            12 => Write::Invite(invite_of(
                &other,
                &name[1..],
                room.0,
                self.pick(&["invite", "knock"]),
            )),
            13 if self.chance() => rescind(&other, &name[1..], room.0),
            13 => Write::DropInvite {
                user: name,
                room: room_id(room.0),
            },
            14 => Write::Update(self.update()),
            15 => Write::TrimUpdates(StreamPos(self.below(40).into())),
            16 => Write::ClientTxn {
                user: name,
                txn_id,
                result: target,
            },
            17 => Write::TxnReply {
                origin: other,
                body: txn_id.clone(),
                txn_id,
                now: self.below(50).into(),
            },
            18 => Write::TrimTxnReplies(self.below(30).into()),
            19 => Write::Stage(StagedPdu {
                origin: other,
                ..staged(room.0, self.below(6), "z.org")
            }),
            20 => Write::Unstage {
                room,
                event: event_id(self.below(6)),
            },
            21 if self.chance() => edu(&other, &txn_id),
            21 | 22 => pdu(&other, room.0, num.0),
            23 if self.chance() => Write::OutboxCollapse { destination: other },
            23 => Write::OutboxDone {
                destination: other,
                up_to: self.below(40).into(),
            },
            24 => Write::Destination {
                destination: other,
                row: self.destination(),
            },
            25 => {
                let some = |random: &mut Self| (0..random.below(6)).map(|_| random.below(12)).collect();
                let (events, states): (Vec<u32>, Vec<u32>) = (some(self), some(self));
                Write::Purge {
                    room,
                    events: events.into_iter().map(EventNum).collect(),
                    states: states.into_iter().map(StateNum).collect(),
                }
            }
            26 if self.below(8) == 0 => Write::Forget {
                room,
                id: room_id(room.0),
            },
            _ => {
                let expired_at = self.chance().then(|| self.below(9).into());
                let id = self.pick(&["ed25519:a", "ed25519:b"]);
                Write::Key(key(
                    id,
                    self.pick(&["AAAA", "AAAA", "BBBB"]),
                    self.below(99).into(),
                    expired_at,
                ))
            }
        }
    }
}

/// All that the reads of a store say.
pub(crate) fn dump(store: &dyn Store) -> String {
    let mut out = String::new();
    macro_rules! say {
        ($($read:tt)*) => { writeln!(out, "{} = {:?}", stringify!($($read)*), store.$($read)*.unwrap()).unwrap() };
    }
    say!(rooms());
    say!(next_room());
    say!(last_update());
    say!(updates(StreamPos(0), 1000));
    say!(updates(StreamPos(9), 3));
    say!(staged(None));
    say!(owed());
    for n in 1..=3 {
        let num = RoomNum(n);
        say!(room(&room_id(n)));
        say!(room_id(num));
        say!(slots(num));
        say!(missing_prevs(num));
        say!(members(num, None));
        say!(members(num, Some("leave")));
        say!(joined_servers(num));
        say!(staged(Some(num)));
        for state in 0..9 {
            say!(state(num, StateNum(state)));
        }
        for event in 0..12 {
            say!(event(num, &event_id(event)));
            say!(event_by_num(num, EventNum(event)));
            say!(redactions_of(num, &event_id(event)));
        }
        for direction in [Direction::Forward, Direction::Backward] {
            say!(timeline(num, None, direction, 5));
            let from = TimelinePos {
                depth: 1,
                num: EventNum(6),
            };
            say!(timeline(num, Some(from), direction, 20));
        }
        for name in USERS {
            for row in store.invites(&user(name), &room_id(n)).unwrap() {
                writeln!(out, "{row:?}").unwrap();
            }
            say!(member(num, &user(name)));
        }
    }
    for event in 0..12 {
        say!(find_event(&event_id(event)));
    }
    for txn_id in ["0", "1", "2"] {
        for name in USERS {
            say!(client_txn(&user(name), txn_id));
        }
        for name in SERVERS {
            say!(txn_reply(&server(name), txn_id));
        }
    }
    for name in USERS {
        say!(user_rooms(&user(name)));
    }
    for name in SERVERS {
        say!(outbox(&server(name), 1000));
        say!(outbox_len(&server(name)));
        say!(destination(&server(name)));
        say!(keys(&server(name)));
    }
    out
}
