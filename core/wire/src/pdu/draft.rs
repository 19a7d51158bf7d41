//! Events of this server: from what they say to hashed and signed.

use super::{Parsed, Pdu, Verified};
use crate::{
    error::{Code, Error, Result},
    hash,
    id::{EventId, RoomId, ServerName, UserId},
    json::{Map, Value},
    limits, redact,
    sign::{self, KeyPair},
    version::{EventFormat, RoomVersion},
};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// What a server decides of an event before hashing and signing it. The fields mean what they mean in
/// [`Event`](super::Event).
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Draft {
    /// `None` only for a create event of version 12.
    pub room_id: Option<RoomId>,
    pub sender: UserId,
    pub kind: String,
    pub state_key: Option<String>,
    pub content: Map,
    pub prev_events: Vec<EventId>,
    pub auth_events: Vec<EventId>,
    pub depth: i64,
    pub origin_server_ts: i64,
    pub redacts: Option<EventId>,
    /// The reference hashes of cited events, which stand beside their ids in versions 1 and 2 (EV-2); not looked at in
    /// others.
    pub hashes: BTreeMap<EventId, String>,
}

impl Draft {
    /// Hashes and signs (EV-5, EV-7): a finished event of this server, without `origin` (EV-3) and `unsigned`.
    /// `server` must be the sender's.
    ///
    /// # Errors
    /// As [`Pdu::from_object`]: roomlet sends nothing that it would refuse (TM-18). [`Code::TooLarge`] also beyond
    /// [`limits::OWN_PDU_BYTES`] and for identifiers that receivers reject (ID-12), [`Code::BadParam`] for a sender of
    /// another server.
    pub fn sign(
        self,
        version: &'static RoomVersion,
        server: &ServerName,
        key: &KeyPair,
    ) -> Result<Pdu<Verified>> {
        if self.sender.server() != server.as_str() {
            return Err(Error::new(
                Code::BadParam,
                format!("{server} cannot sign an event of {} (EV-14)", self.sender),
            ));
        }
        let mut object = self.into_hashed_object(version);
        let signature = key.sign(redact::signing_form_of_map(&object, version).as_bytes());
        sign::insert_signature(&mut object, server, key.id(), signature.into());
        let pdu = Pdu::<Parsed>::from_object(object, version)?;
        let size = pdu.json().len();
        if size > limits::OWN_PDU_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                format!(
                    "event: {size} bytes, at most {} of this server's (ID-11)",
                    limits::OWN_PDU_BYTES
                ),
            ));
        }
        if pdu.oversized_ids {
            return Err(Error::new(
                Code::TooLarge,
                "an identifier of the event has more than 255 bytes (ID-12)",
            ));
        }
        Ok(Pdu(pdu.0, ()))
    }

    /// The event as another server would sign it, without that signature: to ask the authorization rules whether a
    /// template would be allowed (FED-30). It must be neither stored nor sent.
    ///
    /// # Errors
    /// As [`Pdu::from_object`].
    pub fn unsigned(self, version: &'static RoomVersion) -> Result<Pdu<Verified>> {
        let mut object = self.into_hashed_object(version);
        object.insert("signatures".to_string(), Map::new().into());
        let pdu = Pdu::<Parsed>::from_object(object, version)?;
        Ok(Pdu(pdu.0, ()))
    }

    /// The event without hashes and signatures, as the template that another server finishes (FED-30).
    #[must_use]
    pub fn into_template(self, version: &'static RoomVersion) -> Map {
        self.into_object(version)
    }

    fn into_hashed_object(self, version: &'static RoomVersion) -> Map {
        let server = self.sender.server_name();
        let mut object = self.into_object(version);
        if version.event_format == EventFormat::ServerIds {
            // The id is the server's to choose: what the event says, all of it, is as good as chance, and the same in a
            // replay.
            insert_hashes(&mut object);
            let opaque: String = hash::event_id(&object, version)[1..].into();
            let id = format!("${}:{server}", &opaque[..18]);
            object.insert("event_id".to_string(), id.into());
        }
        insert_hashes(&mut object);
        object
    }

    fn into_object(self, version: &RoomVersion) -> Map {
        let mut content = self.content;
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_string(), value);
        if let Some(redacts) = self.redacts {
            if version.redacts_in_content {
                content.insert("redacts".to_string(), redacts.as_str().into());
            } else {
                put("redacts", redacts.as_str().into());
            }
        }
        if let Some(room_id) = self.room_id {
            put("room_id", room_id.as_str().into());
        }
        if let Some(state_key) = self.state_key {
            put("state_key", state_key.into());
        }
        put("sender", self.sender.as_str().into());
        put("type", self.kind.into());
        put("content", content.into());
        let references = |ids: &[EventId]| references(ids, &self.hashes, version);
        put("prev_events", references(&self.prev_events));
        put("auth_events", references(&self.auth_events));
        put("depth", self.depth.into());
        put("origin_server_ts", self.origin_server_ts.into());
        object
    }
}

fn insert_hashes(object: &mut Map) {
    let mut hashes = Map::new();
    hashes.insert("sha256".to_string(), hash::content_hash(object).into());
    object.insert("hashes".to_string(), hashes.into());
}

/// References to events as a version has them (EV-2). A hash that is not known is left out.
fn references(ids: &[EventId], hashes: &BTreeMap<EventId, String>, version: &RoomVersion) -> Value {
    let reference = |id: &EventId| match version.event_format {
        EventFormat::ServerIds => {
            let hash = hashes
                .get(id)
                .map(|hash| ("sha256".to_string(), Value::from(hash.as_str())));
            let hashes: Map = hash.into_iter().collect();
            Value::Array(vec![id.as_str().into(), hashes.into()])
        }
        EventFormat::HashIds | EventFormat::UrlSafeHashIds => id.as_str().into(),
    };
    Value::Array(ids.iter().map(reference).collect())
}
