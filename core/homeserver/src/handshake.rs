//! The resident's and the invitee's side of join, leave and invite (FED-30 … FED-38).

use crate::{
    fetch::{Came, Pace, Round},
    inner::Inner,
    room::{OpenRoom, Outcome, Outgoing},
};
use roomlet_store::{InviteRow, Update, Write};
use roomlet_wire::{
    Code, Error, EventId, Map, Pdu, Result, RoomId, RoomVersion, ServerName, UserId, Value, Verified,
    json::{self, Raw},
    pdu::Draft,
};
use std::{sync::Arc, time::Duration};

/// Events handed in for which what they cite is fetched at once: anybody may hand in any number, and each may bring a
/// state as large as the room (TM-10).
pub(crate) const SETTLED_AT_ONCE: usize = 2;
/// How long one waits for its turn.
const SETTLE_WAIT: Duration = Duration::from_secs(20);

/// What is kept of the preview that comes with an invite, in bytes of JSON: strangers send it, and a create event, a
/// name, a topic and the like are far smaller (TM-10).
const PREVIEW_BYTES: usize = 65_536;

/// Servers whose invites of one user to one room are kept: each is asked when the user answers, and names cost nothing.
const INVITING_SERVERS: usize = 5;

/// Invites of one user that are not answered, at most: strangers make them, each with up to as much as an event and a
/// preview take (TM-10).
const INVITES_PER_USER: u64 = 500;

fn bad(about: String) -> Error {
    Error::new(Code::BadParam, about)
}

/// What an invited user is shown of a room, whether it came as full events or stripped (FED-38): entries that are
/// neither are left out (TM-14), and so is what is beyond [`PREVIEW_BYTES`].
fn stripped(preview: Vec<Value>) -> Value {
    let strip = |entry: &Value| {
        let entry = entry.as_object()?;
        let text = |key: &str| entry.get(key).filter(|value| value.as_str().is_some()).cloned();
        let content = entry
            .get("content")
            .filter(|value| {
                value
                    .as_object()
                    .is_some_and(|content| json::check_canonical(content).is_ok())
            })
            .cloned();
        let fields = [
            ("type", text("type")?),
            ("state_key", text("state_key")?),
            ("sender", text("sender")?),
            ("content", content?),
        ];
        Some(Value::Object(
            fields
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
        ))
    };
    let mut bytes = 0;
    let small = |entry: &Value| {
        bytes += json::to_canonical(entry).len();
        bytes <= PREVIEW_BYTES
    };
    Value::Array(preview.iter().filter_map(strip).take_while(small).collect())
}

/// A draft as the template that the other server finishes.
fn template(draft: Draft, version: &'static RoomVersion) -> Map {
    Map::from([
        ("event".to_owned(), draft.into_template(version).into()),
        ("room_version".to_owned(), version.id.into()),
    ])
}

