//! Redactions: held until both events are, then applied if the sender may (EV-12, EV-13).

use super::{events::Held, open::OpenRoom};
use roomlet_room::{auth, node::Node};
use roomlet_store::{Update, Write};
use roomlet_wire::{EventId, EventNum, Result};
use std::{collections::HashMap, sync::Arc};

/// Beyond that many the store is asked instead.
const WAITING: usize = 4096;

/// Redactions by the event that they name. A room's task alone adds to them.
#[derive(Default)]
pub(super) struct Redactions {
    /// Those that came since the room was opened.
    of: HashMap<EventId, Vec<EventNum>>,
    /// These are all.
    complete: bool,
}

impl Redactions {
    /// Of a room that has no events yet.
    pub(super) fn of_new_room() -> Self {
        Self {
            of: HashMap::new(),
            complete: true,
        }
    }

    /// Gives memory back. Only after a commit.
    pub(super) fn trim(&mut self) {
        if self.of.len() > WAITING {
            *self = Self::default();
        }
    }
}

impl OpenRoom {
    /// Applies what a newly accepted event brings: its own redaction of another, and redactions of it that waited.
    pub(super) fn redactions_after(&mut self, held: &Held) -> Result<()> {
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
            self.redactions.of.entry(target.clone()).or_default().push(by);
            if let Some(target) = self.find(&target)? {
                self.apply_redaction(held, &target)?;
            }
        }
        self.redact_as_waiting(&pdu.id)
    }

    /// Applies the redactions of an event that were here before it.
    pub(super) fn redact_as_waiting(&mut self, id: &EventId) -> Result<()> {
        let mut waiting = match self.redactions.complete {
            true => Vec::new(),
            false => self.store.redactions_of(self.num(), id)?,
        };
        waiting.extend(self.redactions.of.get(id).into_iter().flatten());
        for by in waiting {
            let redaction = self.get(by)?;
            let Some(target) = self.find(id)? else { break };
            self.apply_redaction(&redaction, &target)?;
        }
        Ok(())
    }

    /// Whether a redaction takes effect: both accepted, and its sender may redact or is of the target's server.
    pub(crate) fn may_redact(&mut self, redaction: &Held, target: &Held) -> Result<bool> {
        if redaction.is_refused() || target.flags.rejected {
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
        let auth = target.node.auth.clone();
        let node = Node::unplaced(target.node.num, pdu, &self.slots, auth, target.flags.rejected);
        let event = target.pdu().id.clone();
        if target.node.slot.is_some() {
            self.forks.forget();
        }
        self.put(Held {
            node: Arc::new(node),
            flags: target.flags,
            depth: target.depth,
            state_before: target.state_before,
            state_after: target.state_after,
            redacted_by: Some(Arc::new(by.clone())),
        });
        if target.is_shown() && !self.is_quiet {
            let room = self.id().clone();
            self.writes
                .push(Write::Update(Update::Redacted { room, event, by }));
        }
        Ok(())
    }
}
