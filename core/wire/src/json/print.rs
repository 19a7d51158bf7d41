//! The one canonical printer (CJ-1, CJ-3).
//!
//! It recurses: what comes from outside has at most [`BODY_JSON_DEPTH`](crate::limits::BODY_JSON_DEPTH) levels.

use super::{Map, Value};
use alloc::string::String;
use core::fmt::Write;

/// Prints a value in canonical form (CJ-1, CJ-3). A [`Value::Number`] is printed as it was written.
#[must_use]
pub fn to_canonical(value: &Value) -> String {
    let mut out = String::new();
    put_value(&mut out, value);
    out
}

/// Prints an object in canonical form.
#[must_use]
pub fn map_to_canonical(map: &Map) -> String {
    let mut out = String::with_capacity(512);
    put_map(&mut out, map);
    out
}

fn put_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(int) => write!(out, "{int}").expect("writing to a String does not fail"),
        Value::Number(token) => out.push_str(token),
        Value::String(text) => put_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                put_value(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => put_map(out, map),
        Value::Canonical(text) => out.push_str(text.as_raw().text()),
    }
}

fn put_map(out: &mut String, map: &Map) {
    out.push('{');
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        put_string(out, key);
        out.push(':');
        put_value(out, value);
    }
    out.push('}');
}

pub(super) fn put_string(out: &mut String, text: &str) {
    out.push('"');
    let mut copied = 0;
    for (i, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        // Only ASCII is escaped, so `i` is a character boundary.
        out.push_str(&text[copied..i]);
        copied = i + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0C => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            other => write!(out, "\\u{other:04x}").expect("writing to a String does not fail"),
        }
    }
    out.push_str(&text[copied..]);
    out.push('"');
}
