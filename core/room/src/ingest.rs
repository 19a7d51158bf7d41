//! The verdict on an event: authorization steps 4, 5 and 6 of its receipt (EV-21).

use crate::{
    auth::{self, Denied, Read},
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
    let mut judge = match Judge::by_auth_events(node, source)? {
        Ok(judge) => judge,
        Err(denied) => return Ok(Verdict::Rejected(denied)), // step 4
    };
    if let Err(denied) = judge.in_state(before, slots)? {
        return Ok(Verdict::Rejected(denied)); // step 5
    }
    Ok(match judge.in_state(current, slots)? {
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
    let verdict = match Judge::by_auth_events(node, source)? {
        Ok(mut judge) => judge.in_state(before, slots)?, // step 5
        Err(denied) => Err(denied),                      // step 4
    };
    Ok(match verdict {
        Ok(()) => Verdict::Accepted,
        Err(denied) => Verdict::Rejected(denied),
    })
}

/// Judges an event by its own auth events only, as no state before it is known: step 4. Never soft-fails.
///
/// # Errors
/// As [`judge`].
pub fn judge_outlier(node: &Node, source: &dyn Source) -> Result<Verdict> {
    Ok(match Judge::by_auth_events(node, source)? {
        Ok(_) => Verdict::Accepted,
        Err(denied) => Verdict::Rejected(denied),
    })
}

/// An event that was allowed, and what the rules read when they last allowed it: a state in which they read the same
/// allows it too. Mostly the auth events, the state before and the current state agree, and one check does for three.
struct Judge<'a> {
    node: &'a Node,
    source: &'a dyn Source,
    allowed_by: Read,
}

impl<'a> Judge<'a> {
    /// Step 4
    fn by_auth_events(node: &'a Node, source: &'a dyn Source) -> Result<Result<Self, Denied>> {
        if node.pdu.oversized_ids {
            return Ok(Err(Denied::OversizedId)); // ID-12
        }
        let auth = node
            .auth
            .iter()
            .map(|num| source.node(*num))
            .collect::<Result<Vec<Arc<Node>>>>()?;
        let verdict = auth::state_of_auth_events(node, &auth).and_then(|own| {
            auth::check_in(node, own).map(|()| Self {
                node,
                source,
                allowed_by: own.read(),
            })
        });
        Ok(verdict)
    }

    fn in_state(&mut self, state: &StateMap, slots: &Slots) -> Result<Result<(), Denied>> {
        let read = auth::read(self.node, state, slots);
        if read == self.allowed_by {
            return Ok(Ok(()));
        }
        let state = auth::load_read(&read, self.source)?;
        let verdict = auth::check(self.node, &state);
        if verdict.is_ok() {
            self.allowed_by = read;
        }
        Ok(verdict)
    }
}
