//! State resolution.
//!
//! Four rooms, each resolved by roomlet from what it holds, and by ruma from states and auth chains that its caller made
//! before; what making the chains costs is told beside.

use super::{
    rooms::{Branch, Room, power_levels, user},
    ruma,
};
use crate::measure::{Bound, Round, measure, report};
use roomlet_room::{
    StateMap,
    resolve::{self, Resolver},
};
use std::{hint::black_box, time::Instant};

/// A room and the states of its branches.
struct Fork {
    room: Room,
    states: Vec<StateMap>,
    /// As `states`, after one of the branches went on by an event.
    grown: Vec<StateMap>,
}

impl Fork {
    /// Two branches in which the creator changes the power levels `levels` times, and of `members` one half tells another
    /// name and the other changes a setting, which takes power.
    fn new(named: usize, members: usize, changes: usize, levels: usize) -> Self {
        let (mut room, trunk) = Room::with_members(named, members, changes);
        let mut branch = |side: usize| -> Branch {
            let mut branch = trunk.clone();
            for level in 0..levels {
                let content = power_levels(named, (level + side) % 40);
                room.send_state(&mut branch, 0, "m.room.power_levels", "", &content);
            }
            for number in 1..=members {
                if number % 2 == 0 {
                    room.send_member(&mut branch, number, 1_000_000 + side);
                } else {
                    let setting = format!(r#"{{"side":{side}}}"#);
                    room.send_state(&mut branch, number, "roomlet.setting", &user(number), &setting);
                }
            }
            branch
        };
        let (first, mut second) = (branch(1), branch(2));
        let states = vec![first.state.clone(), second.state.clone()];
        room.send_member(&mut second, 2, 2_000_000);
        let grown = vec![first.state, second.state];
        Self { room, states, grown }
    }

    /// So many branches of one event each, as a peer can make that cites the same event again and again.
    fn of_branches(count: usize) -> Self {
        let (mut room, trunk) = Room::with_members(4, 40, 1);
        let states = (0..count).map(|number| {
            let mut branch = trunk.clone();
            room.send_member(&mut branch, 1 + number % 40, 1_000_000 + number);
            branch.state
        });
        let states = states.collect();
        Self {
            room,
            states,
            grown: Vec::new(),
        }
    }

    fn resolve(&self) -> StateMap {
        resolve::resolve(self.room.version, &self.states, &self.room, &self.room.slots)
            .expect("every event is held")
    }

    /// Resolves the fork anew after it grew, and going on from what was found out before.
    fn grow(&self) -> Round {
        let (version, room) = (self.room.version, &self.room);
        let mut resolver = Resolver::new(0);
        let mut go_on = |states| resolver.resolve(version, states, room, &room.slots);
        go_on(&self.states).expect("every event is held");
        let (mut anew, mut grown) = (None, None);
        let round = Round::time(
            || {
                anew = Some(resolve::resolve(
                    version,
                    black_box(&self.grown),
                    room,
                    &room.slots,
                ))
            },
            || grown = Some(go_on(black_box(&self.grown))),
        );
        assert!(resolver.has_grown());
        let state = |result: Option<roomlet_wire::Result<StateMap>>| result.and_then(Result::ok);
        let (anew, grown) = (state(anew).expect("a state"), state(grown).expect("a state"));
        assert!(anew.diff(&grown).is_empty());
        round
    }
}

/// Claims: ten times as fast as ruma, twenty times on deep power level chains, fifty times with many users in the power
/// levels.
pub(crate) fn run() {
    let cases = [
        ("1,014 conflicted, chain 10,000", Fork::new(4, 507, 19, 0), 10.0),
        ("100 conflicted, chain 1,000", Fork::new(4, 50, 19, 0), 10.0),
        ("1,000 power levels each side", Fork::new(4, 58, 1, 1_000), 20.0),
        ("511 users in power levels", Fork::new(511, 507, 19, 0), 50.0),
    ];
    for (name, fork, bound) in cases {
        compare(name, &fork, Bound::AtLeast(bound));
    }
    grown();
    growth("members", |scale| Fork::new(4, 64 * scale, 4, 0));
    growth("power levels", |scale| Fork::new(4, 16, 1, 64 * scale));
    growth("branches", |scale| Fork::of_branches(32 * scale));
}

fn compare(name: &str, fork: &Fork, bound: Bound) {
    let theirs = ruma::room(&fork.room);
    let states: Vec<_> = fork
        .states
        .iter()
        .map(|state| ruma::state(&fork.room, state))
        .collect();
    let started = Instant::now();
    let chains: Vec<_> = states.iter().map(|state| theirs.chain(state, true)).collect();
    let chain_time = started.elapsed();
    let ours = fork.resolve();
    let resolved = theirs
        .resolve(&states, chains.clone())
        .expect("a version that ruma resolves")
        .expect("ruma resolves it");
    assert!(
        resolved == ruma::state(&fork.room, &ours),
        "ruma resolves to another state"
    );
    let measured = measure(&format!("resolve {name}"), true, || {
        let chains = chains.clone();
        Round::time(
            || _ = black_box(theirs.resolve(black_box(&states), chains)),
            || _ = black_box(fork.resolve()),
        )
    });
    let chain = chains.iter().map(|chain| chain.len()).max().unwrap_or(0);
    println!(
        "resolve {name}: {} events, auth chain {chain}",
        fork.room.nodes.len()
    );
    report(
        &format!("ruma / resolve {name}"),
        1.0 / measured.ratio(),
        "x",
        bound,
    );
    report(
        &format!("resolve {name}"),
        measured.subject * 1e3,
        "ms",
        Bound::Told,
    );
    report(
        &format!("ruma: auth chains {name}"),
        chain_time.as_secs_f64() * 1e3,
        "ms",
        Bound::Told,
    );
}

/// A fork that was resolved goes on by one event: the cost is that of what changes, though a large fork is less often
/// in the processor's caches.
fn grown() {
    let cost = |members: usize| {
        let fork = Fork::new(4, members, 19, 0);
        measure(&format!("a fork of {members} that grew"), true, || fork.grow())
    };
    let (small, large) = (cost(60), cost(960));
    report(
        "one more event in a fork of 960 members / the fork anew",
        large.ratio(),
        "x",
        Bound::AtMost(0.05),
    );
    report(
        "one more event in a fork of 960 members / in one of 60",
        large.subject / small.subject,
        "x",
        Bound::Told,
    );
    report(
        "one more event in a fork of 960 members",
        large.subject * 1e6,
        "us",
        Bound::Told,
    );
}

/// How the cost grows as the work doubles four times: the exponent for both, 1 being linear.
fn growth(what: &str, fork: impl Fn(usize) -> Fork) {
    let cost = |scale: usize| {
        let fork = fork(scale);
        let theirs = ruma::room(&fork.room);
        let states: Vec<_> = fork
            .states
            .iter()
            .map(|state| ruma::state(&fork.room, state))
            .collect();
        let chains: Vec<_> = states.iter().map(|state| theirs.chain(state, true)).collect();
        let measured = measure(&format!("growth with {what}, {scale}"), true, || {
            let chains = chains.clone();
            Round::time(
                || _ = black_box(theirs.resolve(black_box(&states), chains)),
                || _ = black_box(fork.resolve()),
            )
        });
        (measured.subject, measured.reference)
    };
    let (small, large) = (cost(1), cost(16));
    let exponent = |small: f64, large: f64| (large / small).log2() / 4.0;
    report(
        &format!("growth with {what}: exponent"),
        exponent(small.0, large.0),
        "",
        Bound::AtMost(1.2),
    );
    report(
        &format!("growth with {what}: ruma's exponent"),
        exponent(small.1, large.1),
        "",
        Bound::Told,
    );
}
