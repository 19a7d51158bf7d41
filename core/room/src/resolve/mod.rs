//! State resolution: one state out of those that several branches of history end in (SR-1 … SR-15).
//!
//! Algorithm 1 (version 1) is in `v1`; the rest is algorithm 2 (versions 2 to 11, I.1) and 2.1 (version 12),
//! which differ by two flags.

mod conflict;
mod fork;
mod grow;
mod iterate;
mod mainline;
mod power_order;
mod sha1;
mod table;
mod v1;

use crate::{node::Source, slot::Slots, state::StateMap};
use alloc::vec::Vec;
use conflict::Split;
use fork::Fork;
use roomlet_wire::{Result, RoomVersion, version::Resolution};
use table::Events;

/// The state that `sets`, one for each branch, resolve to. It depends on the events held alone: not on the
/// order of `sets`, of arrival, nor on this server's earlier verdicts (SR-12, SR-14).
///
/// # Errors
/// Those of `source`, as for a missing auth event (SR-15).
pub fn resolve(
    version: &RoomVersion,
    sets: &[StateMap],
    source: &dyn Source,
    slots: &Slots,
) -> Result<StateMap> {
    run(version, sets, source, slots, usize::MAX).map(|(state, _)| state)
}

/// Resolves the forks of one room, one after another. A fork that grew by one event since the last call costs what that
/// event changes, instead of what the branches differ in: while a room is split, that is what happens again and again.
///
/// The states are those of [`resolve`]. All calls are about the same room and source.
pub struct Resolver {
    last: Option<Fork>,
    remember_from: usize,
    has_grown: bool,
}

impl Resolver {
    /// Forks with fewer than `remember_from` events in conflict are not remembered: from about 50 on it is worth it.
    #[must_use]
    pub fn new(remember_from: usize) -> Self {
        Self {
            last: None,
            remember_from,
            has_grown: false,
        }
    }

    /// As [`resolve`]. To be recognized, the states that did not grow have to be clones of those of the last call.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn resolve(
        &mut self,
        version: &RoomVersion,
        sets: &[StateMap],
        source: &dyn Source,
        slots: &Slots,
    ) -> Result<StateMap> {
        self.has_grown = false;
        // On an error it is gone: it may be half changed.
        if let Some(mut fork) = self.last.take()
            && let Some(growth) = fork.growth(sets, source)?
        {
            let state = fork.grow(growth, sets, source, slots)?;
            self.last = Some(fork);
            self.has_grown = true;
            return Ok(state);
        }
        let (state, fork) = run(version, sets, source, slots, self.remember_from)?;
        self.last = fork;
        Ok(state)
    }

    /// Whether the last call went on from the one before it.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// What is remembered takes about so many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.last.as_ref().map_or(0, Fork::bytes)
    }
}

/// Resolves, and remembers how if at least so many events are in conflict.
fn run(
    version: &RoomVersion,
    sets: &[StateMap],
    source: &dyn Source,
    slots: &Slots,
    remember_from: usize,
) -> Result<(StateMap, Option<Fork>)> {
    let [first, others @ ..] = sets else {
        return Ok((StateMap::new(), None));
    };
    let Some(split) = Split::of(first, others) else {
        return Ok((first.clone(), None));
    };
    let is_v2_1 = match version.resolution {
        Resolution::V1 => return Ok((v1::resolve(first, others, source, slots)?, None)),
        Resolution::V2 => false,
        Resolution::V2_1 => true,
    };
    let events = &mut Events::new(source);

    let difference = conflict::auth_difference(&split, events)?;
    let mut full = difference.clone();
    full.extend(&split.conflicted);
    let mut above = Vec::new();
    if is_v2_1 {
        let subgraph = conflict::subgraph(&split, events)?; // SR-13
        full.extend(subgraph.on_paths);
        above = subgraph.above;
    }
    full.sort_unstable();
    full.dedup();
    let remembers = full.len() >= remember_from;

    let mut partial = iterate::Partial::new((!is_v2_1).then_some(&split)); // SR-10
    // 1: the power events, and what of their auth chains is in the full set, in order
    let (power, rest) = power_order::split_off(&events.local_all(&full)?, events)?;
    let ordered = power_order::sort(&power, events)?;
    // 2
    partial.auth_checks(&ordered, events, slots, &mut |_| {})?;
    let by_power = remembers.then(|| partial.set().clone());
    // 3: the rest, by mainline
    let power_levels = partial.get_named("m.room.power_levels", "", events, slots)?;
    let mut mainline = mainline::Mainline::of(power_levels, events)?;
    let ordered = mainline.sort(&rest, events)?;
    // 4
    let mut allowed = Vec::new();
    partial.auth_checks(&ordered, events, slots, &mut |is_allowed| {
        if remembers {
            allowed.push(is_allowed);
        }
    })?;
    // 5: what was never in conflict stays
    let resolved = split.merged(partial.set().iter());
    let Some(by_power) = by_power else {
        return Ok((resolved, None));
    };
    let power = fork::PowerPhase::of(&power, events, slots);
    let mut fork = Fork {
        sets: sets.to_vec(),
        resolved: resolved.clone(),
        conflicted: split.slots.clone(),
        difference,
        full,
        by_power,
        starts_empty: is_v2_1,
        above,
        mainline,
        unknown_from: power.reads_unknown.then(|| slots.next()),
        power,
        checks: fork::Checks::default(),
    };
    for (event, is_allowed) in ordered.iter().zip(allowed) {
        fork.add_check(*event, is_allowed, events, slots)?;
    }
    Ok((resolved, Some(fork)))
}
