//! The current state: what the forward extremities resolve to, and all that follows from it — members, servers,
//! what users are told (EC-11).

use super::open::OpenRoom;
use crate::leave::invite_event;
use roomlet_store::{InviteRow, Update, Write};
use roomlet_wire::{EventNum, Result, ServerName, SlotNum, StateNum, UserId};

impl OpenRoom {
    /// Resolves the current state anew after the extremities changed; `cause` is the event that changed them, of
    /// which users are told by itself.
    pub(super) fn update_current(&mut self, cause: Option<EventNum>) -> Result<()> {
        let after = self.states_after(&self.record.forward)?;
        let num = self.resolve(after)?;
        self.set_current(num, cause)
    }

    /// The states after some events, of those that have one.
    pub(super) fn states_after(&self, events: &[EventNum]) -> Result<Vec<StateNum>> {
        let after = events.iter().map(|&num| Ok(self.get(num)?.state_after));
        after.filter_map(Result::transpose).collect()
    }

    /// Makes `num` the current state.
    pub(super) fn set_current(&mut self, num: StateNum, cause: Option<EventNum>) -> Result<()> {
        if num == self.record.current_state {
            return Ok(());
        }
        let new = self.states.get(num)?;
        let changes = self.current.diff(&new);
        self.record.current_state = num;
        self.current = new;
        // Users hear of their first sight of a room through its events and memberships.
        let known = self.is_resident();
        for (slot, was, is) in changes {
            if known && (is.is_none() || is != cause) {
                self.tell_of_state(slot, is)?;
            }
            self.slot_changed(slot, was, is)?;
        }
        Ok(())
    }

    /// Tells users of state that changed without an event of its own.
    pub(super) fn tell_of_state(&mut self, slot: SlotNum, is: Option<EventNum>) -> Result<()> {
        if self.is_quiet {
            return Ok(());
        }
        let event = is
            .map(|num| self.get(num))
            .transpose()?
            .map(|held| held.pdu().id.clone());
        let (kind, state_key) = self.slots.name(slot)?;
        let (kind, state_key) = (kind.to_owned(), state_key.to_owned());
        let room = self.id().clone();
        self.writes.push(Write::Update(Update::State {
            room,
            kind,
            state_key,
            event,
        }));
        Ok(())
    }

    /// Does `work`, of which users hear by their memberships alone.
    pub(crate) fn quietly<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.is_quiet = true;
        let done = work(self);
        self.is_quiet = false;
        done
    }

    fn slot_changed(&mut self, slot: SlotNum, was: Option<EventNum>, is: Option<EventNum>) -> Result<()> {
        let (kind, state_key) = self.slots.name(slot)?;
        if kind == "m.room.member"
            && let Ok(user) = UserId::parse(state_key)
        {
            self.member_changed(user, was, is)?;
        }
        Ok(())
    }

    fn member_changed(&mut self, user: UserId, was: Option<EventNum>, is: Option<EventNum>) -> Result<()> {
        let before = self.membership_of(was)?;
        let after = self.membership_of(is)?;
        let row = after.clone().zip(is);
        self.writes.push(Write::Member {
            room: self.num(),
            user: user.clone(),
            membership: row,
        });
        let joined_before = before.as_deref() == Some("join");
        let joined_after = after.as_deref() == Some("join");
        if let Ok(server) = ServerName::parse(user.server())
            && joined_before != joined_after
        {
            let count = self.servers.entry(server.clone()).or_default();
            *count = if joined_after {
                count.saturating_add(1)
            } else {
                count.saturating_sub(1)
            };
            if *count == 0 {
                self.servers.remove(&server);
            }
        }
        if before != after && user.server() == self.me.as_str() {
            let cause = is.map(|num| self.get(num)).transpose()?;
            let sender = cause.as_ref().map_or(&user, |cause| &cause.pdu().sender).clone();
            let membership = after.unwrap_or_else(|| "leave".into());
            let room = self.id().clone();
            // An invite that came before the room did was told then.
            let cause = cause.as_ref().map(|cause| &cause.pdu().id);
            let is_cause =
                |invite: &InviteRow| invite_event(invite).is_ok_and(|invite| Some(&invite.id) == cause);
            let is_told = self.store.invites(&user, &room)?.iter().any(is_cause);
            self.writes.push(Write::DropInvite {
                user: user.clone(),
                room: room.clone(),
            });
            if !is_told {
                self.writes.push(Write::Update(Update::Membership {
                    room,
                    user,
                    membership,
                    sender,
                }));
            }
        }
        Ok(())
    }

    fn membership_of(&self, num: Option<EventNum>) -> Result<Option<String>> {
        Ok(match num {
            Some(num) => self.get(num)?.pdu().membership().map(str::to_owned),
            None => None,
        })
    }
}
