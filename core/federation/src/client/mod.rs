//! Typed requests to other servers.

mod reply;

pub use reply::{JoinReply, Template};

use crate::{
    env::Env,
    error::ClientError,
    exchange::{Reply, exchange},
    keys::KeyCache,
    percent::encode,
};
use reply::{ids, list, template};
use roomlet_wire::{
    EventId, Map, Pdu, RoomId, RoomVersion, ServerName, UserId, Value, Verified,
    frame::{Request, XMatrix},
    json::{Object, Raw, RawValue},
    limits,
};
use std::{fmt::Write as _, sync::Arc, time::Duration};

/// How many times longer a reply with a whole state may take: the other server has to gather it.
const STATE_PATIENCE: u32 = 4;

/// Signs requests as this server and sends them. Methods fail with a [`ClientError`], which says whether the peer
/// was unreachable, refused, or broke the protocol; events in replies are as they came, unchecked.
pub struct Client {
    env: Env,
    keys: Arc<KeyCache>,
    timeout: Duration,
}

/// One request before it is signed.
struct Call {
    method: &'static str,
    target: String,
    content: Option<RawValue>,
    max_bytes: usize,
    patience: u32,
}

impl Call {
    fn new(method: &'static str, target: String) -> Self {
        Self {
            method,
            target,
            content: None,
            max_bytes: limits::REPLY_BYTES,
            patience: 1,
        }
    }

    fn content(mut self, content: Map) -> Self {
        self.content = Some(RawValue::from(&content));
        self
    }

    fn event(mut self, event: &Pdu<Verified>) -> Self {
        self.content = Some(event.to_raw());
        self
    }

    /// The reply holds the state of a room.
    fn whole_state(mut self) -> Self {
        self.max_bytes = limits::STATE_REPLY_BYTES;
        self.patience = STATE_PATIENCE;
        self
    }
}

impl Client {
    /// A client that waits `timeout` for an answer, and four times as long for the state of a room.
    #[must_use]
    pub fn new(env: Env, keys: Arc<KeyCache>, timeout: Duration) -> Self {
        Self { env, keys, timeout }
    }

