//! Taking a room over from the server through which a local user joined it (FED-32).

use super::{
    ingest::{Arrival, Outcome},
    open::OpenRoom,
};
use roomlet_wire::{Code, Error, EventId, Pdu, Result, Verified};

impl OpenRoom {
    /// Takes the state before a join and its auth chain, in causal order of their auth events, then the join itself.
    /// What this server knew of the room's present from an earlier stay is discarded (EC-1).
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
        if self.is_resident() {
            return match self.ingest(join, Arrival::LIVE)? {
                // The room was joined by another way meanwhile; the join comes with the room's events.
                Outcome::Missing(_) | Outcome::Known | Outcome::Accepted | Outcome::SoftFailed(_) => Ok(()),
                Outcome::Dropped(about) => Err(Error::new(Code::BadReply, about)),
                Outcome::Rejected(denied) => Err(Error::new(Code::Denied, denied.to_string())),
            };
        }
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
        for pdu in events {
            self.ingest_outlier(pdu)?;
        }
        self.record.forward.clear();
        match self.ingest_with_state(join, state, Arrival::LIVE)? {
            Outcome::Accepted | Outcome::Known => Ok(()),
            Outcome::Rejected(denied) => {
                let about = format!("join {} of room {}: {denied}", join.id, self.id());
                Err(Error::new(Code::Denied, about))
            }
            Outcome::SoftFailed(rule) => Err(Error::new(
                Code::Denied,
                format!("join {} of room {}: {rule}", join.id, self.id()),
            )),
            Outcome::Dropped(about) => Err(Error::new(Code::BadReply, about)),
            Outcome::Missing(missing) => {
                let about = format!("join {} cites events that the reply lacks: {missing:?}", join.id);
                Err(Error::new(Code::BadReply, about))
            }
        }
    }
}
