//! Edge: the frame of a request — its authentication, its endpoint, its body as bytes.

use crate::scene::{Scene, frame, nested};
use roomlet_homeserver::{Request, ServerName};
use roomlet_wire::{KeyId, frame::XMatrix, sign::KeyPair};
use std::time::Duration;

const EVENT: &str = "/_matrix/federation/v1/event/%24x%3Aa.test";
const SEND: &str = "/_matrix/federation/v1/send/1";

/// A request that is in order but for its headers.
fn with_headers<T: Into<String>>(scene: &Scene, headers: impl IntoIterator<Item = T>) -> Request {
    let mut request = scene.request("GET", EVENT, None);
    request.authorization = headers.into_iter().map(Into::into).collect();
    request
}

/// The header of a request that is in order, with one text in it replaced.
fn with_header(scene: &Scene, from: &str, to: &str) -> Request {
    let mut request = scene.request("GET", EVENT, None);
    assert!(request.authorization[0].contains(from));
    request.authorization[0] = request.authorization[0].replace(from, to);
    request
}

fn signed_by(scene: &Scene, origin: &str, key: &str) -> Request {
    let key = KeyPair::from_seed(KeyId::parse(key).unwrap(), &[9; 32]);
    let header = XMatrix::sign(
        &ServerName::parse(origin).unwrap(),
        &key,
        &scene.a.name,
        "GET",
        EVENT,
        None,
    );
    with_headers(scene, [header])
}

fn body(scene: &Scene, bytes: &[u8]) -> Request {
    let mut request = scene.request("PUT", SEND, Some("{}"));
    request.body = bytes.to_vec();
    request
}

