//! Who may pass as the sender of a request.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use roomlet_federation::{Inbound, authenticate, receive};
use roomlet_wire::{
    Code,
    frame::{Request, XMatrix},
    json::{Numbers, Raw, RawValue},
    limits,
    sign::KeyPair,
};
use support::*;

const TARGET: &str = "/_matrix/federation/v1/send/1";
const BODY: &str = r#"{"pdus":[],"edus":[],"x":1}"#;

fn peer() -> KeyPair {
    pair("ed25519:p", 2)
}

/// What a sender puts in a header.
struct Header<'a> {
    origin: &'a str,
    destination: &'a str,
    key: KeyPair,
    target: &'a str,
    body: &'a str,
    /// Applied to the header's text after signing.
    edit: fn(String) -> String,
}

impl Header<'_> {
    fn good() -> Self {
        Self {
            origin: PEER,
            destination: ME,
            key: peer(),
            target: TARGET,
            body: BODY,
            edit: |h| h,
        }
    }

    fn sign(self) -> String {
        let content = RawValue::parse(self.body.as_bytes(), Numbers::Kept).unwrap();
        let (origin, destination) = (server(self.origin), server(self.destination));
        (self.edit)(XMatrix::sign(
            &origin,
            &self.key,
            &destination,
            "PUT",
            self.target,
            Some(content.as_raw()),
        ))
    }
}

fn request(headers: Vec<Header<'_>>) -> Request {
    Request {
        destination: server(ME),
        method: "PUT".into(),
        target: TARGET.into(),
        authorization: headers.into_iter().map(Header::sign).collect(),
        body: BODY.into(),
    }
}

/// A world where PEER publishes the key `ed25519:p` and a retired `ed25519:old`.
async fn world_with_peer() -> World {
    let world = world().await;
    world.net.answers(|request| {
        if *request.destination != *PEER {
            return Answer::Unreachable;
        }
        Answer::ok(&document(
            PEER,
            &[&peer()],
            &[(&pair("ed25519:old", 3), START + 1_000)],
            START + 100_000,
        ))
    });
    world
}

