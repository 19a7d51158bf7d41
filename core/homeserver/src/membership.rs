//! Joining, leaving and inviting: locally where this server is in the room, else by the handshakes (FED-30 … FED-39).

use crate::{
    inner::Inner,
    order::{Along, causal},
    room::{OpenRoom, Outgoing, RoomHandle},
    verify::keys_of,
};
use roomlet_store::{Update, Write};
use roomlet_wire::{
    Code, Error, EventId, Map, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, Value, Verified,
    pdu::Draft,
};
use std::{collections::BTreeSet, sync::PoisonError};
use tokio::sync::watch;

/// State that an invite shows to the invited user, besides the create event and the inviter.
const PREVIEW: &[&str] = &[
    "m.room.join_rules",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.encryption",
];

impl Inner {
    pub(crate) async fn join(&self, user: &UserId, room: &RoomId, via: &[ServerName]) -> Result<EventId> {
        self.check_account(user)?;
        if let Some(handle) = self.rooms.find(room)?
            && let Some(event) = self.join_here(&handle, user).await?
        {
            return Ok(event);
        }
        let servers = self.servers_to_join(user, room, via)?;
        if servers.is_empty() {
            let about = format!("room {room} is not held here and no server was named to join it through");
            return Err(Error::new(Code::UnknownRoom, about));
        }
        let _joining = loop {
            match self.begin_join(room) {
                Ok(joining) => break joining,
                // Another user of this server joins the room: once this server is in it, a plain event will do.
                // The wait ends with that join, whichever way it ended.
                Err(mut other) => drop(other.changed().await),
            }
            if let Some(handle) = self.rooms.find(room)?
                && let Some(event) = self.join_here(&handle, user).await?
            {
                return Ok(event);
            }
        };
        let mut last = Error::new(
            Code::Unreachable,
            format!("no server to join room {room} through"),
        );
        for server in servers {
            match self.join_through(user, room, &server).await {
                Ok(event) => return Ok(event),
                Err(error) => last = error.context(format_args!("join of room {room} through {server}")),
            }
        }
        Err(last)
    }

    /// A plain member event, if this server is in the room.
    async fn join_here(&self, handle: &RoomHandle, user: &UserId) -> Result<Option<EventId>> {
        let (user, key, now) = (user.clone(), self.signing_key(), self.env.clock.now_ms());
        handle
            .run(move |room| {
                if !room.is_resident() {
                    return Ok(None);
                }
                if let Some(held) = room.current_event("m.room.member", &user)?
                    && held.pdu().membership() == Some("join")
                {
                    return Ok(Some(held.pdu().id.clone()));
                }
                let mut join = Outgoing::member(&user, "join", None);
                room.authorise_restricted(&user, &mut join)?;
                Ok(Some(room.send(&user, join, &key, now)?.id.clone()))
            })
            .await
    }

    /// The named servers, then the inviter's, then the domain of the room id.
    fn servers_to_join(&self, user: &UserId, room: &RoomId, via: &[ServerName]) -> Result<Vec<ServerName>> {
        let mut servers = via.to_vec();
        if let Some(invite) = self.store.invite(user, room)? {
            let pdu = Pdu::from_store(invite.event_json.as_bytes(), invite.version)?;
            servers.extend(ServerName::parse(pdu.sender.server()).ok());
        }
        servers.extend(room.domain().and_then(|domain| ServerName::parse(domain).ok()));
        let mut seen = std::collections::BTreeSet::from([self.me.clone()]);
        servers.retain(|server| seen.insert(server.clone()));
        Ok(servers)
    }

