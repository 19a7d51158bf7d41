//! State resolution: one state out of those that several branches of history end in (SR-1 … SR-15).
//!
//! Algorithm 1 (version 1) is in `v1`; the rest is algorithm 2 (versions 2 to 11, I.1) and 2.1 (version 12),
//! which differ by two flags.

mod conflict;
mod iterate;
mod mainline;
mod power_order;
mod sha1;
mod table;
mod v1;

use crate::{node::Source, slot::Slots, state::StateMap};
use alloc::vec::Vec;
use conflict::Split;
use roomlet_wire::{EventNum, Result, RoomVersion, version::Resolution};
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
    let [first, others @ ..] = sets else {
        return Ok(StateMap::new());
    };
    let Some(split) = Split::of(first, others) else {
        return Ok(first.clone());
    };
    let is_v2_1 = match version.resolution {
        Resolution::V1 => return v1::resolve(first, others, source, slots),
        Resolution::V2 => false,
        Resolution::V2_1 => true,
    };
    let events = &mut Events::new(source);

    let mut full: Vec<EventNum> = conflict::auth_difference(&split, events)?;
    full.extend(split.conflicted_events());
    if is_v2_1 {
        full.extend(conflict::subgraph(&split, events)?); // SR-13
    }
    full.sort_unstable();
    full.dedup();

    let mut partial = iterate::Partial::new((!is_v2_1).then_some(&split)); // SR-10
    // 1: the power events, and what of their auth chains is in the full set, in order
    let (power, rest) = power_order::split_off(&full, events)?;
    let ordered = power_order::sort(&power, events)?;
    // 2
    partial.auth_checks(&ordered, events, slots)?;
    // 3: the rest, by mainline
    let ordered = mainline::sort(&rest, partial.get_named("m.room.power_levels", "", slots), events)?;
    // 4
    partial.auth_checks(&ordered, events, slots)?;
    // 5: what was never in conflict stays
    Ok(split.merged(partial.into_set()))
}