async fn check(world: &World, request: &Request) -> Result<String, (Code, String)> {
    let content = RawValue::parse(&request.body, Numbers::Kept).ok();
    let content = content.as_ref().map(RawValue::as_raw);
    let origin = authenticate(request, content, &world.keys).await;
    origin
        .map(|name| name.to_string())
        .map_err(|error| (error.code(), error.about().to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_signed_request_is_its_senders() {
    let world = world_with_peer().await;
    let cases = [
        vec![Header::good()],
        // No `destination`, as older servers send it: this server's name is assumed.
        vec![Header {
            edit: |h| h.replace(",destination=\"me.example\"", ""),
            ..Header::good()
        }],
        vec![Header {
            edit: |h| h.replace("X-Matrix origin=", "x-matrix  ORIGIN="),
            ..Header::good()
        }],
        vec![Header::good(), Header::good()],
        // A second signature with a key that cannot be had does no harm.
        vec![
            Header {
                key: pair("ed25519:new", 9),
                ..Header::good()
            },
            Header::good(),
        ],
    ];
    for (i, headers) in cases.into_iter().enumerate() {
        assert_eq!(
            check(&world, &request(headers)).await,
            Ok(PEER.into()),
            "case {i}"
        );
    }
    let asked: Vec<String> = world
        .net
        .take()
        .into_iter()
        .map(|(_, request)| request.target)
        .collect();
    assert_eq!(asked, ["/_matrix/key/v2/server"]);
}

#[tokio::test(start_paused = true)]
async fn anything_else_is_unauthorized() {
    let world = world_with_peer().await;
    let cases: Vec<(&str, Vec<Header<'_>>)> = vec![
        ("0 `Authorization` headers", vec![]),
        (
            "9 `Authorization` headers",
            (0..9).map(|_| Header::good()).collect(),
        ),
        (
            "the request is for other.example",
            vec![Header {
                destination: "other.example",
                ..Header::good()
            }],
        ),
        (
            "does not verify",
            // Signed for another server, which the header does not say.
            vec![Header {
                destination: "other.example",
                edit: |h| h.replace(",destination=\"other.example\"", ""),
                ..Header::good()
            }],
        ),
        (
            "does not verify",
            vec![Header {
                key: pair("ed25519:p", 9),
                ..Header::good()
            }],
        ),
        (
            "does not verify",
            vec![Header {
                target: "/_matrix/federation/v1/send/2",
                ..Header::good()
            }],
        ),
        (
            "does not verify",
            vec![Header {
                body: r#"{"pdus":[],"edus":[],"x":2}"#,
                ..Header::good()
            }],
        ),
        (
            "`sig` is not 64 bytes",
            vec![Header {
                edit: |h| h.replace("sig=\"", "sig=\"A"),
                ..Header::good()
            }],
        ),
        (
            "does not verify",
            vec![
                Header::good(),
                Header {
                    key: pair("ed25519:p", 9),
                    ..Header::good()
                },
            ],
        ),
        (
            "key ed25519:new of server peer.example could not be had",
            vec![Header {
                key: pair("ed25519:new", 9),
                ..Header::good()
            }],
        ),
        // A retired key vouches for old events only, even before its retirement (EV-18).
        (
            "is not valid now",
            vec![Header {
                key: pair("ed25519:old", 3),
                ..Header::good()
            }],
        ),
        (
            "could not be had",
            vec![Header {
                origin: "other.example",
                ..Header::good()
            }],
        ),
        (
            "to itself",
            vec![Header {
                origin: ME,
                key: pair("ed25519:me", 1),
                ..Header::good()
            }],
        ),
        (
            "several senders",
            vec![
                Header::good(),
                Header {
                    origin: "other.example",
                    ..Header::good()
                },
            ],
        ),
        (
            "occurs twice",
            vec![Header {
                edit: |h| h + ",origin=\"peer.example\"",
                ..Header::good()
            }],
        ),
        (
            "no parameter `sig`",
            vec![Header {
                edit: |h| h.replace("sig=", "signature="),
                ..Header::good()
            }],
        ),
        (
            "the scheme is not `X-Matrix`",
            vec![Header {
                edit: |_| "Bearer abc".into(),
                ..Header::good()
            }],
        ),
        (
            "server name",
            vec![Header {
                edit: |h| h.replace("peer.example", "peer/example"),
                ..Header::good()
            }],
        ),
    ];
    for (about, headers) in cases {
        let result = check(&world, &request(headers)).await;
        let (code, message) = result.expect_err(about);
        assert_eq!(code, Code::Unauthorized, "{message}");
        assert!(message.contains(about), "{message:?} does not contain {about:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_its_server_no_longer_vouches_for_signs_no_request() {
    let world = world_with_peer().await;
    assert_eq!(
        check(&world, &request(vec![Header::good()])).await,
        Ok(PEER.into())
    );
    world.net.answers(|_| Answer::Unreachable);
    pass(100_000).await;
    assert_eq!(
        check(&world, &request(vec![Header::good()])).await,
        Ok(PEER.into())
    );
    pass(1).await;
    let refusal = check(&world, &request(vec![Header::good()]))
        .await
        .map_err(|(code, _)| code);
    assert_eq!(refusal, Err(Code::Unauthorized));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_body_is_signed_without_content() {
    let world = world_with_peer().await;
    let target = "/_matrix/federation/v1/event/%24a%3Ax.org";
    let header = XMatrix::sign(&server(PEER), &peer(), &server(ME), "GET", target, None);
    let request = Request {
        destination: server(ME),
        method: "GET".into(),
        target: target.into(),
        authorization: vec![header],
        body: vec![],
    };
    let (origin, inbound) = receive(&request, &world.keys).await.unwrap();
    assert_eq!(origin, Some(server(PEER)));
    assert_eq!(
        inbound,
        Inbound::Event {
            event_id: "$a:x.org".parse().unwrap()
        }
    );
    let with_body = Request {
        body: b"{}".to_vec(),
        ..request
    };
    assert_eq!(
        receive(&with_body, &world.keys).await.unwrap_err().code(),
        Code::Unauthorized
    );
}

#[tokio::test(start_paused = true)]
async fn one_bad_number_does_not_spoil_a_transaction() {
    let world = world_with_peer().await;
    let body = r#"{"edus":[],"pdus":[{"depth":1.5},{"depth":2}]}"#;
    let header = Header {
        body,
        ..Header::good()
    };
    let request = Request {
        body: body.into(),
        ..request(vec![header])
    };
    let (_, inbound) = receive(&request, &world.keys).await.unwrap();
    let Inbound::Send { pdus, .. } = inbound else {
        panic!("{inbound:?}")
    };
    assert_eq!(pdus[1].as_raw().get("depth").and_then(Raw::as_int), Some(2));
    assert_eq!(pdus.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn checks_come_in_order_and_public_endpoints_need_no_sender() {
    let world = world_with_peer().await;
    let plain = |method: &str, target: &str, body: &[u8]| Request {
        destination: server(ME),
        method: method.into(),
        target: target.into(),
        authorization: vec![],
        body: body.to_vec(),
    };
    let public = receive(&plain("GET", "/_matrix/key/v2/server", b""), &world.keys).await;
    assert_eq!(public, Ok((None, Inbound::ServerKeys)));
    let cases = [
        (plain("GET", "/_matrix/nothing", b"{"), Code::UnknownEndpoint),
        (
            plain("PUT", TARGET, &vec![b' '; limits::REQUEST_BYTES + 1]),
            Code::TooLarge,
        ),
        (plain("PUT", TARGET, b"{"), Code::BadJson),
        // Strangers do not learn what is wrong with their request otherwise.
        (plain("PUT", TARGET, br#"{"pdus":1}"#), Code::Unauthorized),
        (plain("PUT", TARGET, b""), Code::Unauthorized),
    ];
    for (request, code) in cases {
        assert_eq!(
            receive(&request, &world.keys).await.map_err(|error| error.code()),
            Err(code)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_signatures_that_do_not_hold() {
    let world = world_with_peer().await;
    check(&world, &request(vec![])).await.unwrap_err();
    check(&world, &request(vec![Header::good()])).await.unwrap();
    assert_eq!(world.log.take(), [""; 0]);
    let forged = Header {
        key: pair("ed25519:p", 9),
        ..Header::good()
    };
    check(&world, &request(vec![forged])).await.unwrap_err();
    let line = "Warn: request PUT /_matrix/federation/v1/send/1 is refused: \
        Authorization header: the signature of peer.example with ed25519:p does not verify";
    assert_eq!(world.log.take(), [line]);
}
