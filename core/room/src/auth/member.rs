//! AUTH-7 … AUTH-16: who may become what in a room.

use super::{
    Case,
    denied::{Action, Denied, ThirdPartyFault},
};
use crate::node::{JoinRule, Member, Membership, Role, ThirdPartyInvite, ThirdPartyKeys};
use roomlet_wire::json::{self, Map, Value};

/// AUTH-7, then the rules of the new membership.
///
/// That a join with `join_authorised_via_users_server` carries that server's signature was checked before the
/// event became [`Verified`](roomlet_wire::Verified) (EV-14).
pub(super) fn check(case: &Case<'_>) -> Result<(), Denied> {
    let Some(member) = case.node.member() else {
        return Err(Denied::MemberWithoutMembership);
    };
    let target = case
        .pdu
        .state_key
        .as_deref()
        .ok_or(Denied::MemberWithoutStateKey)?;
    match member.membership.ok_or(Denied::MemberWithoutMembership)? {
        Membership::Join => join(case, member, target),
        Membership::Invite => match &member.third_party_invite {
            Some(third_party) => third_party_invite(case, third_party, target),
            None => invite(case, target),
        },
        Membership::Leave if case.sender() == target => leave(case),
        Membership::Leave => kick(case, target),
        Membership::Ban => ban(case, target),
        Membership::Knock if case.pdu.version.knock => knock(case, target),
        Membership::Knock | Membership::Unknown => Err(Denied::UnknownMembership),
    }
}

/// AUTH-8
fn join(case: &Case<'_>, member: &Member, target: &str) -> Result<(), Denied> {
    let (pdu, version) = (case.pdu, case.pdu.version);
    let creator = case.create.create().and_then(|create| create.creator.as_deref());
    // a: before the test of the sender
    if creator == Some(target) && matches!(&*pdu.prev_events, [prev] if *prev == case.create.pdu.id) {
        return Ok(());
    }
    if case.sender() != target {
        return Err(Denied::JoinForAnother); // b
    }
    let now = case.membership(target);
    if now == Membership::Ban {
        return Err(Denied::Banned); // c
    }
    let may_enter = matches!(now, Membership::Invite | Membership::Join);
    let rule = case.join_rule();
    match rule {
        JoinRule::Invite if may_enter => Ok(()), // d
        JoinRule::Knock if version.knock && may_enter => Ok(()),
        JoinRule::Invite => Err(Denied::NotInvited { rule }),
        JoinRule::Knock if version.knock => Err(Denied::NotInvited { rule }),
        JoinRule::Restricted if version.restricted => restricted_join(case, member, may_enter), // e
        JoinRule::KnockRestricted if version.knock_restricted => restricted_join(case, member, may_enter),
        JoinRule::Public => Ok(()),        // f
        _ => Err(Denied::JoinRuleForbids), // g
    }
}

/// AUTH-8e
fn restricted_join(case: &Case<'_>, member: &Member, may_enter: bool) -> Result<(), Denied> {
    if may_enter {
        return Ok(());
    }
    let Some(by) = &member.authorised_via else {
        return Err(Denied::NotAuthorised { by: None });
    };
    if case.membership(by) != Membership::Join {
        return Err(Denied::NotAuthorised { by: Some(by.clone()) });
    }
    case.needs_power_of(by, case.levels.to_invite(), Action::AuthoriseJoin)
}

/// AUTH-9
fn third_party_invite(case: &Case<'_>, invite: &ThirdPartyInvite, target: &str) -> Result<(), Denied> {
    let denied = |fault| Err(Denied::ThirdPartyInvite(fault));
    if case.membership(target) == Membership::Ban {
        return denied(ThirdPartyFault::Banned);
    }
    let (Some(signed), Some(mxid), Some(_)) = (&invite.signed, invite.mxid(), invite.token()) else {
        return denied(ThirdPartyFault::Malformed);
    };
    if mxid != target {
        return denied(ThirdPartyFault::OtherUser);
    }
    let Some(offer) = case.state.get(Role::ThirdPartyInvite) else {
        return denied(ThirdPartyFault::UnknownToken);
    };
    if offer.pdu.sender != case.pdu.sender {
        return denied(ThirdPartyFault::OtherSender);
    }
    match offer.third_party_keys() {
        Some(keys) if is_signed_by(signed, keys) => Ok(()),
        _ => denied(ThirdPartyFault::NoValidSignature),
    }
}

/// Pairs of a signature and a key that are tried for one third-party invite. An identity server gives one signature
/// and two keys; an event has room for hundreds of thousands of pairs, which would take half a minute (TM-8). What is tried
/// is tried again with each resolution of a fork that the invite is in, and there may be thousands of invites.
const INVITE_CHECKS: usize = 16;

/// Whether any ed25519 signature in `signed`, of whatever server, is by one of `keys`.
fn is_signed_by(signed: &Map, keys: &ThirdPartyKeys) -> bool {
    let mut object = signed.clone();
    let signatures = object.remove("signatures");
    object.remove("unsigned");
    let message = json::map_to_canonical(&object);
    let servers = signatures
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::values);
    servers
        .filter_map(Value::as_object)
        .flatten()
        .filter(|(id, _)| id.starts_with("ed25519:"))
        .filter_map(|(_, signature)| signature.as_str())
        .flat_map(|signature| keys.keys.iter().map(move |key| (signature, key)))
        .take(INVITE_CHECKS)
        .any(|(signature, key)| key.verifies_base64(message.as_bytes(), signature))
}

/// AUTH-10
fn invite(case: &Case<'_>, target: &str) -> Result<(), Denied> {
    case.needs_joined_sender(Action::Invite)?;
    let membership = case.membership(target);
    if matches!(membership, Membership::Join | Membership::Ban) {
        return Err(Denied::CannotInvite { membership });
    }
    case.needs_power(case.levels.to_invite(), Action::Invite)
}

/// AUTH-12
fn leave(case: &Case<'_>) -> Result<(), Denied> {
    match case.membership(case.sender()) {
        Membership::Invite | Membership::Join => Ok(()),
        Membership::Knock if case.pdu.version.knock => Ok(()),
        membership => Err(Denied::CannotLeave { membership }),
    }
}

/// AUTH-13
fn kick(case: &Case<'_>, target: &str) -> Result<(), Denied> {
    case.needs_joined_sender(Action::Kick)?;
    if case.membership(target) == Membership::Ban {
        case.needs_power(case.levels.to_ban(), Action::Unban)?;
    }
    case.needs_power(case.levels.to_kick(), Action::Kick)?;
    case.needs_power_above(target, Action::Kick)
}

/// AUTH-14
fn ban(case: &Case<'_>, target: &str) -> Result<(), Denied> {
    case.needs_joined_sender(Action::Ban)?;
    case.needs_power(case.levels.to_ban(), Action::Ban)?;
    case.needs_power_above(target, Action::Ban)
}

/// AUTH-15
fn knock(case: &Case<'_>, target: &str) -> Result<(), Denied> {
    match case.join_rule() {
        JoinRule::Knock => {}
        JoinRule::KnockRestricted if case.pdu.version.knock_restricted => {}
        _ => return Err(Denied::KnockNotAllowed),
    }
    if case.sender() != target {
        return Err(Denied::KnockForAnother);
    }
    match case.membership(target) {
        membership @ (Membership::Ban | Membership::Invite | Membership::Join) => {
            Err(Denied::CannotKnock { membership })
        }
        _ => Ok(()),
    }
}
