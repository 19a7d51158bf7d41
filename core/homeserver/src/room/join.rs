//! Taking a room over from the server through which a local user joined it (FED-32).

use super::{
    ingest::{Arrival, Missing, Outcome},
    open::OpenRoom,
    told::Claim,
};
use roomlet_room::state::StateMap;
use roomlet_wire::{Code, Error, EventId, Pdu, Result, UserId, Verified};

impl OpenRoom {
    /// Takes a join with the state before it and its auth chain, in causal order of their auth events. What this server
    /// knew of the room's present from an earlier stay is discarded (EC-1), except that its users left. Where it is in the
    /// room still, or again, that state is a claim like any other, and looked at only where the join cites what is not here
    /// yet.
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
            let mut state = self.told_map(state)?;
            outcome = if is_resident {
                let before = join.id.clone();
                self.ingest_with_claims(join, &[Claim { before, state }], Arrival::LIVE)?
            } else {
                self.keep_who_left(&mut state, join)?;
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

    /// Takes out of a told state what users of this server, but for who joins, undid by leaving: nobody else can know of it
    /// as early.
    fn keep_who_left(&self, told: &mut StateMap, join: &Pdu<Verified>) -> Result<()> {
        for (slot, known, is) in self.current.diff(told) {
            let (Some(known), Some(is)) = (known, is) else {
                continue;
            };
            let (kind, user) = self.slots.name(slot)?;
            let is_ours = UserId::parse(user).is_ok_and(|user| user.server() == self.me.as_str());
            if kind != "m.room.member" || !is_ours || user == join.sender.as_str() {
                continue;
            }
            let leave = self.get(known)?;
            let is_left = leave.pdu().membership() == Some("leave");
            if is_left && leave.pdu().sender.as_str() == user && !self.get(is)?.flags.outlier {
                told.insert(slot, known);
            }
        }
        Ok(())
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
