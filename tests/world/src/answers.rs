//! What a peer answers to requests of others.

use crate::{list, network::Endpoint, object, peer::Peer, room::PeerRoom};
use async_trait::async_trait;
use roomlet_homeserver::{Request, Response, UserId};
use roomlet_wire::{Code, Error, Map, RoomVersion, Value, json, sign};
use std::sync::Arc;

type Answer = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// The answers that a test gave, and what came in transactions.
#[derive(Default)]
pub(crate) struct Answers {
    /// By the beginning of the target; later ones first.
    given: Vec<(String, Answer)>,
    pub(crate) received: Vec<Map>,
}

impl Peer {
    /// From now on, requests whose target begins with `prefix` are answered by `answer`.
    pub fn answer(&self, prefix: &str, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) {
        self.answers()
            .given
            .insert(0, (prefix.to_owned(), Arc::new(answer)));
    }

    /// As [`answer`](Self::answer), always the same: status 200.
    pub fn answer_with(&self, prefix: &str, body: Map) {
        self.answer(prefix, move |_| Response::ok(&body));
    }

    /// Tells whoever asks for a state by its ids the one of `room` as it is now, of which nothing has to be fetched.
    pub fn tells_state_ids(&self, room: &PeerRoom) {
        let told = Map::from([
            ("auth_chain_ids".to_owned(), Value::Array(Vec::new())),
            (
                "pdu_ids".to_owned(),
                list(room.state.values().map(|id| id.as_str())),
            ),
        ]);
        self.answer_with("/_matrix/federation/v1/state_ids/", told);
    }

    /// Lets users of other servers join `room` as it is now, through this peer.
    pub fn serve_joins(&self, room: &PeerRoom) {
        let (template, now) = (room.clone(), self.now_ms());
        self.answer("/_matrix/federation/v1/make_join/", move |request| {
            let user = last_segment(&request.target);
            let Ok(user) = UserId::parse(&user) else {
                return not_served();
            };
            let join = object(r#"{"membership":"join"}"#);
            let event = template.draft(&user, "m.room.member", Some(&user), join, now);
            Response::ok(&Map::from([
                ("event".to_owned(), event.into()),
                ("room_version".to_owned(), template.version.id.into()),
            ]))
        });
        let chain: Vec<Value> = room.events.values().cloned().map(Value::Object).collect();
        let state = room.state_events();
        self.answer("/_matrix/federation/v2/send_join/", move |request| {
            let Ok(event) = json::parse(&request.body) else {
                return not_served();
            };
            Response::ok(&Map::from([
                ("auth_chain".to_owned(), Value::Array(chain.clone())),
                ("event".to_owned(), event),
                ("state".to_owned(), Value::Array(state.clone())),
            ]))
        });
    }

    /// Its answer to a request.
    #[must_use]
    pub fn serve(&self, request: &Request) -> Response {
        let answer = {
            let answers = self.answers();
            let found = answers
                .given
                .iter()
                .find(|(prefix, _)| request.target.starts_with(prefix.as_str()));
            found.map(|(_, answer)| answer.clone())
        };
        if let Some(answer) = answer {
            return answer(request);
        }
        let target = request.target.as_str();
        if target.starts_with("/_matrix/key/v2/server") {
            return Response::ok(&self.signed_json(self.key_document(self.now_ms() + 86_400_000)));
        }
        let body = json::parse_object_lenient(&request.body).unwrap_or_default();
        if target.starts_with("/_matrix/federation/v1/send/") {
            let pdus = body.get("pdus").and_then(Value::as_array).unwrap_or_default();
            self.answers()
                .received
                .extend(pdus.iter().filter_map(Value::as_object).cloned());
            return Response::ok(&object(r#"{"pdus":{}}"#));
        }
        if target.starts_with("/_matrix/federation/v2/invite/") {
            return self.accept_invite(&body);
        }
        not_served()
    }

    fn accept_invite(&self, body: &Map) -> Response {
        let version = body
            .get("room_version")
            .and_then(Value::as_str)
            .and_then(RoomVersion::get);
        let event = body.get("event").and_then(Value::as_object);
        let (Some(version), Some(event)) = (version, event) else {
            return not_served();
        };
        let mut event = event.clone();
        sign::sign_event(&mut event, version, &self.name, &self.key);
        Response::ok(&Map::from([("event".to_owned(), event.into())]))
    }
}

/// A peer on the network.
pub(crate) struct Plugged(pub(crate) Arc<Peer>);

#[async_trait]
impl Endpoint for Plugged {
    async fn serve(&self, request: Request) -> Response {
        self.0.serve(&request)
    }
}

fn not_served() -> Response {
    Response::error(&Error::new(Code::UnknownEndpoint, "the peer does not serve this"))
}

/// The last segment of a target's path, decoded.
fn last_segment(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let segment = path.rsplit('/').next().unwrap_or_default();
    let mut out = Vec::new();
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0);
        out.push(if byte == b'%' {
            (hex(bytes.next()) * 16 + hex(bytes.next())) as u8
        } else {
            byte
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
