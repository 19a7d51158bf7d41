//! The X-Matrix header and what a request's signature covers (FED-1 … FED-3).

use crate::common::{key, object, server};
use roomlet_wire::{
    Code, Error, Value, base64,
    frame::{Response, XMatrix},
    json::{Numbers, Raw, RawValue, map_to_canonical},
    sign::{sign_json, verify_json},
};

fn sig() -> String {
    base64::encode(&[7; 64])
}

fn parsed(parameters: &str) -> Result<XMatrix, Error> {
    XMatrix::parse(&parameters.replace("SIG", &sig()))
}

#[test]
fn printed_form_is_the_strict_one() {
    let pair = key("ed25519:k1", 1);
    let header = XMatrix::sign(
        &server("a.example"),
        &pair,
        &server("b.example:8448"),
        "GET",
        "/_matrix/x?y=%2F",
        None,
    );
    let read = XMatrix::parse(&header).unwrap();
    assert_eq!(
        header,
        format!(
            "X-Matrix origin=\"a.example\",destination=\"b.example:8448\",key=\"ed25519:k1\",sig=\"{}\"",
            read.sig
        )
    );
    assert_eq!(read.to_header(), header);
}

#[test]
fn a_printed_header_is_read_as_what_it_was() {
    // Of a key whose algorithm is not known, any name is taken (ID-10).
    for algorithm in ["ed25519", "\"", "\\", "a\\\"b", "a,b=c"] {
        let header = XMatrix {
            origin: server("a.example"),
            destination: None,
            key: roomlet_wire::KeyId::parse(&format!("{algorithm}:1")).unwrap(),
            sig: sig(),
        };
        assert_eq!(XMatrix::parse(&header.to_header()), Ok(header));
    }
}

