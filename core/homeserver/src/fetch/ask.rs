//! Asking one server for what one gap lacks, and how long that may take.

use super::slow::{MAX_QUICK, QUICK, SlowServers};
use crate::{inner::Inner, room::RoomHandle};
use roomlet_federation::ClientError;
use roomlet_wire::{EventId, Pdu, Result, RoomId, RoomVersion, ServerName, Verified, json::RawValue};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// States that are asked for to fill one gap: each may be as large as the room (TM-10).
const STATES_PER_GAP: u32 = 20;
/// How long one server may take to fill one gap, where there is time, and all that are asked about it together: one that
/// is slow with each of many answers would hold up the gaps that others fill. The state of a large room takes a few
/// minutes where the network is bad.
const PATIENCE: Duration = Duration::from_secs(300);
/// As [`PATIENCE`], for a server that is not in the room: anybody could come, under any number of names.
const STRANGER_PATIENCE: Duration = Duration::from_secs(30);
/// How long keys may take that the events of an answer need, where others wait.
const QUICK_KEYS: Duration = Duration::from_secs(2);

/// How long servers may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// A few seconds each, as somebody waits; those that lately took longer are not asked.
    Quick,
    /// Minutes.
    Patient,
}

impl Pace {
    /// How long the servers that are asked about one gap may take all together.
    pub(super) fn for_one_gap(self) -> Duration {
        match self {
            Self::Quick => MAX_QUICK,
            Self::Patient => PATIENCE,
        }
    }

    /// How long one of them may take that is in the room.
    pub(super) fn for_one(self, server: &ServerName, slow: &SlowServers) -> Duration {
        match self {
            Self::Quick => slow.patience(server),
            Self::Patient => PATIENCE,
        }
    }

    /// How long one may take that is not in the room.
    pub(super) fn for_a_stranger(self) -> Duration {
        match self {
            Self::Quick => QUICK,
            Self::Patient => STRANGER_PATIENCE,
        }
    }
}

/// What is known of the servers that are asked for the gaps of one room, one gap after another.
#[derive(Debug)]
pub(crate) struct Round {
    pub(super) pace: Pace,
    /// Those that do not answer: they are not asked again.
    pub(super) away: BTreeSet<ServerName>,
    pub(super) is_late: bool,
}

impl Round {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            away: BTreeSet::new(),
            is_late: false,
        }
    }

    /// Whether somebody who was too slow to be asked, or to be waited for, might have filled the last gap.
    pub(crate) fn is_late(&self) -> bool {
        self.is_late
    }
}

/// The room that is worked on, and whom to ask.
pub(super) struct Ask<'a> {
    pub(super) handle: &'a RoomHandle,
    pub(super) room: &'a RoomId,
    version: &'static RoomVersion,
    pub(super) server: &'a ServerName,
    /// The event that is taken with what it lacks, if the server beside it handed it in.
    pub(super) handed_in: Option<(&'a EventId, &'a ServerName)>,
    /// States that may still be asked for.
    states: AtomicU32,
    /// Whether a request got no answer: there is no use in others then.
    is_away: AtomicBool,
    /// How long the keys for an answer may take, if that is limited; and whether they took longer, which is not the fault
    /// of the server that gave the answer.
    key_patience: Option<Duration>,
    are_keys_late: AtomicBool,
    waited: Mutex<Waited>,
}

/// Time that passed between requests and their answers.
#[derive(Default)]
struct Waited {
    whole: Duration,
    /// The begin of the request under way.
    since: Option<Instant>,
}

impl Waited {
    fn stop(&mut self) -> Duration {
        self.whole += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.whole
    }
}

impl<'a> Ask<'a> {
    pub(super) fn new(
        handle: &'a RoomHandle,
        room: &'a RoomId,
        version: &'static RoomVersion,
        server: &'a ServerName,
        pace: Pace,
    ) -> Self {
        Self {
            handle,
            room,
            version,
            server,
            handed_in: None,
            states: STATES_PER_GAP.into(),
            is_away: false.into(),
            key_patience: (pace == Pace::Quick).then_some(QUICK_KEYS),
            are_keys_late: false.into(),
            waited: Mutex::default(),
        }
    }

    /// Whether one more state may be asked for.
    pub(super) fn take_state(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        !self.is_away() && self.states.fetch_update(Relaxed, Relaxed, less).is_ok()
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Relaxed)
    }

    /// Whether more would be asked for, had the keys been there in time.
    pub(super) fn are_keys_late(&self) -> bool {
        self.are_keys_late.load(Relaxed)
    }

    /// The server does not answer, or takes too long.
    pub(super) fn give_up(&self) {
        self.is_away.store(true, Relaxed);
    }

    /// Makes a request. What the server answered, if it did.
    pub(super) async fn answer<T>(&self, request: impl Future<Output = Result<T, ClientError>>) -> Option<T> {
        self.waited().since = Some(Instant::now());
        let reply = request.await;
        self.waited().stop();
        if matches!(reply, Err(ClientError::Unreachable(_))) {
            self.give_up();
        }
        reply.ok()
    }

    /// How long this server waited for that one, also where it no longer does.
    pub(super) fn took(&self) -> Duration {
        self.waited().stop()
    }

    fn waited(&self) -> MutexGuard<'_, Waited> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the events of an answer. None, and no more is asked for, if their keys are late.
    ///
    /// # Errors
    /// Of the store.
    pub(super) async fn verify(&self, inner: &Inner, values: Vec<RawValue>) -> Result<Vec<Pdu<Verified>>> {
        let (server, room, version) = (self.server, self.room, self.version);
        let Some(patience) = self.key_patience else {
            let known = BTreeSet::new();
            return inner.verify_reply(server, room, version, values, &known).await;
        };
        let verified = inner.verify_reply_within(server, room, version, values, patience);
        Ok(verified.await?.unwrap_or_else(|| {
            self.are_keys_late.store(true, Relaxed);
            self.give_up();
            Vec::new()
        }))
    }
}
