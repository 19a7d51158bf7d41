//! The authorization of one event by the room's state.

use super::{
    rooms::{Room, member, user},
    ruma,
};
use crate::measure::{Bound, Round, measure, report};
use roomlet_room::{Node, StateMap, auth};
use roomlet_wire::EventNum;
use std::hint::black_box;

/// Authorizations in one round, as one alone is shorter than a clock's step.
const AT_ONCE: usize = 1_000;

/// Claims: ten times as fast as ruma, and the same cost however many users the power levels name.
pub(crate) fn run() {
    let few = compare(4, "message");
    compare(4, "join");
    compare(4, "kick");
    let many = compare(511, "message");
    report(
        "authorization with 511 users in power levels / with 4",
        many / few,
        "x",
        Bound::AtMost(1.3),
    );
}

/// Seconds that one authorization takes.
fn compare(named: usize, what: &str) -> f64 {
    let (mut room, branch) = Room::with_members(named, 100, 1);
    let (pdu, cited) = match what {
        "message" => (room.message(&branch, 3), Vec::new()),
        "join" => room.sign(
            &branch,
            101,
            "m.room.member",
            Some(&user(101)),
            &member("join", 0),
        ),
        _ => room.sign(&branch, 0, "m.room.member", Some(&user(3)), &member("leave", 0)),
    };
    let num = EventNum(u32::MAX - 1);
    let node = Node::unplaced(num, pdu.clone(), &room.slots, cited, false);
    let state: &StateMap = &branch.state;
    let theirs = ruma::room(&room);
    let their_state = ruma::state(&room, state);
    let their_event = ruma::event(pdu.json(), &ruma::keys(&room), &theirs.rules);
    assert_eq!(theirs.check_in(&their_event, &their_state), Ok(()));
    let check = || {
        let state = auth::load(black_box(&node), state, &room, &room.slots).expect("every event is held");
        auth::check(black_box(&node), &state)
    };
    assert_eq!(check(), Ok(()));
    let measured = measure(&format!("authorize a {what}, {named} users"), false, || {
        Round::time(
            || {
                (0..AT_ONCE)
                    .for_each(|_| _ = black_box(theirs.check_in(black_box(&their_event), &their_state)))
            },
            || (0..AT_ONCE).for_each(|_| _ = black_box(check())),
        )
    });
    let seconds = measured.subject / AT_ONCE as f64;
    report(
        &format!("ruma / authorization of a {what}, {named} users named"),
        1.0 / measured.ratio(),
        "x",
        Bound::AtLeast(10.0),
    );
    report(
        &format!("authorization of a {what}, {named} users named"),
        seconds * 1e9,
        "ns",
        Bound::Told,
    );
    seconds
}
