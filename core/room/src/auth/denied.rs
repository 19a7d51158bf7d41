//! Why the authorization rules refuse an event.

use super::power::Power;
use crate::node::{JoinRule, Membership, PowerFault};
use alloc::string::{String, ToString};
use core::fmt;
use roomlet_wire::{Code, Error, EventId};

/// The rule that refuses an event, with the values that decided.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message of each variant says")]
pub enum Denied {
    /// An identifier of more than 255 bytes, though not of more than 255 characters.
    OversizedId,
    /// A create event has `prev_events`.
    CreateWithPrevEvents,
    /// A create event's room id names another server than that of its sender.
    CreateForeignRoomId,
    /// A create event's `room_version` is not known.
    CreateUnknownVersion,
    /// A create event has no `creator`.
    CreateWithoutCreator,
    /// A create event of version 12 has a `room_id`.
    CreateWithRoomId,
    /// `additional_creators` is not an array of user ids.
    CreateBadCreators,
    /// The room id is not that of the create event.
    RoomIdOfAnotherCreate,
    /// There is no create event.
    NoCreate,
    /// `auth_events` has two entries for a type and state key.
    DuplicateAuthEvent { id: EventId },
    /// `auth_events` has an entry that the event does not need.
    UnneededAuthEvent { id: EventId },
    /// `auth_events` has a rejected event.
    RejectedAuthEvent { id: EventId },
    /// `auth_events` has an event of another room.
    ForeignAuthEvent { id: EventId },
    /// `auth_events` has the create event, in version 12.
    CreateAsAuthEvent,
    /// The room is closed to other servers.
    NotFederated { server: String },
    /// The state key of aliases is not the sender's server.
    AliasesOfAnotherServer,
    /// A member event without `state_key`.
    MemberWithoutStateKey,
    /// A member event without `membership`.
    MemberWithoutMembership,
    /// Someone else's join.
    JoinForAnother,
    /// The user is banned.
    Banned,
    /// The user is neither invited nor joined.
    NotInvited { rule: JoinRule },
    /// Nobody joined authorised the join of a user who is not invited.
    NotAuthorised { by: Option<String> },
    /// The room's join rule lets nobody in.
    JoinRuleForbids,
    /// A third-party invite that does not hold.
    ThirdPartyInvite(ThirdPartyFault),
    /// The invited user is in the room or banned.
    CannotInvite { membership: Membership },
    /// A user leaves who is not there.
    CannotLeave { membership: Membership },
    /// The join rule allows no knocking.
    KnockNotAllowed,
    /// Someone else's knock.
    KnockForAnother,
    /// A user knocks who is banned, invited or joined.
    CannotKnock { membership: Membership },
    /// A membership that the room version does not know.
    UnknownMembership,
    /// The sender is not in the room.
    SenderNotJoined { action: Action },
    /// The sender's power level is too low.
    PowerTooLow { action: Action, need: i64, has: Power },
    /// The sender's power level is not above that of the user acted upon.
    TargetNotBelow {
        action: Action,
        target: Power,
        has: Power,
    },
    /// The state key is another user's id.
    StateKeyOfAnother,
    /// The form of power levels is wrong.
    PowerMalformed(PowerFault),
    /// Power levels name a creator, in version 12.
    PowerNamesCreator { user: String },
    /// Power levels change what is above the sender's own level.
    PowerChange {
        path: String,
        old: Option<i64>,
        new: Option<i64>,
        has: Power,
    },
}

/// What the sender does, where a rule asks for membership or power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Lets a user join a restricted room.
    AuthoriseJoin,
    /// Invites.
    Invite,
    /// Removes a user from the room.
    Kick,
    /// Lifts a ban.
    Unban,
    /// Bans.
    Ban,
    /// Sends an event that no rule of its own judges.
    Send,
    /// Sends an `m.room.third_party_invite`.
    InviteThirdParty,
    /// Redacts another server's event, in versions 1 and 2.
    Redact,
}

/// Why AUTH-9 refuses an invite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThirdPartyFault {
    /// The invited user is banned.
    Banned,
    /// `signed` is missing, or misses `mxid` or `token`.
    Malformed,
    /// `signed.mxid` is not the invited user.
    OtherUser,
    /// The state has no `m.room.third_party_invite` with this token.
    UnknownToken,
    /// The `m.room.third_party_invite` was sent by someone else.
    OtherSender,
    /// No signature in `signed` is by one of the keys.
    NoValidSignature,
}

impl Denied {
    /// The rule's stable name: its number among the authorization rules, with the letter of the case.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::OversizedId => "ID-12",
            Self::CreateWithPrevEvents
            | Self::CreateForeignRoomId
            | Self::CreateUnknownVersion
            | Self::CreateWithoutCreator
            | Self::CreateWithRoomId
            | Self::CreateBadCreators => "AUTH-1",
            Self::RoomIdOfAnotherCreate => "AUTH-2",
            Self::NoCreate
            | Self::DuplicateAuthEvent { .. }
            | Self::UnneededAuthEvent { .. }
            | Self::RejectedAuthEvent { .. }
            | Self::ForeignAuthEvent { .. }
            | Self::CreateAsAuthEvent => "AUTH-3",
            Self::NotFederated { .. } => "AUTH-4",
            Self::AliasesOfAnotherServer => "AUTH-5",
            Self::MemberWithoutStateKey | Self::MemberWithoutMembership => "AUTH-7",
            Self::JoinForAnother => "AUTH-8b",
            Self::Banned => "AUTH-8c",
            Self::NotInvited { .. } => "AUTH-8d",
            Self::NotAuthorised { .. } => "AUTH-8e",
            Self::JoinRuleForbids => "AUTH-8g",
            Self::ThirdPartyInvite(_) => "AUTH-9",
            Self::CannotInvite { .. } => "AUTH-10",
            Self::CannotLeave { .. } => "AUTH-12",
            Self::KnockNotAllowed | Self::KnockForAnother | Self::CannotKnock { .. } => "AUTH-15",
            Self::UnknownMembership => "AUTH-16",
            Self::SenderNotJoined { action: Action::Send } => "AUTH-17",
            Self::SenderNotJoined { action }
            | Self::PowerTooLow { action, .. }
            | Self::TargetNotBelow { action, .. } => action.rule(),
            Self::StateKeyOfAnother => "AUTH-19",
            Self::PowerMalformed(_) | Self::PowerNamesCreator { .. } | Self::PowerChange { .. } => "AUTH-23",
        }
    }
}

