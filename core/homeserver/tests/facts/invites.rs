//! Invites: here and between servers, to the end that each takes.

use crate::common::{code, membership, public_room, rooms, say, strangers};
use roomlet_homeserver::{Code, CreateRoom, RoomUpdate};
use roomlet_wire::{Map, Value};
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

/// Anybody can make a room of an id that exists, and invite to it.
#[tokio::test(start_paused = true)]
async fn an_invite_is_not_replaced_nor_ended_by_a_server_that_did_not_make_it() {
    let (world, _a, mut b, _, bob) = strangers().await;
    let (good, evil) = (world.peer("good.test"), world.peer("evil.test"));
    let gina = good.user("gina");
    let room = good.create_room(&gina, "10", "invite");
    let (id, body) = good.invite(&room, &gina, &bob);
    assert_eq!(
        good.send_invite(&b.hs, &room, &id, body.clone()).await.status,
        200
    );
    let preview = b.hs.invite_preview(&bob, &room.id).await.unwrap();

    let mallory = evil.user("mallory");
    let mut fake = evil.create_room(&mallory, "10", "invite");
    fake.id = room.id.clone();
    let (fake_id, fake_body) = evil.invite(&fake, &mallory, &bob);
    let reply = evil.send_invite(&b.hs, &fake, &fake_id, fake_body.clone()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(b.hs.invite_preview(&bob, &room.id).await.unwrap(), preview);
    b.restart().await;
    assert_eq!(b.hs.invite_preview(&bob, &room.id).await.unwrap(), preview);

    fake.push(fake_body["event"].as_object().unwrap());
    let leave = r#"{"membership":"leave"}"#;
    let end = evil.event(&fake, &mallory, "m.room.member", Some(&bob), leave);
    let fake_end = fake.id_of(&end).to_string();
    let results = evil.send(&b.hs, "t", &[end]).await;
    assert_eq!(results.keys().collect::<Vec<_>>(), [&fake_end]);
    assert_eq!(rooms(&b.hs, &bob).await, [(room.id.clone(), "invite".to_owned())]);
    assert_eq!(b.hs.invite_preview(&bob, &room.id).await.unwrap(), preview);
    let gina_invites = ("invite".to_owned(), gina.to_string());
    let mallory_invites = ("invite".to_owned(), mallory.to_string());
    let told_until_then = [gina_invites.clone(), mallory_invites.clone()];
    assert_eq!(told(&b.updates().await, &bob), told_until_then);

    // Its own server ends it.
    let mut room = room;
    room.push(body["event"].as_object().unwrap());
    let end = good.event(&room, &gina, "m.room.member", Some(&bob), leave);
    good.send(&b.hs, "t", &[end]).await;
    assert_eq!(rooms(&b.hs, &bob).await, []);
    let ended = ("leave".to_owned(), gina.to_string());
    assert_eq!(
        told(&b.updates().await, &bob),
        [gina_invites, mallory_invites, ended]
    );
}

#[tokio::test(start_paused = true)]
async fn the_servers_of_all_invites_are_asked_when_the_user_answers() {
    let (world, a, b, alice, bob) = strangers().await;
    let evil = world.peer("evil.test");
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    let mallory = evil.user("mallory");
    let mut fake = evil.create_room(&mallory, "I.1", "invite");
    fake.id = room.clone();
    let (id, body) = evil.invite(&fake, &mallory, &bob);
    for evil_is_first in [true, false] {
        if !evil_is_first {
            a.hs.invite(&alice, &room, &bob, None).await.unwrap();
        }
        let reply = evil.send_invite(&b.hs, &fake, &id, body.clone()).await;
        assert_eq!(reply.status, 200);
        if evil_is_first {
            a.hs.invite(&alice, &room, &bob, None).await.unwrap();
        }
        assert!(b.hs.leave(&bob, &room, None).await.unwrap().is_some());
        world.quiet().await;
        assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "leave");
        assert_eq!(rooms(&b.hs, &bob).await, []);
    }
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    evil.send_invite(&b.hs, &fake, &id, body).await;
    b.hs.join(&bob, &room, &[]).await.unwrap();
    assert_eq!(rooms(&b.hs, &bob).await, [(room.clone(), "join".to_owned())]);
    assert_eq!(code(b.hs.invite_preview(&bob, &room).await), Code::NotFound);
}

