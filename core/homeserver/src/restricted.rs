//! Restricted joins: who is let in, and in whose name (FED-33).

use crate::room::{OpenRoom, Outgoing};
use roomlet_wire::{Code, Error, Result, RoomId, UserId, Value, json::Raw};

/// No room that decides is known here.
const CANNOT_CHECK: &str = "M_UNABLE_TO_AUTHORISE_JOIN";
/// Nobody here may invite.
const CANNOT_GRANT: &str = "M_UNABLE_TO_GRANT_JOIN";

/// Whether a join was refused for what another server of the room may have (FED-33).
pub(crate) fn is_for_another_server(error: &Error) -> bool {
    matches!(error.errcode(), CANNOT_CHECK | CANNOT_GRANT)
}

impl OpenRoom {
    /// Names a local user who may invite as the one who lets a user join under a restricted rule (FED-33).
    ///
    /// # Errors
    /// `Denied` where no condition is met or nobody here may invite.
    pub(crate) fn authorise_restricted(&mut self, user: &UserId, join: &mut Outgoing) -> Result<()> {
        let Some(rules) = self.current_event("m.room.join_rules", "")? else {
            return Ok(());
        };
        let content = rules.pdu().content();
        let rule = content.get("join_rule").and_then(Raw::as_str);
        let restricted = match rule.as_deref() {
            Some("restricted") => self.version().restricted,
            Some("knock_restricted") => self.version().knock_restricted,
            _ => false,
        };
        if !restricted || matches!(self.membership(user)?.as_str(), "join" | "invite") {
            return Ok(());
        }
        let conditions = content.get("allow").and_then(Raw::as_array);
        let is_membership = |condition: &Raw<'_>| {
            let kind = condition.get("type").and_then(Raw::as_str);
            kind.as_deref() == Some("m.room_membership")
        };
        let rooms: Vec<RoomId> = conditions
            .into_iter()
            .flat_map(|conditions| conditions.iter())
            .filter(is_membership)
            .filter_map(|condition| RoomId::parse(&condition.get("room_id")?.as_str()?).ok())
            .collect();
        let mut checkable = false;
        let mut met = false;
        for id in &rooms {
            let Some(record) = self.store().room(id)? else {
                continue;
            };
            let servers = self.store().joined_servers(record.num)?;
            // Of a room that it left a server knows who was in it.
            if servers.iter().any(|(server, _)| server == self.me()) {
                checkable = true;
                let member = self.store().member(record.num, user)?;
                met |= member.is_some_and(|member| member.membership == "join");
            }
        }
        if !met {
            let about = format!(
                "user {user} is in none of the rooms that let them join {}",
                self.id()
            );
            let error = Error::new(Code::Denied, about);
            return Err(if checkable {
                error
            } else {
                error.with_errcode(CANNOT_CHECK, 400)
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
                Err(Error::new(Code::Denied, about).with_errcode(CANNOT_GRANT, 400))
            }
        }
    }
}