#[test]
fn lenient_forms_are_read_alike() {
    let expected = XMatrix {
        origin: server("a.example:443"),
        destination: Some(server("b.example")),
        key: roomlet_wire::KeyId::parse("ed25519:k1").unwrap(),
        sig: sig(),
    };
    for header in [
        r#"X-Matrix origin="a.example:443",destination="b.example",key="ed25519:k1",sig="SIG""#,
        r#"x-matrix sig="SIG",key="ed25519:k1",destination="b.example",origin="a.example:443""#,
        r#"X-MATRIX ORIGIN="a.example:443",Destination="b.example",Key="ed25519:k1",sIG="SIG""#,
        r#"X-Matrix origin=a.example:443,destination=b.example,key=ed25519:k1,sig="SIG""#,
        "X-Matrix  \torigin=a.example:443 ,\tdestination=b.example\t, key=\"ed25519:k1\" , sig=\"SIG\" ",
        r#"X-Matrix origin="a\.exam\ple:443",destination="b.example",key="ed25519:k1",sig="SIG""#,
        r#"X-Matrix new="a,b=\"c\"",origin="a.example:443",destination="b.example",key="ed25519:k1",sig="SIG""#,
        r#"X-Matrix ,origin="a.example:443",,destination="b.example",key="ed25519:k1",sig="SIG","#,
        r#"X-Matrix origin = "a.example:443",destination="b.example",key="ed25519:k1",sig=SIG"#,
    ] {
        assert_eq!(parsed(header).as_ref(), Ok(&expected), "{header}");
    }
    let without = parsed(r#"X-Matrix origin="a.example:443",key="ed25519:k1",sig="SIG""#).unwrap();
    assert_eq!(without.destination, None);
}

#[test]
fn malformed_headers_are_refused() {
    for (header, rule) in [
        ("", "scheme"),
        ("Bearer abc", "scheme"),
        ("X-Matrix", "no parameter `origin`"),
        (r#"X-Matrix origin="a.example",sig="SIG""#, "no parameter `key`"),
        (
            r#"X-Matrix origin="a.example",key="ed25519:1""#,
            "no parameter `sig`",
        ),
        (
            r#"X-Matrix origin="a.example",origin="a.example",key="ed25519:1",sig="SIG""#,
            "twice",
        ),
        (
            r#"X-Matrix origin="a.example",Origin="b.example",key="ed25519:1",sig="SIG""#,
            "twice",
        ),
        (
            r#"X-Matrix origin="a.example,key="ed25519:1",sig="SIG""#,
            "`,` is needed",
        ),
        (
            r#"X-Matrix origin="a.example" key="ed25519:1",sig="SIG""#,
            "`,` is needed",
        ),
        (
            r#"X-Matrix origin="a.example",key="ed25519:1",sig="SIG"#,
            "no end",
        ),
        (
            r#"X-Matrix origin="a.example",key="ed25519:1",sig="abc\"#,
            "no end",
        ),
        (r#"X-Matrix origin,key="ed25519:1",sig="SIG""#, "no token"),
        ("X-Matrix origin", "no `=`"),
        (r#"X-Matrix origin=,key="ed25519:1",sig="SIG""#, "neither a token"),
        (
            r#"X-Matrix origin="a b",key="ed25519:1",sig="SIG""#,
            "server name",
        ),
        (
            r#"X-Matrix origin="a",destination="",key="ed25519:1",sig="SIG""#,
            "server name",
        ),
        (r#"X-Matrix origin="a",key="1",sig="SIG""#, "key id"),
        (r#"X-Matrix origin="a",key="ed25519:1",sig="AAAA""#, "64 bytes"),
    ] {
        let error = parsed(header).expect_err(header);
        assert_eq!(
            (error.code(), error.errcode(), error.status()),
            (Code::Unauthorized, "M_UNAUTHORIZED", 401)
        );
        assert!(error.about().contains(rule), "{header}: {error}");
    }
}

#[test]
fn signature_covers_the_object_of_the_specification() {
    let pair = key("ed25519:k1", 1);
    let (a, b) = (server("a.example"), server("b.example"));
    let content = object(r#"{"z":[1,2],"a":"é\n"}"#);
    for body in [None, Some(content)] {
        let mut whole = object(
            r#"{"method":"PUT","uri":"/_matrix/federation/v1/send/1?x=%20","origin":"a.example","destination":"b.example"}"#,
        );
        if let Some(body) = &body {
            whole.insert("content".into(), body.clone().into());
        }
        let body = body.map(|body| RawValue::from(&Value::Object(body)));
        let target = "/_matrix/federation/v1/send/1?x=%20";
        let header = XMatrix::parse(&XMatrix::sign(
            &a,
            &pair,
            &b,
            "PUT",
            target,
            body.as_ref().map(RawValue::as_raw),
        ))
        .unwrap();
        sign_json(&mut whole, &a, &pair);
        assert_eq!(
            whole["signatures"]
                .get("a.example")
                .unwrap()
                .get("ed25519:k1")
                .unwrap()
                .as_str(),
            Some(&*header.sig)
        );
        assert_eq!(verify_json(&whole, &a, pair.id(), &pair.public()), Ok(()));
    }
}

#[test]
fn a_request_verifies_only_as_it_was_signed() {
    let pair = key("ed25519:k1", 1);
    let (a, b) = (server("a.example"), server("b.example"));
    let body = RawValue::from(&Value::Object(object(r#"{"a":1}"#)));
    let body = body.as_raw();
    let header = XMatrix::parse(&XMatrix::sign(&a, &pair, &b, "PUT", "/_matrix/x", Some(body))).unwrap();
    let check = |h: &XMatrix, me: &str, method: &str, target: &str, body: Option<Raw<'_>>| {
        h.verify(&pair.public(), &server(me), method, target, body)
            .map_err(|e| e.code())
    };
    assert_eq!(
        check(&header, "b.example", "PUT", "/_matrix/x", Some(body)),
        Ok(())
    );
    let no = Err(Code::Unauthorized);
    assert_eq!(check(&header, "c.example", "PUT", "/_matrix/x", Some(body)), no);
    assert_eq!(check(&header, "b.example", "POST", "/_matrix/x", Some(body)), no);
    assert_eq!(check(&header, "b.example", "PUT", "/_matrix/y", Some(body)), no);
    assert_eq!(check(&header, "b.example", "PUT", "/_matrix/x", None), no);
    assert_eq!(
        check(
            &header,
            "b.example",
            "PUT",
            "/_matrix/x",
            Some(RawValue::from(&Value::Object(object("{}"))).as_raw())
        ),
        no
    );
    let mut other = header.clone();
    other.origin = server("c.example");
    assert_eq!(check(&other, "b.example", "PUT", "/_matrix/x", Some(body)), no);
    // Without a destination in the header the receiver takes its own name.
    let mut silent = header;
    silent.destination = None;
    assert_eq!(
        check(&silent, "b.example", "PUT", "/_matrix/x", Some(body)),
        Ok(())
    );
    assert_eq!(check(&silent, "c.example", "PUT", "/_matrix/x", Some(body)), no);
}

#[test]
fn a_body_with_floats_is_signed_by_its_tokens() {
    let pair = key("ed25519:k1", 1);
    let (a, b) = (server("a.example"), server("b.example"));
    let body = RawValue::parse(br#"{"pdus":[{"unsigned":{"x":1.50}}]}"#, Numbers::Kept).unwrap();
    let body = body.as_raw();
    let header = XMatrix::parse(&XMatrix::sign(&a, &pair, &b, "PUT", "/_matrix/x", Some(body))).unwrap();
    assert_eq!(
        header.verify(&pair.public(), &b, "PUT", "/_matrix/x", Some(body)),
        Ok(())
    );
    let other = RawValue::parse(br#"{"pdus":[{"unsigned":{"x":1.5}}]}"#, Numbers::Kept).unwrap();
    let other = other.as_raw();
    assert!(
        header
            .verify(&pair.public(), &b, "PUT", "/_matrix/x", Some(other))
            .is_err()
    );
}

#[test]
fn responses_carry_status_and_errcode() {
    let ok = Response::ok(&object(r#"{"b":1,"a":2}"#));
    assert_eq!((ok.status, &*ok.body), (200, br#"{"a":2,"b":1}"#.as_slice()));
    let denied = Response::error(&Error::new(Code::Denied, "AUTH-17: \"@a:b\" is not joined"));
    assert_eq!(denied.status, 403);
    assert_eq!(
        denied.body,
        br#"{"errcode":"M_FORBIDDEN","error":"AUTH-17: \"@a:b\" is not joined"}"#
    );
    let other = Response::error(&Error::new(Code::BadParam, "x").with_errcode("M_INVITE_BLOCKED", 403));
    assert_eq!(other.body, br#"{"errcode":"M_INVITE_BLOCKED","error":"x"}"#);
    assert_eq!(map_to_canonical(&object("{}")), "{}");
}
