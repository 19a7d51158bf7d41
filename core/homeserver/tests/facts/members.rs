//! Leaving, kicks, bans, and what those who left still see.

use crate::common::{bodies, code, membership, rooms, say, state, two};
use roomlet_homeserver::{Code, RoomUpdate};

#[tokio::test(start_paused = true)]
async fn a_kicked_user_hears_of_it_and_may_come_back() {
    let test = two("10").await;
    test.a
        .hs
        .kick(&test.alice, &test.room, &test.bob, Some("noise"))
        .await
        .unwrap();
    test.world.quiet().await;
    assert_eq!(
        rooms(&test.b.hs, &test.bob).await,
        [(test.room.clone(), "leave".to_owned())]
    );
    let last = test
        .b
        .updates()
        .await
        .into_iter()
        .rev()
        .find_map(|update| match update {
            RoomUpdate::Membership {
                membership, sender, ..
            } => Some((membership, sender)),
            _ => None,
        });
    assert_eq!(last, Some(("leave".to_owned(), test.alice.clone())));
    assert_eq!(
        code(test.b.hs.send(&test.bob, &test.room, "m.test", "{}", None).await),
        Code::NotJoined
    );
    test.b
        .hs
        .join(&test.bob, &test.room, std::slice::from_ref(&test.a.name))
        .await
        .unwrap();
    test.world.quiet().await;
    assert_eq!(
        membership(&test.a.hs, &test.alice, &test.room, &test.bob).await,
        "join"
    );
    say(&test.b.hs, &test.bob, &test.room, "back").await;
    test.world.quiet().await;
    assert_eq!(bodies(&test.a.hs, &test.alice, &test.room).await, ["back"]);
}

#[tokio::test(start_paused = true)]
async fn a_banned_user_cannot_rejoin_before_the_ban_is_lifted() {
    let test = two("I.1").await;
    let via = [test.a.name.clone()];
    test.a
        .hs
        .ban(&test.alice, &test.room, &test.bob, None)
        .await
        .unwrap();
    test.world.quiet().await;
    let error = test.b.hs.join(&test.bob, &test.room, &via).await.unwrap_err();
    assert_eq!(error.code(), Code::Remote);
    assert!(error.about().contains("AUTH-8c: the user is banned"), "{error:?}");
    assert_eq!(
        code(test.a.hs.invite(&test.alice, &test.room, &test.bob, None).await),
        Code::Denied
    );
    test.a
        .hs
        .unban(&test.alice, &test.room, &test.bob, None)
        .await
        .unwrap();
    assert_eq!(
        membership(&test.a.hs, &test.alice, &test.room, &test.bob).await,
        "leave"
    );
    test.b.hs.join(&test.bob, &test.room, &via).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_has_no_power_moderates_nobody() {
    let test = two("10").await;
    let (hs, room) = (&test.b.hs, &test.room);
    for result in [
        hs.kick(&test.bob, room, &test.alice, None).await,
        hs.ban(&test.bob, room, &test.alice, None).await,
        hs.set_state(&test.bob, room, "m.room.name", "", "{}", None).await,
    ] {
        assert_eq!(code(result), Code::Denied);
    }
    assert_eq!(
        code(hs.unban(&test.bob, room, &test.alice, None).await),
        Code::BadParam
    );
}

#[tokio::test(start_paused = true)]
async fn who_left_sees_the_room_as_it_was_then() {
    let test = two("10").await;
    let (a, b, room) = (&test.a, &test.b, &test.room);
    a.hs.set_state(&test.alice, room, "m.room.topic", "", r#"{"topic":"old"}"#, None)
        .await
        .unwrap();
    say(&a.hs, &test.alice, room, "before").await;
    // Erin stays, so that her server goes on hearing of the room.
    let erin = b.account("erin").await;
    b.hs.join(&erin, room, &[]).await.unwrap();
    test.world.quiet().await;
    b.hs.leave(&test.bob, room, None).await.unwrap();
    test.world.quiet().await;
    a.hs.set_state(&test.alice, room, "m.room.topic", "", r#"{"topic":"new"}"#, None)
        .await
        .unwrap();
    say(&a.hs, &test.alice, room, "after").await;
    test.world.quiet().await;
    assert_eq!(
        state(&b.hs, &erin, room, "m.room.topic").await.unwrap(),
        r#"{"topic":"new"}"#
    );
    assert_eq!(
        state(&b.hs, &test.bob, room, "m.room.topic").await.unwrap(),
        r#"{"topic":"old"}"#
    );
    assert_eq!(bodies(&b.hs, &erin, room).await, ["before", "after"]);
    assert_eq!(bodies(&b.hs, &test.bob, room).await, ["before"]);
    assert_eq!(
        code(b.hs.send(&test.bob, room, "m.test", "{}", None).await),
        Code::NotJoined
    );
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_server_that_left_are_gone_everywhere() {
    let test = two("11").await;
    test.b.hs.leave(&test.bob, &test.room, None).await.unwrap();
    test.world.quiet().await;
    assert_eq!(
        membership(&test.a.hs, &test.alice, &test.room, &test.bob).await,
        "leave"
    );
    let before = test.world.network.requests(&test.a.name, &test.b.name).len();
    say(&test.a.hs, &test.alice, &test.room, "alone").await;
    test.world.quiet().await;
    assert_eq!(
        test.world.network.requests(&test.a.name, &test.b.name).len(),
        before
    );
}
