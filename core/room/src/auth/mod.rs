//! The authorization rules, in the order of the specification (AUTH-1 … AUTH-29).
//!
//! The text is that of version 10, which I.1 shares; other versions differ by flags of the version table. The
//! first rule that decides wins.

mod create;
mod denied;
mod member;
mod power;
mod select;
mod state;

pub use denied::{Action, Denied, ThirdPartyFault};
pub use power::{Levels, Power};
pub use select::select;
pub use state::{AuthState, load};

use crate::node::{JoinRule, Membership, Node, Role};
use alloc::sync::Arc;
use roomlet_wire::pdu::Event;
pub(crate) use state::{Read, View, load_read, read, role_of};

/// Whether the rules that depend on a state allow an event in `state`: all but AUTH-3, for which there is
/// [`check_auth_events`].
///
/// # Errors
/// The first rule that refuses it.
pub fn check(node: &Node, state: &AuthState) -> Result<(), Denied> {
    check_in(node, state.view())
}

/// See [`check`].
pub(crate) fn check_in(node: &Node, state: View<'_>) -> Result<(), Denied> {
    let pdu: &Event = &node.pdu;
    if pdu.kind == "m.room.create" {
        return create::check(node); // AUTH-1
    }
    let create = state.get(Role::Create).ok_or(Denied::NoCreate)?;
    check_room_id(pdu, create)?; // AUTH-2
    check_federation(pdu, create)?; // AUTH-4
    if pdu.kind == "m.room.aliases" && pdu.version.special_aliases {
        return check_aliases(pdu); // AUTH-5
    }
    let levels = Levels::new(Some(create), state.get(Role::PowerLevels));
    let case = Case {
        node,
        pdu,
        state,
        create,
        levels,
    };
    if pdu.kind == "m.room.member" {
        return member::check(&case); // AUTH-6
    }
    case.needs_joined_sender(Action::Send)?; // AUTH-17
    if pdu.kind == "m.room.third_party_invite" {
        return case.needs_power(case.levels.to_invite(), Action::InviteThirdParty); // AUTH-18
    }
    check_send(&case) // AUTH-19
}

/// AUTH-3: whether `auth_events` names what it has to and nothing else. `auth` are its events, in version 12
/// also the create, the implicit edge of EV-4.
///
/// # Errors
/// What is wrong with the first entry that is.
pub fn check_auth_events(node: &Node, auth: &[Arc<Node>]) -> Result<(), Denied> {
    state_of_auth_events(node, auth).map(|_| ())
}

/// The state that an event's auth events make, if they are what [`check_auth_events`] demands.
pub(crate) fn state_of_auth_events<'a>(node: &Node, auth: &'a [Arc<Node>]) -> Result<View<'a>, Denied> {
    let pdu = &node.pdu;
    let mut state = View::default();
    if pdu.kind == "m.room.create" {
        return Ok(state); // AUTH-1 decides before
    }
    let ids = &pdu.auth_events;
    if let Some(i) = (1..ids.len()).find(|i| ids[..*i].contains(&ids[*i])) {
        return Err(Denied::DuplicateAuthEvent { id: ids[i].clone() });
    }
    for (place, entry) in auth.iter().enumerate() {
        let id = || entry.pdu.id.clone();
        if pdu.version.room_id_is_create_hash
            && entry.pdu.kind == "m.room.create"
            && ids.contains(&entry.pdu.id)
        {
            return Err(Denied::CreateAsAuthEvent);
        }
        if entry.pdu.room_id != pdu.room_id {
            return Err(Denied::ForeignAuthEvent { id: id() });
        }
        let Some(slot) = entry.slot else {
            return Err(Denied::UnneededAuthEvent { id: id() });
        };
        if auth[..place].iter().any(|earlier| earlier.slot == Some(slot)) {
            return Err(Denied::DuplicateAuthEvent { id: id() });
        }
        let Some(role) = role_of(node, entry) else {
            return Err(Denied::UnneededAuthEvent { id: id() });
        };
        if entry.rejected {
            return Err(Denied::RejectedAuthEvent { id: id() });
        }
        state.set(role, entry);
    }
    match state.get(Role::Create) {
        Some(_) => Ok(state),
        None => Err(Denied::NoCreate),
    }
}