    /// Marks a room as being joined until the guard is dropped; or gives what tells the end of a join that is under
    /// way.
    fn begin_join(&self, room: &RoomId) -> std::result::Result<Joining<'_>, watch::Receiver<()>> {
        let (done, wait) = watch::channel(());
        let mut joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = joining.get(room) {
            return Err(other.clone());
        }
        joining.insert(room.clone(), wait);
        Ok(Joining {
            inner: self,
            room: room.clone(),
            _done: done,
        })
    }

    async fn join_through(&self, user: &UserId, room: &RoomId, server: &ServerName) -> Result<EventId> {
        let template = self.client.make_join(server, room, user).await?;
        let version = negotiated(template.room_version.as_deref())?;
        let draft = self.finish_template(&template.event, user, room, "join")?;
        let join = draft.sign(version, &self.me, &self.signing_key())?;
        let reply = self.client.send_join(server, room, &join).await?;
        if reply.members_omitted {
            let about = format!("server {server} omitted members, which it was not asked to");
            return Err(Error::new(Code::BadReply, about));
        }
        let join = match reply.event {
            Some(Value::Object(signed)) => self.countersigned(&join, signed, version).await,
            _ => join,
        };
        let mut events = self
            .verify_reply(room, version, reply.state, &BTreeSet::new())
            .await;
        let state_ids: Vec<EventId> = events.iter().map(|pdu| pdu.id.clone()).collect();
        check_create(&events, version, room)?;
        let known: BTreeSet<EventId> = state_ids.iter().cloned().collect();
        let mut chain = self.verify_reply(room, version, reply.auth_chain, &known).await;
        // The room has one create event, which is in its state; no other may take its place.
        chain.retain(|pdu| pdu.kind != "m.room.create");
        events.extend(chain);
        let events = causal(events, Along::Auth);
        let id = join.id.clone();
        let handle = self.rooms.get_or_create(room, version)?;
        handle
            .run(move |room| {
                if room.version().id != version.id {
                    let about = format!("room {} is of version {} here", room.id(), room.version().id);
                    return Err(Error::new(Code::BadReply, about));
                }
                room.adopt(&events, &state_ids, &join)
            })
            .await?;
        Ok(id)
    }

    /// The join as the resident gave it back, with its signature, if it is the same event.
    async fn countersigned(
        &self,
        join: &Pdu<Verified>,
        signed: Map,
        version: &'static RoomVersion,
    ) -> Pdu<Verified> {
        match self.verify_object(signed, version).await {
            Ok(pdu) if pdu.id == join.id => pdu,
            _ => join.clone(),
        }
    }

    /// Takes from another server's template only what is its to say (FED-30).
    fn finish_template(
        &self,
        template: &Map,
        user: &UserId,
        room: &RoomId,
        membership: &str,
    ) -> Result<Draft> {
        let text = |key: &str| template.get(key).and_then(Value::as_str);
        let content = template.get("content").and_then(Value::as_object);
        let is = content.and_then(|content| content.get("membership")?.as_str());
        let expected = [
            ("type", text("type"), "m.room.member"),
            ("room_id", text("room_id"), room.as_str()),
            ("sender", text("sender"), user.as_str()),
            ("state_key", text("state_key"), user.as_str()),
            ("membership", is, membership),
        ];
        for (field, is, wanted) in expected {
            if is != Some(wanted) {
                let about = format!("template of a {membership}: {field} is {is:?}, not {wanted:?}");
                return Err(Error::new(Code::BadReply, about));
            }
        }
        let ids = |key: &str| -> Result<Vec<EventId>> {
            let list = template.get(key).and_then(Value::as_array).unwrap_or_default();
            list.iter()
                .map(|id| EventId::parse(id.as_str().unwrap_or_default()))
                .collect()
        };
        let mut own = Map::from([("membership".to_owned(), Value::from(membership))]);
        let authorised = content.and_then(|content| content.get("join_authorised_via_users_server"));
        if let (Some(user), "join") = (authorised, membership) {
            own.insert("join_authorised_via_users_server".into(), user.clone());
        }
        Ok(Draft {
            room_id: Some(room.clone()),
            sender: user.clone(),
            kind: "m.room.member".into(),
            state_key: Some(user.as_str().into()),
            content: own,
            prev_events: ids("prev_events")?,
            auth_events: ids("auth_events")?,
            depth: template.get("depth").and_then(Value::as_int).unwrap_or(1),
            origin_server_ts: self.env.clock.now_ms(),
            redacts: None,
        })
    }

    pub(crate) async fn leave(
        &self,
        user: &UserId,
        room: &RoomId,
        reason: Option<&str>,
    ) -> Result<Option<EventId>> {
        self.check_account(user)?;
        if let Some(handle) = self.rooms.find(room)? {
            let (user, reason) = (user.clone(), reason.map(str::to_owned));
            let (key, now) = (self.signing_key(), self.env.clock.now_ms());
            let left = handle
                .run(move |room| {
                    if !room.is_resident() {
                        return Ok(None);
                    }
                    let is = room.membership(&user)?;
                    if !matches!(is.as_str(), "join" | "invite" | "knock") {
                        let about = format!(
                            "user {user} is not in room {}: their membership is {is}",
                            room.id()
                        );
                        return Err(Error::new(Code::NotJoined, about));
                    }
                    let leave = Outgoing::member(&user, "leave", reason.as_deref());
                    Ok(Some(room.send(&user, leave, &key, now)?.id.clone()))
                })
                .await?;
            if left.is_some() {
                return Ok(left);
            }
        }
        let Some(invite) = self.store.invite(user, room)? else {
            return Err(Error::new(
                Code::NotJoined,
                format!("user {user} is neither in room {room} nor invited to it"),
            ));
        };
        let pdu = Pdu::from_store(invite.event_json.as_bytes(), invite.version)?;
        let server = ServerName::parse(pdu.sender.server())?;
        let event = self.leave_through(user, room, &server).await.ok();
        self.drop_invite(user, room, "leave", user).await?;
        Ok(event)
    }

    async fn leave_through(&self, user: &UserId, room: &RoomId, server: &ServerName) -> Result<EventId> {
        let template = self.client.make_leave(server, room, user).await?;
        let version = negotiated(template.room_version.as_deref())?;
        let draft = self.finish_template(&template.event, user, room, "leave")?;
        let leave = draft.sign(version, &self.me, &self.signing_key())?;
        self.client.send_leave(server, room, &leave).await?;
        Ok(leave.id.clone())
    }

    /// Ends a pending invite here, and tells the user.
    pub(crate) async fn drop_invite(
        &self,
        user: &UserId,
        room: &RoomId,
        membership: &str,
        sender: &UserId,
    ) -> Result<()> {
        let update = Update::Membership {
            room: room.clone(),
            user: user.clone(),
            membership: membership.into(),
            sender: sender.clone(),
        };
        let drop = Write::DropInvite {
            user: user.clone(),
            room: room.clone(),
        };
        self.commit(vec![drop, Write::Update(update)]).await
    }

    pub(crate) async fn invite(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
        is_direct: bool,
    ) -> Result<EventId> {
        self.check_account(user)?;
        let handle = self.rooms.get(room)?;
        let mut outgoing = Outgoing::member(target, "invite", reason);
        if is_direct {
            outgoing.content.insert("is_direct".into(), Value::Bool(true));
        }
        let (sender, key, now) = (user.clone(), self.signing_key(), self.env.clock.now_ms());
        if self.is_local(target) {
            self.check_invitee(user, room, target).await?;
            return handle
                .run(move |room| {
                    room.check_joined(&sender)?;
                    Ok(room.send(&sender, outgoing, &key, now)?.id.clone())
                })
                .await;
        }
        let invitee = target.clone();
        let (pdu, preview, resident) = handle
            .run(move |room| {
                room.check_joined(&sender)?;
                let pdu = room
                    .draft(&sender, outgoing, now)?
                    .sign(room.version(), room.me(), &key)?;
                room.check_allowed(&pdu)?;
                let resident =
                    ServerName::parse(invitee.server()).is_ok_and(|server| room.has_server(&server));
                Ok((pdu, room.preview(&sender)?, resident))
            })
            .await?;
        let server = ServerName::parse(target.server())?;
        let signed = self.client.invite(&server, room, &pdu, preview).await?;
        let pdu = self.check_signed_invite(&pdu, signed, &server).await?;
        let id = pdu.id.clone();
        let except = (!resident).then_some(server);
        handle
            .run(move |room| room.accept_own(&pdu, except.as_ref()))
            .await?;
        Ok(id)
    }

    /// The invite with the signature of the invited user's server, which must be there and right.
    async fn check_signed_invite(
        &self,
        invite: &Pdu<Verified>,
        signed: Map,
        server: &ServerName,
    ) -> Result<Pdu<Verified>> {
        let parsed =
            Pdu::from_object(signed, invite.version).map_err(|error| error.context("the signed invite"))?;
        if parsed.id != invite.id {
            let about = format!("server {server} returned another event than invite {}", invite.id);
            return Err(Error::new(Code::BadReply, about));
        }
        self.keys.ensure(keys_of(&parsed, server)).await;
        invite
            .with_signatures_from(&parsed.object, server, &*self.keys.ring())
            .map_err(|error| error.context(format_args!("the invite that {server} signed")))
    }

    /// Refuses invites of local users who do not exist, or whom the host's policy shields.
    pub(crate) async fn check_invitee(&self, sender: &UserId, room: &RoomId, invitee: &UserId) -> Result<()> {
        if !self.store.has_account(invitee)? {
            return Err(Error::new(
                Code::UnknownUser,
                format!("user {invitee} is no account of {}", self.me),
            ));
        }
        if self.policy.accept_invite(room, sender, invitee).await {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!("the host refuses invites of {sender} to {invitee}"),
        ))
    }
}

