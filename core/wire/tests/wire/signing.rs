//! Keys, signatures and hashes against the specification's vectors.

use crate::common::{key, map, object, server, vectors, version};
use curve25519_dalek::{constants::EIGHT_TORSION, edwards::EdwardsPoint, scalar::Scalar};
use roomlet_wire::{
    Code, KeyId, Value, base64, hash,
    redact::redact,
    sign::{Batch, KeyPair, PublicKey, sign_json, verify_json},
};

use sha2::{Digest as _, Sha512};

fn spec_key(vectors: &serde_json::Value) -> KeyPair {
    let seed = base64::decode_array(vectors["seed"].as_str().unwrap()).unwrap();
    KeyPair::from_seed(KeyId::parse(vectors["key_id"].as_str().unwrap()).unwrap(), &seed)
}

#[test]
fn public_key_follows_from_the_seed() {
    let vectors = vectors("signing");
    let key = spec_key(&vectors);
    let public = vectors["derived_public_key"].as_str().unwrap();
    assert_eq!(key.public().to_base64(), public);
    assert_eq!(PublicKey::parse(public).unwrap(), key.public());
    assert_eq!(PublicKey::parse(&format!("{public}=")).unwrap(), key.public());
    assert_eq!(
        Some(key.seed()),
        base64::decode_array(vectors["seed"].as_str().unwrap())
    );
}

#[test]
fn objects_are_signed_as_in_the_specification() {
    let vectors = vectors("signing");
    let (key, domain) = (spec_key(&vectors), server("domain"));
    for case in vectors["objects"].as_array().unwrap() {
        let mut signed = map(&case["object"]);
        sign_json(&mut signed, &domain, &key);
        assert_eq!(
            Value::Object(
                signed["signatures"]
                    .get("domain")
                    .unwrap()
                    .as_object()
                    .unwrap()
                    .clone()
            ),
            Value::Object(
                [(
                    "ed25519:1".to_string(),
                    case["signature"].as_str().unwrap().into()
                )]
                .into()
            ),
        );
        assert_eq!(verify_json(&signed, &domain, key.id(), &key.public()), Ok(()));
    }
}

#[test]
fn events_are_hashed_and_signed_as_in_the_specification() {
    let vectors = vectors("signing");
    let (key, domain) = (spec_key(&vectors), server("domain"));
    for case in vectors["events"].as_array().unwrap() {
        let mut event = map(&case["event"]);
        assert_eq!(hash::content_hash(&event), case["sha256"].as_str().unwrap());
        let hashes = [("sha256".to_string(), hash::content_hash(&event).into())];
        event.insert("hashes".into(), Value::Object(hashes.into()));
        let mut redacted = redact(&event, version(case["version"].as_str().unwrap()));
        sign_json(&mut redacted, &domain, &key);
        let signature = redacted["signatures"]
            .get("domain")
            .unwrap()
            .get("ed25519:1")
            .unwrap();
        assert_eq!(signature.as_str(), case["signature"].as_str());
        for (id, expected) in case["derived_ids"].as_object().unwrap() {
            let event_id = hash::event_id(&event, version(id));
            assert_eq!(event_id.as_str(), expected.as_str().unwrap(), "version {id}");
        }
    }
}

#[test]
fn version_3_ids_use_the_standard_alphabet() {
    // The same hash in either alphabet; among many events some have `/` or `+`.
    let mut differing = 0;
    for depth in 0..50 {
        let event = object(&format!(r#"{{"type":"x","content":{{}},"depth":{depth}}}"#));
        let v3 = hash::event_id(&event, version("3"));
        let v4 = hash::event_id(&event, version("4"));
        assert_eq!(v3.replace('+', "-").replace('/', "_"), v4.as_str());
        differing += usize::from(v3 != v4);
    }
    assert!(differing > 0);
}

#[test]
fn any_flipped_bit_of_a_signature_fails() {
    let pair = key("ed25519:k", 3);
    let signature = base64::decode(&pair.sign(b"message")).unwrap();
    assert!(pair.public().verifies(b"message", &signature));
    for bit in 0..512 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!pair.public().verifies(b"message", &flipped), "bit {bit}");
    }
    assert!(!pair.public().verifies(b"messagf", &signature));
    assert!(!pair.public().verifies(b"message", &signature[..63]));
    assert!(!pair.public().verifies(b"message", &[]));
    assert!(!key("ed25519:k", 4).public().verifies(b"message", &signature));
}

#[test]
fn in_a_batch_any_flipped_bit_fails_alone() {
    let keys: Vec<KeyPair> = (0..8).map(|seed| key("ed25519:k", seed)).collect();
    let mut batch = Batch::default();
    let mut expected = Vec::new();
    for bit in 0..512 {
        let pair = &keys[bit % keys.len()];
        let message = bit.to_string();
        let mut flipped = base64::decode(&pair.sign(message.as_bytes())).unwrap();
        batch.push(&pair.public(), message.as_bytes(), &base64::encode(&flipped));
        flipped[bit / 8] ^= 1 << (bit % 8);
        batch.push(&pair.public(), message.as_bytes(), &base64::encode(&flipped));
        expected.extend([true, false]);
    }
    for no_signature in ["", "AAAA", "*"] {
        batch.push(&keys[0].public(), b"message", no_signature);
        expected.push(false);
    }
    batch.push(&keys[0].public(), b"messagf", &keys[0].sign(b"message"));
    batch.push(&keys[1].public(), b"message", &keys[0].sign(b"message"));
    expected.extend([false, false]);
    assert_eq!(batch.len(), expected.len());
    assert_eq!(batch.verdicts(), expected);
    assert!(Batch::default().verdicts().is_empty());
}

