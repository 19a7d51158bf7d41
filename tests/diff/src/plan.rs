//! A room as a list of steps: what a seed gives, what a failure is shrunk to.

use roomlet_wire::{RoomVersion, json::Map};
use std::fmt;

/// The name of a step: it stays when others are taken away.
pub(crate) type StepId = usize;

/// How to make a room. Steps that are named and no longer there count as not named, so that any part of a plan
/// is a plan.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) version: &'static RoomVersion,
    /// Whether events are rejected by their own auth events only, as those that come with a join are. Such rooms
    /// hold states that contradict each other.
    pub(crate) outliers: bool,
    pub(crate) steps: Vec<Step>,
    /// States to be resolved: those after each of the steps named.
    pub(crate) merges: Vec<Vec<StepId>>,
}

/// How to make an event.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) id: StepId,
    /// The events it follows; the create event, if there is none of them.
    pub(crate) prevs: Vec<StepId>,
    pub(crate) sender: String,
    pub(crate) kind: String,
    pub(crate) key: Option<String>,
    pub(crate) content: Map,
    pub(crate) time: i64,
    /// More keys of the event.
    pub(crate) more: Map,
    /// The room's id, where that is not the room at hand: the event enters no state.
    pub(crate) foreign: Option<String>,
    /// The server in the event's id, where servers make ids and it is not the sender's.
    pub(crate) id_server: Option<String>,
    /// The step after which to look for auth events, instead of the state before.
    pub(crate) auth_after: Option<StepId>,
    pub(crate) follows: Follows,
    pub(crate) twists: Vec<Twist>,
    /// Whether the content is changed after it was hashed.
    pub(crate) tampered: bool,
}

/// What `prev_events` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Follows {
    /// Each of the events that it follows, once.
    AsPlanned,
    /// No event, though it is no create event.
    Nothing,
    /// Each of them twice.
    Twice,
}

/// A change of the auth events from what they should be.
#[derive(Clone, Debug)]
pub(crate) enum Twist {
    /// Leaves out the event of this type.
    Without(&'static str),
    /// Adds an event.
    With(StepId),
    /// Takes another event for the same slot: that of the step.
    Instead(StepId),
    /// Names the first event twice.
    Twice,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outliers = if self.outliers { ", outliers" } else { "" };
        writeln!(f, "version {}{outliers}", self.version.id)?;
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for merge in &self.merges {
            writeln!(f, "  resolve the states after {merge:?}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = roomlet_wire::json::map_to_canonical(&self.content);
        write!(
            f,
            "{} after {:?} at {}: {} sends {} {:?} {content}",
            self.id, self.prevs, self.time, self.sender, self.kind, self.key
        )?;
        if !self.more.is_empty() {
            write!(f, ", with {}", roomlet_wire::json::map_to_canonical(&self.more))?;
        }
        if let Some(room) = &self.foreign {
            write!(f, ", room {room}")?;
        }
        if let Some(server) = &self.id_server {
            write!(f, ", its id made by {server}")?;
        }
        if let Some(step) = self.auth_after {
            write!(f, ", auth events of the state after {step}")?;
        }
        if self.follows != Follows::AsPlanned {
            write!(f, ", follows {:?}", self.follows)?;
        }
        if self.tampered {
            f.write_str(", tampered with")?;
        }
        for twist in &self.twists {
            write!(f, ", {twist:?}")?;
        }
        Ok(())
    }
}
