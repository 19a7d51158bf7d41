//! Asking a notary for another server's keys (FED-16).

use super::{Wanted, document::Document, fetch::Fetcher};
use roomlet_wire::{
    KeyId, Map, Result, ServerName, Value, json,
    sign::{KeyRing, verify_json},
};

/// Documents that are read of one answer.
const MAX_DOCUMENTS: usize = 16;

impl Fetcher {
    /// Asks `notary` for keys of `server`. Both must have signed the answer; the notary's own keys come from itself.
    pub(super) async fn ask_notary(
        &self,
        notary: &ServerName,
        server: &ServerName,
        wanted: &Wanted,
    ) -> Result<()> {
        let ids = wanted.iter().map(|(id, at)| {
            let criteria = Map::from([("minimum_valid_until_ts".to_owned(), Value::Int(*at))]);
            (id.to_string(), criteria.into())
        });
        let servers = Map::from([(server.to_string(), Value::Object(ids.collect()))]);
        let query = Map::from([("server_keys".to_owned(), servers.into())]);
        let body = json::map_to_canonical(&query).into_bytes();
        let reply = self
            .request(notary, "POST", "/_matrix/key/v2/query".into(), body)
            .await?;
        let documents = reply.get("server_keys").and_then(Value::as_array);
        let documents =
            documents.ok_or_else(|| Self::bad_reply(notary, "`server_keys` is no array (FED-16)"))?;
        let mut result = Err(Self::bad_reply(
            notary,
            "no document of the server that was asked for (FED-16)",
        ));
        for document in documents.iter().take(MAX_DOCUMENTS).filter_map(Value::as_object) {
            if document.get("server_name").and_then(Value::as_str) == Some(server.as_str()) {
                result = self.take_notarised(document, notary, server).await;
            }
        }
        result
    }

    async fn take_notarised(&self, object: &Map, notary: &ServerName, server: &ServerName) -> Result<()> {
        let document = Document::verify(object, server)?;
        self.check_notary(object, notary).await?;
        self.learn(&document, server).await
    }

    async fn check_notary(&self, object: &Map, notary: &ServerName) -> Result<()> {
        let now = self.env.clock.now_ms();
        let signatures = object
            .get("signatures")
            .and_then(|all| all.get(notary)?.as_object());
        let ids: Vec<KeyId> = signatures
            .into_iter()
            .flatten()
            .filter_map(|(id, _)| KeyId::parse(id).ok())
            .collect();
        if ids.iter().any(|id| self.ring.would_fetch(notary, id, now, now)) {
            self.ask_origin(notary).await?;
        }
        for id in &ids {
            if let Ok(key) = self.ring.key(notary, id, now, true) {
                return verify_json(object, notary, id, &key);
            }
        }
        Err(Self::bad_reply(
            notary,
            "no signature of its own with a key that is known (FED-16)",
        ))
    }
}
