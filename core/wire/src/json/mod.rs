//! Strict JSON in, canonical JSON out (CJ-1 … CJ-9).

mod canonical;
mod check;
mod members;
mod number;
mod parse;
mod print;
mod raw;
mod scan;
mod tape;

pub use canonical::canonical;
pub(crate) use canonical::canonical_without;
pub use check::check_canonical;
pub(crate) use check::check_canonical_as;
pub(crate) use members::Members;
pub use number::Numbers;
pub use parse::{parse, parse_lenient, parse_object, parse_object_lenient};
pub use print::{map_to_canonical, to_canonical};
pub use raw::{Array, Object, Raw, RawValue, to_raw_values};

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

/// An object: keys sorted by their UTF-8 bytes, as canonical JSON wants them (CJ-1).
pub type Map = BTreeMap<String, Value>;

/// A JSON value whose only numbers are integers (CJ-2), unless it was read leniently.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer within ±(2⁵³ − 1).
    Int(i64),
    /// The token of a number that canonical JSON does not allow, as it was written. Only [`parse_lenient`] makes
    /// it, for what is signed as a part of a larger body (FED-1) or thrown away with `unsigned` (EV-20).
    Number(Box<str>),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
    /// Canonical text that is printed as it is, such as that of an event in a reply. No parser makes it, and nothing
    /// looks into it.
    Canonical(RawValue),
}

impl Value {
    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(s) = self {
            Some(s)
        } else {
            None
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(i) = self { Some(*i) } else { None }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    /// The list, if this is one.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(a) = self { Some(a) } else { None }
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map> {
        if let Value::Object(m) = self {
            Some(m)
        } else {
            None
        }
    }

    /// The member `key`, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// What kind of value this is, for messages: `a string`, `an object`, ….
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Number(_) => "a number that is no integer in range",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
            Value::Canonical(text) => text.as_raw().kind(),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::String(s.into())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::String(s)
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}
impl From<Map> for Value {
    fn from(m: Map) -> Self {
        Value::Object(m)
    }
}
impl From<RawValue> for Value {
    fn from(text: RawValue) -> Self {
        Value::Canonical(text)
    }
}
impl From<Vec<Value>> for Value {
    fn from(a: Vec<Value>) -> Self {
        Value::Array(a)
    }
}
