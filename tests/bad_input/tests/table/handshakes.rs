//! Edge: the handshakes that this server answers — joins, leaves, invites.

use crate::scene::{Scene, frame, value_of};
use roomlet_homeserver::{Request, UserId};
use roomlet_wire::{Code, Map, Value, json};
use roomlet_world::encode;

fn put(scene: &Scene, path: &str, body: &Map) -> Request {
    let target = format!("/_matrix/federation/{path}");
    scene.request("PUT", &target, Some(&json::map_to_canonical(body)))
}

/// `send_join` or `send_leave` of an event, to the paths that belong to it.
fn send(scene: &Scene, what: &str, event: &Map) -> Request {
    let id = encode(&scene.room.id_of(event));
    put(
        scene,
        &format!("v2/{what}/{}/{id}", encode(&scene.room.id)),
        event,
    )
}

fn other(scene: &Scene) -> UserId {
    scene.peer.user("other")
}

/// The join of another user of the peer, in order.
fn join(scene: &Scene) -> Map {
    let user = other(scene);
    scene.peer.event(
        &scene.room,
        &user,
        "m.room.member",
        Some(&user),
        r#"{"membership":"join"}"#,
    )
}

fn join_with(scene: &Scene, field: &str, value: &str) -> Map {
    let user = other(scene);
    let content = roomlet_world::object(r#"{"membership":"join"}"#);
    let mut event = scene
        .room
        .draft(&user, "m.room.member", Some(&user), content, scene.peer.now_ms());
    event.insert(field.into(), value_of(value));
    scene.peer.signed(event, scene.room.version)
}

fn make(scene: &Scene, what: &str, user: &str, query: &str) -> Request {
    let target = format!(
        "/_matrix/federation/v1/{what}/{}/{}{query}",
        encode(&scene.room.id),
        encode(user)
    );
    scene.request("GET", &target, None)
}

/// An invite to Nancy from a room of the peer's own, its parts changed by `change`: room of the path, event, body.
fn invite(scene: &Scene, change: impl FnOnce(&mut Invite)) -> Request {
    let room = scene.peer.create_room(&scene.mallory, "10", "invite");
    let mut invite = Invite {
        sender: scene.mallory.clone(),
        target: scene.nancy.to_string(),
        ..Invite::default()
    };
    change(&mut invite);
    let content = format!(r#"{{"membership":"{}"}}"#, invite.membership);
    let mut event = scene.peer.event(
        &room,
        &invite.sender,
        "m.room.member",
        Some(&invite.target),
        &content,
    );
    if invite.unsigned {
        event.insert("signatures".into(), Map::new().into());
    }
    let id = invite.id.unwrap_or_else(|| room.id_of(&event).to_string());
    let room_id = invite.room.unwrap_or_else(|| room.id.to_string());
    let mut body = Map::from([
        ("event".to_owned(), event.into()),
        ("room_version".to_owned(), invite.version.into()),
        ("invite_room_state".to_owned(), Value::Array(Vec::new())),
    ]);
    body.extend(invite.body);
    put(
        scene,
        &format!("v2/invite/{}/{}", encode(&room_id), encode(&id)),
        &body,
    )
}

struct Invite {
    sender: UserId,
    target: String,
    membership: &'static str,
    unsigned: bool,
    id: Option<String>,
    room: Option<String>,
    version: &'static str,
    body: Option<(String, Value)>,
}

impl Default for Invite {
    fn default() -> Self {
        Self {
            sender: UserId::parse("@x:y").unwrap(),
            target: String::new(),
            membership: "invite",
            unsigned: false,
            id: None,
            room: None,
            version: "10",
            body: None,
        }
    }
}

fn body_part(key: &str, value: &str) -> Option<(String, Value)> {
    Some((key.to_owned(), value_of(value)))
}

/// An object of more than a mebibyte.
fn too_large() -> String {
    format!(r#"{{"x":"{}"}}"#, "x".repeat(1 << 20))
}

rows! { frame:
    a_template_for_another_servers_user: |s| make(s, "make_join", "@x:third.test", "?ver=10") => Forbidden, "user @x:third.test is not of server peer.test";
    a_template_for_a_local_user: |s| make(s, "make_join", "@nancy:a.test", "?ver=10") => Forbidden, "user @nancy:a.test is not of server peer.test";
    a_template_in_other_versions: |s| make(s, "make_join", "@other:peer.test", "?ver=11&ver=12") => UnknownRoomVersion, "is of version 10, which peer.test did not offer";
    a_template_without_versions: |s| make(s, "make_join", "@other:peer.test", "") => UnknownRoomVersion, "is of version 10, which peer.test did not offer";
    a_template_for_a_banned_user: |s| make(s, "make_join", "@banned:peer.test", "?ver=10") => Denied, "AUTH-8c: the user is banned";
    a_template_for_the_leave_of_a_stranger: |s| make(s, "make_leave", "@other:peer.test", "") => Denied, "AUTH-12: cannot leave with membership leave";
    a_template_for_the_leave_of_another_servers_user: |s| make(s, "make_leave", "@alice:a.test", "") => Forbidden, "user @alice:a.test is not of server peer.test";

    a_join_under_another_id: |s| put(s, &format!("v2/send_join/{}/%24x%3Ay", encode(&s.room.id)), &join(s)) => BadParam, "its id is not that of the path";
    a_join_of_another_room: |s| send(s, "send_join", &join_with(s, "room_id", r#""!other:peer.test""#)) => BadParam, "its room is not that of the path";
    a_message_as_a_join: |s| send(s, "send_join", &s.message()) => BadParam, "it is no m.room.member";
    a_leave_as_a_join: |s| send(s, "send_join", &s.member(&s.mallory, "leave")) => BadParam, "its membership is another";
    a_join_of_another_user: |s| send(s, "send_join", &s.member("@other:peer.test", "join")) => BadParam, "its state key is not its sender";
    a_join_without_signature: |s| {
        let mut join = join(s);
        join.insert("signatures".into(), Map::new().into());
        send(s, "send_join", &join)
    } => MissingSignature, "peer.test did not sign it";
    a_join_without_depth: |s| {
        let mut join = join(s);
        join.remove("depth");
        send(s, "send_join", &join)
    } => BadEvent, "event: `depth` is missing";
    a_join_of_a_user_who_is_banned: |s| {
        let join = s.peer.event(&s.room, &s.banned, "m.room.member", Some(&s.banned), r#"{"membership":"join"}"#);
        send(s, "send_join", &join)
    } => Denied, "AUTH-8c: the user is banned";
    a_join_after_events_that_nobody_has: |s| send(s, "send_join", &join_with(s, "prev_events", r#"["$x:y"]"#)) => BadParam, "cites events that nobody has";
    a_join_to_a_room_that_is_not_here: |s| put(s, "v2/send_join/%21x%3Ay/%24x%3Ay", &join(s)) => UnknownRoom, "room !x:y is not known here";
    a_join_that_is_far_too_large: |s| send(s, "send_join", &join_with(s, "unsigned", &too_large())) => TooLarge, "`body` has 1049";
    a_leave_that_is_a_join: |s| send(s, "send_leave", &join(s)) => BadParam, "its membership is another";
    a_leave_of_who_is_not_there: |s| {
        let user = other(s);
        let leave = s.peer.event(&s.room, &user, "m.room.member", Some(&user), r#"{"membership":"leave"}"#);
        send(s, "send_leave", &leave)
    } => Denied, "AUTH-12: cannot leave with membership leave";

    an_invite_under_another_id: |s| invite(s, |i| i.id = Some("$x:y".into())) => BadParam, "its id is not that of the path";
    an_invite_under_another_room: |s| invite(s, |i| i.room = Some("!x:y".into())) => BadParam, "its room is not that of the path";
    a_ban_as_an_invite: |s| invite(s, |i| i.membership = "ban") => BadParam, "it is no invite";
    an_invite_of_another_servers_user: |s| invite(s, |i| i.target = "@x:third.test".into()) => BadParam, "it invites no user of this server";
    an_invite_of_no_user: |s| invite(s, |i| i.target = "nancy".into()) => BadParam, "it invites no user of this server";
    an_invite_of_an_unknown_user: |s| invite(s, |i| i.target = "@nobody:a.test".into()) => UnknownUser, "user @nobody:a.test is no account of a.test";
    an_invite_without_signature: |s| invite(s, |i| i.unsigned = true) => MissingSignature, "peer.test did not sign it";
    an_invite_in_the_name_of_another_server: |s| invite(s, |i| i.sender = UserId::parse("@x:third.test").unwrap()) => MissingSignature, "third.test did not sign it";
    an_invite_to_a_room_of_an_unknown_version: |s| invite(s, |i| i.version = "99") => UnknownRoomVersion, "room version \"99\" is not one of";
    an_invite_that_is_no_object: |s| invite(s, |i| i.body = body_part("event", "7")) => BadParam, "`event` is or holds an integer; it must be an object";
    an_invite_with_a_version_that_is_a_number: |s| invite(s, |i| i.body = body_part("room_version", "10")) => BadParam, "`room_version` is or holds an integer; it must be a string";
    an_invite_that_is_far_too_large: |s| invite(s, |i| i.body = body_part("event", &too_large())) => TooLarge, "`event` has 1048584 bytes, at most 1048576 (TM-1)";
    an_invite_with_a_preview_that_is_far_too_large: |s| invite(s, |i| i.body = body_part("invite_room_state", &format!("[{}]", too_large()))) => TooLarge, "`invite_room_state` has 1048586 bytes, at most 1048576 (TM-1)";
    an_invite_with_a_preview_that_is_no_list: |s| invite(s, |i| i.body = body_part("invite_room_state", "{}")) => BadParam, "`invite_room_state` is or holds an object; it must be an array";
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_another_server_passes_on() {
    let scene = Scene::new().await;
    let courier = scene.world.peer("courier.test");
    let room = scene.peer.create_room(&scene.mallory, "10", "invite");
    let (id, body) = scene.peer.invite(&room, &scene.mallory, &scene.nancy);
    let target = format!(
        "/_matrix/federation/v2/invite/{}/{}",
        encode(&room.id),
        encode(&id)
    );
    courier
        .ask(
            &scene.a.hs,
            "GET",
            "/_matrix/federation/v1/query/profile?user_id=%40nancy%3Aa.test",
            None,
        )
        .await;
    let request = courier.request(&scene.a.name, "PUT", &target, Some(&body.into()));
    let text = "its sender is not of the server that sends it";
    scene
        .refuses(request, Code::BadParam, Code::BadParam.errcode(), text)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_restricted_join_that_names_another_servers_user() {
    let scene = Scene::new().await;
    let content = r#"{"membership":"join","join_authorised_via_users_server":"@mallory:peer.test"}"#;
    let user = other(&scene);
    let join = scene
        .peer
        .event(&scene.room, &user, "m.room.member", Some(&user), content);
    let text = "user @mallory:peer.test who authorises it is not of a.test";
    scene
        .refuses(
            send(&scene, "send_join", &join),
            Code::BadParam,
            Code::BadParam.errcode(),
            text,
        )
        .await;
}
