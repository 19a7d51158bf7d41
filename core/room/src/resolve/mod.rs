//! State resolution: one state out of those that several branches of history end in (SR-1 … SR-15).
//!
//! Algorithm 1 (version 1) is in `v1`; the rest is algorithm 2 (versions 2 to 11, I.1) and 2.1 (version 12),
//! which differ by two flags.

mod conflict;
mod iterate;
mod mainline;
mod power_order;
mod sha1;
mod v1;

use crate::{node::Source, slot::Slots, state::StateMap};
use alloc::collections::BTreeSet;
use roomlet_wire::{Result, RoomVersion, version::Resolution};

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
    let sets = conflict::distinct(sets);
    let (first, others) = match sets.as_slice() {
        [] => return Ok(StateMap::new()),
        [only] => return Ok((*only).clone()),
        [first, others @ ..] => (*first, others),
    };
    let is_v2_1 = match version.resolution {
        Resolution::V1 => return v1::resolve(first, others, source, slots),
        Resolution::V2 => false,
        Resolution::V2_1 => true,
    };

    let split = conflict::split(first, others);
    let mut full = conflict::auth_difference(&split, source)?;
    full.extend(split.conflicted_events());
    if is_v2_1 {
        full.extend(conflict::subgraph(&split, source)?); // SR-13
    }

    let start = if is_v2_1 {
        StateMap::new()
    } else {
        split.unconflicted.clone()
    }; // SR-10
    let mut partial = iterate::Partial::new(start);
    // 1: the power events, and what of their auth chains is in the full set, in order
    let power = power_order::power_events(&full, source)?;
    let ordered = power_order::sort(&power, source)?;
    // 2
    partial.auth_checks(&ordered, source, slots)?;
    // 3: the rest, by mainline
    let rest: BTreeSet<_> = full.difference(&power).copied().collect();
    let ordered = mainline::sort(&rest, partial.get_named("m.room.power_levels", "", slots), source)?;
    // 4
    partial.auth_checks(&ordered, source, slots)?;
    // 5: what was never in conflict stays
    Ok(partial.under(split.unconflicted))
}
