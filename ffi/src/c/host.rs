//! The host's callbacks, as the core's transport, policy, clock and randomness.

use super::{
    bytes::{Zeroed, roomlet_bytes},
    exchange::{self, roomlet_question, roomlet_reply, roomlet_request},
};
use crate::{
    runtime::CallbackScope,
    world::{SystemClock, SystemRng},
};
use async_trait::async_trait;
use roomlet_homeserver::{
    Clock, Code, Error, EventId, Log, LogLevel, Policy, Request, Response, Result, Rng, RoomId, ServerName,
    Transport, UserId,
};
use std::{
    ffi::c_void,
    mem::offset_of,
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;

/// `level` of `roomlet_host.log`: something is broken or lost.
pub const ROOMLET_LOG_ERROR: i32 = 1;
/// `level` of `roomlet_host.log`: something between servers does not work now.
pub const ROOMLET_LOG_WARN: i32 = 2;
/// `level` of `roomlet_host.log`: something to know.
pub const ROOMLET_LOG_INFO: i32 = 3;

/// What roomlet asks of the program that embeds it. Every pointer but `send` may be NULL. All callbacks may come at the
/// same time, on several of roomlet's threads; `log` and `release` also on a thread that opens, closes or frees.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomlet_host {
    /// `sizeof(roomlet_host)`.
    pub struct_size: usize,
    /// Passed to each callback, untouched.
    pub user_data: *mut c_void,
    /// Called once, after the last callback. Not called if `roomlet_server_open` fails.
    pub release: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    /// Carries `request` to its destination. Answer `reply` once, from any thread, now or later: until then a delivery to
    /// that server waits, until `request_timeout_ms`. Answer also what comes too late: until then both handles are held.
    pub send: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            request: *const roomlet_request,
            reply: *mut roomlet_reply,
        ),
    >,
    /// Takes a message for the developer's log, one line: opening, closing, panics; and what does not work between servers:
    /// deliveries that wait after a failure and work again, events that are not taken or given up, keys that cannot be had,
    /// requests whose signature does not hold. `level` is one of ROOMLET_LOG_….
    pub log: Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: roomlet_bytes)>,
    /// There are new updates: a program that does not wait in `roomlet_updates_next` now knows to read. `token` is
    /// the newest update's.
    pub updates_available: Option<unsafe extern "C" fn(user_data: *mut c_void, token: roomlet_bytes)>,
    /// May `sender` invite the local user `invitee`? NULL: yes. Answer `question` once, from any thread, now or later.
    pub accept_invite: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            room_id: roomlet_bytes,
            sender: roomlet_bytes,
            invitee: roomlet_bytes,
            question: *mut roomlet_question,
        ),
    >,
    /// May `user_id` of another server join through this one? NULL: yes. Answer as above.
    pub accept_join: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            room_id: roomlet_bytes,
            user_id: roomlet_bytes,
            question: *mut roomlet_question,
        ),
    >,
    /// May the server `origin` make this request? NULL: yes. Answer as above.
    pub accept_request: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            origin: roomlet_bytes,
            method: roomlet_bytes,
            target: roomlet_bytes,
            question: *mut roomlet_question,
        ),
    >,
    /// May this event of another server reach users? Refused, it stays in the room's history, out of their sight
    /// (soft-failed). May be asked again about an event that comes again. NULL: yes. Answer as above: until then all that
    /// came with the event waits.
    pub accept_event: Option<
        unsafe extern "C" fn(
            user_data: *mut c_void,
            room_id: roomlet_bytes,
            event_id: roomlet_bytes,
            sender: roomlet_bytes,
            type_: roomlet_bytes,
            question: *mut roomlet_question,
        ),
    >,
    /// The wall clock, in milliseconds since 1970. NULL: the system's.
    pub now_ms: Option<unsafe extern "C" fn(user_data: *mut c_void) -> i64>,
    /// Fills `len` bytes with randomness fit for keys. NULL: the system's.
    pub random: Option<unsafe extern "C" fn(user_data: *mut c_void, bytes: *mut u8, len: usize)>,
}

// SAFETY: integers, pointers and nullable functions.
unsafe impl Zeroed for roomlet_host {}

impl roomlet_host {
    /// The size of the struct's first version, up to and with `random`.
    pub(super) const LEAST: usize = offset_of!(Self, random) + size_of::<usize>();
}

/// The host, as the core sees it.
pub(super) struct Host {
    callbacks: roomlet_host,
    /// Of the server that it is the host of: the log's lines begin with it.
    name: ServerName,
    closing: watch::Receiver<bool>,
    released: AtomicBool,
}

