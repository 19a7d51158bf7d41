//! This server's own keys.

use crate::env::Env;
use roomlet_store::{Commit, OwnKey, Store, Write};
use roomlet_wire::{
    Code, Error, KeyId, Map, Result, ServerName, Value,
    sign::{KeyPair, PublicKey, sign_json},
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The least time that published keys are valid, in milliseconds (FED-15).
const MIN_VALIDITY_MS: i64 = 3_600_000;

/// The key in use, and retired ones, which old events still need.
pub(super) struct OwnKeys {
    me: ServerName,
    active: Arc<KeyPair>,
    /// With the time of their retirement, in milliseconds.
    retired: Vec<(KeyId, PublicKey, i64)>,
    validity_ms: i64,
}

impl OwnKeys {
    pub(super) async fn open(store: &dyn Store, env: &Env, me: ServerName, validity_ms: i64) -> Result<Self> {
        let mut active = None;
        let mut retired = Vec::new();
        for key in store.own_keys()? {
            let pair = KeyPair::from_seed(key.id.clone(), &key.seed);
            match key.expired_at {
                Some(at) => retired.push((key.id.clone(), pair.public(), at)),
                None => active = Some(pair),
            }
        }
        let active = match active {
            Some(pair) => pair,
            None => generate(store, env).await?,
        };
        Ok(Self {
            me,
            active: Arc::new(active),
            retired,
            validity_ms: validity_ms.max(MIN_VALIDITY_MS),
        })
    }

    pub(super) fn server_name(&self) -> &ServerName {
        &self.me
    }

    pub(super) fn signing_key(&self) -> Arc<KeyPair> {
        self.active.clone()
    }

    /// All keys, with the time of their retirement.
    pub(super) fn public(&self) -> Vec<(KeyId, PublicKey, Option<i64>)> {
        let active = (self.active.id().clone(), self.active.public(), None);
        let retired = self
            .retired
            .iter()
            .map(|(id, key, at)| (id.clone(), key.clone(), Some(*at)));
        std::iter::once(active).chain(retired).collect()
    }

    /// The signed document of FED-15.
    pub(super) fn document(&self, now: i64) -> Map {
        let key = |key: &PublicKey| ("key".to_owned(), Value::from(key.to_base64()));
        let verify = Map::from([(
            self.active.id().to_string(),
            Map::from([key(&self.active.public())]).into(),
        )]);
        let old = self.retired.iter().map(|(id, public, at)| {
            (
                id.to_string(),
                Map::from([key(public), ("expired_ts".to_owned(), (*at).into())]).into(),
            )
        });
        let mut document = Map::from([
            ("server_name".to_owned(), self.me.as_str().into()),
            ("verify_keys".to_owned(), verify.into()),
            ("old_verify_keys".to_owned(), Value::Object(old.collect())),
            (
                "valid_until_ts".to_owned(),
                now.saturating_add(self.validity_ms).into(),
            ),
        ]);
        sign_json(&mut document, &self.me, &self.active);
        document
    }
}

/// Makes a key, and makes it durable before it signs anything.
async fn generate(store: &dyn Store, env: &Env) -> Result<KeyPair> {
    let mut seed = Zeroizing::new([0; 32]);
    env.rng.fill(&mut *seed);
    let mut name = [0; 3];
    env.rng.fill(&mut name);
    let id = KeyId::parse(&format!("ed25519:r{:02x}{:02x}{:02x}", name[0], name[1], name[2]))
        .map_err(|error| Error::new(Code::BadId, error.about()))?;
    let pair = KeyPair::from_seed(id.clone(), &seed);
    let own = OwnKey {
        id,
        seed: *seed,
        expired_at: None,
    };
    let writes = vec![Write::OwnKey(own)];
    store.commit(Commit { writes }).await?;
    Ok(pair)
}
