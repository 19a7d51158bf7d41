//! Whose PDU is next: that of the server which took the least time lately, so that none comes before the others by
//! sending more, or by taking longer (TM-10).

use crate::room::Party;
use roomlet_store::StagedPdu;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// PDUs of each, in the order in which they came.
pub(super) type Queues = BTreeMap<Party, VecDeque<StagedPdu>>;

/// In this time half of what a party took is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(300);

/// The time that each party took.
#[derive(Default)]
pub(super) struct Turns {
    spent: BTreeMap<Party, Duration>,
    halved: Option<Instant>,
}

impl Turns {
    /// Takes the next PDU off its queue.
    pub(super) fn next(&self, queues: &mut Queues) -> Option<(Party, StagedPdu)> {
        let waiting = queues.iter().filter(|(_, pdus)| !pdus.is_empty());
        let (party, _) = waiting.min_by_key(|(party, _)| self.spent.get(*party))?;
        let party = party.clone();
        let pdu = queues.get_mut(&party)?.pop_front()?;
        Some((party, pdu))
    }

    /// Notes what work on a PDU took, whatever came of it.
    pub(super) fn charge(&mut self, party: Party, took: Duration) {
        let now = Instant::now();
        while now.duration_since(*self.halved.get_or_insert(now)) >= HALF_LIFE {
            self.halved = self.halved.map(|at| at + HALF_LIFE);
            self.spent.values_mut().for_each(|spent| *spent /= 2);
            // What is less does not change whose turn it is.
            self.spent.retain(|_, spent| spent.as_millis() > 0);
        }
        *self.spent.entry(party).or_default() += took;
    }
}
