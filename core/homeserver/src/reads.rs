//! Reading rooms as a user: an event, state, members, memberships.

use crate::{
    inner::Inner,
    room::{Held, OpenRoom},
    types::{Member, RoomEvent, RoomSummary},
};
use roomlet_room::state::StateMap;
use roomlet_store::EventRow;
use roomlet_wire::{Code, Error, EventId, Pdu, Result, RoomId, RoomVersion, UserId, Verified};

/// An event as users see it.
fn shown(pdu: &Pdu<Verified>, redacted_by: Option<EventId>) -> RoomEvent {
    RoomEvent {
        event_id: pdu.id.clone(),
        room_id: pdu.room_id.clone(),
        sender: pdu.sender.clone(),
        kind: pdu.kind.as_str().to_owned(),
        state_key: pdu.state_key.as_deref().map(str::to_owned),
        origin_server_ts: pdu.origin_server_ts,
        content: pdu.content().text().to_owned(),
        redacts: pdu.redacts.clone(),
        redacted_by,
    }
}

pub(crate) fn shown_held(held: &Held) -> RoomEvent {
    shown(held.pdu(), held.redacted_by.as_deref().cloned())
}

/// A stored event as users see it.
pub(crate) fn room_event(row: &EventRow, version: &'static RoomVersion) -> Result<RoomEvent> {
    Ok(shown(
        &Pdu::from_store(row.json.as_bytes(), version)?,
        row.redacted_by.clone(),
    ))
}

impl Inner {
    pub(crate) async fn event(&self, user: &UserId, room: &RoomId, event: &EventId) -> Result<RoomEvent> {
        self.check_account(user)?;
        let (user, event) = (user.clone(), event.clone());
        self.rooms
            .get(room)?
            .run(move |room| {
                let held = room.find(&event)?.filter(|held| held.is_shown());
                match held {
                    Some(held) if room.user_may_see(&user, &held)? => Ok(shown_held(&held)),
                    _ => Err(Error::new(
                        Code::UnknownEvent,
                        format!("event {event} is not one that {user} can see"),
                    )),
                }
            })
            .await
    }

    pub(crate) async fn state(&self, user: &UserId, room: &RoomId) -> Result<Vec<RoomEvent>> {
        self.check_account(user)?;
        let user = user.clone();
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                let mut events: Vec<RoomEvent> = room.state_events(&state)?.iter().map(shown_held).collect();
                events.sort_unstable_by(|a, b| (&a.kind, &a.state_key).cmp(&(&b.kind, &b.state_key)));
                Ok(events)
            })
            .await
    }

    pub(crate) async fn state_event(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<RoomEvent>> {
        self.check_account(user)?;
        let (user, kind, state_key) = (user.clone(), kind.to_owned(), state_key.to_owned());
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                Ok(room
                    .in_state(&state, &kind, &state_key)?
                    .map(|held| shown_held(&held)))
            })
            .await
    }

    pub(crate) async fn members(
        &self,
        user: &UserId,
        room: &RoomId,
        membership: Option<&str>,
    ) -> Result<Vec<Member>> {
        self.check_account(user)?;
        let (user, wanted) = (user.clone(), membership.map(str::to_owned));
        self.rooms
            .get(room)?
            .run(move |room| {
                let state = room.state_for(&user)?;
                let mut members = Vec::new();
                for held in room.state_events(&state)? {
                    let pdu = held.pdu();
                    let is = pdu.membership().unwrap_or("leave");
                    if pdu.kind == "m.room.member"
                        && wanted.as_deref().is_none_or(|wanted| wanted == is)
                        && let Some(Ok(user)) = pdu.state_key.as_deref().map(UserId::parse)
                    {
                        let membership = is.to_owned();
                        members.push(Member { user, membership });
                    }
                }
                members.sort_unstable_by(|a, b| a.user.cmp(&b.user));
                Ok(members)
            })
            .await
    }

    pub(crate) async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomSummary>> {
        self.check_account(user)?;
        let rooms = self.store.user_rooms(user)?;
        Ok(rooms
            .into_iter()
            .map(|row| RoomSummary {
                room_id: row.room,
                membership: row.membership,
            })
            .collect())
    }

    pub(crate) async fn invite_preview(&self, user: &UserId, room: &RoomId) -> Result<String> {
        self.check_account(user)?;
        match self.store.invites(user, room)?.into_iter().next() {
            Some(invite) => Ok(invite.preview_json.into()),
            None => Err(Error::new(
                Code::NotFound,
                format!("user {user} has no pending invite to room {room}"),
            )),
        }
    }
}

impl OpenRoom {
    /// The state that a user may read: the current one while joined, else that when they left.
    fn state_for(&mut self, user: &UserId) -> Result<StateMap> {
        let id = self.id().clone();
        let not_joined = || Error::new(Code::NotJoined, format!("user {user} is not in room {id}"));
        let member = self
            .current_event("m.room.member", user)?
            .ok_or_else(not_joined)?;
        match member.pdu().membership() {
            Some("join") => Ok(self.current().clone()),
            Some("leave" | "ban") => {
                let before = member.state_before.ok_or_else(not_joined)?;
                let state = self.state(before)?;
                if self.membership_in(&state, user)? == "join" {
                    Ok(state)
                } else {
                    Err(not_joined())
                }
            }
            _ => Err(not_joined()),
        }
    }
}
