//! `m.room.power_levels`, read as its room version allows (AUTH-22 … AUTH-25).

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec, vec::Vec};
use roomlet_wire::{
    Text, UserId,
    json::{Map, Object, Raw, RawValue},
    version::{PowerFormat, RoomVersion},
};

/// Levels by name: looking one up costs the same however many there are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LevelTable {
    /// By ascending name.
    entries: Box<[(Text, i64)]>,
    /// Places by hash of the name, each the number of an entry plus 1, or 0: a power of two of them, at most half of
    /// them taken. Empty where entries are few, or names collide, as somebody who chose them could have it; they are
    /// searched then.
    places: Box<[u16]>,
}

/// As many entries are looked through one by one faster than a name is hashed.
const FEW: usize = 8;
/// Places that are looked at for one name at most.
const PROBES: usize = 16;

impl LevelTable {
    fn new(entries: Vec<(Text, i64)>) -> Self {
        let is_few = entries.len() <= FEW;
        let places = if is_few { None } else { Self::place(&entries) }.unwrap_or_default();
        Self {
            entries: entries.into(),
            places,
        }
    }

    /// `None` if a name would have to be looked for too far from its place, or if there are too many.
    fn place(entries: &[(Text, i64)]) -> Option<Box<[u16]>> {
        let mut places = vec![0_u16; (2 * entries.len()).next_power_of_two()];
        for (number, (name, _)) in (1_u32..).zip(entries) {
            let free = probes(name, places.len()).find(|place| places[*place] == 0)?;
            places[free] = number.try_into().ok()?;
        }
        Some(places.into())
    }

    /// The level of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<i64> {
        if self.entries.len() <= FEW {
            let found = self.entries.iter().find(|(entry, _)| entry.as_str() == name);
            return found.map(|(_, level)| *level);
        }
        if self.places.is_empty() {
            let found = self
                .entries
                .binary_search_by(|(entry, _)| entry.as_str().cmp(name));
            return found.ok().map(|index| self.entries[index].1);
        }
        for place in probes(name, self.places.len()) {
            let number = self.places[place].checked_sub(1)?;
            let (entry, level) = &self.entries[usize::from(number)];
            if entry.as_str() == name {
                return Some(*level);
            }
        }
        None
    }

    /// Whether `name` has a level.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The entries, by ascending name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.entries.iter().map(|(name, level)| (name.as_str(), *level))
    }
}

/// The places at which `name` is looked for, one after another.
fn probes(name: &str, places: usize) -> impl Iterator<Item = usize> {
    let mut hash = name.len() as u64;
    for eight in name.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash ^= hash >> 29;
    }
    let mask = places.wrapping_sub(1);
    (0..PROBES).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

/// `m.room.power_levels` (AUTH-21 … AUTH-25). `None` and missing entries are what the event does not say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PowerLevels {
    /// Of a user without an entry in `users`.
    pub users_default: Option<i64>,
    /// To send an event that is no state event and has no entry in `events`.
    pub events_default: Option<i64>,
    /// To send a state event that has no entry in `events`.
    pub state_default: Option<i64>,
    /// To ban.
    pub ban: Option<i64>,
    /// To redact events of others.
    pub redact: Option<i64>,
    /// To kick.
    pub kick: Option<i64>,
    /// To invite.
    pub invite: Option<i64>,
    /// To send events of a type.
    pub events: LevelTable,
    /// Of users.
    pub users: LevelTable,
    /// To trigger notifications.
    pub notifications: LevelTable,
    /// The first thing by which AUTH-23 refuses the event's form.
    pub fault: Option<PowerFault>,
}

/// Where a power levels event breaks the form that its room version wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PowerFault {
    /// The key, or outer and inner key with a dot between.
    pub path: String,
    /// What should have been there.
    pub want: &'static str,
}

impl PowerLevels {
    /// The scalars, by name.
    #[must_use]
    pub fn scalars(&self) -> [(&'static str, Option<i64>); 7] {
        [
            ("users_default", self.users_default),
            ("events_default", self.events_default),
            ("state_default", self.state_default),
            ("ban", self.ban),
            ("redact", self.redact),
            ("kick", self.kick),
            ("invite", self.invite),
        ]
    }

    /// The levels that `content` gives in a room of a version.
    #[must_use]
    pub fn of_content(content: &Map, version: &RoomVersion) -> Self {
        let content = RawValue::from(content);
        let levels = content.as_object().map(|content| Self::parse(content, version));
        levels.unwrap_or_default()
    }

    pub(super) fn parse(content: Object<'_>, version: &RoomVersion) -> Self {
        let mut reader = Reader {
            format: version.power,
            fault: None,
        };
        let mut levels = Self {
            users_default: reader.scalar(content, "users_default"),
            events_default: reader.scalar(content, "events_default"),
            state_default: reader.scalar(content, "state_default"),
            ban: reader.scalar(content, "ban"),
            redact: reader.scalar(content, "redact"),
            kick: reader.scalar(content, "kick"),
            invite: reader.scalar(content, "invite"),
            events: reader.table(content, "events"),
            users: reader.users(content),
            notifications: reader.table(content, "notifications"),
            fault: None,
        };
        levels.fault = reader.fault;
        levels
    }
}

/// Reads levels and keeps the first fault.
struct Reader {
    format: PowerFormat,
    fault: Option<PowerFault>,
}

impl Reader {
    /// Before version 10 no rule looks at the form of anything but `users`: what cannot be read is absent.
    fn fault_from_v10(&mut self, path: String, want: &'static str) {
        if self.format == PowerFormat::Integers {
            self.fault(path, want);
        }
    }