/// See [`Inner::begin_join`].
struct Joining<'a> {
    inner: &'a Inner,
    room: RoomId,
    _done: watch::Sender<()>,
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        self.inner
            .joining
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.room);
    }
}

/// The version that a template names; absent means 1 (FED-30).
fn negotiated(version: Option<&str>) -> Result<&'static RoomVersion> {
    let version = version.unwrap_or("1");
    RoomVersion::get(version).ok_or_else(|| {
        Error::new(
            Code::UnknownRoomVersion,
            format!("room version {version:?} is not known here"),
        )
    })
}

/// The state must have exactly one create event, of the version that was agreed on (FED-32).
fn check_create(state: &[Pdu<Verified>], version: &RoomVersion, room: &RoomId) -> Result<()> {
    let mut creates = state.iter().filter(|pdu| pdu.is_state("m.room.create", ""));
    let (first, second) = (creates.next(), creates.next());
    let version_of = |pdu: &Pdu<Verified>| pdu.content().get("room_version").cloned().unwrap_or("1".into());
    let is = first.map(version_of);
    match (is, second) {
        (Some(is), None) if is.as_str() == Some(version.id) => Ok(()),
        _ => {
            let about = format!(
                "the state of room {room} has not exactly one create event of version {}",
                version.id
            );
            Err(Error::new(Code::BadReply, about))
        }
    }
}

