//! Commands of local users in rooms where this server is.

use crate::{
    acl,
    inner::Inner,
    room::{OpenRoom, Outgoing},
    types::{CreateRoom, Preset},
};
use roomlet_wire::{
    Code, Error, EventId, Map, Result, RoomId, RoomVersion, ServerName, UserId, Value,
    json::{self, RawValue},
};

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// `content` as a host gives it: a JSON object.
fn parse_content(content: &str) -> Result<Map> {
    json::parse_object(content.as_bytes()).map_err(|error| error.context("content"))
}

/// Refuses what a server must not send into a room of this version (I1-6).
fn check_kind(kind: &str, version: &RoomVersion) -> Result<()> {
    if version.extensible_events && roomlet_content::is_retired(kind) {
        let about = format!(
            "event type {kind}: rooms of version {} use extensible events instead (such as m.message)",
            version.id
        );
        return Err(Error::new(Code::BadParam, about));
    }
    Ok(())
}

/// Refuses what has a command of its own that does more than to send an event, and what no rule has a meaning for.
fn check_form(outgoing: &Outgoing) -> Result<()> {
    let key = outgoing.state_key.as_deref();
    let invites = || outgoing.content.get("membership").and_then(Value::as_str) == Some("invite");
    let about = match outgoing.kind.as_str() {
        "m.room.redaction" if outgoing.redacts.is_none() => "a redaction is made by `redact`",
        "m.room.member" if invites() => "an invite is made by `invite`, which asks the invited user's server",
        // Servers do not agree on what such an event is judged against (AUTH-28).
        "m.room.power_levels" if key != Some("") => "power levels have the state key \"\"",
        _ => return Ok(()),
    };
    Err(Error::new(Code::BadParam, about))
}

/// Refuses an access control list that would shut this server out of its own room (FED-51).
fn check_own_acl(outgoing: &Outgoing, me: &ServerName) -> Result<()> {
    let is_acl = outgoing.kind == "m.room.server_acl" && outgoing.state_key.as_deref() == Some("");
    let denies = |content: RawValue| content.as_object().is_some_and(|acl| !acl::allows(acl, me));
    if is_acl && denies(RawValue::from(&outgoing.content)) {
        let about = format!("the access control list denies {me}, this server itself");
        return Err(Error::new(Code::Denied, about));
    }
    Ok(())
}

impl Inner {
    pub(crate) async fn create_room(&self, user: &UserId, create: CreateRoom) -> Result<RoomId> {
        self.check_account(user)?;
        let name = create
            .version
            .as_deref()
            .unwrap_or(&self.config.limits.default_room_version);
        let version = RoomVersion::get(name).ok_or_else(|| {
            let about = format!(
                "room version {name:?} is not one of {}",
                RoomVersion::supported().join(", ")
            );
            Error::new(Code::UnknownRoomVersion, about)
        })?;
        let id = RoomId::parse(&format!("!{}:{}", self.random_name(18), self.me))?;
        let events = initial_events(user, &create, version);
        let handle = self.rooms.get_or_create(&id, version)?;
        let (sender, key, now) = (user.clone(), self.signing_key(), self.env.clock.now_ms());
        handle
            .run(move |room| {
                for outgoing in events {
                    room.send(&sender, outgoing, &key, now)?;
                }
                Ok(())
            })
            .await?;
        for target in &create.invite {
            // An invite that fails leaves the room as it is: the members tell who is invited.
            let _ = self.invite(user, &id, target, None, create.is_direct).await;
        }
        Ok(id)
    }

    /// Sends what `outgoing` makes for the room's version, once for each transaction id.
    async fn send_event(
        &self,
        user: &UserId,
        room: &RoomId,
        outgoing: Outgoing,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        self.check_account(user)?;
        let (user, txn_id) = (user.clone(), txn_id.map(str::to_owned));
        let (key, now) = (self.signing_key(), self.env.clock.now_ms());
        self.rooms
            .get(room)?
            .run(move |room| {
                if let Some(txn_id) = &txn_id
                    && let Some(event) = room.earlier_result(&user, txn_id)?
                {
                    return Ok(event);
                }
                room.check_joined(&user)?;
                check_kind(&outgoing.kind, room.version())?;
                check_form(&outgoing)?;
                check_own_acl(&outgoing, room.me())?;
                let event = room.send(&user, outgoing, &key, now)?.id.clone();
                if let Some(txn_id) = &txn_id {
                    room.remember_result(&user, txn_id, &event);
                }
                Ok(event)
            })
            .await
    }

    pub(crate) async fn send(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        content: &str,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        let outgoing = Outgoing {
            kind: kind.into(),
            content: parse_content(content)?,
            ..Outgoing::default()
        };
        self.send_event(user, room, outgoing, txn_id).await
    }

