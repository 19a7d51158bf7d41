//! An event's way into a room: are its parents here, may it stand, what becomes of the room (EV-21 … EV-24).

use super::{
    events::Held,
    local::{DUMMY_EVENT, Ingest},
    open::OpenRoom,
};
use roomlet_room::{
    auth::Denied,
    graph,
    ingest::{self, Verdict},
    node::{AuthNums, Node},
};
use roomlet_store::{EventFlags, Update, Write};
use roomlet_wire::{Code, Error, EventId, EventNum, Pdu, Result, StateNum, Verified, version::EventFormat};
use std::sync::Arc;

/// How an event came here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// Sent now, by this server or another.
    Live {
        /// The host's policy refuses to show it: it soft-fails (EV-21 step 7).
        refused: bool,
    },
    /// Fetched as history (EC-4).
    Backfill {
        /// As of an event that is sent now.
        refused: bool,
        /// How deep it may stand in the timeline, whatever it claims: before what it was fetched for.
        at_most: i64,
    },
}

impl Arrival {
    /// Sent now, and the host has nothing against it.
    pub(crate) const LIVE: Arrival = Arrival::Live { refused: false };

    fn is_backfill(self) -> bool {
        matches!(self, Arrival::Backfill { .. })
    }

    /// The way of an event whose state follows from its parents.
    pub(crate) fn ingest(self) -> Ingest {
        Box::new(move |room, pdu| room.ingest(pdu, self))
    }

    /// The depth of an event in the timeline.
    fn place(self, pdu: &Pdu<Verified>) -> i64 {
        match self {
            Arrival::Live { .. } => pdu.place_depth(),
            Arrival::Backfill { at_most, .. } => pdu.place_depth().min(at_most),
        }
    }

    fn is_refused(self) -> bool {
        let (Arrival::Live { refused } | Arrival::Backfill { refused, .. }) = self;
        refused
    }
}

/// What an event cites and this server does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Missing {
    /// Of `prev_events`.
    pub(crate) prev: Vec<EventId>,
    /// Of `auth_events`.
    pub(crate) auth: Vec<EventId>,
}

/// What an event cites, looked up once.
pub(super) struct Cited {
    /// Of `prev_events` those that are held, outliers among them.
    pub(super) prev: Vec<Held>,
    /// Of `auth_events` those that are held; in version 12 the create event too (EV-4).
    pub(super) auth: AuthNums,
    pub(super) missing: Missing,
}

/// What became of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It was here before.
    Known,
    /// It has no place in this room, for the reason given; nothing was stored.
    Dropped(String),
    /// It waits for others; nothing was stored.
    Missing(Missing),
    /// It is part of the room.
    Accepted,
    /// It is part of the graph, and users do not see it.
    SoftFailed(String),
    /// It is held as refused.
    Rejected(Denied),
}

impl Outcome {
    /// The rule by which the event is refused for good, if it is.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Self::Rejected(denied) => Some(denied.to_string()),
            Self::Dropped(about) => Some(about.clone()),
            Self::Known | Self::Missing(_) | Self::Accepted | Self::SoftFailed(_) => None,
        }
    }
}

impl OpenRoom {
    /// Takes an event whose signatures and hash were checked.
    ///
    /// # Errors
    /// Only of the store: what is wrong with the event is an [`Outcome`].
    pub(crate) fn ingest(&mut self, pdu: &Pdu<Verified>, arrival: Arrival) -> Result<Outcome> {
        let was = self.find(&pdu.id)?;
        if let Some(end) = self.ends_early(pdu, was.as_ref()) {
            return Ok(end);
        }
        let cited = self.cited(pdu)?;
        if cited.missing != Missing::default() {
            return Ok(Outcome::Missing(cited.missing));
        }
        // EV-22: the resolution of the states after its parents.
        let before = self.resolve(cited.prev.iter().filter_map(|prev| prev.state_after))?;
        self.place(pdu, was, cited, before, arrival)
    }

    /// An event as the rules see it, for a question about it only.
    pub(super) fn unplaced(&self, pdu: &Pdu<Verified>) -> Result<Node> {
        let auth = self.events.auth_of(pdu, |_| {})?;
        Ok(Node::unplaced(
            EventNum(u32::MAX),
            pdu.clone(),
            &self.slots,
            auth,
            false,
        ))
    }

