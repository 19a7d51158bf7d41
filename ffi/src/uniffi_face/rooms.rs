//! The operations on rooms.

use super::{
    error::RoomletError,
    homeserver::Homeserver,
    records::{self, CreateRoom, Direction, ImportReport, Member, Page, RoomEvent, RoomSummary, StoreReport},
};
use crate::convert;
use roomlet_homeserver as core;
use roomlet_homeserver::{EventId, RoomId, ServerName, UserId};

/// Ids come in as text; each is checked before any work begins.
fn user(id: &str) -> Result<UserId, RoomletError> {
    Ok(UserId::parse(id)?)
}

fn room(id: &str) -> Result<RoomId, RoomletError> {
    Ok(RoomId::parse(id)?)
}

fn event(id: &str) -> Result<EventId, RoomletError> {
    Ok(EventId::parse(id)?)
}

fn text(id: &str) -> String {
    id.to_owned()
}

fn list<T, U: From<T>>(items: Vec<T>) -> Vec<U> {
    items.into_iter().map(Into::into).collect()
}

#[uniffi::export]
impl Homeserver {
    /// Makes a room and gives its id. Invites are sent before it returns; one that another server or the host refuses fails
    /// alone, and nothing tells of it but the members and the log: to have its error, make the room without it and call
    /// `invite`.
    ///
    /// # Errors
    /// 402 `UnknownUser`, also for an invited user of this server who is no account; 105 `UnknownRoomVersion`, 106 `BadParam` for creators in a version without them, 103 `TooLarge`.
    pub async fn create_room(&self, user_id: String, options: CreateRoom) -> Result<String, RoomletError> {
        let (user, options) = (user(&user_id)?, core::CreateRoom::try_from(options)?);
        let id = self
            .run(|server| async move { server.create_room(&user, options).await })
            .await?;
        Ok(text(&id))
    }

    /// Replaces a room by a new one of `version`, higher or lower, and gives the new room's id. The new room takes over
    /// what the old one says of itself, and no members; the old one gets a tombstone that points to it.
    ///
    /// # Errors
    /// 300 `Denied` if the user may not send `m.room.tombstone`, 105 `UnknownRoomVersion`, 106 `BadParam` for creators
    /// in a version without them, 301 `NotJoined`.
    #[uniffi::method(default(additional_creators = []))]
    pub async fn upgrade_room(
        &self,
        user_id: String,
        room_id: String,
        version: String,
        additional_creators: Vec<String>,
    ) -> Result<String, RoomletError> {
        let (by, room) = (user(&user_id)?, room(&room_id)?);
        let creators = records::users(&additional_creators)?;
        let id = self
            .run(|server| async move { server.upgrade_room(&by, &room, &version, &creators).await })
            .await?;
        Ok(text(&id))
    }

    /// Takes a whole room from the file `archive`: its events in federation form, one a line, the create event first
    /// and others after those that they cite. All rules hold; with `trusted` the signatures alone are taken as right.
    /// An import that ended early can be repeated.
    ///
    /// # Errors
    /// 106 `BadParam` for a file that cannot be read or is no archive, 104 `BadEvent`, 100 `BadJson`,
    /// 105 `UnknownRoomVersion`.
    #[uniffi::method(default(trusted = false))]
    pub async fn import_room(&self, archive: String, trusted: bool) -> Result<ImportReport, RoomletError> {
        let trust = convert::trust(trusted);
        let imported = self
            .run(|server| async move { server.import_room(archive.as_ref(), trust).await })
            .await?;
        Ok(imported.into())
    }

    /// Deletes what came before the event `from` in the room's timeline, gives the disk space back, and tells how many
    /// events that was. What the rest needs stays, and what is still to be delivered.
    ///
    /// # Errors
    /// 401 `UnknownEvent` if `from` is not in the timeline, 400 `UnknownRoom`.
    pub async fn purge_history(&self, room_id: String, from: String) -> Result<u64, RoomletError> {
        let (room, from) = (room(&room_id)?, event(&from)?);
        self.run(|server| async move { server.purge_history(&room, &from).await })
            .await
    }

    /// Deletes all there is of a room, pending invites too, and gives the disk space back; what other servers are still owed
    /// of it goes out all the same.
    ///
    /// # Errors
    /// 300 `Denied` while a user of this server is in it who could leave, 400 `UnknownRoom`.
    pub async fn forget_room(&self, room_id: String) -> Result<(), RoomletError> {
        let room = room(&room_id)?;
        self.run(|server| async move { server.forget_room(&room).await })
            .await
    }

    /// Reads all that is stored, and reports what does not fit together; with `repair`, what follows from other things
    /// is put right, and events that cannot be read are deleted, so that the rest of their rooms can be used: make a copy of
    /// the file first, if somebody may want to look at them. Commands on a room wait while it is looked at.
    ///
    /// # Errors
    /// 600 `Store`: it cannot even be read.
    #[uniffi::method(default(repair = false))]
    pub async fn check_store(&self, repair: bool) -> Result<StoreReport, RoomletError> {
        let report = self
            .run(|server| async move { server.check_store(repair).await })
            .await?;
        Ok(report.into())
    }

