//! Leaving a room, and rejecting an invite to one (FED-36).

use crate::{inner::Inner, room::Outgoing, template::negotiated};
use roomlet_store::{InviteRow, Update, Write};
use roomlet_wire::{Code, Error, EventId, Pdu, Result, RoomId, ServerName, UserId, Verified};

/// The event of a pending invite.
pub(crate) fn invite_event(invite: &InviteRow) -> Result<Pdu<Verified>> {
    Pdu::from_store(invite.event_json.as_bytes(), invite.version)
}

impl Inner {
    pub(crate) async fn leave(
        &self,
        user: &UserId,
        room: &RoomId,
        reason: Option<&str>,
    ) -> Result<Option<EventId>> {
        self.check_account(user)?;
        // Who left elsewhere while a join goes on would be joined here, and nowhere else, when that is done.
        self.end_of_join(room).await;
        let invites = self.pending_invites(user, room)?;
        let mut left = None;
        if let Some(handle) = self.rooms.find(room)? {
            let (user, reason) = (user.clone(), reason.map(str::to_owned));
            let (key, now) = (self.signing_key(), self.env.clock.now_ms());
            let is_invited = !invites.is_empty();
            let is_resident;
            (left, is_resident) = handle
                .run(move |room| {
                    let (is, is_resident) = (room.membership(&user)?, room.is_resident());
                    // Who was invited when the last user here left goes from there: others take that as a branch.
                    if matches!(is.as_str(), "join" | "invite" | "knock") {
                        let leave = Outgoing::member(&user, "leave", reason.as_deref());
                        return Ok((Some(room.send(&user, leave, &key, now)?.id.clone()), is_resident));
                    }
                    // Of the invites that came before this server was in the room the room knows nothing.
                    if is_resident && !is_invited {
                        let about = format!(
                            "user {user} is not in room {}: their membership is {is}",
                            room.id()
                        );
                        return Err(Error::new(Code::NotJoined, about));
                    }
                    Ok((None, is_resident))
                })
                .await?;
            if left.is_some() && is_resident {
                return Ok(left);
            }
        }
        if invites.is_empty() {
            return match left {
                Some(_) => Ok(left),
                None => Err(Error::new(
                    Code::NotJoined,
                    format!("user {user} is neither in room {room} nor invited to it"),
                )),
            };
        }
        for invite in invites {
            let server = ServerName::parse(invite.sender.server())?;
            match self.leave_through(user, room, &server).await {
                Ok(event) => left = left.or(Some(event)),
                // What one server of the room took, all others have.
                Err(_) if left.is_some() => {}
                Err(error) => self.warn(format_args!(
                    "the invite of {user} to room {room} is dropped here alone: {error}"
                )),
            }
        }
        let update = Update::Membership {
            room: room.clone(),
            user: user.clone(),
            membership: "leave".into(),
            sender: user.clone(),
        };
        let drop = Write::DropInvite {
            user: user.clone(),
            room: room.clone(),
        };
        self.commit(vec![drop, Write::Update(update)]).await?;
        Ok(left)
    }

    /// The invites of a user to a room that are not answered, one for each server that invites, the oldest first.
    pub(crate) fn pending_invites(&self, user: &UserId, room: &RoomId) -> Result<Vec<Pdu<Verified>>> {
        self.store.invites(user, room)?.iter().map(invite_event).collect()
    }

    async fn leave_through(&self, user: &UserId, room: &RoomId, server: &ServerName) -> Result<EventId> {
        let template = self.client.make_leave(server, room, user).await?;
        let version = negotiated(template.room_version.as_deref())?;
        let draft = self.finish_template(&template.event, user, room, "leave")?;
        let leave = draft.sign(version, &self.me, &self.signing_key())?;
        self.client.send_leave(server, room, &leave).await?;
        Ok(leave.id.clone())
    }
}