impl Inner {
    /// The user of a `make_*` must be of the server that asks (FED-6).
    fn check_own_user(&self, origin: &ServerName, user: &UserId) -> Result<()> {
        if user.server() == origin.as_str() {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!("user {user} is not of server {origin}"),
        ))
    }

    /// Answers `GET /make_join` (FED-30).
    pub(crate) async fn make_join(
        &self,
        origin: &ServerName,
        room: &RoomId,
        user: &UserId,
        versions: &[String],
    ) -> Result<Map> {
        self.check_own_user(origin, user)?;
        let handle = self.resident_room(origin, room).await?;
        let version = handle.run(|room| Ok(room.version())).await?;
        if !versions.iter().any(|id| id == version.id) {
            let about = format!(
                "room {room} is of version {}, which {origin} did not offer",
                version.id
            );
            return Err(Error::new(Code::UnknownRoomVersion, about).with_room_version(version.id));
        }
        if !self.policy.accept_join(room, user).await {
            return Err(Error::new(
                Code::Forbidden,
                format!("the host refuses the join of {user} to room {room}"),
            ));
        }
        let (user, now) = (user.clone(), self.env.clock.now_ms());
        handle
            .run(move |room| {
                let mut join = Outgoing::member(&user, "join", None);
                room.authorise_restricted(&user, &mut join)?;
                room.allowed_template(&user, join, now)
            })
            .await
    }

    /// Answers `GET /make_leave` (FED-36).
    pub(crate) async fn make_leave(&self, origin: &ServerName, room: &RoomId, user: &UserId) -> Result<Map> {
        self.check_own_user(origin, user)?;
        let handle = self.resident_room(origin, room).await?;
        let (user, now) = (user.clone(), self.env.clock.now_ms());
        handle
            .run(move |room| room.allowed_template(&user, Outgoing::member(&user, "leave", None), now))
            .await
    }

    /// Checks what `send_join` and `send_leave` have in common (FED-31).
    async fn check_handshake(
        &self,
        origin: &ServerName,
        room: &RoomId,
        event_id: &EventId,
        event: Map,
        version: &'static RoomVersion,
        membership: &str,
    ) -> Result<Pdu<Verified>> {
        let pdu = self.verify_object(event, version).await?;
        let rules = [
            (pdu.id == *event_id, "its id is not that of the path"),
            (pdu.room_id == *room, "its room is not that of the path"),
            (pdu.kind == "m.room.member", "it is no m.room.member"),
            (pdu.membership() == Some(membership), "its membership is another"),
            (
                pdu.state_key.as_deref() == Some(pdu.sender.as_str()),
                "its state key is not its sender",
            ),
            (
                pdu.sender.server() == origin.as_str(),
                "its sender is not of the server that sends it",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(bad(format!("{membership} event {}: {rule}", pdu.id))),
            None => Ok(pdu),
        }
    }

    /// Answers `PUT /send_join` (FED-31, FED-33).
    pub(crate) async fn receive_join(
        self: &Arc<Self>,
        origin: &ServerName,
        room: &RoomId,
        event_id: &EventId,
        event: Map,
    ) -> Result<Map> {
        let handle = self.resident_room(origin, room).await?;
        let version = handle.run(|room| Ok(room.version())).await?;
        let event = self.with_own_signature_first(event, version);
        let pdu = self
            .check_handshake(origin, room, event_id, event, version, "join")
            .await?;
        if !self.policy.accept_join(room, &pdu.sender).await {
            return Err(Error::new(
                Code::Forbidden,
                format!("the host refuses the join of {} to room {room}", pdu.sender),
            ));
        }
        let pdu = self.authorised_by_us(pdu, version)?;
        // The template may not have been ours, or an older one: whoever gets our signature meets the conditions now.
        let user = pdu.sender.clone();
        handle
            .run(move |room| room.authorise_restricted(&user, &mut Outgoing::member(&user, "join", None)))
            .await?;
        let is_new = self.settle_parents(&pdu, origin).await?;
        let (origin, me) = (origin.clone(), self.me.clone());
        handle
            .run(move |room| {
                room.accept_handed_in(&pdu, is_new, &origin)?;
                room.join_reply(&pdu, &me)
            })
            .await
    }

    /// A restricted join names a user of this server as its authoriser and so needs this server's signature, which it
    /// gets here, before the check that wants it (FED-33).
    fn with_own_signature_first(&self, mut event: Map, version: &'static RoomVersion) -> Map {
        let authoriser = event
            .get("content")
            .and_then(|content| content.get("join_authorised_via_users_server"));
        let ours = authoriser
            .and_then(Value::as_str)
            .and_then(|user| UserId::parse(user).ok())
            .is_some_and(|user| self.is_local(&user));
        if ours && version.restricted {
            roomlet_wire::sign::sign_event(&mut event, version, &self.me, &self.signing_key());
        }
        event
    }

    /// Refuses a join that another server than this one would have to authorise (FED-33).
    fn authorised_by_us(&self, pdu: Pdu<Verified>, version: &RoomVersion) -> Result<Pdu<Verified>> {
        let authoriser = pdu
            .content()
            .get("join_authorised_via_users_server")
            .and_then(Raw::as_str);
        match authoriser.map(|user| UserId::parse(&user)) {
            Some(Ok(user)) if version.restricted && !self.is_local(&user) => Err(bad(format!(
                "join {}: user {user} who authorises it is not of {}",
                pdu.id, self.me
            ))),
            _ => Ok(pdu),
        }
    }

    /// Answers `PUT /send_leave` (FED-36).
    pub(crate) async fn receive_leave(
        self: &Arc<Self>,
        origin: &ServerName,
        room: &RoomId,
        event_id: &EventId,
        event: Map,
    ) -> Result<()> {
        let handle = self.resident_room(origin, room).await?;
        let version = handle.run(|room| Ok(room.version())).await?;
        let pdu = self
            .check_handshake(origin, room, event_id, event, version, "leave")
            .await?;
        let is_new = self.settle_parents(&pdu, origin).await?;
        let origin = origin.clone();
        handle
            .run(move |room| room.accept_handed_in(&pdu, is_new, &origin))
            .await
    }

    /// The template may have been made by another resident: what it cites is fetched first, and the event taken with it.
    /// Servers in the room are asked, not the one that wants to come or go: it has no say in what the room's state is
    /// (TM-7). Whether the event is still to be taken.
    ///
    /// # Errors
    /// `Busy` if others keep this server too busy, or those that may have it are slow.
    async fn settle_parents(&self, pdu: &Pdu<Verified>, origin: &ServerName) -> Result<bool> {
        let wanted = pdu.clone();
        let handle = self.rooms.get(&pdu.room_id)?;
        let (is_known, missing) = handle
            .run(move |room| Ok((room.holds_fully(&wanted.id)?, room.missing(&wanted)?)))
            .await?;
        if is_known || (missing.prev.is_empty() && missing.auth.is_empty()) {
            return Ok(!is_known);
        }
        // The semaphore is never closed.
        let Ok(_permit) = tokio::time::timeout(SETTLE_WAIT, self.settling.acquire()).await else {
            let about = format!("event {}: too many wait for what they cite", pdu.id);
            return Err(Error::new(Code::Busy, about));
        };
        let mut round = Round::new(Pace::Quick);
        let came = Came::HandedIn(origin);
        let outcome = self.ingest_fetching(&pdu.room_id, pdu, came, &mut round).await?;
        self.check_open()?;
        match outcome {
            Outcome::Missing(_) if round.is_late() => {
                let about = format!("event {} cites events that are not to be had in time", pdu.id);
                Err(Error::new(Code::Busy, about))
            }
            Outcome::Missing(_) => Err(bad(format!("event {} cites events that nobody has", pdu.id))),
            _ => Ok(false),
        }
    }

    /// Answers `PUT /invite` (FED-37).
    pub(crate) async fn receive_invite(
        self: &Arc<Self>,
        origin: &ServerName,
        room: &RoomId,
        event_id: &EventId,
        version: &str,
        event: Map,
        preview: Vec<Value>,
    ) -> Result<Map> {
        let version = RoomVersion::named(version).map_err(|error| error.with_room_version(version))?;
        let pdu = self.verify_object(event, version).await?;
        let invitee = pdu.state_key.as_deref().and_then(|key| UserId::parse(key).ok());
        let rules = [
            (pdu.id == *event_id, "its id is not that of the path"),
            (pdu.room_id == *room, "its room is not that of the path"),
            (
                pdu.kind == "m.room.member" && pdu.membership() == Some("invite"),
                "it is no invite",
            ),
            (
                pdu.sender.server() == origin.as_str(),
                "its sender is not of the server that sends it",
            ),
            (
                invitee.as_ref().is_some_and(|user| self.is_local(user)),
                "it invites no user of this server",
            ),
        ];
        if let Some((_, rule)) = rules.iter().find(|(holds, _)| !holds) {
            return Err(bad(format!("invite {}: {rule}", pdu.id)));
        }
        let Some(invitee) = invitee else {
            return Err(bad(format!("invite {}: it invites nobody", pdu.id)));
        };
        self.check_preview(room, version, &preview)?;
        self.is_in_room(origin, room).await?;
        self.check_invitee(&pdu.sender, room, &invitee).await?;
        // Only now, as somebody may have joined the room while the host thought about it.
        let is_resident = self.is_in_room(origin, room).await?;
        let is_new = !is_resident && self.is_new_invite(&pdu, &invitee)?;
        let signed = pdu.countersigned(&self.me, &self.signing_key());
        if is_new {
            let row = InviteRow {
                user: invitee.clone(),
                room: room.clone(),
                version,
                event_json: signed.to_json().into_boxed_str(),
                preview_json: json::to_canonical(&stripped(preview)).into_boxed_str(),
            };
            let update = Update::Membership {
                room: room.clone(),
                user: invitee,
                membership: "invite".into(),
                sender: pdu.sender.clone(),
            };
            self.commit(vec![Write::Invite(row), Write::Update(update)])
                .await?;
        }
        Ok(Map::from([(
            "event".to_owned(),
            Value::Canonical(signed.to_raw()),
        )]))
    }

    /// Refuses an invite to a room of version 12 that does not come with the create event that the room is named for
    /// (FED-38).
    fn check_preview(&self, room: &RoomId, version: &'static RoomVersion, preview: &[Value]) -> Result<()> {
        let is_create = |entry: &Value| {
            let event = entry.as_object().cloned();
            let pdu = event.and_then(|event| Pdu::from_object(event, version).ok());
            pdu.is_some_and(|pdu| pdu.is_state("m.room.create", "") && pdu.room_id == *room)
        };
        if !version.room_id_is_create_hash || preview.iter().any(is_create) {
            return Ok(());
        }
        Err(bad(format!(
            "invite to {room}: the preview has no create event of that room"
        )))
    }

    /// Whether an invite is not pending already; refuses those that are too many. None can take the place of another
    /// server's: anybody can make a room of the same id, and invite to it.
    fn is_new_invite(&self, invite: &Pdu<Verified>, invitee: &UserId) -> Result<bool> {
        let pending = self.pending_invites(invitee, &invite.room_id)?;
        if let Some(held) = pending.iter().find(|held| held.origin() == invite.origin()) {
            return Ok(held.id != invite.id);
        }
        let about = if pending.len() >= INVITING_SERVERS {
            let (count, room) = (pending.len(), &invite.room_id);
            format!("{count} servers invite {invitee} to room {room} already")
        } else if self.store.invite_count(invitee)? >= INVITES_PER_USER {
            format!("{invitee} has {INVITES_PER_USER} invites that are not answered")
        } else {
            return Ok(true);
        };
        Err(Error::new(Code::Busy, about))
    }

    /// Whether this server is in the room; refuses `origin` if the room's access control list does (FED-51).
    async fn is_in_room(&self, origin: &ServerName, room: &RoomId) -> Result<bool> {
        match self.resident_room(origin, room).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::UnknownRoom => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl OpenRoom {
    /// A template of an event that the current state allows.
    fn allowed_template(&mut self, user: &UserId, outgoing: Outgoing, now: i64) -> Result<Map> {
        let draft = self.draft(user, outgoing, now)?;
        self.check_allowed(&draft.clone().unsigned(self.version())?)?;
        Ok(template(draft, self.version()))
    }

    /// Takes what a server handed in for its user. Others are told once, however often it does (TM-10, TM-17).
    fn accept_handed_in(&mut self, pdu: &Pdu<Verified>, is_new: bool, origin: &ServerName) -> Result<()> {
        if is_new {
            return self.accept_own(pdu, Some(origin));
        }
        self.check_held(pdu)
    }

    /// What the server of a user who joined gets: the state before the join (FED-31).
    fn join_reply(&mut self, pdu: &Pdu<Verified>, me: &ServerName) -> Result<Map> {
        let before = self.state_before_of(&pdu.id)?;
        let state = match before {
            Some(before) => self.state(before)?,
            None => self.current().clone(),
        };
        let held = self.find(&pdu.id)?;
        let of = state
            .iter()
            .map(|(_, num)| num)
            .chain(held.map(|held| held.node.num));
        let chain = self.auth_chain(of)?;
        let objects = |events: Vec<crate::room::Held>| {
            Value::Array(
                events
                    .iter()
                    .map(|held| Value::Canonical(held.pdu().to_raw()))
                    .collect(),
            )
        };
        Ok(Map::from([
            ("origin".to_owned(), Value::from(me.as_str())),
            ("event".to_owned(), Value::Canonical(pdu.to_raw())),
            ("state".to_owned(), objects(self.state_events(&state)?)),
            ("auth_chain".to_owned(), objects(chain)),
            ("members_omitted".to_owned(), Value::Bool(false)),
        ]))
    }
}
