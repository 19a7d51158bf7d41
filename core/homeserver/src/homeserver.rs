//! The facade: one method per operation.

use crate::{
    commands::Moderation,
    config::{Config, Limits, StoreKind},
    handshake::SETTLED_AT_ONCE,
    import::{Imported, Trust},
    inner::{Inner, Waker},
    maintenance::StoreReport,
    policy::Policy,
    room::{Budget, Home, Rooms},
    types::*,
};
use roomlet_federation::{Client, Env, KeyCache, KeySettings, Sender, SenderSettings};
use roomlet_store::{MemoryStore, SqliteOptions, SqliteStore, Store, Write};
use roomlet_wire::{
    Code, Error, EventId, Result, RoomId, RoomVersion, ServerName, StreamPos, UserId,
    frame::{Request, Response},
};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

/// A homeserver. Cheap to clone; every method from any thread, inside a tokio runtime.
///
/// Commands return once their result is durable here (other servers hear of it later). A command whose
/// future is dropped may still take effect; a client transaction id makes its retry safe.
///
/// # Errors
/// Every command answers `Closed` after [`close`](Self::close), `UnknownUser` for a user who is no account,
/// `UnknownRoom` for a room that is not held here, `NotJoined` for a user who is not in it, `Denied` with the
/// authorization rule that refuses an event, and the store's codes (`Store`, `StoreFull`, …). A failed command changes
/// nothing, unless it says what.
#[derive(Clone)]
pub struct Homeserver {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Homeserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Homeserver").field(&self.inner.me).finish()
    }
}

impl Homeserver {
    /// Opens the store, makes a signing key on first use, resumes what was under way.
    ///
    /// # Errors
    /// `StoreLocked`, `StoreDamaged`, `StoreNewer`, `StoreFull`, `Store`; `BadParam` if the store is another server's;
    /// `UnknownRoomVersion` and `BadParam` for [`Limits`] that mean nothing.
    pub async fn open(config: Config, env: Env, policy: Arc<dyn Policy>) -> Result<Self> {
        let store: Arc<dyn Store> = match &config.store {
            StoreKind::File(path) => Arc::new(SqliteStore::open(path, SqliteOptions::default())?),
            StoreKind::Memory => Arc::new(MemoryStore::new()),
        };
        Self::open_with(config, env, policy, store).await
    }

