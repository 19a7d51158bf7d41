//! The parts of event content that authorization rules read, parsed once.

use super::power_levels::PowerLevels;
use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use roomlet_wire::{
    UserId,
    json::{Map, Object, Raw},
    pdu::Event,
    sign::PublicKey,
    version::TABLE,
};

/// What authorization reads of an event's content, by its type alone; values of wrong types count as the
/// rules say, or as absent.
#[derive(Clone, Debug)]
pub enum AuthContent {
    /// `m.room.create`
    Create(Create),
    /// `m.room.member`
    Member(Member),
    /// `m.room.power_levels`, apart: an event of another type is not to be as large.
    PowerLevels(Box<PowerLevels>),
    /// `m.room.join_rules`
    JoinRules(JoinRule),
    /// `m.room.third_party_invite`
    ThirdPartyInvite(ThirdPartyKeys),
    /// Any other type: no rule reads its content.
    Other,
}

/// `m.room.create` (AUTH-1, AUTH-4, AUTH-26).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    /// Who has power 100 while there are no power levels (AUTH-21) and joins first (AUTH-8a):
    /// `content.creator`, from version 11 on the sender.
    pub creator: Option<String>,
    /// Whether `content.creator` is there, of whatever type.
    pub has_creator: bool,
    /// `content.additional_creators`; `None` if that is there and is not an array of user ids.
    pub additional_creators: Option<Vec<String>>,
    /// Whether `content.room_version` is absent or names a version that this software knows.
    pub known_version: bool,
    /// Whether users of other servers may take part: `m.federate` is not `false`.
    pub federate: bool,
}

/// `m.room.member` (AUTH-7 … AUTH-16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// `membership`, if it is there.
    pub membership: Option<Membership>,
    /// `join_authorised_via_users_server`, if it is text.
    pub authorised_via: Option<String>,
    /// `third_party_invite`, if it is there.
    pub third_party_invite: Option<ThirdPartyInvite>,
}

/// The values of `membership`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// In the room.
    Join,
    /// Invited.
    Invite,
    /// Not in the room: left, kicked, never there.
    Leave,
    /// Banned.
    Ban,
    /// Asking to be invited.
    Knock,
    /// Anything else.
    Unknown,
}

impl Membership {
    /// The value as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Leave => "leave",
            Self::Ban => "ban",
            Self::Knock => "knock",
            Self::Unknown => "unknown",
        }
    }
}

/// `third_party_invite` of a member event (AUTH-9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThirdPartyInvite {
    /// `signed`, if it is an object: what the identity server signed.
    pub signed: Option<Map>,
}

impl ThirdPartyInvite {
    /// `signed.mxid`
    #[must_use]
    pub fn mxid(&self) -> Option<&str> {
        self.signed.as_ref()?.get("mxid")?.as_str()
    }

    /// `signed.token`
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.signed.as_ref()?.get("token")?.as_str()
    }
}

/// The values of `join_rule`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinRule {
    /// Anyone may join.
    Public,
    /// Only who is invited.
    Invite,
    /// As `invite`, and one may knock (7).
    Knock,
    /// As `invite`, and members of other rooms may join (8).
    Restricted,
    /// Both `knock` and `restricted` (10).
    KnockRestricted,
    /// `private` and whatever no version knows: nobody.
    Other,
}

/// The keys of an `m.room.third_party_invite`, of `public_key` and `public_keys` (AUTH-9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThirdPartyKeys {
    /// Those that are ed25519 keys, in either alphabet of base64.
    pub keys: Vec<PublicKey>,
}

impl AuthContent {
    /// Reads what the rules need of `event`.
    #[must_use]
    pub fn parse(event: &Event) -> Self {
        let content = event.content();
        match event.kind.as_str() {
            "m.room.create" => Self::Create(Create::parse(event)),
            "m.room.member" => Self::Member(Member::parse(content)),
            "m.room.power_levels" => Self::PowerLevels(Box::new(PowerLevels::parse(content, event.version))),
            "m.room.join_rules" => Self::JoinRules(JoinRule::parse(content)),
            "m.room.third_party_invite" => Self::ThirdPartyInvite(ThirdPartyKeys::parse(content)),
            _ => Self::Other,
        }
    }
}

impl Create {
    fn parse(event: &Event) -> Self {
        let content = event.content();
        let creator = if event.version.creator_is_sender {
            Some(event.sender.as_str())
        } else {
            None
        };
        let creator = creator.map(ToOwned::to_owned).or_else(|| {
            let named = content
                .get("creator")
                .filter(|_| !event.version.creator_is_sender);
            named.and_then(Raw::as_str).map(Cow::into_owned)
        });
        let additional_creators = match content.get("additional_creators") {
            None => Some(Vec::new()),
            Some(list) => list.as_array().and_then(|list| {
                let ids = list
                    .iter()
                    .map(|id| Some(UserId::parse(&id.as_str()?).ok()?.to_string()));
                ids.collect()
            }),
        };
        let known_version = content
            .get("room_version")
            .is_none_or(|id| id.as_str().is_some_and(|id| TABLE.iter().any(|v| v.id == id)));
        Self {
            creator,
            has_creator: content.contains_key("creator"),
            additional_creators,
            known_version,
            federate: content.get("m.federate").and_then(Raw::as_bool) != Some(false),
        }
    }
}

impl Member {
    pub(crate) fn parse(content: Object<'_>) -> Self {
        let membership = content
            .get("membership")
            .map(|value| match value.as_str().as_deref() {
                Some("join") => Membership::Join,
                Some("invite") => Membership::Invite,
                Some("leave") => Membership::Leave,
                Some("ban") => Membership::Ban,
                Some("knock") => Membership::Knock,
                _ => Membership::Unknown,
            });
        let authorised_via = content
            .get("join_authorised_via_users_server")
            .and_then(Raw::as_str);
        let third_party_invite = content.get("third_party_invite").map(|value| ThirdPartyInvite {
            signed: value.get("signed").and_then(Raw::as_object).map(Object::to_map),
        });
        Self {
            membership,
            authorised_via: authorised_via.map(Cow::into_owned),
            third_party_invite,
        }
    }
}

impl JoinRule {
    /// The value as it stands in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Invite => "invite",
            Self::Knock => "knock",
            Self::Restricted => "restricted",
            Self::KnockRestricted => "knock_restricted",
            Self::Other => "unknown",
        }
    }

    fn parse(content: Object<'_>) -> Self {
        let Some(rule) = content.get("join_rule") else {
            return Self::Invite;
        };
        match rule.as_str().as_deref() {
            Some("invite") => Self::Invite,
            Some("public") => Self::Public,
            Some("knock") => Self::Knock,
            Some("restricted") => Self::Restricted,
            Some("knock_restricted") => Self::KnockRestricted,
            _ => Self::Other,
        }
    }
}

impl ThirdPartyKeys {
    fn parse(content: Object<'_>) -> Self {
        let more = content.get("public_keys").and_then(Raw::as_array);
        let more = more.into_iter().flat_map(|entries| entries.iter());
        let more = more.filter_map(|entry| entry.get("public_key"));
        let all = content.get("public_key").into_iter().chain(more);
        let keys = all
            .filter_map(|key| PublicKey::parse_either_alphabet(&key.as_str()?).ok())
            .collect();
        Self { keys }
    }
}
