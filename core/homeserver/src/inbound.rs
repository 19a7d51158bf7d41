//! Requests of other servers, answered: authentication, access control, membership, work — in that order (FED-4).

use crate::{
    create::object,
    inner::Inner,
    room::{Held, OpenRoom, RoomHandle},
};
use roomlet_federation::Inbound;
use roomlet_wire::{
    Code, Error, EventId, Map, Result, RoomId, ServerName, Value,
    frame::{Request, Response},
};
use std::sync::Arc;

/// Events that one `/backfill` or `get_missing_events` is answered with at most (FED-41).
const MAX_HISTORY: usize = 100;

/// The events as they go to a server.
fn values(events: impl IntoIterator<Item = Held>) -> Value {
    Value::Array(
        events
            .into_iter()
            .map(|held| Value::Canonical(held.pdu().to_raw()))
            .collect(),
    )
}

/// The first of the ids that a request names: no answer has more events, and each costs a look-up (TM-8).
fn few(mut ids: Vec<EventId>) -> Vec<EventId> {
    ids.truncate(MAX_HISTORY);
    ids
}

fn ids(events: impl IntoIterator<Item = Held>) -> Value {
    Value::Array(
        events
            .into_iter()
            .map(|held| Value::from(held.pdu().id.as_str()))
            .collect(),
    )
}

/// The event that a request wants to be taken, if it is one alone.
fn offered(inbound: &Inbound) -> Option<&EventId> {
    match inbound {
        Inbound::SendJoin { event_id, .. }
        | Inbound::SendLeave { event_id, .. }
        | Inbound::Invite { event_id, .. } => Some(event_id),
        _ => None,
    }
}

impl Inner {
    pub(crate) async fn handle_request(self: &Arc<Self>, request: Request) -> Response {
        match self.answer(&request).await {
            Ok(response) => response,
            Err(error) => Response::error(&error),
        }
    }

    async fn answer(self: &Arc<Self>, request: &Request) -> Result<Response> {
        self.check_open()?;
        let (origin, inbound) = roomlet_federation::receive(request, &self.keys).await?;
        let Some(origin) = origin else {
            return self.answer_anyone(&inbound);
        };
        if !self
            .policy
            .accept_request(&origin, &request.method, &request.target)
            .await
        {
            return Err(Error::new(
                Code::Forbidden,
                format!("the host refuses requests of {origin}"),
            ));
        }
        self.sender.peer_alive(&origin);
        let offered = offered(&inbound).cloned();
        let answer = self.dispatch(&origin, inbound).await;
        // What the host's policy or the room's access control list refuses went as it should.
        if let (Err(error), Some(event)) = (&answer, offered)
            && error.code() != Code::Forbidden
        {
            self.warn_of_event(&event, &origin, error.about());
        }
        answer
    }

    /// What needs no authentication.
    fn answer_anyone(&self, inbound: &Inbound) -> Result<Response> {
        let body = match inbound {
            Inbound::Version => {
                let server = object([
                    ("name", "roomlet".into()),
                    ("version", env!("CARGO_PKG_VERSION").into()),
                ]);
                object([("server", server.into())])
            }
            Inbound::ServerKeys => self.keys.published(),
            Inbound::QueryKeys { wanted } => self.keys.answer_query(wanted),
            _ => return Err(Error::new(Code::UnknownEndpoint, "this endpoint is not served")),
        };
        Ok(Response::ok(&body))
    }