    /// As [`open`](Self::open), on a store of the caller's; `config.store` is not looked at.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(
        config: Config,
        env: Env,
        policy: Arc<dyn Policy>,
        store: Arc<dyn Store>,
    ) -> Result<Self> {
        let me = config.server_name.clone();
        check_limits(&config.limits)?;
        check_name(&*store, &me).await?;
        let limits = &config.limits;
        let timeout = Duration::from_millis(limits.request_timeout_ms);
        let defaults = KeySettings::default();
        let settings = KeySettings {
            validity_ms: limits.key_validity_ms,
            timeout: timeout.min(defaults.timeout),
            ..defaults
        };
        let keys = KeyCache::open(store.clone(), env.clone(), me.clone(), settings).await?;
        let client = Arc::new(Client::new(env.clone(), keys.clone(), timeout));
        let sender = Sender::start(
            store.clone(),
            env.clone(),
            client.clone(),
            sender_settings(&config.limits),
        )?;
        let updated = watch::Sender::new(0);
        let waker = Arc::new(Waker {
            sender: sender.clone(),
            updated: updated.clone(),
        });
        let home = Home {
            me: me.clone(),
            store: store.clone(),
            budget: Arc::new(Budget::new(config.limits.cache_bytes)),
        };
        let idle = Duration::from_millis(config.limits.room_idle_ms);
        let rooms = Rooms::new(home, waker, config.limits.open_rooms, idle);
        let inner = Arc::new(Inner {
            me,
            env,
            policy,
            keys,
            client,
            sender,
            rooms,
            updated,
            store,
            config,
            joining: Default::default(),
            repairing: Default::default(),
            slow: Default::default(),
            settling: Semaphore::new(SETTLED_AT_ONCE),
            wakes: watch::Sender::new(()),
            dead_branches: Default::default(),
            replies_trimmed: i64::MIN.into(),
            tasks: Default::default(),
            closed: false.into(),
            ended: Default::default(),
        });
        inner.resume()?;
        Ok(Self { inner })
    }

    /// Stops all work. Later calls, on any clone, answer `Closed`; closing again returns when all has ended, and a close
    /// whose future was dropped is finished by the next. The store, and with it the lock of its file, goes with the last
    /// clone.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.ended.get_or_init(|| self.inner.end()).await;
    }

    /// The server's name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.inner.me
    }

    /// Answers a federation request of another server. Never fails: what is wrong is in the response.
    pub async fn handle_request(&self, request: Request) -> Response {
        self.inner.handle_request(request).await
    }

    /// The network is back, or the app woke up: forgets waits of deliveries and tries at once.
    pub fn wake(&self) {
        self.inner.keys.wake();
        self.inner.sender.wake_all();
        self.inner.dead_branches().clear();
        self.inner.slow.clear();
        self.inner.wakes.send_replace(());
    }

    /// Makes an account `@localpart:server_name` (ID-4).
    ///
    /// # Errors
    /// `BadId`, `Exists`.
    pub async fn create_account(&self, localpart: &str) -> Result<UserId> {
        self.inner.create_account(localpart).await
    }

    /// The server's accounts, by id.
    pub async fn accounts(&self) -> Result<Vec<UserId>> {
        self.inner.check_open()?;
        self.inner.store.accounts()
    }

    /// Makes a room; invites are sent before it returns. One that another server or the host's policy refuses fails
    /// alone, and nothing tells of it but the members and the log: who wants its error invites after the room is made.
    ///
    /// # Errors
    /// `UnknownUser` also for an invited user of this server who is no account: nothing is made then.
    /// `UnknownRoomVersion`; `BadParam` for creators in a version without them; `TooLarge`.
    pub async fn create_room(&self, user: &UserId, room: CreateRoom) -> Result<RoomId> {
        self.inner.create_room(user, room).await
    }

    /// Replaces a room by a new one of `version`, higher or lower: the new room takes over what the old one says of
    /// itself, and no members; the old one gets a tombstone that points to it, and its members lose the power to talk
    /// there where `user` may take it. Gives the new room's id. `additional_creators` are for version 12 alone.
    ///
    /// What a crash or an error leaves half done is a new room that nothing points to: the command can be repeated.
    ///
    /// # Errors
    /// `Denied` if `user` may not send `m.room.tombstone`; `UnknownRoomVersion`; `BadParam`.
    pub async fn upgrade_room(
        &self,
        user: &UserId,
        room: &RoomId,
        version: &str,
        additional_creators: &[UserId],
    ) -> Result<RoomId> {
        self.inner
            .upgrade_room(user, room, version, additional_creators)
            .await
    }

    /// Takes the room in an archive: a file of its PDUs in federation form, one a line, the create event first and
    /// others after those that they cite. All rules hold, except what `trust` says. Some thousand events are a commit:
    /// an import that ended early, also by an error, can be repeated, and goes on where it was. Users hear of the
    /// memberships alone.
    ///
    /// # Errors
    /// `BadParam` for a file that cannot be read or is no archive; `BadJson`, `BadEvent` and the like for its first
    /// event; `UnknownRoomVersion`; those of the store. Other events that are wrong are no error: [`Imported`] counts
    /// them.
    pub async fn import_room(&self, archive: &Path, trust: Trust) -> Result<Imported> {
        self.inner.import_room(archive, trust).await
    }

    /// Deletes what came before `from` in a room's timeline, and gives the disk space back; how many events that was.
    /// What the rest needs stays: the events of its states and their auth chains, and what is still to be delivered.
    /// For users the history ends there, unless another server still has it and gives it when they look. After an error
    /// of the store it may be deleted, and the space not yet given back.
    ///
    /// # Errors
    /// `UnknownEvent` if `from` is no event of the timeline.
    pub async fn purge_history(&self, room: &RoomId, from: &EventId) -> Result<u64> {
        self.inner.purge_history(room, from).await
    }

    /// Deletes all there is of a room, pending invites too, and gives the disk space back; what other servers are still owed
    /// of it goes out all the same.
    ///
    /// # Errors
    /// `Denied` while a user of this server is in it who could leave: in a room that lost its create event nobody can.
    pub async fn forget_room(&self, room: &RoomId) -> Result<()> {
        self.inner.forget_room(room).await
    }

    /// Reads all that is stored, and reports what does not fit together; with `repair`, what follows from other things
    /// is put right, and events that cannot be read are deleted, so that the rest of their rooms can be used: make a copy of
    /// the file first, if somebody may want to look at them. Commands on a room wait while it is looked at.
    ///
    /// # Errors
    /// Those of the store, where it cannot even be read. What is wrong with its contents is in the report.
    pub async fn check_store(&self, repair: bool) -> Result<StoreReport> {
        self.inner.check_store(repair).await
    }

    /// Writes a copy of the store, as it is at one moment, to a new file; commands go on meanwhile. The copy can be
    /// opened as a store.
    ///
    /// # Errors
    /// `BadParam` if there is such a file, or if the store is in memory.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        self.inner.backup(to).await
    }

    /// Invites `target`, of any server; gives the id of the event.
    ///
    /// # Errors
    /// `Unreachable`, `Remote` or `BadReply` of the server of `target`; `Forbidden` if the host's policy refuses for a
    /// user of this server.
    pub async fn invite(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.inner.invite(user, room, target, reason, false).await
    }

    /// Joins; gives the id of the event. Where this server is not in the room, or may not let the user in under its
    /// restricted rule, the servers in `via` are asked in turn, then those of invites' senders, then the one in the
    /// room's id, then some that are, or were when this server left, in the room.
    ///
    /// # Errors
    /// `Denied` if the rules of the room refuse, and if this server is in the room and neither it nor another may let the
    /// user in under its restricted rule; else `UnknownRoom` if there is no server to ask; what the last one gave:
    /// `Unreachable`, `Remote`, `BadReply`, `UnknownRoomVersion`. `BadReply` also where another room of that id is held
    /// here, which the server in the id made too: what users saw of it stays until [`forget_room`](Self::forget_room).
    pub async fn join(&self, user: &UserId, room: &RoomId, via: &[ServerName]) -> Result<EventId> {
        self.inner.join(user, room, via).await
    }

    /// Leaves, rejects an invite or retracts a knock. `None` where the server of an invite's sender could not be
    /// reached, or refused, and the invite was only dropped here (FED-36).
    ///
    /// # Errors
    /// `NotJoined` for a user who is neither in the room nor invited to it.
    pub async fn leave(&self, user: &UserId, room: &RoomId, reason: Option<&str>) -> Result<Option<EventId>> {
        self.inner.leave(user, room, reason).await
    }

    /// Removes `target` from the room, or takes their invite or knock away.
    ///
    /// # Errors
    /// `BadParam` if `target` is not there.
    pub async fn kick(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.inner
            .moderate(user, room, target, Moderation::Kick, reason)
            .await
    }

    /// Bans `target`, who need not be there.
    pub async fn ban(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.inner
            .moderate(user, room, target, Moderation::Ban, reason)
            .await
    }

    /// Lifts the ban of `target`.
    ///
    /// # Errors
    /// `BadParam` if there is none.
    pub async fn unban(
        &self,
        user: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<EventId> {
        self.inner
            .moderate(user, room, target, Moderation::Unban, reason)
            .await
    }

    /// Sends a timeline event of type `kind` with `content`, a JSON object. `txn_id` makes retries safe: the same one
    /// of the same user in the same room gives the same event id, whichever command it was given with: this,
    /// [`set_state`](Self::set_state) or [`redact`](Self::redact). It is remembered for as long as the room is held.
    ///
    /// # Errors
    /// `BadParam` for a type that the room's version retired or that has a command of its own; `BadJson`, `NotCanonical`,
    /// `TooLarge`.
    pub async fn send(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        content: &str,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        self.inner.send(user, room, kind, content, txn_id).await
    }

    /// Sends a state event; else as [`send`](Self::send). Of a member event, `join_authorised_via_users_server` is left out:
    /// it would need the signature of another server.
    ///
    /// # Errors
    /// As there; `BadParam` also for an invite and for power levels with a state key; `BadEvent` for another create
    /// event.
    pub async fn set_state(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        state_key: &str,
        content: &str,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        self.inner
            .set_state(user, room, kind, state_key, content, txn_id)
            .await
    }

    /// Takes the content of `event` away, on every server; gives the id of the redaction. `txn_id` as for
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// `UnknownEvent`; `Denied` also for an event whose redaction would break the room.
    pub async fn redact(
        &self,
        user: &UserId,
        room: &RoomId,
        event: &EventId,
        reason: Option<&str>,
        txn_id: Option<&str>,
    ) -> Result<EventId> {
        self.inner.redact(user, room, event, reason, txn_id).await
    }

    /// A page of the timeline as `user` may see it, from a [`Page::next`] token (`None`: from the newest event
    /// backwards, or the oldest forwards). Backwards, other servers are asked where the local history ends: a few seconds
    /// for each that is slow while another one answers, five minutes for a page if none does. A `limit` of 0 counts as 1,
    /// one above 1,000 as 1,000.
    ///
    /// # Errors
    /// `BadParam` for text that is no token.
    pub async fn timeline(
        &self,
        user: &UserId,
        room: &RoomId,
        from: Option<&str>,
        direction: Direction,
        limit: usize,
    ) -> Result<Page> {
        self.inner.timeline(user, room, from, direction, limit).await
    }

    /// One event of the room.
    ///
    /// # Errors
    /// `UnknownEvent` for one that is not held, and for one that `user` may not see.
    pub async fn event(&self, user: &UserId, room: &RoomId, event: &EventId) -> Result<RoomEvent> {
        self.inner.event(user, room, event).await
    }

    /// The current state (what it was at the end, for a user who left), by type and state key.
    pub async fn state(&self, user: &UserId, room: &RoomId) -> Result<Vec<RoomEvent>> {
        self.inner.state(user, room).await
    }

    /// One event of the current state, read as [`state`](Self::state); `None` if there is no such state.
    pub async fn state_event(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &str,
        state_key: &str,
    ) -> Result<Option<RoomEvent>> {
        self.inner.state_event(user, room, kind, state_key).await
    }

    /// The members, all or with one membership (`join`, `invite`, `leave`, `ban`, `knock`), by user id; for a user who
    /// left, those of the end.
    pub async fn members(
        &self,
        user: &UserId,
        room: &RoomId,
        membership: Option<&str>,
    ) -> Result<Vec<Member>> {
        self.inner.members(user, room, membership).await
    }

    /// The user's rooms and invites, by room id.
    pub async fn rooms(&self, user: &UserId) -> Result<Vec<RoomSummary>> {
        self.inner.rooms_of(user).await
    }

    /// The stripped state that came with a pending invite, as a JSON array (not verified: FED-38). Where several servers
    /// invite to a room of that id, that of the first.
    ///
    /// # Errors
    /// `NotFound` without a pending invite.
    pub async fn invite_preview(&self, user: &UserId, room: &RoomId) -> Result<String> {
        self.inner.invite_preview(user, room).await
    }

    /// Updates after `since` (0: from the beginning), 1 to `max` of them, and at most 1,000; waits until there is one.
    /// The host keeps the last position it has handled, and resumes there.
    ///
    /// # Errors
    /// `BadParam` for a position beyond the newest update: one of another store, or of a store that went back to a
    /// backup.
    pub async fn updates(&self, since: StreamPos, max: usize) -> Result<Vec<UpdateEntry>> {
        self.inner.updates(since, max).await
    }

    /// The position of the newest update.
    pub async fn last_update(&self) -> Result<StreamPos> {
        self.inner.check_open()?;
        self.inner.store.last_update()
    }

    /// Forgets updates up to and with `up_to`, which every reader has handled. Without this the stream only grows.
    ///
    /// # Errors
    /// `BadParam` for a position beyond the newest update, as [`updates`](Self::updates): nobody has handled that.
    pub async fn trim_updates(&self, up_to: StreamPos) -> Result<()> {
        self.inner.check_open()?;
        self.inner.check_position(up_to)?;
        self.inner.commit(vec![Write::TrimUpdates(up_to)]).await
    }
}

