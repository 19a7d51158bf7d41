//! Making rooms.

use crate::{
    inner::Inner,
    room::Outgoing,
    types::{CreateRoom, Preset},
};
use roomlet_wire::{Code, Error, Map, Pdu, Result, RoomId, RoomVersion, UserId, Value, Verified, pdu::Draft};
use std::collections::BTreeMap;

/// The level of creators where they need one: in all versions but 12.
pub(crate) const CREATOR_LEVEL: i64 = 100;
/// The level for tombstones in rooms of version 12, above that of every user who is no creator.
pub(crate) const TOMBSTONE_LEVEL: i64 = 150;

/// A JSON object of these members.
pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// A room's id and, where the id follows from it, its create event.
pub(crate) enum Beginning {
    /// Versions 1 to 11.
    Named(RoomId, Map),
    /// Version 12.
    Made(Pdu<Verified>),
}

impl Beginning {
    /// The room's id.
    pub(crate) fn room_id(&self) -> &RoomId {
        match self {
            Self::Named(id, _) => id,
            Self::Made(create) => &create.room_id,
        }
    }
}

impl Inner {
    pub(crate) async fn create_room(&self, user: &UserId, create: CreateRoom) -> Result<RoomId> {
        self.check_account(user)?;
        for target in create.invite.iter().filter(|target| self.is_local(target)) {
            self.check_account(target)
                .map_err(|error| error.context("invite"))?;
        }
        let version = self.version_named(create.version.as_deref())?;
        let mut content = create_content(user, version, &create.additional_creators)?;
        if let Some(room_type) = &create.room_type {
            content.insert("type".into(), room_type.as_str().into());
        }
        // As other servers do: whom a trusted room invites has the creator's power.
        if create.preset == Preset::TrustedPrivate && version.creators_rank_above {
            add_creators(&mut content, user, &create.invite);
        }
        let beginning = self.begin_room(user, version, content)?;
        let id = self
            .fill_room(user, version, beginning, first_state(user, &create, version))
            .await?;
        for target in &create.invite {
            // One that another server or the host's policy refuses leaves the room as it is: the members tell who is
            // invited.
            if let Err(error) = self.invite(user, &id, target, None, create.is_direct).await {
                self.warn(format_args!(
                    "the invite of {target} to new room {id} failed: {error}"
                ));
            }
        }
        Ok(id)
    }

    /// The version of a name; the default one without.
    pub(crate) fn version_named(&self, name: Option<&str>) -> Result<&'static RoomVersion> {
        let name = name.unwrap_or(&self.config.limits.default_room_version);
        RoomVersion::named(name)
    }

    /// Gives a new room its id: any, or that of its create event, which is made then (EV-4).
    pub(crate) fn begin_room(
        &self,
        user: &UserId,
        version: &'static RoomVersion,
        mut content: Map,
    ) -> Result<Beginning> {
        if !version.room_id_is_create_hash {
            let id = RoomId::parse(&format!("!{}:{}", self.random_name(18), self.me))?;
            return Ok(Beginning::Named(id, content));
        }
        // Otherwise two rooms made in one millisecond would be one.
        content.insert("roomlet.nonce".into(), self.random_name(18).into());
        let draft = Draft {
            room_id: None,
            sender: user.clone(),
            kind: "m.room.create".into(),
            state_key: Some(String::new()),
            content,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            depth: 1,
            origin_server_ts: self.env.clock.now_ms(),
            redacts: None,
            hashes: BTreeMap::new(),
        };
        let create = draft.sign(version, &self.me, &self.signing_key())?;
        Ok(Beginning::Made(create))
    }

    /// Makes a room: its create event, its creator's join, then `state`, in one commit.
    pub(crate) async fn fill_room(
        &self,
        user: &UserId,
        version: &'static RoomVersion,
        beginning: Beginning,
        state: Vec<Outgoing>,
    ) -> Result<RoomId> {
        let id = beginning.room_id().clone();
        let handle = self.rooms.get_or_create(&id, version)?;
        let (sender, key, now) = (user.clone(), self.signing_key(), self.env.clock.now_ms());
        handle
            .run(move |room| {
                match beginning {
                    Beginning::Made(create) => room.accept_own(&create, None)?,
                    Beginning::Named(_, content) => {
                        let create = Outgoing::state("m.room.create", "", content);
                        room.send(&sender, create, &key, now)?;
                    }
                }
                room.send(&sender, Outgoing::member(&sender, "join", None), &key, now)?;
                for outgoing in state {
                    room.send(&sender, outgoing, &key, now)?;
                }
                Ok(())
            })
            .await?;
        Ok(id)
    }
}

