//! `m.room.power_levels`, read as its room version allows (AUTH-22 … AUTH-25).

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String};
use roomlet_wire::{
    UserId,
    json::{Map, Value},
    version::{PowerFormat, RoomVersion},
};

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
    pub events: BTreeMap<String, i64>,
    /// Of users.
    pub users: BTreeMap<String, i64>,
    /// To trigger notifications.
    pub notifications: BTreeMap<String, i64>,
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

    pub(super) fn parse(content: &Map, version: &RoomVersion) -> Self {
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

    fn level(&self, value: &Value) -> Option<i64> {
        match value {
            Value::Int(level) => Some(*level),
            Value::String(text) if self.format != PowerFormat::Integers => level_from_text(text),
            _ => None,
        }
    }

    fn scalar(&mut self, content: &Map, key: &str) -> Option<i64> {
        let level = self.level(content.get(key)?);
        if level.is_none() {
            self.fault_from_v10(key.to_owned(), "an integer");
        }
        level
    }

    fn table(&mut self, content: &Map, key: &str) -> BTreeMap<String, i64> {
        let mut levels = BTreeMap::new();
        let Some(value) = content.get(key) else {
            return levels;
        };
        let Some(entries) = value.as_object() else {
            self.fault_from_v10(key.to_owned(), "an object");
            return levels;
        };
        for (name, value) in entries {
            match self.level(value) {
                Some(level) => _ = levels.insert(name.clone(), level),
                None => self.fault_from_v10(format!("{key}.{name}"), "an integer"),
            }
        }
        levels
    }

    fn users(&mut self, content: &Map) -> BTreeMap<String, i64> {
        let mut levels = BTreeMap::new();
        let Some(value) = content.get("users") else {
            return levels;
        };
        let Some(entries) = value.as_object() else {
            self.fault("users".to_owned(), "an object");
            return levels;
        };
        for (user, value) in entries {
            if UserId::parse(user).is_err() {
                self.fault(format!("users.{user}"), "a user id");
            }
            match self.level(value) {
                Some(level) => _ = levels.insert(user.clone(), level),
                None => self.fault(format!("users.{user}"), "an integer"),
            }
        }
        levels
    }
}

/// A level written as text (AUTH-25): white space around, one sign, decimal digits.
fn level_from_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("99999999999999999999", None),
        ];
        for (text, level) in cases {
            assert_eq!(level_from_text(text), level, "{text:?}");
        }
    }
}