    async fn dispatch(self: &Arc<Self>, origin: &ServerName, inbound: Inbound) -> Result<Response> {
        let body = match inbound {
            Inbound::Send { txn_id, pdus, edus } => {
                self.receive_transaction(origin, &txn_id, pdus, &edus).await?
            }
            Inbound::MakeJoin { room, user, versions } => {
                self.make_join(origin, &room, &user, &versions).await?
            }
            Inbound::MakeLeave { room, user } => self.make_leave(origin, &room, &user).await?,
            Inbound::SendJoin {
                room,
                event_id,
                event,
                v1,
                ..
            } => {
                let reply = self.receive_join(origin, &room, &event_id, event).await?;
                return Ok(if v1 {
                    Response::ok_list(vec![Value::Int(200), reply.into()])
                } else {
                    Response::ok(&reply)
                });
            }
            Inbound::SendLeave {
                room,
                event_id,
                event,
                v1,
            } => {
                self.receive_leave(origin, &room, &event_id, event).await?;
                let empty = Map::new();
                return Ok(if v1 {
                    Response::ok_list(vec![Value::Int(200), empty.into()])
                } else {
                    Response::ok(&empty)
                });
            }
            Inbound::Invite {
                room,
                event_id,
                version,
                event,
                preview,
            } => {
                self.receive_invite(origin, &room, &event_id, &version, event, preview)
                    .await?
            }
            Inbound::Event { event_id } => self.serve_event(origin, &event_id).await?,
            Inbound::State { room, event_id } => {
                self.serve_state(origin, &room, event_id, values, "pdus", "auth_chain")
                    .await?
            }
            Inbound::StateIds { room, event_id } => {
                self.serve_state(origin, &room, event_id, ids, "pdu_ids", "auth_chain_ids")
                    .await?
            }
            Inbound::EventAuth { room, event_id } => self.serve_event_auth(origin, &room, event_id).await?,
            Inbound::Backfill { room, from, limit } => {
                self.serve_backfill(origin, &room, few(from), limit).await?
            }
            Inbound::MissingEvents {
                room,
                earliest,
                latest,
                limit,
                ..
            } => {
                self.serve_missing(origin, &room, few(earliest), few(latest), limit)
                    .await?
            }
            Inbound::QueryProfile { user, .. } => {
                self.check_account(&user)?;
                Map::new()
            }
            Inbound::QueryDirectory { alias } => {
                return Err(Error::new(
                    Code::NotFound,
                    format!("room alias {alias} is not known here"),
                ));
            }
            Inbound::UserDevices { user } => {
                self.check_account(&user)?;
                // Accounts have no devices yet: end-to-end encryption keys are the host's matter.
                object([
                    ("user_id", user.as_str().into()),
                    ("stream_id", Value::Int(0)),
                    ("devices", Value::Array(Vec::new())),
                ])
            }
            _ => return Err(Error::new(Code::UnknownEndpoint, "this endpoint is not served")),
        };
        Ok(Response::ok(&body))
    }

    /// A room that this server is in and `origin` may ask about: access control and membership (FED-42, FED-51).
    async fn shared_room(&self, origin: &ServerName, room: &RoomId) -> Result<RoomHandle> {
        let handle = self.resident_room(origin, room).await?;
        let (server, id) = (origin.clone(), room.clone());
        handle
            .run(move |room| {
                if room.has_server(&server) {
                    return Ok(());
                }
                Err(Error::new(
                    Code::Forbidden,
                    format!("server {server} is not in room {id}"),
                ))
            })
            .await?;
        Ok(handle)
    }

    /// A room that this server is in, and whose access control list lets `origin` take part.
    pub(crate) async fn resident_room(&self, origin: &ServerName, room: &RoomId) -> Result<RoomHandle> {
        let handle = self.rooms.get(room)?;
        let (server, id) = (origin.clone(), room.clone());
        handle
            .run(move |room| {
                if !room.is_resident() {
                    return Err(Error::new(
                        Code::UnknownRoom,
                        format!("this server is not in room {id}"),
                    ));
                }
                if !room.acl_allows(&server)? {
                    let about = format!("server {server} is denied by the access control list of room {id}");
                    return Err(Error::new(Code::Forbidden, about));
                }
                Ok(())
            })
            .await?;
        Ok(handle)
    }

