//! From text to a tree.

use super::{
    Map, Value,
    number::{self, Numbers},
    tape::{self, Kind, Tape},
};
use crate::{
    error::{Code, Error, Result},
    limits,
};
use alloc::{format, string::String};

/// Reads one strict JSON value, nested at most [`limits::JSON_DEPTH`] levels; of duplicate keys the last wins
/// (CJ-8).
///
/// # Errors
/// [`Code::BadJson`] for what is no JSON or is nested too deeply, [`Code::NotCanonical`] for a number that is no
/// integer in range (CJ-2, CJ-7); each with the byte offset and the rule.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    Tape::parse(bytes, Numbers::Strict, limits::JSON_DEPTH).map(|tape| tree(&tape))
}

/// Reads one JSON value from another server that holds events: a request's body or a reply's.
///
/// One bad event must not take the others with it (EV-25). A number that canonical JSON does not allow therefore
/// becomes [`Value::Number`], and nesting may reach [`limits::BODY_JSON_DEPTH`]; [`Pdu::from_object`] then refuses
/// only the event that holds such a thing outside `unsigned`.
///
/// # Errors
/// [`Code::BadJson`] for what is no JSON or is nested too deeply.
///
/// [`Pdu::from_object`]: crate::Pdu::from_object
pub fn parse_lenient(bytes: &[u8]) -> Result<Value> {
    Tape::parse(bytes, Numbers::Kept, limits::BODY_JSON_DEPTH).map(|tape| tree(&tape))
}

/// Reads one strict JSON object.
///
/// # Errors
/// As [`parse`]; also [`Code::BadJson`] for another kind of value.
pub fn parse_object(bytes: &[u8]) -> Result<Map> {
    object(parse(bytes)?)
}

/// Reads one JSON object as [`parse_lenient`] reads a value.
///
/// # Errors
/// As [`parse_lenient`]; also [`Code::BadJson`] for another kind of value.
pub fn parse_object_lenient(bytes: &[u8]) -> Result<Map> {
    object(parse_lenient(bytes)?)
}

fn object(value: Value) -> Result<Map> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Error::new(
            Code::BadJson,
            format!("the JSON is {}, an object is needed", other.kind()),
        )),
    }
}

fn tree(tape: &Tape<'_>) -> Value {
    branch(tape, &mut 0)
}

/// The value whose entry is at `at`, which is moved behind it. Recurses as deep as the parser let the text be nested.
fn branch(tape: &Tape<'_>, at: &mut usize) -> Value {
    let entry = tape.entries[*at];
    *at += 1;
    let end = entry.next as usize;
    match entry.kind {
        Kind::Null => Value::Null,
        Kind::True => Value::Bool(true),
        Kind::False => Value::Bool(false),
        Kind::Number => number_value(tape.raw(&entry)),
        Kind::Plain | Kind::Escaped => Value::String(string(tape, &entry)),
        Kind::Array => {
            let mut items = alloc::vec::Vec::new();
            while *at < end {
                items.push(branch(tape, at));
            }
            Value::Array(items)
        }
        Kind::Object => {
            let mut map = Map::new();
            while *at < end {
                let key = string(tape, &tape.entries[*at]);
                *at += 1;
                map.insert(key, branch(tape, at));
            }
            Value::Object(map)
        }
    }
}

fn string(tape: &Tape<'_>, entry: &tape::Entry) -> String {
    match entry.kind {
        Kind::Escaped => tape::unescape(tape.raw(entry)),
        _ => tape.raw(entry).into(),
    }
}

/// The value of a number token: an integer if canonical JSON allows it.
pub(super) fn number_value(token: &str) -> Value {
    match (number::strict_offence(token), token.parse()) {
        (None, Ok(int)) => Value::Int(int),
        _ => Value::Number(token.into()),
    }
}
