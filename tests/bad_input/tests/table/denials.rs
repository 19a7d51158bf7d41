//! Edge: the authorization rules, for an event in a transaction. It is held as refused; the room is as it was.

use crate::scene::{Scene, value_of};
use roomlet_store::Store;
use roomlet_wire::{Code, Map, Value};
use roomlet_world::{list, object};

async fn denied(input: impl FnOnce(&Scene) -> Map, code: Code, text: &str) {
    let scene = Scene::new().await;
    let event = input(&scene);
    check(&scene, &event, code, text).await;
}

async fn check(scene: &Scene, event: &Map, code: Code, text: &str) {
    assert_eq!(code, Code::Denied);
    let id = scene.room.id_of(event);
    let (record, updates) = (
        scene.a.record(&scene.room.id),
        scene.a.hs.last_update().await.unwrap(),
    );
    let members = scene.a.store.members(record.num, None).unwrap();
    let results = scene
        .peer
        .send(&scene.a.hs, "bad", std::slice::from_ref(event))
        .await;
    let error = results[id.as_str()]
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or_default();
    assert!(error.starts_with(text), "{results:?}");
    let after = scene.a.record(&scene.room.id);
    assert_eq!(
        (after.forward, after.current_state),
        (record.forward, record.current_state)
    );
    assert_eq!(scene.a.hs.last_update().await.unwrap(), updates);
    assert_eq!(scene.a.store.members(record.num, None).unwrap(), members);
    let row = scene.a.store.event(record.num, &id).unwrap().unwrap();
    assert!(row.flags.rejected);
    // A second time it is known, and nothing changes at all.
    let before = scene.a.contents();
    scene
        .peer
        .send(&scene.a.hs, "again", std::slice::from_ref(event))
        .await;
    scene.is_unchanged(&before).await;
}

/// A state event of another user of the peer.
fn of_other(scene: &Scene, kind: &str, key: &str, content: &str) -> Map {
    scene
        .peer
        .event(&scene.room, &scene.peer.user("other"), kind, Some(key), content)
}

/// A message with other auth events.
fn citing(scene: &Scene, change: impl FnOnce(&mut Vec<String>)) -> Map {
    let mut event = scene.room.draft(
        &scene.mallory,
        "test.message",
        None,
        Map::new(),
        scene.peer.now_ms(),
    );
    let cited = event["auth_events"].as_array().unwrap().iter();
    let mut cited: Vec<String> = cited.filter_map(Value::as_str).map(str::to_owned).collect();
    change(&mut cited);
    event.insert("auth_events".into(), list(cited));
    scene.peer.signed(event, scene.room.version)
}

fn levels(scene: &Scene, change: &str) -> Map {
    let events = r#"{"m.room.power_levels":0,"test.own":0}"#;
    let content = format!(
        r#"{{"users":{{"{}":100}},"events":{events},"invite":50,{change}}}"#,
        scene.alice
    );
    let mut event = scene.room.draft(
        &scene.mallory,
        "m.room.power_levels",
        Some(""),
        Map::new(),
        scene.peer.now_ms(),
    );
    // A second `users` in the change counts: of duplicate keys the last one does (CJ-8).
    event.insert("content".into(), value_of(&content));
    scene.peer.signed(event, scene.room.version)
}

