//! Which state events the rules read for an event, found once (AUTH-20).

use super::{AuthContent, Membership};
use crate::slot::Slots;
use arrayvec::ArrayVec;
use roomlet_wire::{SlotNum, pdu::Event};

/// What a state event is to the event that is judged by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The create event.
    Create,
    /// The power levels.
    PowerLevels,
    /// The member event of the sender.
    Sender,
    /// The member event of the user whose membership changes, if that is not the sender.
    Target,
    /// The join rules.
    JoinRules,
    /// The third-party invite that an invite accepts.
    ThirdPartyInvite,
    /// The member event of who authorises a restricted join, if that is neither sender nor target.
    Authoriser,
}

impl Role {
    /// How many there are.
    pub const COUNT: usize = 7;
}

/// The roles that matter for an event, each with its slot. `None`: nothing held this place in any state when the event
/// was read, which may have changed since.
#[derive(Clone, Debug, Default)]
pub struct Reads(ArrayVec<(Role, Option<SlotNum>), { Role::COUNT }>);

impl Reads {
    /// Those of an event with this content.
    pub(super) fn of(event: &Event, content: &AuthContent, slots: &Slots) -> Self {
        let mut roles: ArrayVec<Role, { Role::COUNT }> = ArrayVec::new();
        if event.kind != "m.room.create" {
            roles.push(Role::Create);
            roles.push(Role::PowerLevels);
            roles.push(Role::Sender);
        }
        if let AuthContent::Member(member) = content {
            let target = event.state_key.as_deref();
            if target.is_some_and(|target| target != &*event.sender) {
                roles.push(Role::Target);
            }
            let membership = member.membership;
            if let Some(Membership::Join | Membership::Invite | Membership::Knock) = membership {
                roles.push(Role::JoinRules);
            }
            let invite = member.third_party_invite.as_ref();
            if membership == Some(Membership::Invite) && invite.is_some_and(|it| it.token().is_some()) {
                roles.push(Role::ThirdPartyInvite);
            }
            let authoriser = member.authorised_via.as_deref();
            if membership == Some(Membership::Join)
                && event.version.restricted
                && authoriser.is_some_and(|user| user != &*event.sender && Some(user) != target)
            {
                roles.push(Role::Authoriser);
            }
        }
        let find = |role| {
            let (kind, key) = name(role, event, content);
            (role, slots.get(kind, key))
        };
        Self(roles.into_iter().map(find).collect())
    }

    /// The roles with their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Role, Option<SlotNum>)> {
        self.0.iter().copied()
    }
}

/// The type and state key of the event that has a role.
pub(super) fn name<'a>(role: Role, event: &'a Event, content: &'a AuthContent) -> (&'static str, &'a str) {
    let member = match content {
        AuthContent::Member(member) => Some(member),
        _ => None,
    };
    match role {
        Role::Create => ("m.room.create", ""),
        Role::PowerLevels => ("m.room.power_levels", ""),
        Role::JoinRules => ("m.room.join_rules", ""),
        Role::Sender => ("m.room.member", &event.sender),
        Role::Target => ("m.room.member", event.state_key.as_deref().unwrap_or_default()),
        Role::ThirdPartyInvite => {
            let token = member.and_then(|member| member.third_party_invite.as_ref()?.token());
            ("m.room.third_party_invite", token.unwrap_or_default())
        }
        Role::Authoriser => {
            let user = member.and_then(|member| member.authorised_via.as_deref());
            ("m.room.member", user.unwrap_or_default())
        }
    }
}
