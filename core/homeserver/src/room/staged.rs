//! Places for PDUs that wait for others: none of those who send them can take all (TM-10).

use super::open::OpenRoom;
use roomlet_store::{StagedPdu, Write};
use roomlet_wire::{EventId, Result, ServerName};
use std::collections::{BTreeMap, VecDeque};

/// A PDU that waits for others takes a place for every so many bytes: all of a room's are in memory when they are tried.
const PLACE_BYTES: usize = 16_384;

/// The server that sent a PDU here. Those outside the room are one, `None`: their names cost nothing.
pub(crate) type Party = Option<ServerName>;

/// The places of a room, by who has them.
pub(crate) struct Places {
    limit: usize,
    taken: usize,
    shares: BTreeMap<Party, Share>,
}

/// What one party has.
#[derive(Default)]
struct Share {
    taken: usize,
    /// The oldest first.
    pdus: VecDeque<Waiting>,
}

/// A PDU that waits, or would.
pub(crate) struct Waiting {
    pub(crate) event: EventId,
    pub(crate) origin: ServerName,
    places: usize,
}

/// What became of a PDU that needs a place.
pub(crate) enum Place {
    /// The PDU has one, and stays with who sent it before.
    Had,
    /// It got one; these had to give theirs up, and wait no longer.
    Given(Vec<Waiting>),
    /// No place is left: how many are taken, and how many of these by the party that wants one more.
    None { taken: usize, own: usize },
}

impl OpenRoom {
    /// The places for what waits in this room: `limit`, and those that are taken.
    pub(crate) fn places(&self, limit: usize) -> Result<Places> {
        let (taken, shares) = (0, BTreeMap::new());
        let mut places = Places { limit, taken, shares };
        for pdu in self.store().staged(Some(self.num()))? {
            places.put(self.party(&pdu.origin), Waiting::new(pdu), VecDeque::push_back);
        }
        Ok(places)
    }

    /// As whom a server counts.
    pub(crate) fn party(&self, origin: &ServerName) -> Party {
        self.has_server(origin).then(|| origin.clone())
    }

    /// Stages a PDU whose sender is of the server `sender`, if there is a place. A server in the room gets half of all
    /// places at most, the servers that are not in it a twentieth together. Where none is free, the oldest PDUs of the party
    /// that has most make way for one that has less: later events lead to them again, if anybody has them.
    pub(crate) fn stage(&mut self, places: &mut Places, pdu: StagedPdu, sender: &str) -> Place {
        let party = self.party(&pdu.origin);
        // Nobody takes an event over from the server that made it.
        let stays = |holder: &Party| *holder == party || holder.as_deref() == Some(sender);
        if places.holder(&pdu.event).is_some_and(stays) {
            return Place::Had;
        }
        let waiting = Waiting::new(pdu.clone());
        let own = places.shares.get(&party).map_or(0, |share| share.taken);
        let share = places.limit.div_ceil(if party.is_some() { 2 } else { 20 });
        let gone = match own + waiting.places > share {
            true => None,
            false => places.make_way(waiting.places, own),
        };
        let Some(mut gone) = gone else {
            let taken = places.taken;
            return Place::None { taken, own };
        };
        gone.retain(|gone| gone.event != waiting.event);
        for gone in &gone {
            self.write(Write::Unstage {
                room: self.num(),
                event: gone.event.clone(),
            });
        }
        places.put(party, waiting, VecDeque::push_back);
        self.write(Write::Stage(pdu));
        Place::Given(gone)
    }
}

impl Waiting {
    fn new(pdu: StagedPdu) -> Self {
        Self {
            event: pdu.event,
            origin: pdu.origin,
            places: pdu.json.len().div_ceil(PLACE_BYTES),
        }
    }
}

impl Places {
    fn put(&mut self, party: Party, pdu: Waiting, end: fn(&mut VecDeque<Waiting>, Waiting)) {
        let share = self.shares.entry(party).or_default();
        share.taken += pdu.places;
        self.taken += pdu.places;
        end(&mut share.pdus, pdu);
    }

    fn holder(&self, event: &EventId) -> Option<&Party> {
        let holds = |share: &Share| share.pdus.iter().any(|pdu| pdu.event == *event);
        let holder = self.shares.iter().find(|(_, share)| holds(share));
        holder.map(|(party, _)| party)
    }

    /// Frees so many places, as far as they are not free, for a party that has `own`. What had them; `None`, and nothing
    /// is freed, if nobody would have more than that party afterwards.
    fn make_way(&mut self, wanted: usize, own: usize) -> Option<Vec<Waiting>> {
        let mut gone = Vec::new();
        while self.taken + wanted > self.limit {
            let most = self.shares.iter_mut().max_by_key(|(_, share)| share.taken);
            let most = most.filter(|(_, share)| share.taken > own + wanted);
            let Some((party, share)) = most else {
                for (party, pdu) in gone.into_iter().rev() {
                    self.put(party, pdu, VecDeque::push_front);
                }
                return None;
            };
            let pdu = share.pdus.pop_front()?;
            share.taken -= pdu.places;
            self.taken -= pdu.places;
            gone.push((party.clone(), pdu));
        }
        Some(gone.into_iter().map(|(_, pdu)| pdu).collect())
    }
}
