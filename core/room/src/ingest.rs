//! The verdict on an event: authorization steps 4, 5 and 6 of its receipt (EV-21).

use crate::{
    auth::{self, AuthState, Denied},
    node::{Node, Source},
    slot::Slots,
    state::StateMap,
};
use alloc::{sync::Arc, vec::Vec};
use roomlet_wire::Result;

/// What a server makes of an event whose form and signatures are right (EV-21).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Allowed everywhere.
    Accepted,
    /// Allowed where it was sent, refused by the current state: kept, not shown, not built upon (step 6).
    SoftFailed(Denied),
    /// Refused by its own auth events (step 4, final) or by the state before it (step 5).
    Rejected(Denied),
}

/// Judges an event by its own auth events, by the state before it and by the current state.
///
/// # Errors
/// Those of `source`: a missing auth event is no verdict (EV-24).
pub fn judge(
    node: &Node,
    before: &StateMap,
    current: &StateMap,
    source: &dyn Source,
    slots: &Slots,
) -> Result<Verdict> {
    match judge_backfilled(node, before, source, slots)? {
        Verdict::Accepted => {}
        refused => return Ok(refused),
    }
    let current = auth::load(node, current, source, slots)?;
    Ok(match auth::check(node, &current) {
        Ok(()) => Verdict::Accepted,
        Err(denied) => Verdict::SoftFailed(denied), // step 6
    })
}

/// Judges an event of the past, which never soft-fails (EC-4): steps 4 and 5.
///
/// # Errors
/// As [`judge`].
pub fn judge_backfilled(
    node: &Node,
    before: &StateMap,
    source: &dyn Source,
    slots: &Slots,
) -> Result<Verdict> {
    match judge_outlier(node, source)? {
        Verdict::Accepted => {}
        refused => return Ok(refused),
    }
    let before = auth::load(node, before, source, slots)?;
    Ok(match auth::check(node, &before) {
        Ok(()) => Verdict::Accepted,
        Err(denied) => Verdict::Rejected(denied), // step 5
    })
}

/// Judges an event by its own auth events only, as no state before it is known: step 4. Never soft-fails.
///
/// # Errors
/// As [`judge`].
pub fn judge_outlier(node: &Node, source: &dyn Source) -> Result<Verdict> {
    if node.pdu.oversized_ids {
        return Ok(Verdict::Rejected(Denied::OversizedId)); // ID-12
    }
    let auth = node
        .auth
        .iter()
        .map(|num| source.node(*num))
        .collect::<Result<Vec<Arc<Node>>>>()?;
    let verdict =
        auth::check_auth_events(node, &auth).and_then(|()| auth::check(node, &AuthState::of(node, auth)));
    Ok(match verdict {
        Ok(()) => Verdict::Accepted,
        Err(denied) => Verdict::Rejected(denied), // step 4
    })
}
