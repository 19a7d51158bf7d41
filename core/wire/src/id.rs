//! Identifiers: checked once, then read as text (ID-1 … ID-10).

use crate::{
    base64,
    error::{Code, Error, Result},
    text::Text,
};
use alloc::{format, string::String};
use core::{borrow::Borrow, fmt, ops::Deref};

/// The longest identifier in bytes (ID-6, ID-8, ID-12).
pub const MAX_ID_BYTES: usize = 255;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// Checks `text` against the grammar.
            ///
            /// # Errors
            /// [`Code::BadId`], naming the rule.
            pub fn parse(text: &str) -> Result<Self> {
                if text.len() > MAX_ID_BYTES {
                    return Err(bad($what, text, "longer than 255 bytes"));
                }
                Self::parse_any_length(text)
            }

            /// As `parse`, without the limit: some versions keep events with over-long ids, as rejected (ID-12).
            ///
            /// # Errors
            /// As `parse`.
            pub fn parse_any_length(text: &str) -> Result<Self> {
                match $check(text) {
                    Ok(()) => Ok(Self(text.into())),
                    Err(rule) => Err(bad($what, text, rule)),
                }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl Deref for $name { type Target = str; fn deref(&self) -> &str { &self.0 } }
        impl AsRef<str> for $name { fn as_ref(&self) -> &str { &self.0 } }
        impl Borrow<str> for $name { fn borrow(&self) -> &str { &self.0 } }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
        impl fmt::Debug for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
        impl core::str::FromStr for $name { type Err = Error; fn from_str(s: &str) -> Result<Self> { Self::parse(s) } }
    };
}

fn bad(what: &str, text: &str, rule: &str) -> Error {
    Error::new(Code::BadId, format!("{what} {:?}: {rule}", Excerpt(text)))
}

/// At most 60 characters of a text, quoted, for messages: what was given may be of any length.
pub struct Excerpt<'a>(pub &'a str);

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(60) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}… ({} bytes)", &self.0[..end], self.0.len()),
        }
    }
}

id! {
    /// `@localpart:server`, also a historical one (ID-5).
    UserId, "user id", check_user
}
id! {
    /// `!local:domain`, or `!` + 43 characters in rooms of version 12 (ID-6).
    RoomId, "room id", check_room
}
id! {
    /// `#local:domain` (ID-7).
    RoomAlias, "room alias", check_alias
}
id! {
    /// `$…`: the form depends on the room version (ID-8).
    EventId, "event id", check_event
}
id! {
    /// `hostname[:port]`, compared byte for byte (ID-1, ID-2).
    ServerName, "server name", check_server
}
id! {
    /// `ed25519:name`, or of an algorithm that roomlet skips (ID-10).
    KeyId, "key id", check_key
}

impl UserId {
    /// What stands between `@` and the first `:`.
    #[must_use]
    pub fn localpart(&self) -> &str {
        split(self).0
    }

    /// The name of the user's server.
    #[must_use]
    pub fn server(&self) -> &str {
        split(self).1
    }

    /// As [`UserId::server`], as an identifier of its own.
    #[must_use]
    pub fn server_name(&self) -> ServerName {
        ServerName(self.server().into())
    }

    /// Whether a new account may have this id (ID-4).
    #[must_use]
    pub fn is_compliant(&self) -> bool {
        let local = self.localpart();
        !local.is_empty()
            && local
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._=-/+".contains(&b))
    }
}

impl RoomId {
    /// The domain, which has no authority over the room; `None` for rooms of version 12.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, domain)| domain)
    }
}

impl EventId {
    /// The id that a reference hash makes (ID-8).
    pub(crate) fn of_hash(hash: &[u8; 32], standard_alphabet: bool) -> Self {
        let mut text = [b'$'; 44];
        base64::encode_hash(hash, standard_alphabet, &mut text[1..]);
        Self(core::str::from_utf8(&text).unwrap_or_default().into())
    }

    /// The domain of an event id of versions 1 and 2.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, domain)| domain)
    }
}

impl RoomAlias {
    /// The name of the server that resolves the alias.
    #[must_use]
    pub fn server(&self) -> &str {
        split(self).1
    }
}

impl ServerName {
    /// The name without its port, brackets kept.
    #[must_use]
    pub fn host(&self) -> &str {
        host_and_port(self).0
    }