impl Action {
    fn rule(self) -> &'static str {
        match self {
            Self::AuthoriseJoin => "AUTH-8e",
            Self::Invite => "AUTH-10",
            Self::Redact => "AUTH-11",
            Self::Kick | Self::Unban => "AUTH-13",
            Self::Ban => "AUTH-14",
            Self::InviteThirdParty => "AUTH-18",
            Self::Send => "AUTH-19",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AuthoriseJoin => "let a user join",
            Self::Invite => "invite",
            Self::Redact => "redact",
            Self::Kick => "kick",
            Self::Unban => "unban",
            Self::Ban => "ban",
            Self::InviteThirdParty => "invite a third party",
            Self::Send => "send this event",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rule())?;
        match self {
            Self::OversizedId => f.write_str("an identifier is longer than 255 bytes"),
            Self::CreateWithPrevEvents => f.write_str("a create event has no prev_events"),
            Self::CreateForeignRoomId => f.write_str("the room id is of another server than the sender"),
            Self::CreateUnknownVersion => f.write_str("room_version is not known"),
            Self::CreateWithoutCreator => f.write_str("creator is missing"),
            Self::CreateWithRoomId => f.write_str("a create event of this version has no room_id"),
            Self::CreateBadCreators => f.write_str("additional_creators is not an array of user ids"),
            Self::RoomIdOfAnotherCreate => f.write_str("the room id is not that of the create event"),
            Self::NoCreate => f.write_str("there is no create event"),
            Self::DuplicateAuthEvent { id } => write!(f, "auth event {id} has the type and key of another"),
            Self::UnneededAuthEvent { id } => write!(f, "auth event {id} is none that this event needs"),
            Self::RejectedAuthEvent { id } => write!(f, "auth event {id} was rejected"),
            Self::ForeignAuthEvent { id } => write!(f, "auth event {id} is of another room"),
            Self::CreateAsAuthEvent => f.write_str("the create event is no auth event in this version"),
            Self::NotFederated { server } => write!(f, "the room is closed to server {server}"),
            Self::AliasesOfAnotherServer => f.write_str("the state key is not the sender's server"),
            Self::MemberWithoutStateKey => f.write_str("a member event needs a state key"),
            Self::MemberWithoutMembership => f.write_str("membership is missing"),
            Self::JoinForAnother => f.write_str("users join only for themselves"),
            Self::Banned => f.write_str("the user is banned"),
            Self::NotInvited { rule } => {
                write!(f, "the user is not invited, the join rule is {}", rule.as_str())
            }
            Self::NotAuthorised { by: Some(user) } => {
                write!(f, "{user}, who authorised the join, is not in the room")
            }
            Self::NotAuthorised { by: None } => {
                f.write_str("the user is not invited, and nobody authorised the join")
            }
            Self::JoinRuleForbids => f.write_str("the join rule lets nobody in"),
            Self::ThirdPartyInvite(fault) => f.write_str(match fault {
                ThirdPartyFault::Banned => "the invited user is banned",
                ThirdPartyFault::Malformed => "third_party_invite has no signed with mxid and token",
                ThirdPartyFault::OtherUser => "signed.mxid is another user",
                ThirdPartyFault::UnknownToken => "there is no third-party invite with this token",
                ThirdPartyFault::OtherSender => "the third-party invite was sent by someone else",
                ThirdPartyFault::NoValidSignature => "no signature is by a key of the third-party invite",
            }),
            Self::CannotInvite { membership } => {
                write!(f, "cannot invite with membership {}", membership.as_str())
            }
            Self::CannotLeave { membership } => {
                write!(f, "cannot leave with membership {}", membership.as_str())
            }
            Self::KnockNotAllowed => f.write_str("the join rule allows no knocking"),
            Self::KnockForAnother => f.write_str("users knock only for themselves"),
            Self::CannotKnock { membership } => {
                write!(f, "cannot knock with membership {}", membership.as_str())
            }
            Self::UnknownMembership => f.write_str("this room version does not know the membership"),
            Self::SenderNotJoined { .. } => f.write_str("the sender is not in the room"),
            Self::PowerTooLow { action, need, has } => {
                write!(f, "power level {need} needed to {}, has {has}", action.name())
            }
            Self::TargetNotBelow { action, target, has } => {
                write!(
                    f,
                    "cannot {} a user of power level {target} with {has}",
                    action.name()
                )
            }
            Self::StateKeyOfAnother => f.write_str("the state key is another user's id"),
            Self::PowerMalformed(PowerFault { path, want }) => write!(f, "{path} is not {want}"),
            Self::PowerNamesCreator { user } => write!(f, "users names {user}, a creator"),
            Self::PowerChange { path, old, new, has } => {
                let text = |level: &Option<i64>| level.map_or("unset".into(), |level| level.to_string());
                write!(
                    f,
                    "cannot change {path} from {} to {} with power level {has}",
                    text(old),
                    text(new)
                )
            }
        }
    }
}

impl core::error::Error for Denied {}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Error::new(Code::Denied, denied.to_string())
    }
}
