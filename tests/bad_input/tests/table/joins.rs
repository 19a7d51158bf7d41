//! Edge: what another server answers to this one's join and invite.

use roomlet_homeserver::{Code, Homeserver, Response, Result, UserId};
use roomlet_wire::{Error, Map, Value, json};
use roomlet_world::{Peer, PeerRoom, Server, World, object};
use std::sync::Arc;

/// A server with Alice, and a peer with a public room that lets her in.
struct Joining {
    world: World,
    a: Server,
    alice: UserId,
    peer: Arc<Peer>,
    room: PeerRoom,
}

impl Joining {
    async fn new() -> Self {
        let world = World::new();
        let a = world.server("a.test").await;
        let alice = a.account("alice").await;
        let peer = world.peer("peer.test");
        let room = peer.create_room(&peer.user("owner"), "10", "public");
        peer.serve_joins(&room);
        // The peer's keys are known before, so that not even they change the store.
        let known = "/_matrix/federation/v1/query/profile?user_id=%40alice%3Aa.test";
        peer.ask(&a.hs, "GET", known, None).await;
        Self {
            world,
            a,
            alice,
            peer,
            room,
        }
    }

    /// Answers one kind of request with `body`.
    fn answers(&self, prefix: &str, body: &str) {
        let body = body.as_bytes().to_vec();
        self.peer
            .answer(&format!("/_matrix/federation/{prefix}"), move |_| Response {
                status: 200,
                body: body.clone(),
            });
    }

    /// The template as it should be, with `change` made to it.
    fn template(&self, change: impl FnOnce(&mut Map)) {
        let mut body = self.make_join();
        change(&mut body);
        self.answers("v1/make_join/", &json::map_to_canonical(&body));
    }

    fn make_join(&self) -> Map {
        let content = object(r#"{"membership":"join"}"#);
        let event = self.room.draft(
            &self.alice,
            "m.room.member",
            Some(&self.alice),
            content,
            self.peer.now_ms(),
        );
        Map::from([
            ("event".to_owned(), event.into()),
            ("room_version".to_owned(), "10".into()),
        ])
    }

    /// In the template's event.
    fn event(&self, field: &str, value: &str) {
        self.template(|body| {
            if let Some(Value::Object(event)) = body.get_mut("event") {
                event.insert(field.into(), crate::scene::value_of(value));
            }
        });
    }

    /// The reply to the join as it should be, with `change` made to it.
    fn reply(&self, change: impl FnOnce(&mut Map)) {
        let chain = self.room.events.values().cloned().map(Value::Object).collect();
        let mut body = Map::from([
            ("auth_chain".to_owned(), Value::Array(chain)),
            ("state".to_owned(), Value::Array(self.room.state_events())),
        ]);
        change(&mut body);
        self.answers("v2/send_join/", &json::map_to_canonical(&body));
    }

    fn without_state(&self, kind: &str) {
        let keep = |event: &&Value| event.get("type").and_then(Value::as_str) != Some(kind);
        self.reply(|body| {
            for key in ["state", "auth_chain"] {
                let events = body[key]
                    .as_array()
                    .unwrap_or_default()
                    .iter()
                    .filter(keep)
                    .cloned()
                    .collect();
                body.insert(key.into(), Value::Array(events));
            }
        });
    }
}

async fn join(input: impl FnOnce(&Joining), code: Code, text: &str) {
    let scene = Joining::new().await;
    input(&scene);
    let before = scene.a.contents();
    let error = scene
        .a
        .hs
        .join(&scene.alice, &scene.room.id, &[])
        .await
        .unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.about().contains(text), "{error:?}");
    assert!(scene.a.contents() == before, "the store changed");
    scene.world.quiet().await;
    assert!(scene.a.contents() == before, "the store changed later");
    // And it can be tried again when the peer has come to its senses.
    scene.peer.serve_joins(&scene.room);
    assert_eq!(joined(&scene.a.hs, &scene.alice, &scene.room).await, Ok(()));
}

async fn joined(hs: &Homeserver, user: &UserId, room: &PeerRoom) -> Result<()> {
    hs.join(user, &room.id, &[]).await.map(drop)
}