    fn fault(&mut self, path: String, want: &'static str) {
        self.fault.get_or_insert(PowerFault { path, want });
    }

    fn level(&self, value: Raw<'_>) -> Option<i64> {
        if let Some(level) = value.as_int() {
            return Some(level);
        }
        match (self.format, value.as_number()) {
            (PowerFormat::Integers, _) => None,
            (PowerFormat::Strings, Some(_)) => None,
            (PowerFormat::Lenient, Some(token)) => level_from_number(token),
            (_, None) => level_from_text(&value.as_str()?),
        }
    }

    fn scalar(&mut self, content: Object<'_>, key: &str) -> Option<i64> {
        let level = self.level(content.get(key)?);
        if level.is_none() {
            self.fault_from_v10(key.to_owned(), "an integer");
        }
        level
    }

    fn table(&mut self, content: Object<'_>, key: &str) -> LevelTable {
        let Some(value) = content.get(key) else {
            return LevelTable::default();
        };
        let Some(entries) = value.as_object() else {
            self.fault_from_v10(key.to_owned(), "an object");
            return LevelTable::default();
        };
        let mut levels = Vec::new();
        for (name, value) in entries.iter() {
            match self.level(value) {
                Some(level) => levels.push((Text::from(&*name), level)),
                None => self.fault_from_v10(format!("{key}.{name}"), "an integer"),
            }
        }
        LevelTable::new(levels)
    }

    fn users(&mut self, content: Object<'_>) -> LevelTable {
        let Some(value) = content.get("users") else {
            return LevelTable::default();
        };
        let Some(entries) = value.as_object() else {
            self.fault("users".to_owned(), "an object");
            return LevelTable::default();
        };
        let mut levels = Vec::new();
        for (user, value) in entries.iter() {
            if UserId::parse(&user).is_err() {
                self.fault(format!("users.{user}"), "a user id");
            }
            match self.level(value) {
                Some(level) => levels.push((Text::from(&*user), level)),
                None => self.fault(format!("users.{user}"), "an integer"),
            }
        }
        LevelTable::new(levels)
    }
}

/// A level written as a number that is no integer within ±(2⁵³ − 1) (AUTH-25): cut off to an integer, and to 64 bits;
/// `None` for one that overflows.
fn level_from_number(token: &str) -> Option<i64> {
    if token.contains(['.', 'e', 'E']) {
        let double: f64 = token.parse().ok()?;
        // Converting cuts off the fraction and keeps to the range.
        return double.is_finite().then_some(double as i64);
    }
    Some(level_from_digits(token))
}

/// A level written as text (AUTH-25): white space around, one sign, decimal digits, as many as one likes.
fn level_from_text(text: &str) -> Option<i64> {
    // The text does not say what white space is: this is what it is for Python's `int()`.
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_integer.then(|| level_from_digits(text))
}

/// A level of digits that may have a sign. Beyond the range of 64 bits all levels count as equal.
fn level_from_digits(text: &str) -> i64 {
    let beyond = match text.starts_with('-') {
        true => i64::MIN,
        false => i64::MAX,
    };
    text.parse().unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_among_any_number_of_them() {
        for count in [0, 1, 2, 7, 500, 13_000] {
            let name = |number: usize| format!("@user{number:06}:a.example");
            let entries = (0..count).map(|number| (Text::from(&*name(2 * number)), number as i64));
            let table = LevelTable::new(entries.collect());
            for number in 0..count {
                assert_eq!(table.get(&name(2 * number)), Some(number as i64));
                assert_eq!(table.get(&name(2 * number + 1)), None);
            }
        }
    }

    #[test]
    fn levels_are_found_where_names_collide() {
        let entries: Vec<_> = (100..400)
            .map(|n: i64| (Text::from(&*format!("@{n}:a")), n))
            .collect();
        // As if no place had been found for one of them.
        let table = LevelTable {
            entries: entries.clone().into(),
            places: Box::default(),
        };
        for (name, level) in &entries {
            assert_eq!(table.get(name), Some(*level));
        }
        assert_eq!(table.get("@nobody:a"), None);
    }

    #[test]
    fn levels_as_other_numbers_are_cut_off() {
        let cases = [
            ("1.9", Some(1)),
            ("-1.9", Some(-1)),
            ("1e+16", Some(10_000_000_000_000_000)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("1e400", None),
        ];
        for (token, level) in cases {
            assert_eq!(level_from_number(token), level, "{token}");
        }
    }

    #[test]
    fn levels_as_text_have_one_sign_and_decimal_digits() {
        let cases = [
            ("50", Some(50)),
            (" +050\n", Some(50)),
            ("-7", Some(-7)),
            ("", None),
            ("+", None),
            ("+-5", None),
            ("1_0", None),
            ("0x10", None),
            ("1.5", None),
            ("٣", None),
            ("\u{b}\u{85}\u{a0}5\u{2028}", Some(5)),
            ("\u{1c}5", None),
            ("\u{200b}5", None),
            ("+9223372036854775807", Some(i64::MAX)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("000000000000000000000000000000007", Some(7)),
        ];
        for (text, level) in cases {
            assert_eq!(level_from_text(text), level, "{text:?}");
        }
    }
}
