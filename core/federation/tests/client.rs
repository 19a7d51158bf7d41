//! Requests to other servers: what goes out, and what is made of answers.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use roomlet_federation::ClientError;
use roomlet_wire::{
    Code, Error, EventId, Pdu, RoomId, RoomVersion, UserId, Value,
    frame::XMatrix,
    json::{Numbers, RawValue},
    pdu::Draft,
};
use support::*;

fn room() -> RoomId {
    RoomId::parse("!r/m:me.example").unwrap()
}

fn event_id(name: &str) -> EventId {
    EventId::parse(&format!("${name}:x.org")).unwrap()
}

/// An event of this server, signed.
fn pdu() -> Pdu<roomlet_wire::Verified> {
    let draft = Draft {
        room_id: Some(room()),
        sender: UserId::parse("@a:me.example").unwrap(),
        kind: "m.room.member".into(),
        state_key: Some("@a:me.example".into()),
        content: object(r#"{"membership":"join"}"#),
        prev_events: vec![],
        auth_events: vec![],
        depth: 1,
        origin_server_ts: START,
        redacts: None,
        hashes: Default::default(),
    };
    draft
        .sign(
            RoomVersion::get("10").unwrap(),
            &server(ME),
            &pair("ed25519:me", 1),
        )
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn requests_have_the_target_and_body_of_the_specification_and_a_signature_over_both() {
    let world = world().await;
    let reply = r#"{"event":{},"pdus":[{}],"auth_chain":[],"state":[],"pdu_ids":[],"auth_chain_ids":[],"events":[],
        "server":{},"room_version":"10"}"#;
    world.net.answers(|_| Answer::Status(200, reply.into()));
    let (client, to) = (&world.client, server(PEER));
    let (pdu, user) = (pdu(), UserId::parse("@a:me.example").unwrap());
    let (room, a, b) = (room(), event_id("a"), event_id("b"));
    client.version(&to).await.unwrap();
    client.make_join(&to, &room, &user).await.unwrap();
    client.send_join(&to, &room, &pdu).await.unwrap();
    client.make_leave(&to, &room, &user).await.unwrap();
    client.send_leave(&to, &room, &pdu).await.unwrap();
    client
        .invite(&to, &room, &pdu, vec![Value::Int(1)])
        .await
        .unwrap();
    client.event(&to, &a).await.unwrap();
    client.state(&to, &room, &a).await.unwrap();
    client.state_ids(&to, &room, &a).await.unwrap();
    client.event_auth(&to, &room, &a).await.unwrap();
    client
        .backfill(&to, &room, &[a.clone(), b.clone()], 5)
        .await
        .unwrap();
    client
        .get_missing_events(&to, &room, std::slice::from_ref(&a), &[b], 7)
        .await
        .unwrap();
    client
        .send_transaction(&to, "t 1", RawValue::from(&object(r#"{"pdus":[]}"#)))
        .await
        .unwrap();
    let id = pdu.id.as_str().replace('$', "%24");
    let versions: Vec<String> = RoomVersion::supported()
        .map(|version| format!("ver={version}"))
        .collect();
    let event = pdu.to_json();
    let r = "%21r%2Fm%3Ame.example";
    let expected = [
        ("GET", "v1/version".to_owned(), String::new()),
        (
            "GET",
            format!("v1/make_join/{r}/%40a%3Ame.example?{}", versions.join("&")),
            String::new(),
        ),
        ("PUT", format!("v2/send_join/{r}/{id}"), event.clone()),
        (
            "GET",
            format!("v1/make_leave/{r}/%40a%3Ame.example"),
            String::new(),
        ),
        ("PUT", format!("v2/send_leave/{r}/{id}"), event.clone()),
        (
            "PUT",
            format!("v2/invite/{r}/{id}"),
            format!(r#"{{"event":{event},"invite_room_state":[1],"room_version":"10"}}"#),
        ),
        ("GET", "v1/event/%24a%3Ax.org".into(), String::new()),
        (
            "GET",
            format!("v1/state/{r}?event_id=%24a%3Ax.org"),
            String::new(),
        ),
        (
            "GET",
            format!("v1/state_ids/{r}?event_id=%24a%3Ax.org"),
            String::new(),
        ),
        ("GET", format!("v1/event_auth/{r}/%24a%3Ax.org"), String::new()),
        (
            "GET",
            format!("v1/backfill/{r}?limit=5&v=%24a%3Ax.org&v=%24b%3Ax.org"),
            String::new(),
        ),
        (
            "POST",
            format!("v1/get_missing_events/{r}"),
            r#"{"earliest_events":["$a:x.org"],"latest_events":["$b:x.org"],"limit":7,"min_depth":0}"#.into(),
        ),
        ("PUT", "v1/send/t%201".into(), r#"{"pdus":[]}"#.into()),
    ];
    let sent = world.net.take();
    assert_eq!(sent.len(), expected.len());
    for ((_, request), (method, target, body)) in sent.iter().zip(expected) {
        assert_eq!(request.destination, to);
        assert_eq!(
            (request.method.as_str(), &request.target),
            (method, &format!("/_matrix/federation/{target}"))
        );
        assert_eq!(String::from_utf8_lossy(&request.body), body);
        let header = XMatrix::parse(&request.authorization[0]).unwrap();
        assert_eq!((header.origin.as_str(), request.authorization.len()), (ME, 1));
        let content = (!body.is_empty()).then(|| RawValue::parse(body.as_bytes(), Numbers::Strict).unwrap());
        let key = pair("ed25519:me", 1).public();
        header
            .verify(
                &key,
                &to,
                method,
                &request.target,
                content.as_ref().map(RawValue::as_raw),
            )
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_status_and_errcode() {
    let world = world().await;
    world
        .net
        .answers(|_| Answer::Status(403, r#"{"errcode":"M_FORBIDDEN","error":"go\n away"}"#.into()));
    let error = world
        .client
        .event(&server(PEER), &event_id("a"))
        .await
        .unwrap_err();
    let expected = ClientError::Remote {
        server: server(PEER),
        status: 403,
        errcode: "M_FORBIDDEN".into(),
        message: "go away".into(),
    };
    assert_eq!(error, expected);
    assert_eq!(error.status(), Some(403));
    let error = Error::from(error);
    assert_eq!(error.code(), Code::Remote);
    assert_eq!(
        error.about(),
        "server peer.example answered 403 M_FORBIDDEN: go away"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_apart() {
    let to = server(PEER);
    let cases: [(fn() -> Answer, Code); 9] = [
        (|| Answer::Unreachable, Code::Unreachable),
        (|| Answer::Never, Code::Unreachable),
        (|| Answer::Status(502, "<html>".into()), Code::Remote),
        (|| Answer::Status(302, String::new()), Code::Remote),
        (|| Answer::Status(200, "<html>".into()), Code::BadReply),
        (|| Answer::Status(200, "[]".into()), Code::BadReply),
        (|| Answer::Status(200, "{}".into()), Code::BadReply),
        (|| Answer::Status(200, r#"{"pdus":[]}"#.into()), Code::BadReply),
        (|| Answer::Status(200, r#"{"pdus":{}}"#.into()), Code::BadReply),
    ];
    for (i, (answer, code)) in cases.into_iter().enumerate() {
        let world = world().await;
        world.net.answers(move |_| answer());
        let error = Error::from(world.client.event(&to, &event_id("a")).await.unwrap_err());
        assert_eq!(error.code(), code, "case {i}: {error}");
        assert!(error.about().contains(PEER), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_room_may_take_longer() {
    let world = world().await;
    world.net.answers(|_| Answer::Never);
    let begin = world.env.clock.now_ms();
    let error = world
        .client
        .send_join(&server(PEER), &room(), &pdu())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable(_)));
    assert!((120_000..120_010).contains(&(world.env.clock.now_ms() - begin)));
}

#[tokio::test(start_paused = true)]
async fn one_bad_event_does_not_spoil_a_reply() {
    let world = world().await;
    world.net.answers(|_| {
        Answer::Status(
            200,
            r#"{"state":[{"depth":1.5},{"depth":2}],"auth_chain":[3],"members_omitted":true}"#.into(),
        )
    });
    let reply = world
        .client
        .send_join(&server(PEER), &room(), &pdu())
        .await
        .unwrap();
    assert_eq!(reply.state.len(), 2);
    assert_eq!(reply.state[1].text(), r#"{"depth":2}"#);
    assert_eq!(
        (reply.auth_chain, reply.event, reply.members_omitted),
        (vec![RawValue::from(&Value::Int(3))], None, true)
    );
}