    /// The port, where the name has one that can be connected to.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        host_and_port(self).1.and_then(|p| p.parse().ok())
    }
}

impl KeyId {
    /// Whether `text` is the id of a key of the one algorithm that servers sign with.
    #[must_use]
    pub fn names_ed25519(text: &str) -> bool {
        text.starts_with("ed25519:") && text.len() <= MAX_ID_BYTES && check_key(text).is_ok()
    }

    /// Whether the key is of the one algorithm that servers sign with.
    #[must_use]
    pub fn is_ed25519(&self) -> bool {
        self.0.starts_with("ed25519:")
    }
}

fn split(id: &str) -> (&str, &str) {
    id[1..].split_once(':').unwrap_or((&id[1..], ""))
}

fn check_sigil(text: &str, sigil: char, rule: &'static str) -> Result<(), &'static str> {
    if !text.starts_with(sigil) {
        return Err(rule);
    }
    if text.contains('\0') {
        return Err("contains NUL");
    }
    Ok(())
}

fn check_with_domain(text: &str) -> Result<(), &'static str> {
    match text[1..].split_once(':') {
        None => Err("has no `:` before a server name"),
        Some((_, domain)) => check_server(domain).map_err(|_| "what follows the first `:` is no server name"),
    }
}

fn check_user(text: &str) -> Result<(), &'static str> {
    check_sigil(text, '@', "does not begin with `@`")?;
    check_with_domain(text)
}

fn check_alias(text: &str) -> Result<(), &'static str> {
    check_sigil(text, '#', "does not begin with `#`")?;
    check_with_domain(text)
}

fn check_room(text: &str) -> Result<(), &'static str> {
    check_sigil(text, '!', "does not begin with `!`")?;
    if text.len() == 1 {
        return Err("is empty");
    }
    if text.contains(':') {
        check_with_domain(text)
    } else {
        check_hash(&text[1..])
    }
}

fn check_event(text: &str) -> Result<(), &'static str> {
    if text.starts_with('$') && check_hash(&text[1..]).is_ok() {
        return Ok(());
    }
    check_sigil(text, '$', "does not begin with `$`")?;
    if text.contains(':') {
        check_with_domain(text)
    } else {
        check_hash(&text[1..])
    }
}

/// 32 bytes in either unpadded base64 alphabet: 43 characters, the last of which carries 4 bits.
fn check_hash(text: &str) -> Result<(), &'static str> {
    // Without a branch per byte: ids are most of what an event cites.
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'-' | b'_' | b'+' | b'/');
    let ok = text.len() == 43 && text.bytes().fold(true, |ok, b| ok & is_base64(b));
    if ok {
        Ok(())
    } else {
        Err("is neither `local:server` nor 43 characters of base64")
    }
}

fn check_key(text: &str) -> Result<(), &'static str> {
    match text.split_once(':') {
        None => Err("has no `:` after the algorithm"),
        Some((algorithm, name)) => {
            if algorithm.is_empty() {
                Err("has no algorithm")
            } else if algorithm.contains('\0') {
                Err("contains NUL")
            } else if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                Err("the part after `:` is not 1 or more of `A-Za-z0-9_`")
            } else {
                Ok(())
            }
        }
    }
}

fn host_and_port(name: &str) -> (&str, Option<&str>) {
    let after_host = if name.starts_with('[') {
        name.find(']').map_or(name.len(), |i| i + 1)
    } else {
        0
    };
    match name[after_host..].find(':') {
        None => (name, None),
        Some(i) => (&name[..after_host + i], Some(&name[after_host + i + 1..])),
    }
}

fn check_server(name: &str) -> Result<(), &'static str> {
    let (host, port) = host_and_port(name);
    if let Some(port) = port
        && !((1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err("the port is not 1 to 5 digits");
    }
    if host.is_empty() {
        return Err("the host is empty");
    }
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.strip_suffix(']') {
            Some(v6)
                if (2..=45).contains(&v6.len())
                    && v6.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)) =>
            {
                Ok(())
            }
            _ => Err("the IPv6 literal is not 2 to 45 of `0-9A-Fa-f:.` in brackets"),
        };
    }
    if host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
    {
        Ok(())
    } else {
        Err("the host has a character outside `A-Za-z0-9.-`")
    }
}

impl From<&ServerName> for String {
    fn from(name: &ServerName) -> String {
        name.as_str().into()
    }
}