/// Whether a redaction that passed the rules is to be applied to `target` (EV-12): from version 3 on if its sender reaches
/// the redact level of `levels`, those in force before it, or if both senders are of one server. In versions 1 and 2 the
/// rules have decided that, by the servers in the ids (AUTH-11).
#[must_use]
pub fn may_redact(redaction: &Event, target: &Event, levels: Levels<'_>) -> bool {
    if redaction.room_id != target.room_id {
        return false;
    }
    if redaction.version.redaction_rule {
        return true;
    }
    redaction.origin() == target.origin() || levels.of_user(&redaction.sender).reaches(levels.to_redact())
}

/// AUTH-2, version 12: the room's id is its create event's.
fn check_room_id(pdu: &Event, create: &Node) -> Result<(), Denied> {
    if pdu.version.room_id_is_create_hash && pdu.room_id[1..] != create.pdu.id[1..] {
        return Err(Denied::RoomIdOfAnotherCreate);
    }
    Ok(())
}

/// AUTH-4
fn check_federation(pdu: &Event, create: &Node) -> Result<(), Denied> {
    let closed = create.create().is_some_and(|content| !content.federate);
    if closed && pdu.origin() != create.pdu.origin() {
        return Err(Denied::NotFederated {
            server: pdu.origin().into(),
        });
    }
    Ok(())
}

/// AUTH-5, versions 1 to 5
fn check_aliases(pdu: &Event) -> Result<(), Denied> {
    if pdu.state_key.as_deref() == Some(pdu.origin()) {
        Ok(())
    } else {
        Err(Denied::AliasesOfAnotherServer)
    }
}

/// AUTH-19, with AUTH-11 in versions 1 and 2 and AUTH-23 for power levels
fn check_send(case: &Case<'_>) -> Result<(), Denied> {
    let pdu = case.pdu;
    let state_key = pdu.state_key.as_deref();
    case.needs_power(case.levels.to_send(&pdu.kind, state_key.is_some()), Action::Send)?;
    if state_key.is_some_and(|key| key.starts_with('@') && key != case.sender()) {
        return Err(Denied::StateKeyOfAnother);
    }
    if pdu.kind == "m.room.power_levels" {
        return power::check_change(case.node, &case.levels);
    }
    if pdu.kind == "m.room.redaction" && pdu.version.redaction_rule {
        return check_redaction(case);
    }
    Ok(())
}

/// AUTH-11, versions 1 and 2
fn check_redaction(case: &Case<'_>) -> Result<(), Denied> {
    let target = case.pdu.redacts.as_ref().and_then(|id| id.domain());
    if target.is_some() && target == case.pdu.id.domain() {
        return Ok(());
    }
    case.needs_power(case.levels.to_redact(), Action::Redact)
}

/// An event and the state that it is judged in.
struct Case<'a> {
    node: &'a Node,
    pdu: &'a Event,
    state: View<'a>,
    create: &'a Node,
    levels: Levels<'a>,
}

impl Case<'_> {
    fn sender(&self) -> &str {
        &self.pdu.sender
    }

    /// No member event counts as having left (AUTH-16).
    fn membership(&self, user: &str) -> Membership {
        let role = if user == self.sender() {
            Role::Sender
        } else if self.pdu.state_key.as_deref() == Some(user) {
            Role::Target
        } else {
            Role::Authoriser
        };
        let node = self.state.get(role);
        node.and_then(|node| node.member()?.membership)
            .unwrap_or(Membership::Leave)
    }

    /// No join rules count as `invite` (AUTH-8).
    fn join_rule(&self) -> JoinRule {
        self.state
            .get(Role::JoinRules)
            .and_then(|node| node.join_rule())
            .unwrap_or(JoinRule::Invite)
    }

    fn needs_joined_sender(&self, action: Action) -> Result<(), Denied> {
        if self.membership(self.sender()) == Membership::Join {
            Ok(())
        } else {
            Err(Denied::SenderNotJoined { action })
        }
    }

    fn needs_power(&self, need: i64, action: Action) -> Result<(), Denied> {
        self.needs_power_of(self.sender(), need, action)
    }

    fn needs_power_of(&self, user: &str, need: i64, action: Action) -> Result<(), Denied> {
        let has = self.levels.of_user(user);
        if has.reaches(need) {
            Ok(())
        } else {
            Err(Denied::PowerTooLow { action, need, has })
        }
    }

    fn needs_power_above(&self, target: &str, action: Action) -> Result<(), Denied> {
        let (target, has) = (self.levels.of_user(target), self.levels.of_user(self.sender()));
        if has > target {
            Ok(())
        } else {
            Err(Denied::TargetNotBelow { action, target, has })
        }
    }
}
