//! What the tests of this crate share: vector files, a seeded source of values, keys.

use roomlet_wire::{
    Code, Error, KeyId, Map, Result, ServerName, Value, json,
    sign::{KeyPair, KeyRing, PublicKey},
    version::{RoomVersion, TABLE},
};
use std::collections::BTreeMap;

/// A file of `tests/vectors`.
pub(crate) fn vectors(name: &str) -> serde_json::Value {
    let path = format!("{}/../../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A vector's object as ours.
pub(crate) fn map(value: &serde_json::Value) -> Map {
    json::parse_object(value.to_string().as_bytes()).unwrap()
}

pub(crate) fn object(text: &str) -> Map {
    json::parse_object_lenient(text.as_bytes()).unwrap()
}

pub(crate) fn version(id: &str) -> &'static RoomVersion {
    TABLE.iter().find(|v| v.id == id).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::parse(name).unwrap()
}

pub(crate) fn key(id: &str, seed: u8) -> KeyPair {
    KeyPair::from_seed(KeyId::parse(id).unwrap(), &[seed; 32])
}

/// A key ring of fixed answers.
#[derive(Default)]
pub(crate) struct Ring(BTreeMap<(String, String), Result<PublicKey>>);

impl Ring {
    pub(crate) fn with(mut self, server: &str, key: &KeyPair) -> Self {
        self.0
            .insert((server.into(), key.id().to_string()), Ok(key.public()));
        self
    }

    pub(crate) fn expired(mut self, server: &str, id: &str) -> Self {
        let error = Error::new(Code::ExpiredKey, format!("{id} of {server} expired"));
        self.0.insert((server.into(), id.into()), Err(error));
        self
    }
}

impl KeyRing for Ring {
    fn key(&self, server: &str, id: &str, _: i64, _: bool) -> Result<PublicKey> {
        self.0
            .get(&(server.to_string(), id.to_string()))
            .cloned()
            .unwrap_or_else(|| Err(Error::new(Code::UnknownKey, format!("{id} of {server}"))))
    }
}

/// A small generator (SplitMix64): the same values from the same seed everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn text(&mut self) -> String {
        const CHARS: &[char] = &[
            'a',
            'b',
            'z',
            '0',
            '"',
            '\\',
            '/',
            '\0',
            '\u{1f}',
            '\n',
            '\u{8}',
            '\u{7f}',
            'é',
            '\u{2028}',
            '\u{fffd}',
            '\u{10000}',
            '\u{10ffff}',
            ' ',
            '{',
            ']',
        ];
        (0..self.below(8))
            .map(|_| CHARS[self.below(CHARS.len())])
            .collect()
    }

    pub(crate) fn value(&mut self, levels: usize) -> Value {
        let max = roomlet_wire::limits::MAX_INT;
        match self.below(if levels == 0 { 6 } else { 10 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => Value::Int((self.next() >> 11) as i64 - (max >> 1)),
            3 => Value::Int([0, 1, -1, max, -max][self.below(5)]),
            4 | 5 => Value::String(self.text()),
            6 | 7 => Value::Array((0..self.below(5)).map(|_| self.value(levels - 1)).collect()),
            _ => Value::Object(self.map(levels - 1)),
        }
    }

    pub(crate) fn map(&mut self, levels: usize) -> Map {
        (0..self.below(5))
            .map(|_| (self.text(), self.value(levels)))
            .collect()
    }
}