/// The content of a create event that every room of a version has.
pub(crate) fn create_content(
    user: &UserId,
    version: &RoomVersion,
    additional_creators: &[UserId],
) -> Result<Map> {
    let mut content = object([("room_version", version.id.into())]);
    if !version.creator_is_sender {
        content.insert("creator".into(), user.as_str().into());
    }
    if !additional_creators.is_empty() && !version.creators_rank_above {
        let about = format!("rooms of version {} have one creator", version.id);
        return Err(Error::new(Code::BadParam, about));
    }
    add_creators(&mut content, user, additional_creators);
    Ok(content)
}

/// Adds to `additional_creators` who is neither there nor the creator.
fn add_creators(content: &mut Map, user: &UserId, more: &[UserId]) {
    let mut creators: Vec<Value> = match content.remove("additional_creators") {
        Some(Value::Array(creators)) => creators,
        _ => Vec::new(),
    };
    for creator in more {
        let name = Value::from(creator.as_str());
        if creator != user && !creators.contains(&name) {
            creators.push(name);
        }
    }
    if !creators.is_empty() {
        content.insert("additional_creators".into(), creators.into());
    }
}

/// The state that a room begins with, after its create event and the creator's join.
fn first_state(user: &UserId, room: &CreateRoom, version: &RoomVersion) -> Vec<Outgoing> {
    let (join_rule, guests) = match room.preset {
        Preset::Public => ("public", "forbidden"),
        Preset::Private | Preset::TrustedPrivate => ("invite", "can_join"),
    };
    let mut events = vec![
        Outgoing::state("m.room.power_levels", "", power_levels(user, room, version)),
        Outgoing::state("m.room.join_rules", "", object([("join_rule", join_rule.into())])),
        Outgoing::state(
            "m.room.history_visibility",
            "",
            object([("history_visibility", "shared".into())]),
        ),
        Outgoing::state(
            "m.room.guest_access",
            "",
            object([("guest_access", guests.into())]),
        ),
    ];
    if let Some(name) = &room.name {
        events.push(Outgoing::state(
            "m.room.name",
            "",
            object([("name", name.as_str().into())]),
        ));
    }
    if let Some(topic) = &room.topic {
        events.push(Outgoing::state("m.room.topic", "", roomlet_content::topic(topic)));
    }
    events
}

/// The power levels that a room begins with; the same numbers as other servers' rooms.
fn power_levels(user: &UserId, room: &CreateRoom, version: &RoomVersion) -> Map {
    let mut users = Map::new();
    if !version.creators_rank_above {
        users.insert(user.as_str().into(), Value::Int(CREATOR_LEVEL));
    }
    if room.preset == Preset::TrustedPrivate && !version.creators_rank_above {
        users.extend(
            room.invite
                .iter()
                .map(|invited| (invited.as_str().to_owned(), Value::Int(CREATOR_LEVEL))),
        );
    }
    let tombstone = if version.creators_rank_above {
        TOMBSTONE_LEVEL
    } else {
        CREATOR_LEVEL
    };
    let events = object([
        ("m.room.name", Value::Int(50)),
        ("m.room.avatar", Value::Int(50)),
        ("m.room.canonical_alias", Value::Int(50)),
        ("m.room.power_levels", Value::Int(100)),
        ("m.room.history_visibility", Value::Int(100)),
        ("m.room.server_acl", Value::Int(100)),
        ("m.room.encryption", Value::Int(100)),
        ("m.room.tombstone", Value::Int(tombstone)),
    ]);
    object([
        ("users", users.into()),
        ("users_default", Value::Int(0)),
        ("events", events.into()),
        ("events_default", Value::Int(0)),
        ("state_default", Value::Int(50)),
        ("ban", Value::Int(50)),
        ("kick", Value::Int(50)),
        ("redact", Value::Int(50)),
        (
            "invite",
            Value::Int(if room.preset == Preset::Public { 50 } else { 0 }),
        ),
    ])
}
