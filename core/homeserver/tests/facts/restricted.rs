//! Rooms that members of other rooms may join (FED-33).

use crate::common::{bodies, code, membership, public_room, say, strangers};
use roomlet_homeserver::{Code, RoomId, UserId};
use roomlet_world::Server;

/// A room that members of `club` may join.
async fn room_for(club: &RoomId, server: &Server, owner: &UserId) -> RoomId {
    let room = public_room(server, owner, "10").await;
    let rules = format!(
        r#"{{"join_rule":"restricted","allow":[{{"type":"m.room_membership","room_id":"{club}"}}]}}"#
    );
    server
        .hs
        .set_state(owner, &room, "m.room.join_rules", "", &rules, None)
        .await
        .unwrap();
    room
}

#[tokio::test(start_paused = true)]
async fn a_member_of_the_club_joins_with_the_residents_signature() {
    let (world, a, b, alice, bob) = strangers().await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    let via = [a.name.clone()];
    b.hs.join(&bob, &club, &via).await.unwrap();
    b.hs.join(&bob, &room, &via).await.unwrap();
    world.quiet().await;
    assert_eq!(membership(&a.hs, &alice, &room, &bob).await, "join");
    let join =
        b.hs.state_event(&bob, &room, "m.room.member", &bob)
            .await
            .unwrap()
            .unwrap();
    assert_eq!(
        join.content,
        r#"{"join_authorised_via_users_server":"@alice:a.test","membership":"join"}"#
    );
    let target = format!(
        "/_matrix/federation/v1/event/{}",
        roomlet_world::encode(&join.event_id)
    );
    let peer = world.peer("peer.test");
    peer.join(&a.hs, &club, &peer.user("m")).await;
    let reply = peer.ask(&a.hs, "GET", &target, None).await;
    assert_eq!(reply.status, 403, "the peer is in the club, not in the room");
}

#[tokio::test(start_paused = true)]
async fn a_local_member_of_the_club_joins() {
    let (_world, a, _b, alice, _) = strangers().await;
    let carol = a.account("carol").await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    assert_eq!(code(a.hs.join(&carol, &room, &[]).await), Code::Denied);
    a.hs.join(&carol, &club, &[]).await.unwrap();
    a.hs.join(&carol, &room, &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whom_this_server_may_not_let_in_another_one_lets_in() {
    let (world, a, b, alice, bob) = strangers().await;
    let carol = b.account("carol").await;
    let club = public_room(&a, &alice, "10").await;
    // Nobody of the other server may invite.
    let room = room_for(&club, &a, &alice).await;
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    b.hs.join(&bob, &room, &[]).await.unwrap();
    world.quiet().await;
    let refused = b.hs.join(&carol, &room, &[]).await;
    assert_eq!(code(refused), Code::Denied, "she is not in the club");
    let via = std::slice::from_ref(&a.name);
    b.hs.join(&carol, &club, via).await.unwrap();
    b.hs.join(&carol, &room, &[]).await.unwrap();
    world.quiet().await;
    for (hs, user) in [(&a.hs, &alice), (&b.hs, &bob)] {
        assert_eq!(membership(hs, user, &room, &carol).await, "join");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_in_the_club_stays_out() {
    let (_world, a, b, alice, bob) = strangers().await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    let error =
        b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
            .await
            .unwrap_err();
    assert_eq!(error.code(), Code::Remote);
    assert!(
        error
            .about()
            .contains("403 M_FORBIDDEN: user @bob:b.test is in none of the rooms"),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_club_that_the_server_does_not_know_cannot_be_checked() {
    let (_world, a, b, alice, bob) = strangers().await;
    let elsewhere = RoomId::parse("!club:c.test").unwrap();
    let room = room_for(&elsewhere, &a, &alice).await;
    let error =
        b.hs.join(&bob, &room, std::slice::from_ref(&a.name))
            .await
            .unwrap_err();
    assert!(
        error.about().contains("400 M_UNABLE_TO_AUTHORISE_JOIN"),
        "{error:?}"
    );
}

/// The server does not hear any more who leaves that room, or is banned from it.
#[tokio::test(start_paused = true)]
async fn a_club_that_the_server_left_cannot_be_checked() {
    let (world, a, b, alice, bob) = strangers().await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    let via = [a.name.clone()];
    b.hs.join(&bob, &club, &via).await.unwrap();
    a.hs.leave(&alice, &club, None).await.unwrap();
    world.quiet().await;
    b.hs.leave(&bob, &club, None).await.unwrap();
    let error = b.hs.join(&bob, &room, &via).await.unwrap_err();
    assert!(
        error.about().contains("400 M_UNABLE_TO_AUTHORISE_JOIN"),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_invited_user_needs_no_club() {
    let (_world, a, b, alice, bob) = strangers().await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    a.hs.invite(&alice, &room, &bob, None).await.unwrap();
    b.hs.join(&bob, &room, &[]).await.unwrap();
    let join =
        b.hs.state_event(&bob, &room, "m.room.member", &bob)
            .await
            .unwrap()
            .unwrap();
    assert_eq!(join.content, r#"{"membership":"join"}"#);
}

/// Hosts make a new member event from the one that is there; no other server would sign that, and without the signature all
/// others drop it, and what follows it with it.
#[tokio::test(start_paused = true)]
async fn who_was_let_in_can_change_their_member_event() {
    let (world, a, b, alice, bob) = strangers().await;
    let club = public_room(&a, &alice, "10").await;
    let room = room_for(&club, &a, &alice).await;
    let via = [a.name.clone()];
    b.hs.join(&bob, &club, &via).await.unwrap();
    b.hs.join(&bob, &room, &via).await.unwrap();
    let join =
        b.hs.state_event(&bob, &room, "m.room.member", &bob)
            .await
            .unwrap();
    let join = join.unwrap().content;
    let named = join.replace('{', r#"{"displayname":"Bob","#);
    let set = b.hs.set_state(&bob, &room, "m.room.member", &bob, &named, None);
    set.await.unwrap();
    say(&b.hs, &bob, &room, "hello").await;
    world.quiet().await;
    assert_eq!(bodies(&a.hs, &alice, &room).await, ["hello"]);
    for (hs, user) in [(&a.hs, &alice), (&b.hs, &bob)] {
        let is = hs.state_event(user, &room, "m.room.member", &bob).await.unwrap();
        assert_eq!(
            is.unwrap().content,
            r#"{"displayname":"Bob","membership":"join"}"#
        );
    }
}