    pub(crate) async fn set_state(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        state_key: &str,
        content: &str,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        let outgoing = Outgoing::state(kind, state_key, parse_content(content)?);
        self.send_event(user, room, outgoing, txn_id).await
    }

    pub(crate) async fn redact(
        &self,
        user: &UserId,
        room: &RoomId,
        event: &EventId,
        reason: Option<&str>,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        self.check_account(user)?;
        let (sender, target) = (user.clone(), event.clone());
        self.rooms
            .get(room)?
            .run(move |room| room.check_redaction(&sender, &target))
            .await?;
        let mut content = Map::new();
        if let Some(reason) = reason {
            content.insert("reason".into(), Value::from(reason));
        }
        let outgoing = Outgoing {
            kind: "m.room.redaction".into(),
            state_key: None,
            content,
            redacts: Some(event.clone()),
        };
        self.send_event(user, room, outgoing, txn_id).await
    }

    /// Changes another user's membership: kick, ban, unban.
    pub(crate) async fn moderate(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        action: Moderation,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.check_account(user)?;
        let (user, target, reason) = (user.clone(), target.clone(), reason.map(str::to_owned));
        let (key, now) = (self.signing_key(), self.env.clock.now_ms());
        self.rooms
            .get(room)?
            .run(move |room| {
                room.check_joined(&user)?;
                let is = room.membership(&target)?;
                let (allowed, membership): (&[&str], _) = match action {
                    Moderation::Kick => (&["join", "invite", "knock"], "leave"),
                    Moderation::Ban => (&["join", "invite", "knock", "leave", "ban"], "ban"),
                    Moderation::Unban => (&["ban"], "leave"),
                };
                if !allowed.contains(&is.as_str()) {
                    let about = format!(
                        "{action:?} of {target} in room {}: their membership is {is}",
                        room.id()
                    );
                    return Err(Error::new(Code::BadParam, about));
                }
                let outgoing = Outgoing::member(&target, membership, reason.as_deref());
                Ok(room.send(&user, outgoing, &key, now)?.id.clone())
            })
            .await
    }
}

/// What a moderator does to another user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moderation {
    Kick,
    Ban,
    Unban,
}

impl OpenRoom {
    /// Refuses commands of users who are not joined.
    pub(crate) fn check_joined(&self, user: &UserId) -> Result<()> {
        if self.membership(user)? == "join" {
            return Ok(());
        }
        Err(Error::new(
            Code::NotJoined,
            format!("user {user} is not in room {}", self.id()),
        ))
    }

    /// Refuses redactions that would not take effect, or would break the room (EV-13).
    fn check_redaction(&mut self, sender: &UserId, target: &EventId) -> Result<()> {
        self.check_joined(sender)?;
        let unknown = || {
            Error::new(
                Code::UnknownEvent,
                format!("event {target} is not in room {}", self.id()),
            )
        };
        let held = self
            .find(target)?
            .filter(|held| held.is_shown())
            .ok_or_else(unknown)?;
        if matches!(held.pdu().kind.as_str(), "m.room.create" | "m.room.server_acl") {
            let about = format!("event {target}: redacting a {} breaks its room", held.pdu().kind);
            return Err(Error::new(Code::Denied, about));
        }
        let events = self.current_levels()?;
        let levels = events.levels();
        let same_server = held.pdu().sender.server() == sender.server();
        if same_server || levels.of_user(sender).reaches(levels.to_redact()) {
            return Ok(());
        }
        let about = format!("user {sender} may not redact {target}: their power is below the redact level");
        Err(Error::new(Code::Denied, about))
    }
}

/// The events that make a room, in the order in which they are sent.
fn initial_events(user: &UserId, room: &CreateRoom, version: &RoomVersion) -> Vec<Outgoing> {
    let mut create = object([("room_version", version.id.into())]);
    if !version.creator_is_sender {
        create.insert("creator".into(), user.as_str().into());
    }
    if let Some(room_type) = &room.room_type {
        create.insert("type".into(), room_type.as_str().into());
    }
    let (join_rule, guests) = match room.preset {
        Preset::Public => ("public", "forbidden"),
        Preset::Private | Preset::TrustedPrivate => ("invite", "can_join"),
    };
    let mut events = vec![
        Outgoing::state("m.room.create", "", create),
        Outgoing::member(user, "join", None),
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
        users.insert(user.as_str().into(), Value::Int(100));
    }
    if room.preset == Preset::TrustedPrivate {
        users.extend(
            room.invite
                .iter()
                .map(|invited| (invited.as_str().to_owned(), Value::Int(100))),
        );
    }
    let tombstone = if version.creators_rank_above { 150 } else { 100 };
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
