//! An event in its room's graph, with what authorization reads of its content parsed once.

mod content;
mod power_levels;

pub use content::{AuthContent, Create, JoinRule, Member, Membership, ThirdPartyInvite, ThirdPartyKeys};
pub use power_levels::{LevelTable, PowerFault, PowerLevels};

use alloc::{format, sync::Arc, vec::Vec};
use core::fmt;
use roomlet_wire::{Code, Error, EventNum, Pdu, Result, SlotNum, Verified};

/// An event of a room, as authorization and resolution see it.
#[derive(Clone)]
pub struct Node {
    /// Its number in the room.
    pub num: EventNum,
    /// The event.
    pub pdu: Pdu<Verified>,
    /// Its (type, state key); `Some` exactly for state events.
    pub slot: Option<SlotNum>,
    /// The events of `auth_events`, in that order; in version 12 then the create event, the implicit edge of
    /// EV-4. All are less than `num`.
    pub auth: Vec<EventNum>,
    /// Whether authorization steps 4 or 5 refused it (EV-21).
    pub rejected: bool,
    /// What the rules read of its content.
    pub content: AuthContent,
}

impl Node {
    /// Puts an event into the graph, reading its content.
    ///
    /// Auth events must be stored before the events that cite them (EV-24), so that a greater number never lies
    /// behind a smaller one: resolution relies on it, and a cycle of ids chosen by servers (versions 1 and 2)
    /// cannot come about.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if an auth event's number is not less than `num`, or if `slot` is not there
    /// exactly for a state event.
    pub fn new(
        num: EventNum,
        pdu: Pdu<Verified>,
        slot: Option<SlotNum>,
        auth: Vec<EventNum>,
        rejected: bool,
    ) -> Result<Self> {
        if let Some(late) = auth.iter().find(|auth| **auth >= num) {
            let about = format!(
                "event {}, number {}: its auth event has number {}",
                pdu.id, num.0, late.0
            );
            return Err(Error::new(Code::StoreDamaged, about));
        }
        if slot.is_some() != pdu.state_key.is_some() {
            let about = format!("event {}: a slot and a state key go together", pdu.id);
            return Err(Error::new(Code::StoreDamaged, about));
        }
        let content = AuthContent::parse(&pdu);
        Ok(Self {
            num,
            pdu,
            slot,
            auth,
            rejected,
            content,
        })
    }

    /// The content of an `m.room.create`.
    #[must_use]
    pub fn create(&self) -> Option<&Create> {
        if let AuthContent::Create(create) = &self.content {
            Some(create)
        } else {
            None
        }
    }

    /// The content of an `m.room.member`.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        if let AuthContent::Member(member) = &self.content {
            Some(member)
        } else {
            None
        }
    }

    /// The content of an `m.room.power_levels`.
    #[must_use]
    pub fn power_levels(&self) -> Option<&PowerLevels> {
        if let AuthContent::PowerLevels(levels) = &self.content {
            Some(levels)
        } else {
            None
        }
    }

    /// The content of an `m.room.join_rules`.
    #[must_use]
    pub fn join_rule(&self) -> Option<JoinRule> {
        if let AuthContent::JoinRules(rule) = &self.content {
            Some(*rule)
        } else {
            None
        }
    }

    /// The content of an `m.room.third_party_invite`.
    #[must_use]
    pub fn third_party_keys(&self) -> Option<&ThirdPartyKeys> {
        if let AuthContent::ThirdPartyInvite(keys) = &self.content {
            Some(keys)
        } else {
            None
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {:?}", self.num.0, self.pdu)
    }
}

/// Where events of one room are found by number. The caller caches: resolution asks for the same events often.
pub trait Source {
    /// The event with this number.
    ///
    /// # Errors
    /// Those of the store; [`Code::UnknownEvent`] if it is not held, which is to be repaired, not guessed
    /// (SR-15).
    fn node(&self, num: EventNum) -> Result<Arc<Node>>;
}
