//! Joining a room: here where this server is in it, else through a server that is (FED-30 … FED-33).

use crate::{
    inner::Inner,
    order::{Along, causal},
    restricted::is_for_another_server,
    room::{Outgoing, RoomHandle},
    template::negotiated,
};
use roomlet_wire::{
    Code, Error, EventId, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, Verified, json::RawValue,
};
use std::{borrow::Cow, collections::BTreeSet, sync::PoisonError};
use tokio::sync::watch;

/// Servers that are asked because they were in the room when this one left.
const KNOWN_SERVERS: usize = 3;

impl Inner {
    pub(crate) async fn join(&self, user: &UserId, room: &RoomId, via: &[ServerName]) -> Result<EventId> {
        self.check_account(user)?;
        let mut refused = None;
        if let Some(event) = self.join_if_here(user, room, &mut refused).await? {
            return Ok(event);
        }
        let servers = self.servers_to_join(user, room, via)?;
        if servers.is_empty() {
            let about = format!("room {room} is not held here and no server was named to join it through");
            return Err(refused.unwrap_or_else(|| Error::new(Code::UnknownRoom, about)));
        }
        let _joining = loop {
            match self.begin_join(room) {
                Ok(joining) => break joining,
                // Another user of this server joins the room: once this server is in it, a plain event will do.
                // The wait ends with that join, whichever way it ended.
                Err(mut other) => drop(other.changed().await),
            }
            if let Some(event) = self.join_if_here(user, room, &mut refused).await? {
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
        Err(refused.unwrap_or(last))
    }

    /// A plain member event, if this server is in the room and can let the user in. If only another server could,
    /// `refused` is why.
    async fn join_if_here(
        &self,
        user: &UserId,
        room: &RoomId,
        refused: &mut Option<Error>,
    ) -> Result<Option<EventId>> {
        let Some(handle) = self.rooms.find(room)? else {
            return Ok(None);
        };
        match self.join_here(&handle, user).await {
            Err(error) if is_for_another_server(&error) => {
                *refused = Some(error);
                Ok(None)
            }
            joined => joined,
        }
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

    /// The named servers, then those of inviters, then the domain of the room id, then some that were in the room when this
    /// one left.
    fn servers_to_join(&self, user: &UserId, room: &RoomId, via: &[ServerName]) -> Result<Vec<ServerName>> {
        let mut servers = via.to_vec();
        for pdu in self.pending_invites(user, room)? {
            servers.extend(ServerName::parse(pdu.sender.server()).ok());
        }
        servers.extend(room.domain().and_then(|domain| ServerName::parse(domain).ok()));
        if let Some(record) = self.store.room(room)? {
            let held = self.store.joined_servers(record.num)?;
            servers.extend(held.into_iter().take(KNOWN_SERVERS).map(|(server, _)| server));
        }
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

    /// What tells the end of the join of a room that is under way.
    pub(crate) fn join_under_way(&self, room: &RoomId) -> Option<watch::Receiver<()>> {
        let joining = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        joining.get(room).cloned()
    }

    /// Waits while the room is being joined.
    pub(crate) async fn end_of_join(&self, room: &RoomId) {
        while let Some(mut done) = self.join_under_way(room) {
            // The join ends by closing its end of this.
            let _ = done.changed().await;
        }
    }

    async fn join_through(&self, user: &UserId, room: &RoomId, server: &ServerName) -> Result<EventId> {
        let template = self.client.make_join(server, room, user).await?;
        let version = negotiated(template.room_version.as_deref())?;
        let draft = self.finish_template(&template.event, user, room, "join")?;
        let authoriser = draft.content.get("join_authorised_via_users_server");
        let is_let_in = version.restricted && authoriser.is_some();
        let authoriser = authoriser.and_then(|user| UserId::parse(user.as_str()?).ok());
        // This server's signature would do for its own users, whoever named them.
        if is_let_in && authoriser.is_none_or(|user| user.server() != server.as_str()) {
            let about = format!("server {server} lets {user} in by the name of a user who is not its own");
            return Err(Error::new(Code::BadReply, about));
        }
        let join = draft.sign(version, &self.me, &self.signing_key())?;
        let reply = self.client.send_join(server, room, &join).await?;
        if reply.members_omitted {
            let about = format!("server {server} omitted members, which it was not asked to");
            return Err(Error::new(Code::BadReply, about));
        }
        let signed = match reply.event {
            Some(signed) => self.countersigned(&join, &signed, version).await?,
            None => None,
        };
        let join = match signed {
            Some(signed) => signed,
            // Nobody else would take the join, nor what follows it (EV-14).
            None if is_let_in => {
                let about =
                    format!("server {server} gave the join back without the signature that lets {user} in");
                return Err(Error::new(Code::BadReply, about));
            }
            None => join,
        };
        let mut events = self
            .verify_reply(server, room, version, reply.state, &BTreeSet::new())
            .await?;
        let state_ids: Vec<EventId> = events.iter().map(|pdu| pdu.id.clone()).collect();
        check_create(&events, version, room)?;
        let known: BTreeSet<EventId> = state_ids.iter().cloned().collect();
        let mut chain = self
            .verify_reply(server, room, version, reply.auth_chain, &known)
            .await?;
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
        signed: &RawValue,
        version: &'static RoomVersion,
    ) -> Result<Option<Pdu<Verified>>> {
        match self.verify_one(signed.text().as_bytes(), version).await {
            Err(error) if error.is_outage() => Err(error),
            signed => Ok(signed.ok().filter(|signed| signed.id == join.id)),
        }
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

/// The state must have exactly one create event, of the version that was agreed on (FED-32).
fn check_create(state: &[Pdu<Verified>], version: &RoomVersion, room: &RoomId) -> Result<()> {
    let mut creates = state.iter().filter(|pdu| pdu.is_state("m.room.create", ""));
    let (first, second) = (creates.next(), creates.next());
    let version_of = |pdu: &Pdu<Verified>| match pdu.content().get("room_version") {
        Some(version) => version.as_str().map(Cow::into_owned),
        None => Some("1".to_owned()),
    };
    let is = first.map(version_of);
    match (is, second) {
        (Some(is), None) if is.as_deref() == Some(version.id) => Ok(()),
        _ => {
            let about = format!(
                "the state of room {room} has not exactly one create event of version {}",
                version.id
            );
            Err(Error::new(Code::BadReply, about))
        }
    }
}
