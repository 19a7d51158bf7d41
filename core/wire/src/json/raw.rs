//! Views on canonical text: values are found by scanning it, and nothing is copied but what is escaped.

use super::{Map, Numbers, Value, canonical, parse::number_value, scan, tape::unescape};
use crate::error::Result;
use alloc::{borrow::Cow, string::String, vec::Vec};

/// One canonical value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw<'a>(&'a str);

/// One canonical object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object<'a>(&'a str);

/// One canonical array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Array<'a>(&'a str);

impl<'a> Raw<'a> {
    /// `text` must be a canonical value: callers cut it out of one that was checked.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The canonical text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        self.starts_with(b'"')
            .then(|| decoded(&self.0[1..self.0.len() - 1]))
    }

    /// The integer, if this is one within ±(2⁵³ − 1).
    #[must_use]
    pub fn as_int(self) -> Option<i64> {
        match number_value(self.as_number()?) {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The token of a number.
    #[must_use]
    pub fn as_number(self) -> Option<&'a str> {
        let first = self.0.as_bytes().first()?;
        matches!(first, b'-' | b'0'..=b'9').then_some(self.0)
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_object(self) -> Option<Object<'a>> {
        self.starts_with(b'{').then_some(Object(self.0))
    }

    /// The list, if this is one.
    #[must_use]
    pub fn as_array(self) -> Option<Array<'a>> {
        self.starts_with(b'[').then_some(Array(self.0))
    }

    fn starts_with(self, byte: u8) -> bool {
        self.0.as_bytes().first() == Some(&byte)
    }

    /// The member `key`, if this is an object that has it.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        self.as_object()?.get(key)
    }

    /// What kind of value this is, for messages: `a string`, `an object`, ….
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.0.as_bytes().first() {
            Some(b'n') => "null",
            Some(b't' | b'f') => "a boolean",
            Some(b'"') => "a string",
            Some(b'[') => "an array",
            Some(b'{') => "an object",
            _ if self.as_int().is_some() => "an integer",
            _ => "a number that is no integer in range",
        }
    }

    /// The value as a tree.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self.0.as_bytes().first() {
            Some(b'n') => Value::Null,
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'"') => Value::String(self.as_str().unwrap_or_default().into_owned()),
            Some(b'[') => Value::Array(Array(self.0).iter().map(Raw::to_value).collect()),
            Some(b'{') => Value::Object(Object(self.0).to_map()),
            _ => number_value(self.0),
        }
    }
}

impl<'a> Object<'a> {
    /// `text` must be a canonical object: callers cut it out of one that was checked.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The canonical text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == "{}"
    }

    /// The member `key`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        let mut members = self.raw_iter();
        members
            .find(|(name, _)| key_is(name, key))
            .map(|(_, value)| value)
    }

    /// Whether it has a member `key`.
    #[must_use]
    pub fn contains_key(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The members, by ascending key.
    pub fn iter(self) -> impl Iterator<Item = (Cow<'a, str>, Raw<'a>)> {
        self.raw_iter().map(|(key, value)| (decoded(key), value))
    }

    /// The members, each key as it stands between its quotes.
    pub(crate) fn raw_iter(self) -> Members<'a> {
        Members { text: self.0, at: 1 }
    }

    /// Where each value stands in the text, by key as it stands between its quotes.
    pub(crate) fn spans(self) -> impl Iterator<Item = (&'a str, (u32, u32))> {
        let mut at = 1;
        self.raw_iter().map(move |(key, value)| {
            let start = at + key.len() + 3;
            let end = start + value.text().len();
            at = end + 1;
            // Texts have less than 4 GiB.
            (key, (start as u32, end as u32))
        })
    }

    /// The object as a value of its own.
    #[must_use]
    pub fn to_raw(self) -> RawValue {
        RawValue(self.0.into())
    }

    /// The object as a tree.
    #[must_use]
    pub fn to_map(self) -> Map {
        self.iter()
            .map(|(key, value)| (key.into_owned(), value.to_value()))
            .collect()
    }
}

impl<'a> Array<'a> {
    /// The canonical text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The items.
    pub fn iter(self) -> impl Iterator<Item = Raw<'a>> {
        Items { text: self.0, at: 1 }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == "[]"
    }
}

/// See [`Object::raw_iter`].
pub(crate) struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.as_bytes().get(self.at) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(self.text, self.at);
        let start = key_end + 1;
        let end = value_end(self.text, start);
        let key = &self.text[self.at + 1..key_end - 1];
        let value = Raw(&self.text[start..end]);
        self.at = end + 1;
        Some((key, value))
    }
}

struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        if self.at + 1 >= self.text.len() {
            return None;
        }
        let end = value_end(self.text, self.at);
        let value = Raw(&self.text[self.at..end]);
        self.at = end + 1;
        Some(value)
    }
}

/// Whether a key, as it stands between its quotes, is `key`.
pub(crate) fn key_is(raw: &str, key: &str) -> bool {
    if raw.contains('\\') {
        unescape(raw) == key
    } else {
        raw == key
    }
}

/// What stands between two quotes, decoded.
pub(crate) fn decoded(raw: &str) -> Cow<'_, str> {
    if raw.contains('\\') {
        unescape(raw).into()
    } else {
        raw.into()
    }
}

/// The offset after the string that begins at `at`.
fn string_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = at + 1;
    loop {
        at = scan::plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            _ => return bytes.len(),
        }
    }
}

/// The offset after the value that begins at `at`. Does not recurse.
fn value_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (at, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// A canonical value of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawValue(alloc::boxed::Box<str>);

impl RawValue {
    /// Reads one JSON value (see [`canonical`](fn@canonical)).
    ///
    /// # Errors
    /// As [`canonical`](fn@canonical).
    pub fn parse(bytes: &[u8], numbers: Numbers) -> Result<Self> {
        canonical(bytes, numbers).map(|text| Self(String::from(text).into_boxed_str()))
    }

    /// The value.
    #[must_use]
    pub fn as_raw(&self) -> Raw<'_> {
        Raw(&self.0)
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'_>> {
        self.as_raw().as_object()
    }

    /// The canonical text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl From<Raw<'_>> for RawValue {
    fn from(raw: Raw<'_>) -> Self {
        Self(raw.0.into())
    }
}

impl From<&Map> for RawValue {
    fn from(map: &Map) -> Self {
        Self(super::map_to_canonical(map).into_boxed_str())
    }
}

impl From<&Value> for RawValue {
    fn from(value: &Value) -> Self {
        Self(super::to_canonical(value).into_boxed_str())
    }
}

/// The items of a list, each on its own.
#[must_use]
pub fn to_raw_values(array: Array<'_>) -> Vec<RawValue> {
    array.iter().map(RawValue::from).collect()
}
