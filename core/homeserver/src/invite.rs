//! Inviting: local users by an event, others with the signature of their server (FED-37, FED-38).

use crate::{
    inner::Inner,
    room::{OpenRoom, Outgoing},
    verify::keys_of,
};
use roomlet_wire::{
    Code, Error, EventId, Parsed, Pdu, Result, RoomId, ServerName, UserId, Value, Verified, json::RawValue,
};

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
        let pdu = self.check_signed_invite(&pdu, &signed, &server).await?;
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
        signed: &RawValue,
        server: &ServerName,
    ) -> Result<Pdu<Verified>> {
        let parsed = Pdu::<Parsed>::parse(signed.text().as_bytes(), invite.version)
            .map_err(|error| error.context("the signed invite"))?;
        if parsed.id != invite.id {
            let about = format!("server {server} returned another event than invite {}", invite.id);
            return Err(Error::new(Code::BadReply, about));
        }
        self.keys.ensure(keys_of(&parsed, server)).await;
        invite
            .with_signatures_from(parsed.object(), server, &*self.keys.ring())
            .map_err(|error| error.context(format_args!("the invite that {server} signed")))
    }

    /// Refuses invites of local users who do not exist, or whom the host's policy shields.
    pub(crate) async fn check_invitee(&self, sender: &UserId, room: &RoomId, invitee: &UserId) -> Result<()> {
        self.check_account(invitee)?;
        if self.policy.accept_invite(room, sender, invitee).await {
            return Ok(());
        }
        Err(Error::new(
            Code::Forbidden,
            format!("the host refuses invites of {sender} to {invitee}"),
        ))
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
            .map(|held| Value::Canonical(held.pdu().to_raw()))
            .collect())
    }
}