impl OpenRoom {
    /// What an invite shows of the room: full events, the create event among them (FED-38).
    fn preview(&self, sender: &UserId) -> Result<Vec<Value>> {
        let mut events = vec![self.current_event("m.room.create", "")?];
        for kind in PREVIEW {
            events.push(self.current_event(kind, "")?);
        }
        events.push(self.current_event("m.room.member", sender)?);
        Ok(events
            .into_iter()
            .flatten()
            .map(|held| Value::Object(held.pdu().object.clone()))
            .collect())
    }

    /// Names a local user who may invite as the one who lets a user join under a restricted rule (FED-33).
    ///
    /// # Errors
    /// `Forbidden` where no condition is met or nobody here may invite.
    pub(crate) fn authorise_restricted(&mut self, user: &UserId, join: &mut Outgoing) -> Result<()> {
        let Some(rules) = self.current_event("m.room.join_rules", "")? else {
            return Ok(());
        };
        let content = rules.pdu().content();
        let rule = content.get("join_rule").and_then(Value::as_str);
        let restricted = match rule {
            Some("restricted") => self.version().restricted,
            Some("knock_restricted") => self.version().knock_restricted,
            _ => false,
        };
        if !restricted || matches!(self.membership(user)?.as_str(), "join" | "invite") {
            return Ok(());
        }
        let conditions = content.get("allow").and_then(Value::as_array).unwrap_or_default();
        let rooms: Vec<RoomId> = conditions
            .iter()
            .filter(|condition| condition.get("type").and_then(Value::as_str) == Some("m.room_membership"))
            .filter_map(|condition| RoomId::parse(condition.get("room_id")?.as_str()?).ok())
            .collect();
        let mut checkable = false;
        let mut met = false;
        for id in &rooms {
            if let Some(record) = self.store().room(id)? {
                checkable |= self
                    .store()
                    .joined_servers(record.num)?
                    .iter()
                    .any(|(server, _)| server == self.me());
                met |= self
                    .store()
                    .member(record.num, user)?
                    .is_some_and(|member| member.membership == "join");
            }
        }
        if !met {
            let about = format!(
                "user {user} is in none of the rooms that let them join {}",
                self.id()
            );
            let error = Error::new(Code::Forbidden, about);
            return Err(if checkable {
                error
            } else {
                error.with_errcode("M_UNABLE_TO_AUTHORISE_JOIN", 400)
            });
        }
        match self.local_inviter()? {
            Some(inviter) => {
                let inviter = Value::from(inviter.as_str());
                join.content
                    .insert("join_authorised_via_users_server".into(), inviter);
                Ok(())
            }
            None => {
                let about = format!("no user of {} may invite to room {}", self.me(), self.id());
                Err(Error::new(Code::Forbidden, about).with_errcode("M_UNABLE_TO_GRANT_JOIN", 400))
            }
        }
    }
}
