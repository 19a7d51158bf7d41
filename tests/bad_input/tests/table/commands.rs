//! Edge: commands of the host for its users.

use crate::scene::{Scene, nested};
use roomlet_homeserver::{CreateRoom, Direction, EventId, Preset, Result, RoomId, ServerName, UserId};
use roomlet_wire::Code;
use std::fmt::Debug;

async fn command<T: Debug>(input: impl AsyncFnOnce(&Scene) -> Result<T>, code: Code, text: &str) {
    let scene = Scene::new().await;
    let before = scene.a.contents();
    let error = input(&scene).await.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    assert!(error.about().contains(text), "{error:?}");
    scene.is_unchanged(&before).await;
}

/// As [`command`], in a room of version I.1.
async fn command_in_i_1<T: Debug>(input: impl AsyncFnOnce(&Scene) -> Result<T>, code: Code, text: &str) {
    let scene = Scene::of_version("I.1").await;
    let before = scene.a.contents();
    let error = input(&scene).await.unwrap_err();
    assert_eq!((error.code(), error.about()), (code, text));
    scene.is_unchanged(&before).await;
}

async fn send(scene: &Scene, content: &str) -> Result<EventId> {
    scene
        .a
        .hs
        .send(&scene.alice, &scene.room.id, "test.message", content, Some("t"))
        .await
}

async fn create(scene: &Scene, version: &str) -> Result<RoomId> {
    let create = CreateRoom {
        version: Some(version.into()),
        ..CreateRoom::default()
    };
    scene.a.hs.create_room(&scene.alice, create).await
}

async fn create_with(scene: &Scene, invite: &[&str]) -> Result<RoomId> {
    let create = CreateRoom {
        invite: invite.iter().map(|user| UserId::parse(user).unwrap()).collect(),
        ..CreateRoom::default()
    };
    scene.a.hs.create_room(&scene.alice, create).await
}

/// The user who made nothing and is nowhere.
fn stranger() -> UserId {
    UserId::parse("@stranger:a.test").unwrap()
}

fn elsewhere() -> RoomId {
    RoomId::parse("!elsewhere:a.test").unwrap()
}

fn nothing() -> EventId {
    EventId::parse("$nothing:a.test").unwrap()
}

