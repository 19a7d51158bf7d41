//! Invites: here and between servers, to the end that each takes.

use crate::common::{code, membership, public_room, rooms, say, strangers};
use roomlet_homeserver::{Code, CreateRoom, RoomUpdate};
use roomlet_wire::Value;
use roomlet_world::PeerRoom;

fn told(updates: &[RoomUpdate], user: &str) -> Vec<(String, String)> {
    let of_user = updates.iter().filter_map(|update| match update {
        RoomUpdate::Membership {
            user: of,
            membership,
            sender,
            ..
        } if of.as_str() == user => Some((membership.clone(), sender.to_string())),
        _ => None,
    });
    of_user.collect()
}

#[tokio::test(start_paused = true)]
async fn a_local_invite_is_accepted_without_any_request() {
    let (world, a, b, alice, _) = strangers().await;
    let carol = a.account("carol").await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &carol, Some("tea?")).await.unwrap();
    assert_eq!(rooms(&a.hs, &carol).await, [(room.clone(), "invite".to_owned())]);
    a.hs.join(&carol, &room, &[]).await.unwrap();
    assert_eq!(rooms(&a.hs, &carol).await, [(room, "join".to_owned())]);
    let updates = a.updates().await;
    let expected = [("invite", "@alice:a.test"), ("join", "@carol:a.test")];
    assert_eq!(
        told(&updates, "@carol:a.test"),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert!(world.network.requests(&a.name, &b.name).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_remote_invite_shows_the_room_and_is_accepted() {
    let (world, a, b, alice, bob) = strangers().await;
    let create = CreateRoom {
        name: Some("Tea".into()),
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    assert_eq!(rooms(&b.hs, &bob).await, [(room.clone(), "invite".to_owned())]);
    let preview = b.hs.invite_preview(&bob, &room).await.unwrap();
    assert!(preview.contains(r#""content":{"name":"Tea"}"#), "{preview}");
    assert!(preview.contains(r#""type":"m.room.create""#), "{preview}");
    b.hs.join(&bob, &room, &[]).await.unwrap();
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "join");
    assert_eq!(membership(&b.hs, &bob, &room, &alice).await, "join");
    assert_eq!(code(b.hs.invite_preview(&bob, &room).await), Code::NotFound);
    say(&b.hs, &bob, &room, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_remote_invite_is_a_leave_at_the_inviter() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    let leave = b.hs.leave(&bob, &room, Some("no")).await.unwrap();
    world.quiet().await;
    assert!(leave.is_some());
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "leave");
    assert!(rooms(&b.hs, &bob).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_invite_is_dropped_here_when_the_inviters_server_is_down() {
    let (world, mut a, b, alice, bob) = strangers().await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    a.stop().await;
    assert_eq!(b.hs.leave(&bob, &room, None).await.unwrap(), None);
    assert!(rooms(&b.hs, &bob).await.is_empty());
    let expected = [("invite", "@alice:a.test"), ("leave", "@bob:b.test")];
    assert_eq!(
        told(&b.updates().await, "@bob:b.test"),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    assert_eq!(code(b.hs.leave(&bob, &room, None).await), Code::NotJoined);
    a.start().await;
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "invite");
}

#[tokio::test(start_paused = true)]
async fn a_rescinded_invite_is_dropped_by_the_invited_users_server() {
    let (world, a, b, alice, bob) = strangers().await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    a.hs.kick(&alice, &room, &bob, None).await.unwrap();
    world.quiet().await;
    assert!(rooms(&b.hs, &bob).await.is_empty());
    let expected = [("invite", "@alice:a.test"), ("leave", "@alice:a.test")];
    assert_eq!(
        told(&b.updates().await, "@bob:b.test"),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn an_invite_survives_a_restart() {
    let (world, a, mut b, alice, bob) = strangers().await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    b.restart().await;
    assert_eq!(rooms(&b.hs, &bob).await, [(room.clone(), "invite".to_owned())]);
    b.hs.join(&bob, &room, &[]).await.unwrap();
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "join");
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_the_other_server_refuses_is_not_part_of_the_room() {
    let (_world, a, _b, alice, _) = strangers().await;
    let nobody = roomlet_homeserver::UserId::parse("@nobody:b.test").unwrap();
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    let before = a.contents();
    let error = a.hs.invite(&alice, &room, &nobody, None).await.unwrap_err();
    assert_eq!(error.code(), Code::Remote);
    assert!(
        error
            .about()
            .contains("M_NOT_FOUND: user @nobody:b.test is no account of b.test"),
        "{error:?}"
    );
    // The keys of the other server, which signed nothing, are not needed either.
    assert_eq!(a.contents(), before);
}

#[tokio::test(start_paused = true)]
async fn a_second_user_of_a_server_in_the_room_is_invited_and_joins_without_a_handshake() {
    let (world, a, b, alice, bob) = strangers().await;
    let erin = b.account("erin").await;
    let room = public_room(&a, &alice, "I.1").await;
    b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    a.hs.invite(&alice, &room, &erin, None).await.unwrap();
    world.quiet().await;
    assert_eq!(rooms(&b.hs, &erin).await, [(room.clone(), "invite".to_owned())]);
    let before = world.network.requests(&b.name, &a.name).len();
    b.hs.join(&erin, &room, &[]).await.unwrap();
    let made = &world.network.requests(&b.name, &a.name)[before..];
    assert!(
        made.iter().all(|request| !request.target.contains("join")),
        "{made:?}"
    );
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &erin).await, "join");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_left_out_of_a_preview() {
    let (world, _a, b, _, bob) = strangers().await;
    let peer = world.peer("peer.test");
    let owner = peer.user("owner");
    let room = peer.create_room(&owner, "10", "invite");
    let (id, mut body) = peer.invite(&room, &owner, &bob);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let entry = |content: &str| {
        format!(r#"{{"content":{content},"sender":"@x:y","state_key":"","type":"m.room.name"}}"#)
    };
    let (good, float) = (entry(r#"{"name":"Tea"}"#), entry(r#"{"x":1.5}"#));
    let deep = entry(&format!(r#"{{"x":{deep}}}"#));
    let entries = format!(r#"{{"x":[7,null,{{"type":"m.room.name"}},{float},{deep},{good}]}}"#);
    body.insert(
        "invite_room_state".into(),
        roomlet_world::object(&entries)["x"].clone(),
    );
    assert_eq!(peer.send_invite(&b.hs, &room, &id, body).await.status, 200);
    let preview = b.hs.invite_preview(&bob, &room.id).await.unwrap();
    assert_eq!(preview, format!("[{good}]"));
}

/// The room's id is the hash of its create event, so an invite without that event, or with another, shows some other
/// room (FED-38).
#[tokio::test(start_paused = true)]
async fn an_invite_to_a_room_of_version_12_shows_the_create_event_that_names_it() {
    let (world, _a, b, _, bob) = strangers().await;
    let peer = world.peer("peer.test");
    let owner = peer.user("owner");
    let room = peer.create_room(&owner, "12", "invite");
    // In another millisecond another room.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let other = peer.create_room(&owner, "12", "invite");
    assert_ne!(room.id, other.id);
    let create = |room: &PeerRoom| room.events[&room.state_id("m.room.create", "")].clone();
    let mut stripped = create(&room);
    stripped.retain(|key, _| ["content", "sender", "state_key", "type"].contains(&key.as_str()));
    let mut forged = create(&room);
    forged.insert("sender".into(), peer.user("thief").as_str().into());
    for (case, preview) in [
        ("none", None),
        ("another room's", Some(create(&other))),
        ("a stripped one", Some(stripped)),
        ("a forged one", Some(forged)),
    ] {
        let (id, mut body) = peer.invite(&room, &owner, &bob);
        let preview: Vec<Value> = preview.into_iter().map(Value::Object).collect();
        body.insert("invite_room_state".into(), Value::Array(preview));
        let reply = peer.send_invite(&b.hs, &room, &id, body).await;
        let wanted = format!(
            "invite to {}: the preview has no create event of that room",
            room.id
        );
        assert_eq!(
            (reply.status, reply.text("errcode"), reply.text("error")),
            (400, "M_INVALID_PARAM", wanted.as_str()),
            "{case}"
        );
    }
    assert_eq!(rooms(&b.hs, &bob).await, []);
    let (id, body) = peer.invite(&room, &owner, &bob);
    assert_eq!(peer.send_invite(&b.hs, &room, &id, body).await.status, 200);
    assert_eq!(rooms(&b.hs, &bob).await, [(room.id.clone(), "invite".into())]);
}
