//! A server's signed list of its keys (FED-15).

use super::ring::MAX_VALIDITY_MS;
use roomlet_store::KeyRow;
use roomlet_wire::{
    Code, Error, KeyId, Map, Result, ServerName, Value,
    sign::{PublicKey, verify_json},
};

/// Keys that are taken from one document, and held of one server.
pub(super) const KEYS_PER_SERVER: usize = 64;
/// Keys whose private half is public, in base64: whoever signs with one proves nothing (TM-4). The one of the
/// specification's signing examples.
const PUBLISHED_PRIVATE_KEYS: &[&str] = &["XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI"];

/// A document whose signature was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Document {
    server: ServerName,
    valid_until: i64,
    keys: Vec<Listed>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Listed {
    id: KeyId,
    key: PublicKey,
    expired_at: Option<i64>,
}

impl Document {
    /// Reads a document of `server`. One of the keys that it lists as current must have signed it, and no such
    /// signature may be wrong. Keys of unknown algorithms and malformed ones are left out.
    ///
    /// # Errors
    /// [`Code::BadReply`], [`Code::BadSignature`] or [`Code::MissingSignature`], naming the rule.
    pub(super) fn verify(object: &Map, server: &ServerName) -> Result<Self> {
        let bad = |rule: &str| {
            Error::new(
                Code::BadReply,
                format!("the keys of server {server}: {rule} (FED-15)"),
            )
        };
        if object.get("server_name").and_then(Value::as_str) != Some(server.as_str()) {
            return Err(bad("`server_name` is another one"));
        }
        let valid_until = object.get("valid_until_ts").and_then(Value::as_int);
        let valid_until = valid_until.ok_or_else(|| bad("`valid_until_ts` is no integer"))?;
        let current = object.get("verify_keys").and_then(Value::as_object);
        let current = current.ok_or_else(|| bad("`verify_keys` is no object"))?;
        let mut keys: Vec<Listed> = listed(current)
            .map(|(id, key, _)| Listed {
                id,
                key,
                expired_at: None,
            })
            .collect();
        if keys.len() > KEYS_PER_SERVER {
            return Err(bad("more than 64 keys"));
        }
        let mut signed = false;
        for Listed { id, key, .. } in &keys {
            match verify_json(object, server, id, key) {
                Ok(()) => signed = true,
                Err(error) if error.code() == Code::MissingSignature => {}
                Err(error) => return Err(error.context(format!("the keys of server {server}"))),
            }
        }
        if !signed {
            return Err(bad("none of `verify_keys` signed it"));
        }
        let retired = object.get("old_verify_keys").and_then(Value::as_object);
        for (id, key, entry) in retired.into_iter().flat_map(listed) {
            let expired_at = entry.get("expired_ts").and_then(Value::as_int);
            if expired_at.is_some() && keys.len() < KEYS_PER_SERVER && keys.iter().all(|other| other.id != id)
            {
                keys.push(Listed { id, key, expired_at });
            }
        }
        Ok(Self {
            server: server.clone(),
            valid_until,
            keys,
        })
    }

    /// What changes by this document in what is `known` of the server. The bytes of a known key never change
    /// (FED-17), its validity only grows, and no old document brings a retired key back to life.
    pub(super) fn changes(&self, known: &[KeyRow], now: i64) -> Vec<KeyRow> {
        let mut rows = Vec::new();
        let mut held = known.len();
        for listed in &self.keys {
            let mut row = KeyRow {
                server: self.server.clone(),
                id: listed.id.clone(),
                key: listed.key.to_base64(),
                valid_until: listed
                    .expired_at
                    .unwrap_or(self.valid_until)
                    .min(now.saturating_add(MAX_VALIDITY_MS)),
                expired_at: listed.expired_at,
            };
            match known.iter().find(|known| known.id == row.id) {
                None if held < KEYS_PER_SERVER => held += 1,
                Some(known) if known.key == row.key => {
                    row.valid_until = row.valid_until.max(known.valid_until);
                    row.expired_at = row.expired_at.or(known.expired_at);
                    if row == *known {
                        continue;
                    }
                }
                _ => continue,
            }
            rows.push(row);
        }
        rows
    }
}

/// The entries with usable keys, by id.
fn listed(entries: &Map) -> impl Iterator<Item = (KeyId, PublicKey, &Value)> {
    entries.iter().filter_map(|(id, entry)| {
        let id = KeyId::parse(id).ok().filter(KeyId::is_ed25519)?;
        let key = PublicKey::parse(entry.get("key")?.as_str()?).ok()?;
        let is_private = !PUBLISHED_PRIVATE_KEYS.contains(&key.to_base64().as_str());
        is_private.then_some((id, key, entry))
    })
}
