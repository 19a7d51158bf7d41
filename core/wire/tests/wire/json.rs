//! The parser and the printer against the specification's vectors, serde_json and themselves.

use crate::common::{Random, vectors};
use roomlet_wire::{
    Code, Value,
    json::{check_canonical, parse, parse_lenient, parse_object, to_canonical},
    limits,
};

#[test]
fn canonical_vectors_print_as_the_specification_says() {
    for case in vectors("canonical_json")["canonical"].as_array().unwrap() {
        let input = case["input"].as_str().unwrap();
        let printed = to_canonical(&parse(input.as_bytes()).unwrap());
        assert_eq!(printed, case["canonical"].as_str().unwrap(), "{input}");
    }
}

#[test]
fn refused_vectors_name_byte_and_rule() {
    for case in vectors("canonical_json")["refused"].as_array().unwrap() {
        let input = match case["input"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => crate::common::unhex(case["hex"].as_str().unwrap()),
        };
        let shown = String::from_utf8_lossy(&input);
        let error = parse(&input).expect_err(&shown);
        assert_eq!(
            error.code().name(),
            case["code"].as_str().unwrap(),
            "{shown}: {error}"
        );
        let place = format!("byte {}: ", case["byte"]);
        assert!(error.about().starts_with(&place), "{shown}: {error}");
        assert!(
            error.about().contains(case["rule"].as_str().unwrap()),
            "{shown}: {error}"
        );
    }
}

#[test]
fn lenient_parser_keeps_the_token_of_a_bad_number() {
    let text = r#"{"a":[1.50,-0,1E400,9007199254740992],"b":3}"#;
    let value = parse_lenient(text.as_bytes()).unwrap();
    assert_eq!(to_canonical(&value), text);
    assert_eq!(
        value.get("a").unwrap().as_array().unwrap()[0],
        Value::Number("1.50".into())
    );
    assert_eq!(value.get("b"), Some(&Value::Int(3)));
    let error = check_canonical(value.as_object().unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::NotCanonical);
    assert_eq!(
        error.about(),
        "`a[0]`: 1.50 is no integer within ±(2^53 − 1) (CJ-2)"
    );
}

#[test]
fn lenient_parser_refuses_what_is_no_json() {
    for text in ["[01]", "[1.]", "[NaN]", "[1e]", "\"\\ud800\"", "{} x"] {
        assert_eq!(
            parse_lenient(text.as_bytes()).unwrap_err().code(),
            Code::BadJson,
            "{text}"
        );
    }
}

#[test]
fn object_parser_refuses_other_values() {
    let error = parse_object(b"[1]").unwrap_err();
    assert_eq!(error.code(), Code::BadJson);
    assert_eq!(error.about(), "the JSON is an array, an object is needed");
}

fn nested(levels: usize) -> String {
    let mut text = String::new();
    for i in 0..levels {
        text.push_str(if i % 2 == 0 { "[" } else { "{\"a\":" });
    }
    text.push('1');
    for i in (0..levels).rev() {
        text.push(if i % 2 == 0 { ']' } else { '}' });
    }
    text
}

#[test]
fn nesting_is_read_up_to_the_limit_and_refused_beyond() {
    assert!(parse(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        parse(nested(limits::JSON_DEPTH + 1).as_bytes())
            .unwrap_err()
            .code(),
        Code::BadJson
    );
    let deep = nested(limits::BODY_JSON_DEPTH);
    assert_eq!(to_canonical(&parse_lenient(deep.as_bytes()).unwrap()), deep);
    let deeper = nested(limits::BODY_JSON_DEPTH + 1);
    assert_eq!(
        parse_lenient(deeper.as_bytes()).unwrap_err().code(),
        Code::BadJson
    );
    assert_eq!(
        parse("[".repeat(1_000_000).as_bytes()).unwrap_err().code(),
        Code::BadJson
    );
    assert_eq!(
        parse("[]".repeat(2).as_bytes()).unwrap_err().about(),
        "byte 2: something follows the JSON value (CJ-9)"
    );
    let empty_too_deep = "[".repeat(limits::JSON_DEPTH) + "{}" + &"]".repeat(limits::JSON_DEPTH);
    assert_eq!(
        parse(empty_too_deep.as_bytes()).unwrap_err().code(),
        Code::BadJson
    );
}

#[test]
fn locally_built_values_are_checked_for_range_and_depth() {
    let mut value = Value::Int(limits::MAX_INT + 1);
    let map = [("big".to_string(), value)].into();
    assert_eq!(check_canonical(&map).unwrap_err().code(), Code::NotCanonical);
    value = Value::Null;
    for _ in 0..limits::JSON_DEPTH - 1 {
        value = Value::Array(vec![value]);
    }
    assert!(check_canonical(&[("a".to_string(), value.clone())].into()).is_ok());
    value = Value::Array(vec![value]);
    let error = check_canonical(&[("a".to_string(), value)].into()).unwrap_err();
    assert_eq!(error.code(), Code::BadJson);
    assert!(error.about().starts_with("`a[0][0]"), "{error}");
}

#[test]
fn printed_values_parse_back_and_agree_with_serde_json() {
    for seed in 0..3000 {
        let value = Random::new(seed).value(5);
        let printed = to_canonical(&value);
        assert_eq!(parse(printed.as_bytes()).as_ref(), Ok(&value), "seed {seed}");
        let oracle: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(serde_json::to_string(&oracle).unwrap(), printed, "seed {seed}");
    }
}

const DAMAGE: &[u8] = b"\"\\{}[],:0123456789-+.eEtfn u\x00\x1f\x80\xff\xed\xa0dD8/";

#[test]
fn damaged_texts_have_the_verdict_of_serde_json() {
    let (mut read, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut bytes = to_canonical(&random.value(4)).into_bytes();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() + 1);
            let byte = DAMAGE[random.below(DAMAGE.len())];
            match random.below(3) {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ => bytes.push(byte),
            }
        }
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        match (parse(&bytes), serde_json::from_slice::<serde_json::Value>(&bytes)) {
            (Ok(ours), Ok(theirs)) => {
                read += 1;
                assert_eq!(
                    to_canonical(&ours),
                    serde_json::to_string(&theirs).unwrap(),
                    "{shown}"
                );
            }
            (Err(_), Err(_)) => refused += 1,
            (Ok(_), Err(e)) => panic!("seed {seed}: serde_json refuses {shown:?}: {e}"),
            // serde_json reads floats and large integers.
            (Err(e), Ok(_)) => assert_eq!(e.code(), Code::NotCanonical, "seed {seed}: {shown:?}"),
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
}
