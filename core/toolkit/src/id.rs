//! Identifiers and server names, and their parts.

use roomlet_wire::{EventId, KeyId, Result, RoomAlias, RoomId, ServerName, UserId};

/// What an identifier names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdKind {
    /// A user: `@localpart:server`.
    User,
    /// A room: `!opaque:server`, or `!hash` from version 12 on.
    Room,
    /// A room alias: `#localpart:server`.
    RoomAlias,
    /// An event: `$hash`, or `$opaque:server` before version 3.
    Event,
    /// A server: `host` or `host:port`.
    Server,
    /// A signing key: `algorithm:name`.
    Key,
}

/// An identifier in its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedId {
    /// What it names.
    pub kind: IdKind,
    /// What stands before the server, without the sigil; of a key its name; empty for a server.
    pub local: String,
    /// The server; of a key its algorithm. `None` for ids that are hashes.
    pub server: Option<String>,
    /// The host of the server.
    pub host: Option<String>,
    /// The port of the server, if it names one.
    pub port: Option<u16>,
}

/// Checks an identifier by the grammar of its kind (ID-1 … ID-10) and takes it apart.
///
/// # Errors
/// `BadId`, with the rule.
pub fn parse_id(kind: IdKind, text: &str) -> Result<ParsedId> {
    let (local, server) = match kind {
        IdKind::User => split(UserId::parse(text)?.as_str()),
        IdKind::Room => split(RoomId::parse(text)?.as_str()),
        IdKind::RoomAlias => split(RoomAlias::parse(text)?.as_str()),
        IdKind::Event => split(EventId::parse(text)?.as_str()),
        IdKind::Server => (String::new(), Some(ServerName::parse(text)?.as_str().to_owned())),
        IdKind::Key => {
            let id = KeyId::parse(text)?;
            let (algorithm, name) = id.split_once(':').unwrap_or((&id, ""));
            return Ok(ParsedId {
                kind,
                local: name.to_owned(),
                server: Some(algorithm.to_owned()),
                host: None,
                port: None,
            });
        }
    };
    let name = server.as_deref().map(ServerName::parse).transpose()?;
    Ok(ParsedId {
        kind,
        local,
        host: name.as_ref().map(|name| name.host().to_owned()),
        port: name.as_ref().and_then(ServerName::port),
        server,
    })
}

/// Without the sigil, before and after the first `:`.
fn split(id: &str) -> (String, Option<String>) {
    match id[1..].split_once(':') {
        Some((local, server)) => (local.to_owned(), Some(server.to_owned())),
        None => (id[1..].to_owned(), None),
    }
}
