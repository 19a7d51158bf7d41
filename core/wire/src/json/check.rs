//! Whether a value that was built or read leniently is canonical JSON.

use super::{
    Map, Value,
    number::{self, Numbers},
};
use crate::{
    error::{Code, Error, Result},
    limits,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// Checks that all numbers are integers in range (CJ-2) and that arrays and objects, `map` included, are nested at
/// most [`limits::JSON_DEPTH`] levels: that [`parse`](fn@super::parse) would read back what is printed.
///
/// # Errors
/// [`Code::NotCanonical`] or [`Code::BadJson`] with the JSON path and the rule.
pub fn check_canonical(map: &Map) -> Result<()> {
    check_canonical_as(map, Numbers::Strict)
}

/// As [`check_canonical`], with the numbers that `numbers` allows.
pub(crate) fn check_canonical_as(map: &Map, numbers: Numbers) -> Result<()> {
    check_map(map, limits::JSON_DEPTH, numbers).map_err(|offence| {
        let mut path = String::new();
        for step in offence.path.iter().rev() {
            path.push_str(step);
        }
        Error::new(
            offence.code,
            format!("`{}`: {}", path.trim_start_matches('.'), offence.rule),
        )
    })
}

struct Offence {
    /// From the innermost step outwards, each with its punctuation.
    path: Vec<String>,
    code: Code,
    rule: String,
}

fn offence(code: Code, rule: String) -> Offence {
    Offence {
        path: Vec::new(),
        code,
        rule,
    }
}

fn within<T: Fn() -> String>(result: Result<(), Offence>, step: T) -> Result<(), Offence> {
    result.map_err(|mut offence| {
        offence.path.push(step());
        offence
    })
}

fn check_map(map: &Map, levels: usize, numbers: Numbers) -> Result<(), Offence> {
    let inner = deeper(levels)?;
    map.iter()
        .try_for_each(|(key, value)| within(check(value, inner, numbers), || format!(".{key}")))
}

fn deeper(levels: usize) -> Result<usize, Offence> {
    levels.checked_sub(1).ok_or_else(|| {
        let rule = format!(
            "more than {} levels of arrays and objects (CJ-9)",
            limits::JSON_DEPTH
        );
        offence(Code::BadJson, rule)
    })
}

fn check(value: &Value, levels: usize, numbers: Numbers) -> Result<(), Offence> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Canonical(text) => check(&text.as_raw().to_value(), levels, numbers),
        Value::Int(int) if int.unsigned_abs() <= limits::MAX_INT.unsigned_abs() => Ok(()),
        Value::Int(int) => check_number(&int.to_string(), numbers),
        Value::Number(token) => check_number(token, numbers),
        Value::Array(items) => {
            let inner = deeper(levels)?;
            items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| within(check(item, inner, numbers), || format!("[{i}]")))
        }
        Value::Object(map) => check_map(map, levels, numbers),
    }
}

fn check_number(token: &str, numbers: Numbers) -> Result<(), Offence> {
    let allowed = match numbers {
        Numbers::Strict => false,
        Numbers::Kept => true,
        Numbers::Python => number::python(token).is_some(),
    };
    if allowed { Ok(()) } else { Err(not_integer(token)) }
}

fn not_integer(token: &str) -> Offence {
    let shown: String = token.chars().take(40).collect();
    offence(
        Code::NotCanonical,
        format!("{shown} is no integer within ±(2^53 − 1) (CJ-2)"),
    )
}
