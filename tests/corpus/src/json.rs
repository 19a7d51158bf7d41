//! JSON: what is read, is printed, and read again.

use roomlet_wire::{
    Code, Value,
    json::{check_canonical, parse, parse_lenient, to_canonical},
};
use serde_json::Value as Theirs;

/// Reading is the same before and after printing, for both readers; the strict one refuses exactly what
/// `check_canonical` does; and serde_json, where it can tell, agrees on what is JSON and what it says.
///
/// # Panics
/// If not.
pub fn json(data: &[u8]) {
    let theirs = serde_json::from_slice::<Theirs>(data);
    let lenient = parse_lenient(data);
    match (&lenient, &theirs) {
        // serde_json reads at most 128 levels and no number beyond a double: where it reads, so do we.
        (Err(error), Ok(_)) => panic!("serde_json reads what roomlet refuses: {error}"),
        (Ok(ours), Ok(theirs)) => assert!(is_same(ours, theirs), "{ours:?} is not {theirs:?}"),
        _ => {}
    }
    let strict = parse(data);
    let Ok(lenient) = lenient else {
        assert!(
            strict.is_err(),
            "the strict reader takes what the lenient one refuses"
        );
        return;
    };
    let printed = to_canonical(&lenient);
    assert_eq!(parse_lenient(printed.as_bytes()).as_ref(), Ok(&lenient));
    match strict {
        Ok(strict) => {
            assert_eq!(strict, lenient);
            assert_eq!(parse(printed.as_bytes()), Ok(strict));
            assert!(theirs.is_ok(), "serde_json refuses strict JSON: {theirs:?}");
        }
        Err(error) => assert!(matches!(error.code(), Code::BadJson | Code::NotCanonical)),
    }
    if let Value::Object(map) = &lenient {
        assert_eq!(check_canonical(map).is_ok(), parse(printed.as_bytes()).is_ok());
    }
}

fn is_same(ours: &Value, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (Value::Null, Theirs::Null) | (Value::Number(_), Theirs::Number(_)) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Int(a), Theirs::Number(b)) => b.as_i64() == Some(*a),
        (Value::String(a), Theirs::String(b)) => a == b,
        (Value::Array(a), Theirs::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => false,
    }
}