    /// Writes a copy of the store, as it is at one moment, to the new file `path`; commands go on meanwhile. The copy
    /// can be opened as a store.
    ///
    /// # Errors
    /// 106 `BadParam` if there is such a file, or if the store is in memory.
    pub async fn backup(&self, path: String) -> Result<(), RoomletError> {
        self.run(|server| async move { server.backup(path.as_ref()).await })
            .await
    }

    /// Invites `target` and gives the id of the event.
    ///
    /// # Errors
    /// 301 `NotJoined`, 300 `Denied`, 500 `Unreachable`: the invited user's server; 501 `Remote`: it refused; 502 `BadReply`;
    /// 302 `Forbidden`: the host's policy, for a user of this server.
    #[uniffi::method(default(reason = None))]
    pub async fn invite(
        &self,
        user_id: String,
        room_id: String,
        target: String,
        reason: Option<String>,
    ) -> Result<String, RoomletError> {
        let (by, room, target) = (user(&user_id)?, room(&room_id)?, user(&target)?);
        let id = self
            .run(|server| async move { server.invite(&by, &room, &target, reason.as_deref()).await })
            .await?;
        Ok(text(&id))
    }

    /// Joins and gives the id of the event; through one of the servers `via` if this server is not in the room (the
    /// server that sent an invite is asked too).
    ///
    /// # Errors
    /// 300 `Denied`, also where neither this server, which is in the room, nor another may let the user in;
    /// 400 `UnknownRoom`, 500 `Unreachable`: none of the servers; 501 `Remote`: they refused; 502 `BadReply`.
    #[uniffi::method(default(via = []))]
    pub async fn join(
        &self,
        user_id: String,
        room_id: String,
        via: Vec<String>,
    ) -> Result<String, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let via = via
            .iter()
            .map(|name| ServerName::parse(name))
            .collect::<Result<Vec<_>, _>>()?;
        let id = self
            .run(|server| async move { server.join(&user, &room, &via).await })
            .await?;
        Ok(text(&id))
    }

    /// Leaves, rejects an invite or retracts a knock, and gives the id of the event; none where the server of
    /// an invite's sender could not be reached, or refused, and the invite was only dropped here.
    ///
    /// # Errors
    /// 301 `NotJoined`.
    #[uniffi::method(default(reason = None))]
    pub async fn leave(
        &self,
        user_id: String,
        room_id: String,
        reason: Option<String>,
    ) -> Result<Option<String>, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let id = self
            .run(|server| async move { server.leave(&user, &room, reason.as_deref()).await })
            .await?;
        Ok(id.as_deref().map(text))
    }

    /// Kicks `target` and gives the id of the event.
    ///
    /// # Errors
    /// 301 `NotJoined`, 300 `Denied`, 106 `BadParam`: `target` is not there.
    #[uniffi::method(default(reason = None))]
    pub async fn kick(
        &self,
        user_id: String,
        room_id: String,
        target: String,
        reason: Option<String>,
    ) -> Result<String, RoomletError> {
        let (by, room, target) = (user(&user_id)?, room(&room_id)?, user(&target)?);
        let id = self
            .run(|server| async move { server.kick(&by, &room, &target, reason.as_deref()).await })
            .await?;
        Ok(text(&id))
    }

    /// Bans `target` and gives the id of the event.
    ///
    /// # Errors
    /// 301 `NotJoined`, 300 `Denied`.
    #[uniffi::method(default(reason = None))]
    pub async fn ban(
        &self,
        user_id: String,
        room_id: String,
        target: String,
        reason: Option<String>,
    ) -> Result<String, RoomletError> {
        let (by, room, target) = (user(&user_id)?, room(&room_id)?, user(&target)?);
        let id = self
            .run(|server| async move { server.ban(&by, &room, &target, reason.as_deref()).await })
            .await?;
        Ok(text(&id))
    }

    /// Lifts the ban of `target` and gives the id of the event.
    ///
    /// # Errors
    /// 301 `NotJoined`, 300 `Denied`, 106 `BadParam`: `target` is not banned.
    #[uniffi::method(default(reason = None))]
    pub async fn unban(
        &self,
        user_id: String,
        room_id: String,
        target: String,
        reason: Option<String>,
    ) -> Result<String, RoomletError> {
        let (by, room, target) = (user(&user_id)?, room(&room_id)?, user(&target)?);
        let id = self
            .run(|server| async move { server.unban(&by, &room, &target, reason.as_deref()).await })
            .await?;
        Ok(text(&id))
    }

    /// Sends an event of type `kind` whose `content` is a JSON object, and gives its id. The same `txn_id` of the same user
    /// in the same room gives the same event id, which makes a retry safe, whichever command it was given with: this,
    /// `set_state` or `redact`.
    ///
    /// # Errors
    /// 301 `NotJoined`, 300 `Denied` (names the rule), 106 `BadParam` for a type that the room's version retired or that has a
    /// command of its own, 103 `TooLarge`, 100 `BadJson`, 101 `NotCanonical`.
    #[uniffi::method(default(txn_id = None))]
    pub async fn send(
        &self,
        user_id: String,
        room_id: String,
        kind: String,
        content: String,
        txn_id: Option<String>,
    ) -> Result<String, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let id = self
            .run(|server| async move {
                server
                    .send(&user, &room, &kind, &content, txn_id.as_deref())
                    .await
            })
            .await?;
        Ok(text(&id))
    }

    /// Sends a state event; else as `send`.
    ///
    /// # Errors
    /// As `send`; 104 `BadEvent` for another create event.
    #[uniffi::method(default(txn_id = None))]
    pub async fn set_state(
        &self,
        user_id: String,
        room_id: String,
        kind: String,
        state_key: String,
        content: String,
        txn_id: Option<String>,
    ) -> Result<String, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let id = self
            .run(|server| async move {
                server
                    .set_state(&user, &room, &kind, &state_key, &content, txn_id.as_deref())
                    .await
            })
            .await?;
        Ok(text(&id))
    }

    /// Redacts an event and gives the id of the redaction.
    ///
    /// # Errors
    /// 401 `UnknownEvent`; else as `send`.
    #[uniffi::method(default(reason = None, txn_id = None))]
    pub async fn redact(
        &self,
        user_id: String,
        room_id: String,
        event_id: String,
        reason: Option<String>,
        txn_id: Option<String>,
    ) -> Result<String, RoomletError> {
        let (user, room, event) = (user(&user_id)?, room(&room_id)?, event(&event_id)?);
        let id = self
            .run(|server| async move {
                server
                    .redact(&user, &room, &event, reason.as_deref(), txn_id.as_deref())
                    .await
            })
            .await?;
        Ok(text(&id))
    }

    /// A page of up to `limit` events (at least 1 and at most 1,000, whatever it says) of the timeline as the user may see
    /// it, from the token `next` of another page (`from_token`); without one from the newest event backwards, or from the
    /// oldest forwards. Backwards, other servers are asked where the local history ends.
    ///
    /// # Errors
    /// 301 `NotJoined`, 106 `BadParam`: no such token.
    pub async fn timeline(
        &self,
        user_id: String,
        room_id: String,
        from_token: Option<String>,
        direction: Direction,
        limit: u32,
    ) -> Result<Page, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let page = self
            .run(|server| async move {
                server
                    .timeline(
                        &user,
                        &room,
                        from_token.as_deref(),
                        direction.into(),
                        limit as usize,
                    )
                    .await
            })
            .await?;
        Ok(page.into())
    }

    /// One event.
    ///
    /// # Errors
    /// 301 `NotJoined`, 401 `UnknownEvent`.
    pub async fn event(
        &self,
        user_id: String,
        room_id: String,
        event_id: String,
    ) -> Result<RoomEvent, RoomletError> {
        let (user, room, event) = (user(&user_id)?, room(&room_id)?, event(&event_id)?);
        let event = self
            .run(|server| async move { server.event(&user, &room, &event).await })
            .await?;
        Ok(event.into())
    }

    /// The current state (what it was at the end, for a user who left), by type and state key.
    ///
    /// # Errors
    /// 301 `NotJoined`.
    pub async fn state(&self, user_id: String, room_id: String) -> Result<Vec<RoomEvent>, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let events = self
            .run(|server| async move { server.state(&user, &room).await })
            .await?;
        Ok(list(events))
    }

    /// One event of the current state; none if there is no such state.
    ///
    /// # Errors
    /// 301 `NotJoined`.
    #[uniffi::method(default(state_key = ""))]
    pub async fn state_event(
        &self,
        user_id: String,
        room_id: String,
        kind: String,
        state_key: String,
    ) -> Result<Option<RoomEvent>, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let event = self
            .run(|server| async move { server.state_event(&user, &room, &kind, &state_key).await })
            .await?;
        Ok(event.map(Into::into))
    }

    /// The members, all or with one membership, by user id.
    ///
    /// # Errors
    /// 301 `NotJoined`.
    #[uniffi::method(default(membership = None))]
    pub async fn members(
        &self,
        user_id: String,
        room_id: String,
        membership: Option<String>,
    ) -> Result<Vec<Member>, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        let members = self
            .run(|server| async move { server.members(&user, &room, membership.as_deref()).await })
            .await?;
        Ok(list(members))
    }

    /// The user's rooms and invites, by room id.
    ///
    /// # Errors
    /// 402 `UnknownUser`.
    pub async fn rooms(&self, user_id: String) -> Result<Vec<RoomSummary>, RoomletError> {
        let user = user(&user_id)?;
        let rooms = self
            .run(|server| async move { server.rooms(&user).await })
            .await?;
        Ok(list(rooms))
    }

    /// The stripped state that came with a pending invite, as a JSON array. It is what the inviting server says and
    /// nobody verified it.
    ///
    /// # Errors
    /// 403 `NotFound`: no pending invite.
    pub async fn invite_preview(&self, user_id: String, room_id: String) -> Result<String, RoomletError> {
        let (user, room) = (user(&user_id)?, room(&room_id)?);
        self.run(|server| async move { server.invite_preview(&user, &room).await })
            .await
    }
}