// SAFETY: roomlet never looks at `user_data`; the header says that callbacks come on several threads, so a host passes
// what may be used there.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// # Errors
    /// [`Code::BadArgument`] without `send`.
    pub(super) fn new(
        callbacks: roomlet_host,
        name: ServerName,
        closing: watch::Receiver<bool>,
    ) -> Result<Self> {
        if callbacks.send.is_none() {
            return Err(Error::new(Code::BadArgument, "`host`: `send` is NULL"));
        }
        Ok(Self {
            callbacks,
            name,
            closing,
            released: AtomicBool::new(false),
        })
    }

    /// Gives a message to the host's log.
    pub(super) fn log(&self, level: i32, message: &str) {
        if let Some(log) = self.callbacks.log {
            let message = format!("server {}: {message}", self.name);
            let _scope = CallbackScope::enter();
            // SAFETY: the host's function for exactly these arguments; `message` outlives the call.
            unsafe {
                log(
                    self.callbacks.user_data,
                    level,
                    roomlet_bytes::lend(message.as_bytes()),
                )
            }
        }
    }

    /// Whether the host wants to hear of updates.
    pub(super) fn wants_updates(&self) -> bool {
        self.callbacks.updates_available.is_some()
    }

    /// Tells the host of updates up to `token`.
    pub(super) fn updates_available(&self, token: &str) {
        if let Some(available) = self.callbacks.updates_available {
            let _scope = CallbackScope::enter();
            // SAFETY: the host's function for exactly these arguments; `token` outlives the call.
            unsafe { available(self.callbacks.user_data, roomlet_bytes::lend(token.as_bytes())) }
        }
    }

    /// Gives `user_data` back; the caller knows that no callback runs or follows.
    pub(super) fn release(&self) {
        if let Some(release) = self.callbacks.release
            && !self.released.swap(true, Ordering::AcqRel)
        {
            let _scope = CallbackScope::enter();
            // SAFETY: the host's function for exactly this argument, called once.
            unsafe { release(self.callbacks.user_data) }
        }
    }

    async fn closing(&self) {
        // An error means that the server is gone, which is closing too.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }

    /// Asks the host: `put` passes the question on. A server that closes takes no for an answer.
    async fn ask(&self, put: impl FnOnce(*mut roomlet_question)) -> bool {
        let answer = {
            let (question, answer) = exchange::put_question();
            let _scope = CallbackScope::enter();
            put(question);
            answer
        };
        tokio::select! {
            biased;
            allowed = answer => allowed.unwrap_or(false),
            () = self.closing() => false,
        }
    }
}

#[async_trait]
impl Transport for Host {
    async fn send(&self, request: Request) -> Result<Response> {
        let destination = request.destination.clone();
        let response = {
            let (request, reply, response) = exchange::put_request(request);
            let _scope = CallbackScope::enter();
            if let Some(send) = self.callbacks.send {
                // SAFETY: the host's function for exactly these arguments.
                unsafe { send(self.callbacks.user_data, request, reply) }
            }
            response
        };
        tokio::select! {
            biased;
            response = response => response.unwrap_or_else(|_| {
                Err(Error::new(Code::Host, format!("server {destination}: the host gave no response")))
            }),
            () = self.closing() => {
                let about = format!("server {destination}: this server closes");
                Err(Error::new(Code::Closed, about))
            }
        }
    }
}

#[async_trait]
impl Policy for Host {
    async fn accept_invite(&self, room: &RoomId, sender: &UserId, invitee: &UserId) -> bool {
        let Some(ask) = self.callbacks.accept_invite else {
            return true;
        };
        // SAFETY: the host's function for exactly these arguments, which outlive the call.
        self.ask(|question| unsafe {
            ask(
                self.callbacks.user_data,
                lend(room),
                lend(sender),
                lend(invitee),
                question,
            );
        })
        .await
    }

    async fn accept_join(&self, room: &RoomId, user: &UserId) -> bool {
        let Some(ask) = self.callbacks.accept_join else {
            return true;
        };
        // SAFETY: as above.
        self.ask(|question| unsafe { ask(self.callbacks.user_data, lend(room), lend(user), question) })
            .await
    }

    async fn accept_request(&self, origin: &ServerName, method: &str, target: &str) -> bool {
        let Some(ask) = self.callbacks.accept_request else {
            return true;
        };
        // SAFETY: as above.
        self.ask(|question| unsafe {
            ask(
                self.callbacks.user_data,
                lend(origin),
                lend(method),
                lend(target),
                question,
            );
        })
        .await
    }

    async fn accept_event(&self, room: &RoomId, event: &EventId, sender: &UserId, kind: &str) -> bool {
        let Some(ask) = self.callbacks.accept_event else {
            return true;
        };
        // SAFETY: as above.
        self.ask(|question| unsafe {
            ask(
                self.callbacks.user_data,
                lend(room),
                lend(event),
                lend(sender),
                lend(kind),
                question,
            );
        })
        .await
    }
}

fn lend(text: &str) -> roomlet_bytes {
    roomlet_bytes::lend(text.as_bytes())
}

impl Log for Host {
    fn line(&self, level: LogLevel, line: &str) {
        // Requests that a close ends fail, and that is nothing to tell.
        if *self.closing.borrow() {
            return;
        }
        let level = match level {
            LogLevel::Error => ROOMLET_LOG_ERROR,
            LogLevel::Warn => ROOMLET_LOG_WARN,
            LogLevel::Info => ROOMLET_LOG_INFO,
        };
        self.log(level, line);
    }
}

impl Clock for Host {
    fn now_ms(&self) -> i64 {
        match self.callbacks.now_ms {
            Some(now_ms) => {
                let _scope = CallbackScope::enter();
                // SAFETY: the host's function for exactly this argument.
                unsafe { now_ms(self.callbacks.user_data) }
            }
            None => SystemClock.now_ms(),
        }
    }
}

impl Rng for Host {
    fn fill(&self, bytes: &mut [u8]) {
        match self.callbacks.random {
            Some(random) => {
                let _scope = CallbackScope::enter();
                // SAFETY: the host's function for exactly these arguments; the bytes are writable.
                unsafe { random(self.callbacks.user_data, bytes.as_mut_ptr(), bytes.len()) }
            }
            None => SystemRng.fill(bytes),
        }
    }
}
