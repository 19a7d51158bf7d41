//! An event in its room's graph, with what authorization reads of its content parsed once.

mod auth_nums;
mod content;
mod power_levels;
mod reads;

pub use auth_nums::AuthNums;
pub use content::{AuthContent, Create, JoinRule, Member, Membership, ThirdPartyInvite, ThirdPartyKeys};
pub use power_levels::{LevelTable, PowerFault, PowerLevels};
pub use reads::{Reads, Role};

use crate::slot::Slots;

use alloc::{format, sync::Arc};
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
    pub auth: AuthNums,
    /// Whether authorization steps 4 or 5 refused it (EV-21).
    pub rejected: bool,
    /// What the rules read of its content.
    pub content: AuthContent,
    /// Which state events the rules read for it.
    pub reads: Reads,
}

impl Node {
    /// Puts an event into the graph, reading its content.
    ///
    /// Auth events must be stored before the events that cite them (EV-24), so that a greater number never lies
    /// behind a smaller one: resolution relies on it, and a cycle of ids chosen by servers (versions 1 and 2)
    /// cannot come about.
    ///
    /// # Errors
    /// [`Code::StoreDamaged`] if an auth event's number is not less than `num`, or if a state event's type and state key
    /// have no slot.
    pub fn new(
        num: EventNum,
        pdu: Pdu<Verified>,
        slots: &Slots,
        auth: impl Into<AuthNums>,
        rejected: bool,
    ) -> Result<Self> {
        let auth = auth.into();
        if let Some(late) = auth.iter().find(|auth| **auth >= num) {
            let about = format!(
                "event {}, number {}: its auth event has number {}",
                pdu.id, num.0, late.0
            );
            return Err(Error::new(Code::StoreDamaged, about));
        }
        let node = Self::unplaced(num, pdu, slots, auth, rejected);
        if node.slot.is_some() != node.pdu.state_key.is_some() {
            let about = format!("event {}: its type and state key have no slot", node.pdu.id);
            return Err(Error::new(Code::StoreDamaged, about));
        }
        Ok(node)
    }

    /// As [`Node::new`] for an event that need not have a place in the graph: a question about it.
    #[must_use]
    pub fn unplaced(
        num: EventNum,
        pdu: Pdu<Verified>,
        slots: &Slots,
        auth: impl Into<AuthNums>,
        rejected: bool,
    ) -> Self {
        let content = AuthContent::parse(&pdu);
        Self {
            num,
            slot: pdu.state_key.as_deref().and_then(|key| slots.get(&pdu.kind, key)),
            reads: Reads::of(&pdu, &content, slots),
            pdu,
            auth: auth.into(),
            rejected,
            content,
        }
    }

    /// The roles of the state events that the rules read for this event, with their slots, where they have any.
    pub(crate) fn reads(&self, slots: &Slots) -> impl Iterator<Item = (Role, Option<SlotNum>)> {
        self.reads.iter().map(|(role, slot)| {
            let slot = slot.or_else(|| {
                let (kind, key) = self.role_name(role);
                slots.get(kind, key)
            });
            (role, slot)
        })
    }

    /// Type and state key of the state event that has a role for this one.
    #[must_use]
    pub fn role_name(&self, role: Role) -> (&'static str, &str) {
        reads::name(role, &self.pdu, &self.content)
    }

    /// Whether this is the room's `m.room.power_levels`.
    pub(crate) fn is_power_levels(&self) -> bool {
        matches!(self.content, AuthContent::PowerLevels(_)) && self.pdu.state_key.as_deref() == Some("")
    }

    /// Whether this is the room's `m.room.create`.
    pub(crate) fn is_create(&self) -> bool {
        matches!(self.content, AuthContent::Create(_)) && self.pdu.state_key.as_deref() == Some("")
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