    /// Takes an event for its place in auth chains and states: steps 1 to 4 only. Its auth events must be held.
    pub(crate) fn ingest_outlier(&mut self, pdu: &Pdu<Verified>) -> Result<Outcome> {
        let was = self.find(&pdu.id)?;
        match self.ends_early(pdu, was.as_ref()) {
            Some(end) => return Ok(end),
            None if was.is_some() => return Ok(Outcome::Known),
            None => {}
        }
        let mut cited = self.cited(pdu)?;
        cited.missing.prev.clear();
        if !cited.missing.auth.is_empty() {
            return Ok(Outcome::Missing(cited.missing));
        }
        let num = self.next_event()?;
        if let Some(key) = &pdu.state_key {
            self.intern(&pdu.kind, key);
        }
        let mut node = Node::unplaced(num, pdu.clone(), &self.slots, cited.auth, false);
        let verdict = ingest::judge_outlier(&node, self)?;
        node.rejected = matches!(verdict, Verdict::Rejected(_));
        let flags = EventFlags {
            outlier: true,
            rejected: node.rejected,
            ..EventFlags::default()
        };
        self.put(Held {
            node: Arc::new(node),
            flags,
            depth: pdu.place_depth(),
            state_before: None,
            state_after: None,
            redacted_by: None,
        });
        self.redact_as_waiting(&pdu.id)?;
        Ok(match verdict {
            Verdict::Rejected(denied) => Outcome::Rejected(denied),
            _ => Outcome::Accepted,
        })
    }

    /// How an event ends before any rule is asked: one that is here already, `was`; one of another room (TM-5), and a
    /// second create event, which the rules judge without looking at the room.
    pub(super) fn ends_early(&self, pdu: &Pdu<Verified>, was: Option<&Held>) -> Option<Outcome> {
        if pdu.room_id != *self.id() {
            let about = format!(
                "event {} is of room {}, not of {}",
                pdu.id,
                pdu.room_id,
                self.id()
            );
            return Some(Outcome::Dropped(about));
        }
        let is_create = pdu.is_state("m.room.create", "");
        if is_create && was.is_none() && self.slots.get("m.room.create", "").is_some() {
            let about = format!("event {}: room {} has another create event", pdu.id, self.id());
            return Some(Outcome::Dropped(about));
        }
        let was = was?;
        if !was.flags.outlier {
            return Some(Outcome::Known);
        }
        // Who makes an id may give it to two events. The first stays (EV-8): others cite it already, and in the place
        // of another one it could cite those that came after it.
        let is_chosen = pdu.version.event_format == EventFormat::ServerIds;
        (is_chosen && was.pdu().reference_hash() != pdu.reference_hash()).then(|| {
            let about = format!("event {}: another one with this id is held", pdu.id);
            Outcome::Dropped(about)
        })
    }

    /// Whether the event `id` is held, and not as an outlier.
    pub(crate) fn holds_fully(&self, id: &EventId) -> Result<bool> {
        Ok(self.find(id)?.is_some_and(|held| !held.flags.outlier))
    }

    /// What the event cites and this room does not hold.
    pub(crate) fn missing(&self, pdu: &Pdu<Verified>) -> Result<Missing> {
        Ok(self.cited(pdu)?.missing)
    }

    /// What the event cites, looked up.
    pub(super) fn cited(&self, pdu: &Pdu<Verified>) -> Result<Cited> {
        let mut missing = Missing::default();
        let mut prev = Vec::with_capacity(pdu.prev_events.len());
        for id in &pdu.prev_events {
            let held = self.find(id)?;
            if held.as_ref().is_none_or(|held| held.flags.outlier) {
                missing.prev.push(id.clone());
            }
            prev.extend(held);
        }
        let missing_auth = |id: &EventId| missing.auth.push(id.clone());
        let auth = self.events.auth_of(pdu, missing_auth)?;
        Ok(Cited { prev, auth, missing })
    }

    fn next_event(&mut self) -> Result<EventNum> {
        let num = self.record.next_event;
        let next = num.0.checked_add(1).ok_or_else(|| {
            let about = format!("room {} has as many events as can be numbered", self.id());
            Error::new(Code::Store, about)
        })?;
        self.record.next_event = EventNum(next);
        Ok(num)
    }