rows! { frame:
    no_header: |s| with_headers(s, [""; 0]) => Unauthorized, "0 `Authorization` headers, 1 to 8 are needed";
    nine_headers: |s| with_headers(s, ["X-Matrix"; 9]) => Unauthorized, "9 `Authorization` headers, 1 to 8 are needed";
    another_scheme: |s| with_headers(s, ["Bearer token"]) => Unauthorized, "the scheme is not `X-Matrix`";
    an_empty_header: |s| with_headers(s, [""]) => Unauthorized, "the scheme is not `X-Matrix`";
    no_parameters: |s| with_headers(s, ["X-Matrix "]) => Unauthorized, "no parameter `origin`";
    no_origin: |s| with_header(s, "origin=\"peer.test\",", "") => Unauthorized, "no parameter `origin`";
    no_key: |s| with_header(s, "key=\"ed25519:peer\",", "") => Unauthorized, "no parameter `key`";
    no_signature: |s| with_header(s, ",sig=", ",signature=") => Unauthorized, "no parameter `sig`";
    a_signature_that_is_no_base64: |s| with_header(s, "sig=\"", "sig=\"!") => Unauthorized, "`sig` is not 64 bytes in base64";
    a_parameter_twice: |s| with_header(s, ",key=", ",ORIGIN=peer.test,key=") => Unauthorized, "the parameter `origin` occurs twice";
    a_parameter_without_a_value: |s| with_header(s, ",key=", ",more,key=") => Unauthorized, "a parameter's name is no token";
    a_quoted_string_without_end: |s| with_headers(s, ["X-Matrix origin=\"peer.test"]) => Unauthorized, "a quoted string has no end";
    text_after_a_quoted_string: |s| with_header(s, "\",key=", "\"x,key=") => Unauthorized, "`,` is needed after the parameter `destination`";
    an_origin_that_is_no_server_name: |s| with_header(s, "peer.test", "peer test") => Unauthorized, "the host has a character outside";
    a_key_id_without_algorithm: |s| with_header(s, "ed25519:peer", "peer") => Unauthorized, "has no `:` after the algorithm";
    a_key_of_another_algorithm: |s| with_header(s, "ed25519:peer", "rsa:peer") => Unauthorized, "key rsa:peer of server peer.test could not be had";
    another_destination: |s| with_header(s, "a.test", "b.test") => Unauthorized, "the request is for b.test, this is a.test";
    the_servers_own_name_as_origin: |s| signed_by(s, "a.test", "ed25519:x") => Unauthorized, "a request of a.test to itself";
    a_key_that_its_server_does_not_list: |s| signed_by(s, "peer.test", "ed25519:other") => Unauthorized, "key ed25519:other of server peer.test could not be had";
    a_server_that_is_not_there: |s| signed_by(s, "gone.test", "ed25519:x") => Unauthorized, "key ed25519:x of server gone.test could not be had";
    a_signature_of_another_key: |s| signed_by(s, "peer.test", "ed25519:peer") => Unauthorized, "the signature of peer.test with ed25519:peer does not verify";
    headers_of_two_senders: |s| {
        let one = s.request("GET", EVENT, None).authorization.remove(0);
        let other = one.replace("peer.test", "other.test");
        with_headers(s, [one, other])
    } => Unauthorized, "`Authorization` headers of several senders";
    a_good_and_a_bad_signature: |s| {
        let good = s.request("GET", EVENT, None).authorization.remove(0);
        let bad = s.request("PUT", EVENT, None).authorization.remove(0);
        with_headers(s, [good, bad])
    } => Unauthorized, "does not verify";
    the_signature_of_another_method: |s| {
        let other = s.request("PUT", EVENT, None).authorization;
        with_headers(s, other)
    } => Unauthorized, "does not verify";
    the_signature_of_another_target: |s| {
        let other = s.request("GET", "/_matrix/federation/v1/event/%24y%3Aa.test", None).authorization;
        with_headers(s, other)
    } => Unauthorized, "does not verify";
    the_signature_of_another_body: |s| body(s, br#"{"pdus":[]}"#) => Unauthorized, "does not verify";
    the_signature_for_another_server: |s| {
        let other = ServerName::parse("b.test").unwrap();
        let header = s.peer.request(&other, "GET", EVENT, None).authorization.remove(0);
        with_headers(s, [header.replace("destination=\"b.test\",", "")])
    } => Unauthorized, "does not verify";

    an_unknown_path: |s| s.request("GET", "/_matrix/federation/v1/nothing", None) => UnknownEndpoint, "no endpoint \"/_matrix/federation/v1/nothing\"";
    a_path_of_clients: |s| s.request("GET", "/_matrix/client/v3/sync", None) => UnknownEndpoint, "no endpoint";
    no_path: |s| s.request("GET", "", None) => UnknownEndpoint, "no endpoint \"\"";
    a_path_with_an_empty_segment: |s| s.request("GET", "/_matrix/federation/v1/event/", None) => UnknownEndpoint, "no endpoint";
    a_path_that_goes_up: |s| s.request("GET", "/_matrix/federation/v1/event/../version", None) => UnknownEndpoint, "no endpoint";
    another_method: |s| s.request("DELETE", EVENT, None) => UnknownMethod, "has no method \"DELETE\"";

    a_body_that_is_no_json: |s| body(s, b"hello") => BadJson, "byte 0: no JSON value begins with this character";
    a_body_that_ends_early: |s| body(s, b"{\"pdus\":[") => BadJson, "byte 9: the text ends where a value is needed";
    a_body_with_something_behind: |s| body(s, b"{}{}") => BadJson, "byte 2: something follows the JSON value";
    a_body_with_a_byte_order_mark: |s| body(s, b"\xEF\xBB\xBF{}") => BadJson, "byte 0: a byte order mark is not allowed";
    a_body_that_is_no_utf8: |s| body(s, b"{\"a\":\"\xFF\"}") => BadJson, "byte 6: not valid UTF-8";
    half_a_surrogate_pair: |s| body(s, br#"{"a":"\ud800"}"#) => BadJson, "byte 6: half of a surrogate pair";
    a_raw_control_character: |s| body(s, b"{\"a\":\"\n\"}") => BadJson, "byte 6: a control character in a string must be escaped";
    an_unknown_escape: |s| body(s, br#"{"a":"\x"}"#) => BadJson, "byte 6: no such escape in JSON";
    a_number_with_a_leading_zero: |s| body(s, br#"{"a":01}"#) => BadJson, "byte 5: a number has a leading zero";
    not_a_number: |s| body(s, br#"{"a":NaN}"#) => BadJson, "byte 5: no JSON value begins with this character";
    a_body_that_is_too_deep: |s| body(s, nested(501).as_bytes()) => BadJson, "byte 500: more than 500 levels of arrays and objects";
    a_body_of_endless_brackets: |s| body(s, "[".repeat(12_500_000).as_bytes()) => BadJson, "more than 500 levels";
    a_body_that_is_too_large: |s| body(s, &vec![b' '; 12_500_001]) => TooLarge, "the body has 12500001 bytes, at most 12500000 are taken";
    a_body_that_is_an_array: |s| s.request("PUT", SEND, Some("[]")) => BadJson, "the body is an array, an object is needed";
    no_body: |s| s.request("PUT", SEND, None) => BadJson, "the request needs a JSON object as its body";
}

#[tokio::test(start_paused = true)]
async fn a_request_signed_with_an_expired_key() {
    let scene = Scene::new().await;
    scene.world.network.unplug(&scene.peer.name);
    tokio::time::sleep(Duration::from_secs(8 * 86_400)).await;
    let request = scene.request("GET", EVENT, None);
    let text = "key ed25519:peer of server peer.test is not valid now (EV-18)";
    scene
        .refuses(request, roomlet_wire::Code::Unauthorized, "M_UNAUTHORIZED", text)
        .await;
}