/// Names cost nothing, and each is asked when the user answers.
#[tokio::test(start_paused = true)]
async fn a_few_servers_may_invite_to_one_room() {
    let (world, _a, b, _, bob) = strangers().await;
    for n in 0..7 {
        let peer = world.peer(&format!("p{n}.test"));
        let owner = peer.user("owner");
        let mut room = peer.create_room(&owner, "10", "invite");
        room.id = "!room:p0.test".parse().unwrap();
        let (id, body) = peer.invite(&room, &owner, &bob);
        for _ in 0..2 {
            let reply = peer.send_invite(&b.hs, &room, &id, body.clone()).await;
            let refused = "5 servers invite @bob:b.test to room !room:p0.test already";
            let wanted = if n < 5 {
                (200, "", "")
            } else {
                (429, "M_LIMIT_EXCEEDED", refused)
            };
            assert_eq!((reply.status, reply.text("errcode"), reply.text("error")), wanted);
        }
    }
}

/// The room itself knows nothing of an invite that no member made, and one that a member made may have ended before this
/// server came.
#[tokio::test(start_paused = true)]
async fn an_invite_that_the_room_does_not_know_can_be_declined_where_others_are_in_it() {
    let (world, a, b, alice, bob) = strangers().await;
    let erin = b.account("erin").await;
    let room = public_room(&a, &alice, "10").await;
    let evil = world.peer("evil.test");
    let mallory = evil.user("mallory");
    let mut fake = evil.create_room(&mallory, "10", "invite");
    fake.id = room.clone();
    let (id, body) = evil.invite(&fake, &mallory, &bob);
    assert_eq!(evil.send_invite(&b.hs, &fake, &id, body).await.status, 200);
    b.hs.join(&erin, &room, std::slice::from_ref(&a.name))
        .await
        .unwrap();
    assert_eq!(b.hs.leave(&bob, &room, None).await, Ok(None));
    assert_eq!(rooms(&b.hs, &bob).await, []);
    assert_eq!(code(b.hs.leave(&bob, &room, None).await), Code::NotJoined);
    assert_eq!(rooms(&b.hs, &erin).await, [(room, "join".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_is_sent_again_is_told_once() {
    let (world, _a, b, _, bob) = strangers().await;
    let peer = world.peer("peer.test");
    let owner = peer.user("owner");
    let room = peer.create_room(&owner, "10", "invite");
    let (id, body) = peer.invite(&room, &owner, &bob);
    for _ in 0..3 {
        let reply = peer.send_invite(&b.hs, &room, &id, body.clone()).await;
        assert_eq!(reply.status, 200);
    }
    let invited = ("invite".to_owned(), owner.to_string());
    assert_eq!(told(&b.updates().await, &bob), std::slice::from_ref(&invited));
    // Another one of the same server takes its place.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let (id, body) = peer.invite(&room, &owner, &bob);
    assert_eq!(peer.send_invite(&b.hs, &room, &id, body).await.status, 200);
    assert_eq!(told(&b.updates().await, &bob), [invited.clone(), invited]);
}

/// Strangers fill no disk with them.
#[tokio::test(start_paused = true)]
async fn a_user_has_only_so_many_invites_that_are_not_answered() {
    let (world, _a, b, _, bob) = strangers().await;
    let carol = b.account("carol").await;
    let peer = world.peer("peer.test");
    let owner = peer.user("owner");
    let mut room = peer.create_room(&owner, "10", "invite");
    let mut invite = async |n: u32, user: &roomlet_homeserver::UserId| {
        room.id = format!("!{n}:peer.test").parse().unwrap();
        let (id, body) = peer.invite(&room, &owner, user);
        let reply = peer.send_invite(&b.hs, &room, &id, body).await;
        (reply.status, reply.text("error").to_owned())
    };
    for n in 0..500 {
        assert_eq!(invite(n, &bob).await, (200, String::new()));
    }
    let refused = "@bob:b.test has 500 invites that are not answered";
    assert_eq!(invite(500, &bob).await, (429, refused.to_owned()));
    // What is pending can be renewed; others have places of their own, and an answer makes one.
    assert_eq!(invite(0, &bob).await.0, 200);
    assert_eq!(invite(500, &carol).await.0, 200);
    let first = "!0:peer.test".parse().unwrap();
    b.hs.leave(&bob, &first, None).await.unwrap();
    assert_eq!(invite(500, &bob).await.0, 200);
}

/// Whoever invited them was the last of this server in the room: it hears of the room no more, and knows who is in it.
#[tokio::test(start_paused = true)]
async fn an_invite_within_a_server_that_has_left_can_be_answered() {
    for version in ["10", "12"] {
        for declines in [true, false] {
            let (world, a, b, alice, bob) = strangers().await;
            let carol = b.account("carol").await;
            let create = CreateRoom {
                version: Some(version.into()),
                ..CreateRoom::default()
            };
            let room = a.hs.create_room(&alice, create).await.unwrap();
            a.hs.invite(&alice, &room, &bob, None).await.unwrap();
            b.hs.join(&bob, &room, &[]).await.unwrap();
            b.hs.invite(&bob, &room, &carol, None).await.unwrap();
            b.hs.leave(&bob, &room, None).await.unwrap();
            world.quiet().await;
            assert_eq!(membership(&a.hs, &alice, &room, &carol).await, "invite");
            assert_eq!(rooms(&b.hs, &carol).await, [(room.clone(), "invite".to_owned())]);
            let is = if declines {
                assert!(b.hs.leave(&carol, &room, None).await.unwrap().is_some());
                "leave"
            } else {
                b.hs.join(&carol, &room, &[]).await.unwrap();
                "join"
            };
            world.quiet().await;
            assert_eq!(membership(&a.hs, &alice, &room, &carol).await, is);
            assert_eq!(rooms(&b.hs, &carol).await, [(room, is.to_owned())]);
        }
    }
}

/// What the room was when this server left says nothing of what it is now, nor of another room with its id.
#[tokio::test(start_paused = true)]
async fn an_invite_to_a_room_that_this_server_left_ends_as_any_other() {
    let (world, a, _b, alice, _) = strangers().await;
    let (good, other) = (world.peer("good.test"), world.peer("other.test"));
    let (gina, oscar) = (good.user("gina"), other.user("oscar"));
    let mut room = good.create_room(&gina, "10", "public");
    let acl = r#"{"allow":["*"],"deny":["other.test"]}"#;
    room.push(&good.event(&room, &gina, "m.room.server_acl", Some(""), acl));
    good.serve_joins(&room);
    a.hs.join(&alice, &room.id, std::slice::from_ref(&good.name))
        .await
        .unwrap();
    a.hs.leave(&alice, &room.id, None).await.unwrap();
    for version in ["10", "11"] {
        let mut now = other.create_room(&oscar, version, "invite");
        now.id = room.id.clone();
        let (id, body) = other.invite(&now, &oscar, &alice);
        assert_eq!(
            other.send_invite(&a.hs, &now, &id, body.clone()).await.status,
            200
        );
        assert_eq!(
            rooms(&a.hs, &alice).await,
            [(room.id.clone(), "invite".to_owned())]
        );
        now.push(body["event"].as_object().unwrap());
        let leave = r#"{"membership":"leave"}"#;
        let end = other.event(&now, &oscar, "m.room.member", Some(&alice), leave);
        let results = other.send(&a.hs, version, std::slice::from_ref(&end)).await;
        let taken = Map::from([(now.id_of(&end).to_string(), Map::new().into())]);
        assert_eq!(results, taken);
        assert_eq!(
            rooms(&a.hs, &alice).await,
            [(room.id.clone(), "leave".to_owned())]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_invite_is_not_told_again_when_another_user_of_the_server_joins() {
    let (world, a, b, alice, bob) = strangers().await;
    let carol = b.account("carol").await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    a.hs.invite(&alice, &room, &carol, None).await.unwrap();
    b.hs.join(&bob, &room, &[]).await.unwrap();
    world.quiet().await;
    let invite = ("invite".to_owned(), alice.to_string());
    assert_eq!(told(&b.updates().await, &carol), [invite]);
    assert_eq!(rooms(&b.hs, &carol).await, [(room, "invite".to_owned())]);
}
