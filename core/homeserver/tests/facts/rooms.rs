//! Making rooms.

use crate::common::{code, public_room, state, strangers, with_peer};
use roomlet_homeserver::{Code, CreateRoom, Preset, RoomUpdate};
use roomlet_world::World;

const VERSIONS: [&str; 4] = ["10", "11", "I.1", "org.matrix.msc1767.10"];

#[tokio::test(start_paused = true)]
async fn every_version_and_preset_makes_a_room_with_its_state() {
    let world = World::new();
    let a = world.server("a.test").await;
    let alice = a.account("alice").await;
    let presets = [
        (Preset::Private, "invite", 0),
        (Preset::TrustedPrivate, "invite", 0),
        (Preset::Public, "public", 50),
    ];
    for version in VERSIONS {
        for (preset, join_rule, invite) in presets {
            let create = CreateRoom {
                preset,
                version: Some(version.into()),
                ..CreateRoom::default()
            };
            let room = a.hs.create_room(&alice, create).await.unwrap();
            let of = async |kind| state(&a.hs, &alice, &room, kind).await.unwrap();
            let creator = if version == "11" {
                String::new()
            } else {
                r#""creator":"@alice:a.test","#.into()
            };
            assert_eq!(
                of("m.room.create").await,
                format!(r#"{{{creator}"room_version":"{version}"}}"#)
            );
            assert_eq!(
                of("m.room.join_rules").await,
                format!(r#"{{"join_rule":"{join_rule}"}}"#)
            );
            assert_eq!(
                of("m.room.history_visibility").await,
                r#"{"history_visibility":"shared"}"#
            );
            let levels = of("m.room.power_levels").await;
            assert!(levels.contains(&format!(r#""invite":{invite},"#)), "{levels}");
            assert!(levels.contains(r#""users":{"@alice:a.test":100}"#), "{levels}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_made_without_a_version_is_of_version_i_1() {
    let (_world, a, _b, alice, _) = strangers().await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    let create = state(&a.hs, &alice, &room, "m.room.create").await.unwrap();
    assert_eq!(create, r#"{"creator":"@alice:a.test","room_version":"I.1"}"#);
}

#[tokio::test(start_paused = true)]
async fn name_topic_and_type_are_state_of_the_new_room() {
    let (_world, a, _b, alice, _) = strangers().await;
    let create = CreateRoom {
        name: Some("Tea".into()),
        topic: Some("Leaves".into()),
        room_type: Some("m.space".into()),
        version: Some("11".into()),
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    assert_eq!(
        state(&a.hs, &alice, &room, "m.room.name").await.unwrap(),
        r#"{"name":"Tea"}"#
    );
    let topic = state(&a.hs, &alice, &room, "m.room.topic").await.unwrap();
    assert_eq!(
        topic,
        r#"{"m.topic":{"m.text":[{"body":"Leaves"}]},"topic":"Leaves"}"#
    );
    let create = state(&a.hs, &alice, &room, "m.room.create").await.unwrap();
    assert_eq!(create, r#"{"room_version":"11","type":"m.space"}"#);
}

#[tokio::test(start_paused = true)]
async fn users_invited_to_a_new_trusted_room_have_the_creators_power() {
    let (_world, a, b, alice, bob) = strangers().await;
    let create = CreateRoom {
        preset: Preset::TrustedPrivate,
        invite: vec![bob.clone()],
        is_direct: true,
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    let levels = state(&a.hs, &alice, &room, "m.room.power_levels").await.unwrap();
    assert!(
        levels.contains(r#""users":{"@alice:a.test":100,"@bob:b.test":100}"#),
        "{levels}"
    );
    let invite =
        a.hs.state_event(&alice, &room, "m.room.member", &bob)
            .await
            .unwrap()
            .unwrap();
    assert_eq!(invite.content, r#"{"is_direct":true,"membership":"invite"}"#);
    b.hs.join(&bob, &room, &[]).await.unwrap();
    b.hs.set_state(&bob, &room, "m.room.name", "", r#"{"name":"ours"}"#, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_invite_that_fails_leaves_the_new_room_as_it_is() {
    let (_world, a, _b, alice, _) = strangers().await;
    let nobody = roomlet_homeserver::UserId::parse("@nobody:b.test").unwrap();
    let create = CreateRoom {
        invite: vec![nobody],
        ..CreateRoom::default()
    };
    let room = a.hs.create_room(&alice, create).await.unwrap();
    let members = a.hs.members(&alice, &room, None).await.unwrap();
    assert_eq!(
        members
            .iter()
            .map(|member| member.user.as_str())
            .collect::<Vec<_>>(),
        ["@alice:a.test"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_private_room_admits_only_the_invited() {
    let (_world, a, _b, alice, _) = strangers().await;
    let carol = a.account("carol").await;
    let room = a.hs.create_room(&alice, CreateRoom::default()).await.unwrap();
    let error = a.hs.join(&carol, &room, &[]).await.unwrap_err();
    assert_eq!(error.code(), Code::Denied);
    assert_eq!(
        error.about(),
        "m.room.member of @carol:a.test is not allowed: AUTH-8d: the user is not invited, the join rule is invite"
    );
    a.hs.invite(&alice, &room, &carol, None).await.unwrap();
    a.hs.join(&carol, &room, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retired_message_types_are_refused_here_and_taken_from_others_in_i_1() {
    let mut test = with_peer("I.1").await;
    let content = r#"{"msgtype":"m.text","body":"old"}"#;
    for kind in ["m.room.message", "m.room.encrypted", "m.sticker"] {
        let sent = test
            .a
            .hs
            .send(&test.alice, &test.room.id, kind, content, None)
            .await;
        assert_eq!(code(sent), Code::BadParam, "{kind}");
    }
    let event = test
        .peer
        .event(&test.room, &test.mallory, "m.room.message", None, content);
    let id = test.room.push(&event);
    let results = test.peer.send(&test.a.hs, "1", &[event]).await;
    assert_eq!(results[id.as_str()], roomlet_world::object("{}").into());
    assert_eq!(
        test.a
            .hs
            .event(&test.alice, &test.room.id, &id)
            .await
            .unwrap()
            .kind,
        "m.room.message"
    );
}

#[tokio::test(start_paused = true)]
async fn message_types_of_the_past_are_sent_in_version_10() {
    let (_world, a, _b, alice, _) = strangers().await;
    let room = public_room(&a, &alice, "10").await;
    let content = r#"{"msgtype":"m.text","body":"old"}"#;
    a.hs.send(&alice, &room, "m.room.message", content, None)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_room_is_told_of_in_the_order_of_its_events() {
    let (_world, a, _b, alice, _) = strangers().await;
    public_room(&a, &alice, "10").await;
    let kinds = a.updates().await.into_iter().filter_map(|update| match update {
        RoomUpdate::Event(event) => Some(event.kind),
        _ => None,
    });
    let expected = [
        "m.room.create",
        "m.room.member",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.guest_access",
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}