fn sender_settings(limits: &Limits) -> SenderSettings {
    SenderSettings {
        pdus_per_second: limits.outbound_pdus_per_second,
        burst: limits.outbound_burst,
        backoff_first: Duration::from_millis(limits.backoff_first_ms),
        backoff_max: Duration::from_millis(limits.backoff_max_ms),
        outbox_per_destination: limits.outbox_per_destination,
    }
}

/// Refuses limits under which a server would open and then fail at its work.
fn check_limits(limits: &Limits) -> Result<()> {
    RoomVersion::named(&limits.default_room_version)
        .map_err(|error| error.context("default_room_version"))?;
    if limits.key_validity_ms > 0 {
        return Ok(());
    }
    let about = format!("key_validity_ms: {} is not above 0", limits.key_validity_ms);
    Err(Error::new(Code::BadParam, about))
}

/// The store belongs to one server name for ever.
async fn check_name(store: &dyn Store, me: &ServerName) -> Result<()> {
    const NAME: &str = "server_name";
    match store.meta(NAME)? {
        Some(name) if name == me.as_str() => Ok(()),
        Some(name) => Err(Error::new(
            Code::BadParam,
            format!("the store belongs to server {name}, not to {me}"),
        )),
        None => {
            let name = Write::Meta {
                name: NAME.into(),
                value: me.as_str().into(),
            };
            store
                .commit(roomlet_store::Commit { writes: vec![name] })
                .await
                .map(|_| ())
        }
    }
}