rows! { command:
    a_room_for_a_user_who_is_no_account: async |s: &Scene| create_with(s, &["@alice:a.test", "@stranger:a.test"]).await => UnknownUser, "invite: user @stranger:a.test is no account of a.test";
    an_account_without_a_name: async |s: &Scene| s.a.hs.create_account("").await => BadId, "a new localpart is 1 or more of";
    an_account_with_capitals: async |s: &Scene| s.a.hs.create_account("Alice").await => BadId, "user id @Alice:a.test: a new localpart is";
    an_account_with_a_colon: async |s: &Scene| s.a.hs.create_account("a:b").await => BadId, "";
    an_account_with_a_space: async |s: &Scene| s.a.hs.create_account("a b").await => BadId, "a new localpart is";
    an_account_with_nul: async |s: &Scene| s.a.hs.create_account("a\0").await => BadId, "contains NUL";
    an_account_with_an_endless_name: async |s: &Scene| s.a.hs.create_account(&"a".repeat(300)).await => BadId, "longer than 255 bytes";
    an_account_that_exists: async |s: &Scene| s.a.hs.create_account("alice").await => Exists, "user @alice:a.test is an account already";

    a_room_of_a_stranger: async |s: &Scene| s.a.hs.create_room(&stranger(), CreateRoom::default()).await => UnknownUser, "user @stranger:a.test is no account of a.test";
    a_room_of_another_servers_user: async |s: &Scene| s.a.hs.create_room(&s.mallory, CreateRoom::default()).await => UnknownUser, "user @mallory:peer.test is no account of a.test";
    a_room_of_an_unknown_version: async |s: &Scene| create(s, "99").await => UnknownRoomVersion, "room version \"99\" is not one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, I.1, org.matrix.msc1767.10";
    a_room_of_no_version: async |s: &Scene| create(s, "").await => UnknownRoomVersion, "room version \"\" is not one of";
    a_room_with_an_endless_name: async |s: &Scene| {
        let create = CreateRoom { name: Some("x".repeat(70_000)), preset: Preset::Public, ..CreateRoom::default() };
        s.a.hs.create_room(&s.alice, create).await
    } => TooLarge, "bytes, at most 65536 (ID-11)";

    content_that_is_no_json: async |s: &Scene| send(s, "hello").await => BadJson, "content: byte 0: no JSON value begins";
    content_that_is_empty: async |s: &Scene| send(s, "").await => BadJson, "content: byte 0: the text ends where a value is needed";
    content_that_is_a_list: async |s: &Scene| send(s, "[]").await => BadJson, "content: the JSON is an array, an object is needed";
    content_with_a_float: async |s: &Scene| send(s, r#"{"x":0.5}"#).await => NotCanonical, "content: byte 5: a number has a fraction";
    content_with_an_exponent: async |s: &Scene| send(s, r#"{"x":1E2}"#).await => NotCanonical, "content: byte 5: a number has an exponent";
    content_with_minus_zero: async |s: &Scene| send(s, r#"{"x":-0}"#).await => NotCanonical, "content: byte 5: `-0` is not canonical JSON";
    content_with_a_great_integer: async |s: &Scene| send(s, r#"{"x":-9007199254740992}"#).await => NotCanonical, "content: byte 5: an integer is outside";
    content_with_half_a_surrogate_pair: async |s: &Scene| send(s, r#"{"x":"\udc00"}"#).await => BadJson, "content: byte 6: half of a surrogate pair";
    content_of_128_levels: async |s: &Scene| send(s, &format!(r#"{{"x":{}}}"#, nested(127))).await => BadJson, "content: byte 131: more than 127 levels";
    content_of_127_levels_in_an_event: async |s: &Scene| send(s, &format!(r#"{{"x":{}}}"#, nested(126))).await => BadJson, "more than 127 levels";
    content_that_is_too_large: async |s: &Scene| send(s, &format!(r#"{{"x":"{}"}}"#, "x".repeat(65_536))).await => TooLarge, "bytes, at most 65536 (ID-11)";
    a_type_that_is_too_long: async |s: &Scene| s.a.hs.send(&s.alice, &s.room.id, &"t".repeat(256), "{}", None).await => TooLarge, "event: `type` has 256 bytes, at most 255";
    a_state_key_that_is_too_long: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "test.state", &"é".repeat(200), "{}", None).await => TooLarge, "an identifier of the event has more than 255 bytes";
    a_message_of_a_stranger: async |s: &Scene| s.a.hs.send(&stranger(), &s.room.id, "test.message", "{}", None).await => UnknownUser, "user @stranger:a.test is no account of a.test";
    a_message_of_a_user_who_is_not_in_the_room: async |s: &Scene| s.a.hs.send(&s.nancy, &s.room.id, "test.message", "{}", None).await => NotJoined, "user @nancy:a.test is not in room";
    a_message_to_a_room_that_is_not_here: async |s: &Scene| s.a.hs.send(&s.alice, &elsewhere(), "test.message", "{}", None).await => UnknownRoom, "room !elsewhere:a.test is not known here";
    state_under_the_id_of_another_user: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "test.own", &s.nancy, "{}", None).await => Denied, "AUTH-19: the state key is another user's id";
    a_second_create: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "m.room.create", "", r#"{"creator":"@alice:a.test"}"#, None).await => BadEvent, "has another create event";
    a_membership_by_hand: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "m.room.member", &s.nancy, r#"{"membership":"join"}"#, None).await => Denied, "AUTH-8b: users join only for themselves";
    power_levels_that_are_text: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "m.room.power_levels", "", r#"{"ban":"fifty"}"#, None).await => Denied, "AUTH-23: ban is not an integer";
    an_access_control_list_that_denies_this_server: async |s: &Scene| s.a.hs.set_state(&s.alice, &s.room.id, "m.room.server_acl", "", r#"{"allow":[]}"#, None).await => Denied, "the access control list denies a.test";

    an_invite_of_a_stranger: async |s: &Scene| s.a.hs.invite(&s.alice, &s.room.id, &stranger(), None).await => UnknownUser, "user @stranger:a.test is no account of a.test";
    an_invite_of_who_is_in_the_room: async |s: &Scene| s.a.hs.invite(&s.alice, &s.room.id, &s.mallory, None).await => Denied, "AUTH-10: cannot invite with membership join";
    an_invite_by_who_is_not_in_the_room: async |s: &Scene| s.a.hs.invite(&s.nancy, &s.room.id, &s.alice, None).await => NotJoined, "user @nancy:a.test is not in room";
    a_join_of_a_room_that_nobody_knows: async |s: &Scene| s.a.hs.join(&s.alice, &elsewhere(), &[]).await => UnknownRoom, "is not held here and no server was named to join it through";
    a_join_through_a_server_that_is_not_there: async |s: &Scene| s.a.hs.join(&s.alice, &elsewhere(), &[ServerName::parse("gone.test").unwrap()]).await => Unreachable, "join of room !elsewhere:a.test through gone.test";
    a_leave_of_who_is_not_in_the_room: async |s: &Scene| s.a.hs.leave(&s.nancy, &s.room.id, None).await => NotJoined, "user @nancy:a.test is not in room";
    a_leave_of_a_room_that_is_not_here: async |s: &Scene| s.a.hs.leave(&s.nancy, &elsewhere(), None).await => NotJoined, "is neither in room !elsewhere:a.test nor invited to it";
    a_kick_of_who_is_not_in_the_room: async |s: &Scene| s.a.hs.kick(&s.alice, &s.room.id, &s.nancy, None).await => BadParam, "their membership is leave, not join or invite or knock";
    a_ban_by_who_is_not_in_the_room: async |s: &Scene| s.a.hs.ban(&s.nancy, &s.room.id, &s.alice, None).await => NotJoined, "user @nancy:a.test is not in room";
    an_unban_of_who_is_not_banned: async |s: &Scene| s.a.hs.unban(&s.alice, &s.room.id, &s.mallory, None).await => BadParam, "unban of @mallory:peer.test";
    a_ban_of_oneself: async |s: &Scene| s.a.hs.ban(&s.alice, &s.room.id, &s.alice, None).await => Denied, "AUTH-14: cannot ban a user of power level 100 with 100";

    a_redaction_of_nothing: async |s: &Scene| s.a.hs.redact(&s.alice, &s.room.id, &nothing(), None, None).await => UnknownEvent, "event $nothing:a.test is not in room";
    a_redaction_of_the_create_event: async |s: &Scene| s.a.hs.redact(&s.alice, &s.room.id, &s.room.state_id("m.room.create", ""), None, None).await => Denied, "redacting a m.room.create breaks its room";
    a_redaction_by_who_is_not_in_the_room: async |s: &Scene| s.a.hs.redact(&s.nancy, &s.room.id, &nothing(), None, None).await => NotJoined, "user @nancy:a.test is not in room";

    a_timeline_token_of_words: async |s: &Scene| s.a.hs.timeline(&s.alice, &s.room.id, Some("start"), Direction::Backward, 10).await => BadParam, "timeline token \"start\" was not made by this library";
    a_timeline_token_beyond_numbers: async |s: &Scene| s.a.hs.timeline(&s.alice, &s.room.id, Some("1_99999999999999999999"), Direction::Forward, 10).await => BadParam, "was not made by this library";
    a_timeline_of_a_room_that_is_not_here: async |s: &Scene| s.a.hs.timeline(&s.alice, &elsewhere(), None, Direction::Forward, 10).await => UnknownRoom, "room !elsewhere:a.test is not known here";
    an_event_that_nobody_has: async |s: &Scene| s.a.hs.event(&s.alice, &s.room.id, &nothing()).await => UnknownEvent, "event $nothing:a.test is not one that @alice:a.test can see";
    the_state_for_who_is_not_in_the_room: async |s: &Scene| s.a.hs.state(&s.nancy, &s.room.id).await => NotJoined, "user @nancy:a.test is not in room";
    a_state_event_for_who_is_not_in_the_room: async |s: &Scene| s.a.hs.state_event(&s.nancy, &s.room.id, "m.room.create", "").await => NotJoined, "user @nancy:a.test is not in room";
    the_members_for_who_is_not_in_the_room: async |s: &Scene| s.a.hs.members(&s.nancy, &s.room.id, None).await => NotJoined, "user @nancy:a.test is not in room";
    the_rooms_of_a_stranger: async |s: &Scene| s.a.hs.rooms(&stranger()).await => UnknownUser, "user @stranger:a.test is no account";
    the_preview_of_no_invite: async |s: &Scene| s.a.hs.invite_preview(&s.nancy, &s.room.id).await => NotFound, "user @nancy:a.test has no pending invite";
}

rows! { command_in_i_1:
    a_message_of_the_past: async |s: &Scene| s.a.hs.send(&s.alice, &s.room.id, "m.room.message", "{}", None).await => BadParam, "event type m.room.message: rooms of version I.1 use extensible events instead (such as m.message)";
}
