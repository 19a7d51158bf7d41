//! States that other servers tell (EC-3), and how far they are believed.

use super::{
    ingest::{Arrival, Outcome},
    open::OpenRoom,
    states::apply,
};
use roomlet_room::{
    ingest::{self, Verdict},
    resolve::resolve,
    state::StateMap,
};
use roomlet_wire::{EventId, Pdu, Result, Verified};

/// What a server told is the state before an event.
pub(crate) struct Claim {
    /// A parent, which is not held, of the event that is to be taken; or that event itself.
    pub(crate) before: EventId,
    /// The state.
    pub(crate) state: StateMap,
}

impl OpenRoom {
    /// A state that another server told, as far as its events are held and not rejected.
    pub(crate) fn told_map(&mut self, ids: &[EventId]) -> Result<StateMap> {
        let mut map = StateMap::new();
        for id in ids {
            // Any event may be named as part of a state: not all of them need to be in memory.
            self.trim_if_stored();
            let Some(held) = self.find(id)? else { continue };
            if let (Some(slot), false) = (held.node.slot, held.flags.rejected) {
                map.insert(slot, held.node.num);
            }
        }
        // What it has in common with the current state is in memory once.
        let changes = self.current.diff(&map).into_iter();
        let changes: Vec<_> = changes.map(|(slot, _, event)| (slot, event)).collect();
        Ok(apply(self.current.clone(), &changes))
    }

    /// Takes an event on the word of another server: the states that it told stand beside those after the parents that
    /// are held (EC-3). What comes of it is not believed where an event that its own auth events allow would be refused.
    /// Otherwise a lie about the past could undo what is known of it, or make this server reject, for ever, an event that
    /// everybody else goes on from (TM-7).
    pub(crate) fn ingest_with_claims(
        &mut self,
        pdu: &Pdu<Verified>,
        claims: &[Claim],
        arrival: Arrival,
    ) -> Result<Outcome> {
        let cited = self.cited(pdu)?;
        if !cited.missing.auth.is_empty() || self.holds_fully(&pdu.id)? {
            return self.ingest(pdu, arrival);
        }
        let mut branches = Vec::with_capacity(claims.len());
        for claim in claims {
            let mut branch = claim.state.clone();
            if claim.before != pdu.id {
                let Some(end) = self.find(&claim.before)? else {
                    return Ok(Outcome::Missing(cited.missing));
                };
                let verdict = ingest::judge_backfilled(&end.node, &branch, self, &self.slots)?;
                if let (Some(slot), Verdict::Accepted) = (end.node.slot, verdict) {
                    branch.insert(slot, end.node.num);
                }
            }
            branches.push(branch);
        }
        for known in cited.prev.iter().filter_map(|prev| prev.state_after) {
            branches.push(self.states.get(known)?);
        }
        let before = resolve(self.version(), &branches, self, &self.slots)?;
        let node = self.unplaced(pdu)?;
        let by_auth_events = ingest::judge_outlier(&node, self)?;
        let by_claims = ingest::judge_backfilled(&node, &before, self, &self.slots)?;
        if by_auth_events == Verdict::Accepted && by_claims != Verdict::Accepted {
            return Ok(Outcome::Missing(cited.missing));
        }
        self.ingest_with_state(pdu, before, arrival)
    }

    /// Takes an event together with the state `before` it, as another server told it. Parents that are not held become
    /// backward extremities (EC-3).
    pub(super) fn ingest_with_state(
        &mut self,
        pdu: &Pdu<Verified>,
        before: StateMap,
        arrival: Arrival,
    ) -> Result<Outcome> {
        let was = self.find(&pdu.id)?;
        if let Some(end) = self.ends_early(pdu, was.as_ref()) {
            return Ok(end);
        }
        let mut cited = self.cited(pdu)?;
        let missing_prev = std::mem::take(&mut cited.missing.prev);
        if !cited.missing.auth.is_empty() {
            return Ok(Outcome::Missing(cited.missing));
        }
        let current = self.record.current_state;
        let before = self.states.derive(current, before, &mut self.writes)?;
        let outcome = self.place(pdu, was, cited, before, arrival)?;
        if let Some(child) = self.num_of(&pdu.id)? {
            // Where servers choose ids, an event may follow itself.
            for missing in missing_prev.into_iter().filter(|missing| *missing != pdu.id) {
                self.missing_prev(missing, child)?;
            }
        }
        Ok(outcome)
    }
}