fn third_party_invite(scene: &Scene, third_party: &str) -> Map {
    let content = format!(r#"{{"membership":"invite","third_party_invite":{third_party}}}"#);
    scene.state("m.room.member", "@new:peer.test", &content)
}

rows! { denied:
    no_create_event_cited: |s| citing(s, |ids| { let create = s.room.state_id("m.room.create", ""); ids.retain(|id| *id != create.as_str()); }) => Denied, "AUTH-3: there is no create event";
    an_auth_event_that_is_not_needed: |s| citing(s, |ids| ids.push(s.room.state_id("m.room.join_rules", "").to_string())) => Denied, "AUTH-3: auth event";
    an_auth_event_cited_twice: |s| citing(s, |ids| ids.push(ids[0].clone())) => Denied, "AUTH-3: auth event";
    a_member_event_without_state_key: |s| s.peer.event(&s.room, &s.mallory, "m.room.member", None, r#"{"membership":"join"}"#) => Denied, "AUTH-7: a member event needs a state key";
    a_member_event_without_membership: |s| s.state("m.room.member", &s.mallory, "{}") => Denied, "AUTH-7: membership is missing";
    a_membership_that_is_a_number: |s| s.state("m.room.member", &s.mallory, r#"{"membership":7}"#) => Denied, "AUTH-";
    an_unknown_membership: |s| s.member(&s.mallory, "owner") => Denied, "AUTH-16: this room version does not know the membership";
    a_join_for_another_user: |s| s.member("@other:peer.test", "join") => Denied, "AUTH-8b: users join only for themselves";
    a_join_in_the_name_of_a_local_user: |s| s.member(&s.nancy, "join") => Denied, "AUTH-8b: users join only for themselves";
    a_join_of_a_banned_user: |s| s.peer.event(&s.room, &s.banned, "m.room.member", Some(&s.banned), r#"{"membership":"join"}"#) => Denied, "AUTH-8c: the user is banned";
    an_invite_without_power: |s| s.member("@new:peer.test", "invite") => Denied, "AUTH-10: power level 50 needed to invite, has 0";
    an_invite_of_a_member: |s| s.member(&s.alice, "invite") => Denied, "AUTH-10: cannot invite with membership join";
    an_invite_of_a_banned_user: |s| s.member(&s.banned, "invite") => Denied, "AUTH-10: cannot invite with membership ban";
    an_invite_from_outside: |s| of_other(s, "m.room.member", "@new:peer.test", r#"{"membership":"invite"}"#) => Denied, "AUTH-10: the sender is not in the room";
    a_leave_of_somebody_who_is_not_there: |s| of_other(s, "m.room.member", "@other:peer.test", r#"{"membership":"leave"}"#) => Denied, "AUTH-12: cannot leave with membership leave";
    a_kick_without_power: |s| s.member(&s.alice, "leave") => Denied, "AUTH-13: power level 50 needed to kick, has 0";
    a_ban_without_power: |s| s.member(&s.alice, "ban") => Denied, "AUTH-14: power level 50 needed to ban, has 0";
    an_unban_without_power: |s| s.member(&s.banned, "leave") => Denied, "AUTH-13: power level 50 needed to unban, has 0";
    a_knock_at_a_public_room: |s| of_other(s, "m.room.member", "@other:peer.test", r#"{"membership":"knock"}"#) => Denied, "AUTH-15: the join rule allows no knocking";
    a_message_from_outside: |s| s.peer.event(&s.room, &s.peer.user("other"), "test.message", None, "{}") => Denied, "AUTH-17: the sender is not in the room";
    a_third_party_invite_without_power: |s| s.state("m.room.third_party_invite", "token", "{}") => Denied, "AUTH-18: power level 50 needed to invite a third party, has 0";
    state_without_power: |s| s.state("m.room.name", "", r#"{"name":"mine"}"#) => Denied, "AUTH-19: power level 50 needed to send this event, has 0";
    state_under_another_users_id: |s| s.state("test.own", &s.alice, "{}") => Denied, "AUTH-19: the state key is another user's id";
    a_power_level_for_oneself: |s| levels(s, &format!(r#""users":{{"{}":100,"{}":100}}"#, s.alice, s.mallory)) => Denied, "AUTH-23: cannot change users.@mallory:peer.test from unset to 100 with power level 0";
    the_owner_without_power: |s| levels(s, r#""users":{}"#) => Denied, "AUTH-23: cannot change users.@alice:a.test from 100 to unset with power level 0";
    a_power_level_that_is_a_string: |s| levels(s, r#""ban":"50""#) => Denied, "AUTH-23: ban is not an integer";
    power_levels_of_no_user: |s| levels(s, r#""users":{"alice":100}"#) => Denied, "AUTH-23: users";
    power_levels_of_events_that_are_a_list: |s| levels(s, r#""events":[]"#) => Denied, "AUTH-23: events is not";
    an_invite_by_a_third_party_invite_of_nothing: |s| third_party_invite(s, "{}") => Denied, "AUTH-9: third_party_invite has no signed with mxid and token";
    an_invite_by_a_third_party_invite_of_another_user: |s| third_party_invite(s, r#"{"signed":{"mxid":"@x:y","token":"t"}}"#) => Denied, "AUTH-9: signed.mxid is another user";
    an_invite_by_an_unknown_token: |s| third_party_invite(s, r#"{"signed":{"mxid":"@new:peer.test","token":"t"}}"#) => Denied, "AUTH-9: there is no third-party invite with this token";
    a_type_of_200_characters_and_400_bytes_in_10: |s| s.message_with("type", &format!("{:?}", "é".repeat(200))) => Denied, "ID-12: an identifier is longer than 255 bytes";
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cites_a_rejected_one() {
    let mut scene = Scene::new().await;
    let grab = levels(&scene, &format!(r#""users":{{"{}":100}}"#, scene.mallory));
    let id = scene.room.id_of(&grab);
    scene.peer.send(&scene.a.hs, "grab", &[grab]).await;
    scene
        .room
        .state
        .insert(("m.room.power_levels".into(), String::new()), id.clone());
    let event = scene.state("m.room.name", "", r#"{"name":"mine"}"#);
    check(
        &scene,
        &event,
        Code::Denied,
        &format!("AUTH-3: auth event {id} was rejected"),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_into_a_room_that_is_closed_to_other_servers() {
    let world = roomlet_world::World::new();
    let a = world.server("a.test").await;
    let alice = a.account("alice").await;
    let peer = world.peer("peer.test");
    // The room is of a peer that lets Alice in, and then a second peer tries.
    let owner = peer.user("owner");
    let mut room = peer.create_room(&owner, "10", "public");
    let create = room.state_id("m.room.create", "");
    let mut closed = room.events[&create].clone();
    closed.insert(
        "content".into(),
        object(r#"{"creator":"@owner:peer.test","m.federate":false,"room_version":"10"}"#).into(),
    );
    room = roomlet_world::PeerRoom::new(room.id, room.version);
    room.push(&peer.signed(closed, room.version));
    let levels = format!(r#"{{"users":{{"{owner}":100}}}}"#);
    for (kind, key, content) in [
        ("m.room.member", owner.as_str(), r#"{"membership":"join"}"#),
        ("m.room.power_levels", "", &levels),
        ("m.room.join_rules", "", r#"{"join_rule":"public"}"#),
    ] {
        room.push(&peer.event(&room, &owner, kind, Some(key), content));
    }
    peer.serve_joins(&room);
    let before = a.contents();
    let error = a.hs.join(&alice, &room.id, &[]).await.unwrap_err();
    assert_eq!(error.code(), Code::Denied);
    assert!(
        error
            .about()
            .contains("AUTH-4: the room is closed to server a.test"),
        "{error:?}"
    );
    // The peer's key is kept: it was asked for and is right.
    let without_keys = |contents: String| contents.split("        keys: {").next().unwrap().to_owned();
    assert_eq!(without_keys(a.contents()), without_keys(before));
}