rows! { join:
    a_template_that_is_no_json: |s| s.answers("v1/make_join/", "<html>") => BadReply, "the reply of server peer.test: byte 0";
    a_template_that_is_a_list: |s| s.answers("v1/make_join/", "[]") => BadReply, "the JSON is an array, an object is needed";
    a_template_without_event: |s| s.answers("v1/make_join/", "{}") => BadReply, "`event` is no object";
    a_template_of_an_unknown_version: |s| s.template(|body| { body.insert("room_version".into(), "99".into()); }) => UnknownRoomVersion, "room version \"99\" is not one of";
    a_template_of_no_version: |s| s.template(|body| { body.remove("room_version"); }) => BadReply, "the state of room !room:peer.test has not exactly one create event of version 1";
    a_template_with_a_version_that_is_a_number: |s| s.template(|body| { body.insert("room_version".into(), Value::Int(10)); }) => BadReply, "`room_version` is no string";
    a_join_that_is_not_signed_by_who_lets_the_user_in: |s| s.event("content", r#"{"membership":"join","join_authorised_via_users_server":"@mallory:peer.test"}"#) => BadReply, "server peer.test gave the join back without the signature that lets @alice:a.test in";
    a_template_of_another_type: |s| s.event("type", r#""m.room.name""#) => BadReply, "template of a join: type is Some(\"m.room.name\")";
    a_template_of_another_room: |s| s.event("room_id", r#""!other:peer.test""#) => BadReply, "template of a join: room_id is";
    a_template_of_another_sender: |s| s.event("sender", r#""@other:a.test""#) => BadReply, "template of a join: sender is";
    a_template_for_another_user: |s| s.event("state_key", r#""@other:a.test""#) => BadReply, "template of a join: state_key is";
    a_template_of_another_membership: |s| s.event("content", r#"{"membership":"ban"}"#) => BadReply, "template of a join: membership is";
    a_template_with_a_prev_event_that_is_no_id: |s| s.event("prev_events", "[7]") => BadId, "event id \"\"";
    a_template_with_too_many_prev_events: |s| {
        let ids: Vec<String> = (0..21).map(|n| format!(r#""$x{n}:y""#)).collect();
        s.event("prev_events", &format!("[{}]", ids.join(",")));
    } => BadEvent, "`prev_events` has 21 entries, at most 20";
    a_template_with_a_negative_depth: |s| s.event("depth", "-5") => BadEvent, "`depth` must not be negative";

    a_reply_that_is_no_json: |s| s.answers("v2/send_join/", "") => BadReply, "the reply of server peer.test";
    a_reply_without_state: |s| s.reply(|body| { body.remove("state"); }) => BadReply, "`state` is no array";
    a_reply_without_auth_chain: |s| s.reply(|body| { body.remove("auth_chain"); }) => BadReply, "`auth_chain` is no array";
    a_reply_that_omits_members: |s| s.reply(|body| { body.insert("members_omitted".into(), true.into()); }) => BadReply, "omitted members, which it was not asked to";
    a_reply_without_the_create_event: |s| s.without_state("m.room.create") => BadReply, "has not exactly one create event of version 10";
    a_reply_of_nonsense: |s| s.reply(|body| { body.insert("state".into(), crate::scene::value_of("[7,{},null]")); }) => BadReply, "has not exactly one create event";
    a_reply_whose_rules_let_nobody_in: |s| s.without_state("m.room.join_rules") => BadReply, "join";
    a_reply_of_another_version: |s| {
        let other = s.peer.create_room(&s.peer.user("owner"), "11", "public");
        s.reply(|body| { body.insert("state".into(), Value::Array(other.state_events())); });
    } => BadReply, "has not exactly one create event of version 10";
}

#[tokio::test(start_paused = true)]
async fn a_refusal_with_control_characters_in_its_text() {
    let scene = Joining::new().await;
    scene.peer.answer("/_matrix/federation/v1/make_join/", |_| {
        Response::error(&Error::new(Code::Forbidden, "no\r\n\u{1b}[31mway"))
    });
    let error = scene
        .a
        .hs
        .join(&scene.alice, &scene.room.id, &[])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Remote);
    assert!(
        error
            .about()
            .ends_with("server peer.test answered 403 M_FORBIDDEN: no[31mway"),
        "{error:?}"
    );
}

/// The edge of invites that this server sends: the peer should sign them and give them back.
async fn invite(input: &str, code: Code, text: &str) {
    let scene = Joining::new().await;
    let room = scene
        .a
        .hs
        .create_room(&scene.alice, roomlet_homeserver::CreateRoom::default())
        .await
        .unwrap();
    scene.answers("v2/invite/", input);
    let before = scene.a.contents();
    let error = scene
        .a
        .hs
        .invite(&scene.alice, &room, &scene.peer.user("x"), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.about().contains(text), "{error:?}");
    scene.world.quiet().await;
    assert!(scene.a.contents() == before, "the store changed");
}

rows! { invite:
    an_invite_that_comes_back_as_nothing: "{}" => BadReply, "`event` is no object";
    an_invite_that_comes_back_as_text: "thanks" => BadReply, "the reply of server peer.test";
    an_invite_that_comes_back_empty: r#"{"event":{}}"# => BadEvent, "the signed invite: event: `type` is missing";
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_comes_back_without_the_other_servers_signature() {
    let scene = Joining::new().await;
    let room = scene
        .a
        .hs
        .create_room(&scene.alice, roomlet_homeserver::CreateRoom::default())
        .await
        .unwrap();
    scene.peer.answer("/_matrix/federation/v2/invite/", |request| {
        let body = json::parse_object(&request.body).unwrap();
        Response::ok(&Map::from([("event".to_owned(), body["event"].clone())]))
    });
    let before = scene.a.contents();
    let error = scene
        .a
        .hs
        .invite(&scene.alice, &room, &scene.peer.user("x"), None)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::MissingSignature, "{error:?}");
    assert!(
        error.about().contains("the invite that peer.test signed"),
        "{error:?}"
    );
    assert!(scene.a.contents() == before, "the store changed");
}