/// Signatures whose `R` is off by a point of small order: a check of a sum would take them where the points cancel out.
#[test]
fn in_a_batch_errors_do_not_cancel_out() {
    let secret = Scalar::from(7_u64);
    let public = EdwardsPoint::mul_base(&secret);
    let key = PublicKey::parse(&base64::encode(public.compress().as_bytes())).unwrap();
    let mut batch = Batch::default();
    let mut expected = Vec::new();
    for round in 0..4_u64 {
        for (order, torsion) in EIGHT_TORSION.iter().enumerate() {
            let nonce = Scalar::from(1_000 + round);
            let r = (EdwardsPoint::mul_base(&nonce) + torsion).compress();
            let hash = Sha512::new()
                .chain_update(r.as_bytes())
                .chain_update(public.compress().as_bytes())
                .chain_update(b"message")
                .finalize();
            let s = nonce + Scalar::from_bytes_mod_order_wide(&hash.into()) * secret;
            let signature = base64::encode(&[r.to_bytes(), s.to_bytes()].concat());
            assert_eq!(key.verifies_base64(b"message", &signature), order == 0);
            batch.push(&key, b"message", &signature);
            expected.push(order == 0);
        }
    }
    assert_eq!(batch.verdicts(), expected);
}

#[test]
fn a_second_signature_keeps_the_first() {
    let (one, two) = (key("ed25519:1", 1), key("ed25519:2", 2));
    let (a, b) = (server("a.example"), server("b.example"));
    let mut json = object(r#"{"x":1,"unsigned":{"age":1}}"#);
    sign_json(&mut json, &a, &one);
    json.insert("unsigned".into(), Value::Null);
    sign_json(&mut json, &b, &one);
    sign_json(&mut json, &a, &two);
    for (server, key) in [(&a, &one), (&b, &one), (&a, &two)] {
        assert_eq!(verify_json(&json, server, key.id(), &key.public()), Ok(()));
    }
    json.insert("x".into(), Value::Int(2));
    let error = verify_json(&json, &a, one.id(), &one.public()).unwrap_err();
    assert_eq!(error.code(), Code::BadSignature);
}

#[test]
fn absent_and_malformed_signatures_fail() {
    let key = key("ed25519:1", 1);
    let a = server("a.example");
    for (json, code) in [
        (r#"{}"#, Code::MissingSignature),
        (r#"{"signatures":null}"#, Code::MissingSignature),
        (r#"{"signatures":{}}"#, Code::MissingSignature),
        (r#"{"signatures":{"a.example":{}}}"#, Code::MissingSignature),
        (r#"{"signatures":{"a.example":"x"}}"#, Code::MissingSignature),
        (
            r#"{"signatures":{"b.example":{"ed25519:1":"x"}}}"#,
            Code::MissingSignature,
        ),
        (
            r#"{"signatures":{"a.example":{"rsa:1":"x"}}}"#,
            Code::MissingSignature,
        ),
        (
            r#"{"signatures":{"a.example":{"ed25519:1":""}}}"#,
            Code::BadSignature,
        ),
        (
            r#"{"signatures":{"a.example":{"ed25519:1":7}}}"#,
            Code::BadSignature,
        ),
        (
            r#"{"signatures":{"a.example":{"ed25519:1":"AAAA"}}}"#,
            Code::BadSignature,
        ),
        (
            r#"{"signatures":{"a.example":{"ed25519:1":"?"}}}"#,
            Code::BadSignature,
        ),
    ] {
        let error = verify_json(&object(json), &a, key.id(), &key.public()).unwrap_err();
        assert_eq!(error.code(), code, "{json}");
    }
}

#[test]
fn public_keys_of_wrong_form_are_refused() {
    for text in [
        "",
        "AAAA",
        "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJN!",
        "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNIAA",
    ] {
        assert_eq!(
            PublicKey::parse(text).unwrap_err().code(),
            Code::BadSignature,
            "{text}"
        );
    }
    // y = 2 is on no point of the curve.
    let mut bytes = [0; 32];
    bytes[0] = 2;
    let error = PublicKey::parse(&base64::encode(&bytes)).unwrap_err();
    assert_eq!(error.about(), "a public key is no point on the curve");
}

#[test]
fn base64_is_unpadded_out_and_lenient_in() {
    assert_eq!(base64::encode(&[0xfb, 0xff]), "+/8");
    assert_eq!(base64::encode_url_safe(&[0xfb, 0xff]), "-_8");
    assert_eq!(base64::decode("+/8"), Some(vec![0xfb, 0xff]));
    assert_eq!(base64::decode("+/8="), Some(vec![0xfb, 0xff]));
    assert_eq!(
        base64::decode("+/9"),
        Some(vec![0xfb, 0xff]),
        "unused bits are ignored"
    );
    assert_eq!(base64::decode("-_8"), None);
    assert_eq!(base64::decode("+/8 "), None);
    assert_eq!(base64::decode_array::<3>("+/8"), None);
}
