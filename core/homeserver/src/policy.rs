//! Questions that the host answers where a server may make its own checks.

use async_trait::async_trait;
use roomlet_wire::{EventId, RoomId, ServerName, UserId};

/// The host's say. What asks waits for the answer, without a limit of time. `false` refuses with
/// [`Code::Forbidden`](crate::Code::Forbidden) (`M_FORBIDDEN`) and nothing is stored, except for events. Called from
/// roomlet's tasks, under no lock.
#[async_trait]
pub trait Policy: Send + Sync + 'static {
    /// May `sender` invite the local user `invitee` to `room`?
    async fn accept_invite(&self, room: &RoomId, sender: &UserId, invitee: &UserId) -> bool;
    /// May `user` of another server join `room` through this server?
    async fn accept_join(&self, room: &RoomId, user: &UserId) -> bool;
    /// May `origin` make this federation request?
    async fn accept_request(&self, origin: &ServerName, method: &str, target: &str) -> bool;
    /// May this event of another server reach the users? `false` soft-fails it: it stays in the room's history, out of
    /// their sight. May be asked again about an event that comes again.
    async fn accept_event(&self, room: &RoomId, event: &EventId, sender: &UserId, kind: &str) -> bool;
}

/// Refuses nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

#[async_trait]
impl Policy for AllowAll {
    async fn accept_invite(&self, _: &RoomId, _: &UserId, _: &UserId) -> bool {
        true
    }
    async fn accept_join(&self, _: &RoomId, _: &UserId) -> bool {
        true
    }
    async fn accept_request(&self, _: &ServerName, _: &str, _: &str) -> bool {
        true
    }
    async fn accept_event(&self, _: &RoomId, _: &EventId, _: &UserId, _: &str) -> bool {
        true
    }
}
