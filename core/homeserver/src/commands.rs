//! Commands of local users in rooms where this server is.

use crate::{
    acl,
    inner::Inner,
    room::{OpenRoom, Outgoing},
};
use roomlet_wire::{
    Code, Error, EventId, Map, Result, RoomId, RoomVersion, ServerName, UserId, Value,
    json::{self, RawValue},
};

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
                if let Some(target) = &outgoing.redacts {
                    room.check_redaction(&user, target)?;
                }
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
        let mut content = parse_content(content)?;
        if kind == "m.room.member" {
            // A new event is often made from the one that is there. Who is in the room needs nobody to let them in, and
            // without the signature that this would need all others would drop the event, and all that follows it (EV-14).
            content.remove("join_authorised_via_users_server");
        }
        let outgoing = Outgoing::state(kind, state_key, content);
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
                        "{} of {target} in room {}: their membership is {is}, not {}",
                        action.name(),
                        room.id(),
                        allowed.join(" or ")
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

impl Moderation {
    fn name(self) -> &'static str {
        match self {
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::Unban => "unban",
        }
    }
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