    /// Judges an event whose auth events are held and the state before it known, and makes it part of the room.
    pub(super) fn place(
        &mut self,
        pdu: &Pdu<Verified>,
        was: Option<Held>,
        cited: Cited,
        before: StateNum,
        arrival: Arrival,
    ) -> Result<Outcome> {
        let num = match &was {
            Some(held) => held.node.num,
            None => self.next_event()?,
        };
        let slot = pdu.state_key.as_deref().map(|key| self.intern(&pdu.kind, key));
        let before_map = self.states.get(before)?;
        let mut node = Node::unplaced(num, pdu.clone(), &self.slots, cited.auth, false);
        let mut verdict = match arrival {
            Arrival::Live { .. } if !self.record.forward.is_empty() => {
                ingest::judge(&node, &before_map, &self.current, self, &self.slots)?
            }
            _ => ingest::judge_backfilled(&node, &before_map, self, &self.slots)?,
        };
        if let Some(held) = was.as_ref().filter(|held| held.flags.rejected)
            && let Verdict::Accepted | Verdict::SoftFailed(_) = verdict
        {
            // Step 4's refusal of the outlier is final (EV-23).
            verdict = ingest::judge_outlier(&held.node, self)?;
        }
        // The redaction of an outlier stays, also where the redacting event was purged since.
        let redacted_by = was.as_ref().and_then(|held| held.redacted_by.clone());
        if redacted_by.is_some() {
            node = Node::unplaced(num, pdu.redacted(), &self.slots, node.auth, false);
        }
        node.rejected = matches!(verdict, Verdict::Rejected(_));
        // It may stand beside others in forks, which a rejected one does no more (SR-9).
        if was.is_some_and(|held| held.flags.rejected != node.rejected) {
            self.forks.forget();
        }
        let refused = arrival.is_refused();
        let flags = EventFlags {
            outlier: false,
            rejected: node.rejected,
            soft_failed: matches!(verdict, Verdict::SoftFailed(_)) || (refused && !node.rejected),
            backfilled: arrival.is_backfill(),
        };
        let after = match slot {
            Some(slot) if !node.rejected => {
                let mut map = before_map;
                map.insert(slot, num);
                self.states.derive(before, map, &mut self.writes)?
            }
            _ => before,
        };
        let held = Held {
            node: Arc::new(node),
            flags,
            depth: arrival.place(pdu),
            state_before: Some(before),
            state_after: Some(after),
            redacted_by,
        };
        let held = self.put(held);
        let children = self.found_prev(&pdu.id)?;
        if !arrival.is_backfill() {
            self.advance(&held, &cited.prev, &children)?;
        }
        if !flags.rejected {
            self.redactions_after(&held)?;
        }
        Ok(match verdict {
            Verdict::Rejected(denied) => Outcome::Rejected(denied),
            Verdict::SoftFailed(denied) => Outcome::SoftFailed(denied.to_string()),
            Verdict::Accepted if refused => Outcome::SoftFailed("the host's policy refuses it".into()),
            Verdict::Accepted => Outcome::Accepted,
        })
    }

    /// Makes an accepted event a forward extremity in place of those it follows, unless it came after one of its
    /// `children` (EC-1); and tells users of it. What a refused event follows is no extremity either, where one of its
    /// children came before it.
    fn advance(&mut self, held: &Held, prevs: &[Held], children: &[EventNum]) -> Result<()> {
        let (num, is_shown, is_followed) =
            (held.node.num, held.is_shown(), self.is_followed(held, children)?);
        if !is_shown && !is_followed {
            return Ok(());
        }
        if is_shown && held.pdu().kind != DUMMY_EVENT && !self.is_quiet {
            let update = Update::Event {
                room: self.id().clone(),
                event: held.pdu().id.clone(),
            };
            self.writes.push(Write::Update(update));
        }
        let prevs = prevs.iter().map(|prev| prev.node.num);
        let mut forward = graph::extremities_after(&self.record.forward, num, prevs, |num| {
            let parent = self.get(num)?;
            if parent.is_refused() {
                self.held_prevs(&parent).map(Some)
            } else {
                Ok(None)
            }
        })?;
        if is_followed && forward.len() > 1 {
            forward.retain(|extremity| *extremity != num);
        } else if !is_shown {
            return Ok(());
        }
        self.record.forward = forward;
        self.update_current(is_shown.then_some(num))?;
        match held.node.slot {
            // Users take a state event for the current one unless they are told what is.
            Some(slot) if is_shown && self.current.get(slot) != Some(num) => {
                self.tell_of_state(slot, self.current.get(slot))
            }
            _ => Ok(()),
        }
    }

    /// Whether one of an event's `children` stands, and so does in the state before that, which somebody told, all that
    /// is known here after the event: otherwise a lie would take the place of it. Not where servers choose ids: there an
    /// event may follow what it is followed by, and would take that out of the present.
    fn is_followed(&mut self, held: &Held, children: &[EventNum]) -> Result<bool> {
        if self.version().event_format == EventFormat::ServerIds {
            return Ok(false);
        }
        for &child in children {
            let child = self.get(child)?;
            if child.is_shown()
                && let (Some(known), Some(told)) = (held.state_after, child.state_before)
            {
                let both = self.resolve([known, told])?;
                if self.states.get(both)? == self.states.get(told)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn held_prevs(&self, held: &Held) -> Result<Vec<EventNum>> {
        let mut prevs = Vec::with_capacity(held.pdu().prev_events.len());
        for id in &held.pdu().prev_events {
            prevs.extend(self.num_of(id)?);
        }
        Ok(prevs)
    }
}
