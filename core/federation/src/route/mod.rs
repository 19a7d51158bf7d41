//! From a federation request's method, target and body to a typed request.

mod fields;
mod table;

use fields::Fields;
use roomlet_wire::{
    Code, Error, EventId, KeyId, Map, Result, RoomAlias, RoomId, ServerName, UserId, Value,
    json::{Raw, RawValue},
};
use std::collections::BTreeMap;
use table::Row;

/// What a notary is asked for: by server and key id the time until which a key should be valid, in milliseconds. No
/// key id asks for all keys of the server (FED-16).
pub type KeyQuery = BTreeMap<ServerName, BTreeMap<KeyId, i64>>;

/// What another server asks. Identifiers are well-formed; events are as they came. That `origin` may ask this is
/// still to be checked (FED-4, FED-6).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Inbound {
    /// `GET /version` (FED-17).
    Version,
    /// `GET /_matrix/key/v2/server` (FED-15).
    ServerKeys,
    /// `GET` and `POST /_matrix/key/v2/query` (FED-16).
    QueryKeys {
        /// What is asked for.
        wanted: KeyQuery,
    },
    /// `PUT /send` (FED-20). The numbers of PDUs and EDUs are not limited here. The body's own `origin` is not read:
    /// the authenticated one counts (FED-21).
    Send {
        /// The id that makes a repeated transaction known.
        txn_id: String,
        /// Events of any room, unchecked.
        pdus: Vec<RawValue>,
        /// EDUs, unchecked.
        edus: Vec<RawValue>,
    },
    /// `GET /make_join` (FED-30).
    MakeJoin {
        /// The room to join.
        room: RoomId,
        /// Who wants to join.
        user: UserId,
        /// The room versions that the asker supports; `1` if it names none.
        versions: Vec<String>,
    },
    /// `PUT /send_join` (FED-31).
    SendJoin {
        /// The room of the path.
        room: RoomId,
        /// The event id of the path.
        event_id: EventId,
        /// The join.
        event: Map,
        /// Whether members may be left out of the answer (FED-34).
        omit_members: bool,
        /// Version 1 of the endpoint: the answer is `[200, {…}]`.
        v1: bool,
    },
    /// `GET /make_leave` (FED-36).
    MakeLeave {
        /// The room to leave.
        room: RoomId,
        /// Who wants to leave.
        user: UserId,
    },
    /// `PUT /send_leave` (FED-36).
    SendLeave {
        /// The room of the path.
        room: RoomId,
        /// The event id of the path.
        event_id: EventId,
        /// The leave.
        event: Map,
        /// Version 1 of the endpoint: the answer is `[200, {}]`.
        v1: bool,
    },
    /// `PUT /_matrix/federation/v2/invite` (FED-37).
    Invite {
        /// The room of the path.
        room: RoomId,
        /// The event id of the path.
        event_id: EventId,
        /// The room's version.
        version: String,
        /// The invite.
        event: Map,
        /// `invite_room_state` (FED-38); empty if absent.
        preview: Vec<Value>,
    },
    /// `GET /event` (FED-40).
    Event {
        /// The event.
        event_id: EventId,
    },
    /// `GET /state` (FED-40).
    State {
        /// The room.
        room: RoomId,
        /// The event whose state before it is asked for.
        event_id: EventId,
    },
    /// `GET /state_ids` (FED-40).
    StateIds {
        /// The room.
        room: RoomId,
        /// The event whose state before it is asked for.
        event_id: EventId,
    },
    /// `GET /event_auth` (FED-40).
    EventAuth {
        /// The room.
        room: RoomId,
        /// The event whose auth chain is asked for.
        event_id: EventId,
    },
    /// `GET /backfill` (FED-41).
    Backfill {
        /// The room.
        room: RoomId,
        /// Where the history ends; these are part of the answer. At least one.
        from: Vec<EventId>,
        /// How many events are asked for.
        limit: usize,
    },
    /// `POST /get_missing_events` (FED-41).
    MissingEvents {
        /// The room.
        room: RoomId,
        /// What the asker has: not part of the answer, nor what comes before.
        earliest: Vec<EventId>,
        /// Where to begin; not part of the answer.
        latest: Vec<EventId>,
        /// How many events are asked for; 10 if the asker does not say.
        limit: usize,
        /// Events of lower depth are not wanted.
        min_depth: i64,
    },
    /// `GET /query/profile` (FED-44).
    QueryProfile {
        /// The user.
        user: UserId,
        /// The one field that is asked for.
        field: Option<String>,
    },
    /// `GET /query/directory` (FED-44).
    QueryDirectory {
        /// The alias to resolve.
        alias: RoomAlias,
    },
    /// `GET /user/devices` (FED-45).
    UserDevices {
        /// The user.
        user: UserId,
    },
}

impl Inbound {
    /// Reads a request. `content` is the body, if there is one.
    ///
    /// # Errors
    /// As [`Route::find`] and [`Route::read`].
    pub fn parse(method: &str, target: &str, content: Option<Raw<'_>>) -> Result<Self> {
        Route::find(method, target)?.read(content)
    }
}

/// The endpoint that a request is for, found before the body is read.
#[derive(Debug)]
pub struct Route<'a> {
    row: &'static Row,
    /// The path's variable segments, still percent-encoded: decoding before routing would let an id that holds `/`
    /// reach another endpoint (ID-8).
    variables: Vec<&'a str>,
    query: &'a str,
}

impl<'a> Route<'a> {
    /// Finds the endpoint. `target` is path and query as on the wire.
    ///
    /// # Errors
    /// [`Code::UnknownEndpoint`], or [`Code::UnknownMethod`] if the path is known with other methods (FED-5).
    pub fn find(method: &str, target: &'a str) -> Result<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut is_known = false;
        for row in table::ROWS {
            if let Some(variables) = row.matches(path) {
                if row.method == method {
                    return Ok(Self {
                        row,
                        variables,
                        query,
                    });
                }
                is_known = true;
            }
        }
        let path: String = path.chars().take(100).collect();
        Err(if is_known {
            let method: String = method.chars().take(10).collect();
            Error::new(
                Code::UnknownMethod,
                format!("endpoint {path:?} has no method {method:?}"),
            )
        } else {
            Error::new(Code::UnknownEndpoint, format!("no endpoint {path:?} (FED-5)"))
        })
    }

    /// Whether the endpoint is open to requests without authentication (FED-4).
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.row.public
    }

    /// Reads the request. `content` is the body, if there is one.
    ///
    /// # Errors
    /// [`Code::BadJson`] if the endpoint needs a body and there is no object; [`Code::BadId`] or [`Code::BadParam`],
    /// naming path variable, parameter or field.
    pub fn read(self, content: Option<Raw<'_>>) -> Result<Inbound> {
        let fields = Fields::new(&self.variables, self.query, self.row.method != "GET", content)?;
        (self.row.read)(fields)
    }
}
