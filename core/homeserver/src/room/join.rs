//! Taking a room over from the server through which a local user joined it (FED-32).

use super::{
    ingest::{Arrival, Missing, Outcome},
    open::OpenRoom,
};
use roomlet_wire::{Code, Error, EventId, Pdu, Result, Verified};

impl OpenRoom {
    /// Takes a join with the state before it and its auth chain, in causal order of their auth events. What this server
    /// knew of the room's present from an earlier stay is discarded (EC-1). Where it is in the room still, or again, that
    /// state is a claim like any other, and looked at only where the join cites what is not here yet.
    ///
    /// # Errors
    /// `Denied` if the join is not allowed in that state; `BadReply` if its auth events are not among the events, or another
    /// create event is held here.
    pub(crate) fn adopt(
        &mut self,
        events: &[Pdu<Verified>],
        state: &[EventId],
        join: &Pdu<Verified>,
    ) -> Result<()> {
        let is_resident = self.is_resident();
        let mut outcome = match is_resident {
            true => self.ingest(join, Arrival::LIVE)?,
            false => Outcome::Missing(Missing::default()),
        };
        if let Outcome::Missing(_) = outcome {
            self.check_same_create(events)?;
            for pdu in events {
                self.ingest_outlier(pdu)?;
            }
            outcome = if is_resident {
                self.ingest_with_claim(join, state, Arrival::LIVE)?
            } else {
                self.record.forward.clear();
                self.ingest_with_state(join, state, Arrival::LIVE)?
            };
        }
        if let Outcome::Missing(missing) = outcome {
            let about = format!("join {} cites events that the reply lacks: {missing:?}", join.id);
            return Err(Error::new(Code::BadReply, about));
        }
        self.check_taken(join, outcome)
    }

    /// Refuses events of another room with this id.
    fn check_same_create(&self, events: &[Pdu<Verified>]) -> Result<()> {
        let is_create = |pdu: &&Pdu<Verified>| pdu.is_state("m.room.create", "");
        if let Some(create) = events.iter().find(is_create)
            && self.slots.get("m.room.create", "").is_some()
            && self.num_of(&create.id)?.is_none()
        {
            let about = format!(
                "another room {} is held here, with another create event: it stays until it is forgotten",
                self.id()
            );
            return Err(Error::new(Code::BadReply, about));
        }
        Ok(())
    }
}