    /// The name of the server that requests are signed as: this one's.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        self.keys.server_name()
    }

    /// `server {name, version}` of `/version` (FED-17), where the peer says.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn version(&self, server: &ServerName) -> Result<Map, ClientError> {
        let reply = self
            .object(server, Call::new("GET", "/_matrix/federation/v1/version".into()))
            .await?;
        let version = reply.object().get("server").and_then(Raw::as_object);
        let version = version.map(Object::to_map);
        version.ok_or_else(|| ClientError::bad_reply(server, "`server` is no object"))
    }

    /// Asks a resident server for a join event to finish (FED-30), in any version that this server supports.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn make_join(
        &self,
        server: &ServerName,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Template, ClientError> {
        let mut target = format!(
            "/_matrix/federation/v1/make_join/{}/{}",
            encode(room),
            encode(user)
        );
        for (i, version) in RoomVersion::supported().enumerate() {
            let _ = write!(
                target,
                "{}ver={}",
                if i == 0 { '?' } else { '&' },
                encode(version)
            );
        }
        template(
            server,
            self.object(server, Call::new("GET", target)).await?.object(),
        )
    }

    /// Gives a finished join to the resident that made its template (FED-31).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn send_join(
        &self,
        server: &ServerName,
        room: &RoomId,
        join: &Pdu<Verified>,
    ) -> Result<JoinReply, ClientError> {
        let target = format!(
            "/_matrix/federation/v2/send_join/{}/{}",
            encode(room),
            encode(&join.id)
        );
        let call = Call::new("PUT", target).event(join).whole_state();
        let reply = self.object(server, call).await?;
        Ok(JoinReply {
            state: list(server, reply.object(), "state")?,
            auth_chain: list(server, reply.object(), "auth_chain")?,
            event: reply.object().get("event").map(RawValue::from),
            members_omitted: reply
                .object()
                .get("members_omitted")
                .and_then(Raw::as_bool)
                .unwrap_or(false),
        })
    }

    /// Asks for a leave event to finish: to reject an invite or to retract a knock (FED-36).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn make_leave(
        &self,
        server: &ServerName,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Template, ClientError> {
        let target = format!(
            "/_matrix/federation/v1/make_leave/{}/{}",
            encode(room),
            encode(user)
        );
        template(
            server,
            self.object(server, Call::new("GET", target)).await?.object(),
        )
    }

    /// Gives a finished leave to the resident that made its template (FED-36).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn send_leave(
        &self,
        server: &ServerName,
        room: &RoomId,
        leave: &Pdu<Verified>,
    ) -> Result<(), ClientError> {
        let target = format!(
            "/_matrix/federation/v2/send_leave/{}/{}",
            encode(room),
            encode(&leave.id)
        );
        self.object(server, Call::new("PUT", target).event(leave))
            .await
            .map(drop)
    }

    /// Asks the server of an invited user to sign the invite (FED-37). Gives the event as that server returned it.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn invite(
        &self,
        server: &ServerName,
        room: &RoomId,
        invite: &Pdu<Verified>,
        invite_room_state: Vec<Value>,
    ) -> Result<RawValue, ClientError> {
        let target = format!(
            "/_matrix/federation/v2/invite/{}/{}",
            encode(room),
            encode(&invite.id)
        );
        let content = Map::from([
            ("room_version".to_owned(), invite.version.id.into()),
            ("event".to_owned(), invite.to_raw().into()),
            ("invite_room_state".to_owned(), invite_room_state.into()),
        ]);
        let reply = self
            .object(server, Call::new("PUT", target).content(content))
            .await?;
        let event = reply
            .object()
            .get("event")
            .filter(|event| event.as_object().is_some());
        let event = event.map(RawValue::from);
        event.ok_or_else(|| ClientError::bad_reply(server, "`event` is no object (FED-37)"))
    }

    /// One event (FED-40).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn event(&self, server: &ServerName, event: &EventId) -> Result<RawValue, ClientError> {
        let target = format!("/_matrix/federation/v1/event/{}", encode(event));
        let reply = self.object(server, Call::new("GET", target)).await?;
        let pdu = list(server, reply.object(), "pdus")?.into_iter().next();
        pdu.ok_or_else(|| ClientError::bad_reply(server, "`pdus` is empty (FED-40)"))
    }

    /// The state before an event and that state's auth chain (FED-40).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn state(
        &self,
        server: &ServerName,
        room: &RoomId,
        event: &EventId,
    ) -> Result<(Vec<RawValue>, Vec<RawValue>), ClientError> {
        let target = format!(
            "/_matrix/federation/v1/state/{}?event_id={}",
            encode(room),
            encode(event)
        );
        let reply = self
            .object(server, Call::new("GET", target).whole_state())
            .await?;
        Ok((
            list(server, reply.object(), "pdus")?,
            list(server, reply.object(), "auth_chain")?,
        ))
    }

    /// As [`Client::state`], ids alone.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn state_ids(
        &self,
        server: &ServerName,
        room: &RoomId,
        event: &EventId,
    ) -> Result<(Vec<EventId>, Vec<EventId>), ClientError> {
        let target = format!(
            "/_matrix/federation/v1/state_ids/{}?event_id={}",
            encode(room),
            encode(event)
        );
        let reply = self
            .object(server, Call::new("GET", target).whole_state())
            .await?;
        Ok((
            ids(server, reply.object(), "pdu_ids")?,
            ids(server, reply.object(), "auth_chain_ids")?,
        ))
    }

    /// The auth chain of an event (FED-40).
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn event_auth(
        &self,
        server: &ServerName,
        room: &RoomId,
        event: &EventId,
    ) -> Result<Vec<RawValue>, ClientError> {
        let target = format!(
            "/_matrix/federation/v1/event_auth/{}/{}",
            encode(room),
            encode(event)
        );
        let reply = self.object(server, Call::new("GET", target)).await?;
        list(server, reply.object(), "auth_chain")
    }

    /// At most `limit` events of the history that ends in `from`, those included (FED-41). The peer may send more.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn backfill(
        &self,
        server: &ServerName,
        room: &RoomId,
        from: &[EventId],
        limit: usize,
    ) -> Result<Vec<RawValue>, ClientError> {
        let mut target = format!("/_matrix/federation/v1/backfill/{}?limit={limit}", encode(room));
        for event in from {
            let _ = write!(target, "&v={}", encode(event));
        }
        let reply = self.object(server, Call::new("GET", target)).await?;
        list(server, reply.object(), "pdus")
    }

    /// At most `limit` events between `earliest` and `latest`, both excluded (FED-41). The peer may send more.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn get_missing_events(
        &self,
        server: &ServerName,
        room: &RoomId,
        earliest: &[EventId],
        latest: &[EventId],
        limit: u32,
    ) -> Result<Vec<RawValue>, ClientError> {
        let target = format!("/_matrix/federation/v1/get_missing_events/{}", encode(room));
        let ids = |ids: &[EventId]| Value::Array(ids.iter().map(|id| id.as_str().into()).collect());
        let content = Map::from([
            ("earliest_events".to_owned(), ids(earliest)),
            ("latest_events".to_owned(), ids(latest)),
            ("limit".to_owned(), i64::from(limit).into()),
            ("min_depth".to_owned(), 0_i64.into()),
        ]);
        let reply = self
            .object(server, Call::new("POST", target).content(content))
            .await?;
        list(server, reply.object(), "events")
    }

    /// Delivers a transaction (FED-20). Status 200 acknowledges it whatever the answer's body says of single events.
    ///
    /// # Errors
    /// As all methods of this type.
    pub async fn send_transaction(
        &self,
        server: &ServerName,
        txn_id: &str,
        content: RawValue,
    ) -> Result<(), ClientError> {
        let target = format!("/_matrix/federation/v1/send/{}", encode(txn_id));
        let mut call = Call::new("PUT", target);
        call.content = Some(content);
        self.bytes(server, call).await.map(drop)
    }

    async fn object(&self, server: &ServerName, call: Call) -> Result<Reply, ClientError> {
        Reply::read(server, &self.bytes(server, call).await?)
    }

    async fn bytes(&self, server: &ServerName, call: Call) -> Result<Vec<u8>, ClientError> {
        let (me, key) = (self.keys.server_name(), self.keys.signing_key());
        let authorization = XMatrix::sign(
            me,
            &key,
            server,
            call.method,
            &call.target,
            call.content.as_ref().map(RawValue::as_raw),
        );
        let request = Request {
            destination: server.clone(),
            method: call.method.to_owned(),
            target: call.target,
            authorization: vec![authorization],
            body: call
                .content
                .map_or_else(Vec::new, |content| content.text().as_bytes().to_vec()),
        };
        exchange(
            &*self.env.transport,
            request,
            self.timeout * call.patience,
            call.max_bytes,
        )
        .await
    }
}
