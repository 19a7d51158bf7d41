//! One row per endpoint.

use super::{Fields, Inbound, KeyQuery};
use roomlet_wire::{Code, Error, EventId, KeyId, Result, ServerName, Value, json::RawValue};
use std::collections::BTreeMap;

/// An endpoint.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) method: &'static str,
    /// The path; a segment `*` is a variable.
    pattern: &'static str,
    /// Open to requests without authentication (FED-4).
    pub(super) public: bool,
    pub(super) read: fn(Fields<'_>) -> Result<Inbound>,
}

impl Row {
    /// The variable segments of `path`, if it fits.
    pub(super) fn matches<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let mut variables = Vec::new();
        let mut segments = path.split('/');
        for wanted in self.pattern.split('/') {
            match segments.next()? {
                segment if wanted == "*" && !segment.is_empty() => variables.push(segment),
                segment if segment == wanted => {}
                _ => return None,
            }
        }
        segments.next().is_none().then_some(variables)
    }
}

const fn row(method: &'static str, pattern: &'static str, read: fn(Fields<'_>) -> Result<Inbound>) -> Row {
    Row {
        method,
        pattern,
        public: false,
        read,
    }
}

const fn public(method: &'static str, pattern: &'static str, read: fn(Fields<'_>) -> Result<Inbound>) -> Row {
    Row {
        method,
        pattern,
        public: true,
        read,
    }
}

pub(super) static ROWS: &[Row] = &[
    row("PUT", "/_matrix/federation/v1/send/*", |mut f| {
        Ok(Inbound::Send {
            txn_id: f.next_text(),
            pdus: f.list("pdus")?.into_iter().map(RawValue::from).collect(),
            edus: f.list("edus")?.into_iter().map(RawValue::from).collect(),
        })
    }),
    row("GET", "/_matrix/federation/v1/make_join/*/*", |mut f| {
        let mut versions: Vec<String> = f.query_all("ver").map(str::to_owned).collect();
        if versions.is_empty() {
            versions.push("1".into());
        }
        Ok(Inbound::MakeJoin {
            room: f.next()?,
            user: f.next()?,
            versions,
        })
    }),
    row("PUT", "/_matrix/federation/v2/send_join/*/*", |f| {
        send_join(f, false)
    }),
    row("PUT", "/_matrix/federation/v1/send_join/*/*", |f| {
        send_join(f, true)
    }),
    row("GET", "/_matrix/federation/v1/make_leave/*/*", |mut f| {
        Ok(Inbound::MakeLeave {
            room: f.next()?,
            user: f.next()?,
        })
    }),
    row("PUT", "/_matrix/federation/v2/send_leave/*/*", |f| {
        send_leave(f, false)
    }),
    row("PUT", "/_matrix/federation/v1/send_leave/*/*", |f| {
        send_leave(f, true)
    }),
    row("PUT", "/_matrix/federation/v2/invite/*/*", |mut f| {
        Ok(Inbound::Invite {
            room: f.next()?,
            event_id: f.next()?,
            version: f.text("room_version")?,
            event: f.object("event")?,
            preview: f.values("invite_room_state")?,
        })
    }),
    row("GET", "/_matrix/federation/v1/event/*", |mut f| {
        Ok(Inbound::Event { event_id: f.next()? })
    }),
    row("GET", "/_matrix/federation/v1/state/*", |mut f| {
        Ok(Inbound::State {
            room: f.next()?,
            event_id: f.query_id("event_id")?,
        })
    }),
    row("GET", "/_matrix/federation/v1/state_ids/*", |mut f| {
        Ok(Inbound::StateIds {
            room: f.next()?,
            event_id: f.query_id("event_id")?,
        })
    }),
    row("GET", "/_matrix/federation/v1/event_auth/*/*", |mut f| {
        Ok(Inbound::EventAuth {
            room: f.next()?,
            event_id: f.next()?,
        })
    }),
    row("GET", "/_matrix/federation/v1/backfill/*", |mut f| {
        let from: Vec<EventId> = f.query_all("v").map(EventId::parse).collect::<Result<_>>()?;
        if from.is_empty() {
            f.query_id::<EventId>("v")?;
        }
        let limit = f.query_number::<usize>("limit")?;
        let limit = limit.ok_or_else(|| Error::new(Code::BadParam, "query parameter `limit` is missing"))?;
        Ok(Inbound::Backfill {
            room: f.next()?,
            from,
            limit,
        })
    }),
    row("POST", "/_matrix/federation/v1/get_missing_events/*", |mut f| {
        let limit = f.natural("limit", 10)?;
        Ok(Inbound::MissingEvents {
            room: f.next()?,
            earliest: f.event_ids("earliest_events")?,
            latest: f.event_ids("latest_events")?,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            min_depth: f.natural("min_depth", 0)?,
        })
    }),
    row("GET", "/_matrix/federation/v1/query/profile", |f| {
        Ok(Inbound::QueryProfile {
            user: f.query_id("user_id")?,
            field: f.query("field").map(str::to_owned),
        })
    }),
    row("GET", "/_matrix/federation/v1/query/directory", |f| {
        Ok(Inbound::QueryDirectory {
            alias: f.query_id("room_alias")?,
        })
    }),
    row("GET", "/_matrix/federation/v1/user/devices/*", |mut f| {
        Ok(Inbound::UserDevices { user: f.next()? })
    }),
    public("GET", "/_matrix/federation/v1/version", |_| Ok(Inbound::Version)),
    public("GET", "/_matrix/key/v2/server", |_| Ok(Inbound::ServerKeys)),
    // A deprecated form with a key id; all keys are a right answer to it.
    public("GET", "/_matrix/key/v2/server/*", |_| Ok(Inbound::ServerKeys)),
    public("GET", "/_matrix/key/v2/query/*", |mut f| {
        query_one(f.next()?, None, &f)
    }),
    public("GET", "/_matrix/key/v2/query/*/*", |mut f| {
        let server = f.next()?;
        let id = f.next()?;
        query_one(server, Some(id), &f)
    }),
    public("POST", "/_matrix/key/v2/query", |f| {
        let servers = f.object("server_keys")?;
        let wanted = servers.iter().map(|(server, keys)| {
            let keys = keys
                .as_object()
                .ok_or_else(|| bad_query("a server's entry is no object"))?;
            let ids = keys
                .iter()
                .filter_map(|(id, criteria)| Some((KeyId::parse(id).ok()?, valid_until(criteria))));
            Ok((ServerName::parse(server)?, ids.collect()))
        });
        Ok(Inbound::QueryKeys {
            wanted: wanted.collect::<Result<_>>()?,
        })
    }),
];

fn send_join(mut f: Fields<'_>, v1: bool) -> Result<Inbound> {
    Ok(Inbound::SendJoin {
        room: f.next()?,
        event_id: f.next()?,
        omit_members: f.query("omit_members") == Some("true"),
        event: f.body()?,
        v1,
    })
}

fn send_leave(mut f: Fields<'_>, v1: bool) -> Result<Inbound> {
    Ok(Inbound::SendLeave {
        room: f.next()?,
        event_id: f.next()?,
        event: f.body()?,
        v1,
    })
}

fn query_one(server: ServerName, id: Option<KeyId>, f: &Fields<'_>) -> Result<Inbound> {
    let until = f.query_number::<i64>("minimum_valid_until_ts")?.unwrap_or(0);
    let wanted: KeyQuery = BTreeMap::from([(server, id.into_iter().map(|id| (id, until)).collect())]);
    Ok(Inbound::QueryKeys { wanted })
}

/// `minimum_valid_until_ts`; 0, which any key satisfies, if there is none.
fn valid_until(criteria: &Value) -> i64 {
    criteria
        .get("minimum_valid_until_ts")
        .and_then(Value::as_int)
        .unwrap_or(0)
}

fn bad_query(rule: &str) -> Error {
    Error::new(Code::BadParam, format!("`server_keys`: {rule} (FED-16)"))
}
