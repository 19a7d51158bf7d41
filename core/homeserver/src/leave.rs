//! Leaving a room, and rejecting an invite to one (FED-36).

use crate::{inner::Inner, room::Outgoing, template::negotiated};
use roomlet_store::{Update, Write};
use roomlet_wire::{Code, Error, EventId, Pdu, Result, RoomId, ServerName, UserId};

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
        let left = self.leave_through(user, room, &server).await;
        self.drop_invite(user, room, "leave", user).await?;
        if let Err(error) = &left {
            self.warn(format_args!(
                "the invite of {user} to room {room} is dropped here alone: {error}"
            ));
        }
        Ok(left.ok())
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
}
