//! Which servers let others wait: they are asked where nobody is held up by it (TM-10).

use roomlet_wire::ServerName;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a server that was never slow may take to fill one gap while others wait; one that has the events, on a network
/// that is not bad, needs less.
pub(super) const QUICK: Duration = Duration::from_secs(5);
/// As [`QUICK`], for one that was too slow before, as it may be the network: twice as long each time, up to this.
pub(super) const MAX_QUICK: Duration = Duration::from_secs(20);
/// Doublings until then.
const DOUBLINGS: u32 = 2;
/// A server that used up its time is not asked, while others wait, for this many times as long.
const REST: u32 = 16;
/// The longest that it is not asked.
const MAX_REST: Duration = Duration::from_secs(3_600);
/// Servers that are remembered.
const SERVERS: usize = 4_096;

/// Servers that were too slow, whatever room it was about.
#[derive(Default)]
pub(crate) struct SlowServers(Mutex<BTreeMap<ServerName, Mark>>);

struct Mark {
    /// How often in a row.
    times: u32,
    /// When it gets another chance.
    until: Instant,
}

impl SlowServers {
    fn marks(&self) -> MutexGuard<'_, BTreeMap<ServerName, Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a server may take while others wait.
    pub(super) fn patience(&self, server: &ServerName) -> Duration {
        quick(self.marks().get(server).map_or(0, |mark| mark.times))
    }

    /// Whether a server is not to be asked while others wait.
    pub(super) fn is_resting(&self, server: &ServerName) -> bool {
        let now = Instant::now();
        self.marks().get(server).is_some_and(|mark| now < mark.until)
    }

    /// Notes how long a server took over one gap, whether it filled it, and whether it left a request unanswered.
    pub(super) fn note(&self, server: &ServerName, took: Duration, is_filled: bool, is_away: bool) {
        if is_filled || (took < QUICK && !is_away) {
            self.marks().remove(server);
        } else if took >= self.patience(server) / 2 {
            // Half: the other half may have gone into checking what it answered.
            self.mark(server);
        }
    }

    fn mark(&self, server: &ServerName) {
        let mut marks = self.marks();
        if marks.len() >= SERVERS && !marks.contains_key(server) {
            let soonest = marks.iter().min_by_key(|(_, mark)| mark.until);
            let soonest = soonest.map(|(server, _)| server.clone());
            soonest.and_then(|soonest| marks.remove(&soonest));
        }
        let until = Instant::now();
        let mark = marks.entry(server.clone()).or_insert(Mark { times: 0, until });
        let rest = quick(mark.times) * (REST << mark.times.saturating_sub(DOUBLINGS).min(16));
        mark.times = mark.times.saturating_add(1);
        mark.until = until + rest.min(MAX_REST);
    }

    /// The network is back: all get another chance.
    pub(crate) fn clear(&self) {
        self.marks().clear();
    }
}

fn quick(times: u32) -> Duration {
    (QUICK * (1 << times.min(DOUBLINGS))).min(MAX_QUICK)
}
