//! What the host implements, and the adapters that make core traits of it.

use super::{
    error::{HostError, TransportError},
    records::{Request, Response},
};
use crate::runtime::CallbackScope;
use async_trait::async_trait;
use roomlet_homeserver as core;
use roomlet_homeserver::{Code, Error, EventId, RoomId, ServerName, UserId};
use std::sync::Arc;

/// Carries requests to other servers. Implemented by the host; called from roomlet's threads, many at once.
#[uniffi::export(foreign)]
#[async_trait]
pub trait Transport: Send + Sync {
    /// Delivers `request` to its destination and gives the response, whatever its status from 100 to 599.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] if there is no response.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// What the host decides where a server may make its own checks. What asks waits for the answer, without a limit of time.
/// `false` refuses with `M_FORBIDDEN` and nothing is stored, except for events; an error refuses too, and goes to the
/// [`Logger`]. Called from roomlet's threads.
#[uniffi::export(foreign)]
#[async_trait]
pub trait HostPolicy: Send + Sync {
    /// May `sender` invite the local user `invitee` to the room?
    ///
    /// # Errors
    /// Any: the invite is refused.
    async fn accept_invite(
        &self,
        room_id: String,
        sender: String,
        invitee: String,
    ) -> Result<bool, HostError>;
    /// May `user_id` of another server join the room through this server?
    ///
    /// # Errors
    /// Any: the join is refused.
    async fn accept_join(&self, room_id: String, user_id: String) -> Result<bool, HostError>;
    /// May the server `origin` make this federation request?
    ///
    /// # Errors
    /// Any: the request is refused.
    async fn accept_request(&self, origin: String, method: String, target: String)
    -> Result<bool, HostError>;
    /// May this event of another server reach the users? `false` keeps it in the room's history, out of their sight. May be
    /// asked again about an event that comes again.
    ///
    /// # Errors
    /// Any: the event stays out of sight.
    async fn accept_event(
        &self,
        room_id: String,
        event_id: String,
        sender: String,
        kind: String,
    ) -> Result<bool, HostError>;
}

/// How much a log line matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum LogLevel {
    /// Something that should work does not, or something is lost.
    Error,
    /// Something between servers does not work now.
    Warn,
    /// Something to know: the server is open, or closed; another one is back.
    Info,
}

/// Takes log lines: opening, closing, panics, callbacks that fail; and what does not work between servers: deliveries that
/// wait after a failure and work again, events that are not taken or given up, keys that cannot be had, requests whose
/// signature does not hold. Called from roomlet's threads and from those that open and close; returns soon.
#[uniffi::export(foreign)]
pub trait Logger: Send + Sync {
    /// Takes one line.
    ///
    /// # Errors
    /// Ignored: there is no one left to tell.
    fn log(&self, level: LogLevel, message: String) -> Result<(), HostError>;
}

/// The host's log, if it wants one.
#[derive(Clone)]
pub(super) struct Log(pub(super) Option<Arc<dyn Logger>>);

impl Log {
    /// Writes one line. An error of the logger is dropped: there is no one left to tell.
    pub(super) fn line(&self, level: LogLevel, message: impl FnOnce() -> String) {
        if let Some(logger) = &self.0 {
            let _scope = CallbackScope::enter();
            let _ = logger.log(level, message());
        }
    }
}

/// The host's log, as the core wants it.
pub(super) struct HostLog {
    pub(super) log: Log,
    /// Of the server whose lines these are.
    pub(super) name: String,
}

impl core::Log for HostLog {
    fn line(&self, level: core::LogLevel, line: &str) {
        let level = match level {
            core::LogLevel::Error => LogLevel::Error,
            core::LogLevel::Warn => LogLevel::Warn,
            core::LogLevel::Info => LogLevel::Info,
        };
        self.log.line(level, || format!("server {}: {line}", self.name));
    }
}

/// The host's transport, as the core wants it.
pub(super) struct HostTransport(pub(super) Arc<dyn Transport>);

#[async_trait]
impl core::Transport for HostTransport {
    async fn send(&self, request: core::Request) -> core::Result<core::Response> {
        match self.0.send(request.into()).await {
            Ok(response) if !(100..=599).contains(&response.status) => {
                let about = format!("the host's transport gave the status {}", response.status);
                Err(Error::new(Code::Unreachable, about))
            }
            Ok(response) => Ok(response.into()),
            Err(error) => Err(Error::new(Code::Unreachable, error.to_string())),
        }
    }
}

/// The host's policy, as the core wants it.
pub(super) struct Judge {
    pub(super) policy: Arc<dyn HostPolicy>,
    pub(super) log: Log,
}

impl Judge {
    /// The host's answer; a failing callback refuses, as letting everything in would be the worse mistake.
    fn settle(&self, question: &str, answer: Result<bool, HostError>) -> bool {
        answer.unwrap_or_else(|error| {
            self.log.line(LogLevel::Error, || {
                format!("the host's {question} failed, which refuses: {error}")
            });
            false
        })
    }
}

#[async_trait]
impl core::Policy for Judge {
    async fn accept_invite(&self, room: &RoomId, sender: &UserId, invitee: &UserId) -> bool {
        self.settle(
            "accept_invite",
            self.policy
                .accept_invite(text(room), text(sender), text(invitee))
                .await,
        )
    }

    async fn accept_join(&self, room: &RoomId, user: &UserId) -> bool {
        self.settle(
            "accept_join",
            self.policy.accept_join(text(room), text(user)).await,
        )
    }

    async fn accept_request(&self, origin: &ServerName, method: &str, target: &str) -> bool {
        self.settle(
            "accept_request",
            self.policy
                .accept_request(text(origin), text(method), text(target))
                .await,
        )
    }

    async fn accept_event(&self, room: &RoomId, event: &EventId, sender: &UserId, kind: &str) -> bool {
        self.settle(
            "accept_event",
            self.policy
                .accept_event(text(room), text(event), text(sender), text(kind))
                .await,
        )
    }
}

fn text(id: &str) -> String {
    id.to_owned()
}
