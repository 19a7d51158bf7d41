//! Redactions: held until both events are, then applied if the sender may (EV-12, EV-13).

use super::{events::Held, open::OpenRoom};
use roomlet_room::auth;
use roomlet_store::{Update, Write};
use roomlet_wire::Result;
use std::sync::Arc;

impl OpenRoom {
    /// Applies what a newly accepted event brings: its own redaction of another, and redactions of it that waited.
    pub(super) fn redactions_after(&mut self, held: &Arc<Held>) -> Result<()> {
        let pdu = held.pdu().clone();
        if pdu.kind == "m.room.redaction"
            && let Some(target) = pdu.redacts.clone()
        {
            let by = held.node.num;
            self.writes.push(Write::Redaction {
                room: self.num(),
                target: target.clone(),
                by,
            });
            if let Some(target) = self.find(&target)? {
                self.apply_redaction(held, &target)?;
            }
        }
        let mut waiting = self.store.redactions_of(self.num(), &pdu.id)?;
        waiting.extend(self.writes.iter().filter_map(|write| match write {
            Write::Redaction { target, by, .. } if *target == pdu.id => Some(*by),
            _ => None,
        }));
        for by in waiting {
            let redaction = self.get(by)?;
            let Some(target) = self.find(&pdu.id)? else { break };
            self.apply_redaction(&redaction, &target)?;
        }
        Ok(())
    }

    /// Whether a redaction takes effect: both accepted, and its sender may redact or is of the target's server.
    pub(crate) fn may_redact(&mut self, redaction: &Held, target: &Held) -> Result<bool> {
        if redaction.flags.rejected || target.flags.rejected || redaction.flags.soft_failed {
            return Ok(false);
        }
        let Some(before) = redaction.state_before else {
            return Ok(false);
        };
        let state = self.states.get(before)?;
        let events = self.levels_in(&state)?;
        Ok(auth::may_redact(redaction.pdu(), target.pdu(), events.levels()))
    }

    fn apply_redaction(&mut self, redaction: &Held, target: &Held) -> Result<()> {
        if target.redacted_by.is_some() || !self.may_redact(redaction, target)? {
            return Ok(());
        }
        let by = redaction.pdu().id.clone();
        let pdu = target.pdu().redacted();
        let node = self
            .events
            .node(target.node.num, pdu, target.flags.rejected, &self.slots)?;
        let event = target.pdu().id.clone();
        self.put(Held {
            node: Arc::new(node),
            flags: target.flags,
            state_before: target.state_before,
            state_after: target.state_after,
            redacted_by: Some(by.clone()),
        });
        if target.is_shown() {
            let room = self.id().clone();
            self.writes
                .push(Write::Update(Update::Redacted { room, event, by }));
        }
        Ok(())
    }
}