    async fn serve_event(&self, origin: &ServerName, event: &EventId) -> Result<Map> {
        let unknown = || Error::new(Code::UnknownEvent, format!("event {event} is not held here"));
        for (room, _) in self.store.find_event(event)? {
            let Some(id) = self.store.room_id(room)? else {
                continue;
            };
            let handle = self.rooms.get(&id)?;
            let (event, origin) = (event.clone(), origin.clone());
            let found = handle
                .run(move |room| {
                    if !room.has_server(&origin) {
                        return Err(Error::new(
                            Code::Forbidden,
                            format!("server {origin} is not in the event's room"),
                        ));
                    }
                    match room.find(&event)? {
                        Some(held) => Ok(Some(room.for_server(&origin, &held)?)),
                        None => Ok(None),
                    }
                })
                .await?;
            if let Some(value) = found {
                return Ok(self.as_transaction(vec![value]));
            }
        }
        Err(unknown())
    }

    /// The frame of `/event` and `/backfill` replies.
    fn as_transaction(&self, pdus: Vec<Value>) -> Map {
        object([
            ("origin", self.me.as_str().into()),
            ("origin_server_ts", Value::Int(self.env.clock.now_ms())),
            ("pdus", Value::Array(pdus)),
        ])
    }

    async fn serve_state(
        &self,
        origin: &ServerName,
        room: &RoomId,
        event: EventId,
        print: fn(Vec<Held>) -> Value,
        state_field: &'static str,
        chain_field: &'static str,
    ) -> Result<Map> {
        let handle = self.shared_room(origin, room).await?;
        handle
            .run(move |room| {
                let before = room.state_before_of(&event)?.ok_or_else(|| {
                    Error::new(
                        Code::UnknownEvent,
                        format!("the state before event {event} is not known here"),
                    )
                })?;
                let state = room.state(before)?;
                let chain = room.auth_chain(state.iter().map(|(_, num)| num))?;
                Ok(object([
                    (state_field, print(room.state_events(&state)?)),
                    (chain_field, print(chain)),
                ]))
            })
            .await
    }

    async fn serve_event_auth(&self, origin: &ServerName, room: &RoomId, event: EventId) -> Result<Map> {
        let handle = self.shared_room(origin, room).await?;
        handle
            .run(move |room| {
                let held = room.find(&event)?.ok_or_else(|| {
                    Error::new(Code::UnknownEvent, format!("event {event} is not held here"))
                })?;
                Ok(object([(
                    "auth_chain",
                    values(room.auth_chain([held.node.num])?),
                )]))
            })
            .await
    }

    async fn serve_backfill(
        &self,
        origin: &ServerName,
        room: &RoomId,
        from: Vec<EventId>,
        limit: usize,
    ) -> Result<Map> {
        let handle = self.shared_room(origin, room).await?;
        let server = origin.clone();
        let pdus = handle
            .run(move |room| {
                let events = room.behind(&from, limit.clamp(1, MAX_HISTORY))?;
                events
                    .iter()
                    .map(|held| room.for_server(&server, held))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        Ok(self.as_transaction(pdus))
    }

    async fn serve_missing(
        &self,
        origin: &ServerName,
        room: &RoomId,
        earliest: Vec<EventId>,
        latest: Vec<EventId>,
        limit: usize,
    ) -> Result<Map> {
        let handle = self.shared_room(origin, room).await?;
        let server = origin.clone();
        let pdus = handle
            .run(move |room| {
                let events = room.between(&earliest, &latest, limit.clamp(1, MAX_HISTORY))?;
                events
                    .iter()
                    .map(|held| room.for_server(&server, held))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        Ok(object([("events", Value::Array(pdus))]))
    }
}

impl OpenRoom {
    /// An event as a server may have it: whole, or redacted where the history is hidden from it (HV-6, FED-42). State
    /// and auth events are never hidden.
    fn for_server(&mut self, server: &ServerName, held: &Held) -> Result<Value> {
        let whole = held.pdu().state_key.is_some() || self.server_may_see(server, held)?;
        Ok(Value::Canonical(if whole {
            held.pdu().to_raw()
        } else {
            held.pdu().redacted().to_raw()
        }))
    }
}
