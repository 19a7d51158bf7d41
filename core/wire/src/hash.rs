//! Content hash and reference hash (EV-5, EV-6).

use crate::{
    base64,
    id::EventId,
    json::{self, Map},
    redact,
    version::{EventFormat, RoomVersion},
};
use alloc::{format, string::String};
use sha2::{Digest, Sha256};

/// The content hash of an event: unpadded base64 for `hashes.sha256` (EV-5).
#[must_use]
pub fn content_hash(object: &Map) -> String {
    base64::encode(&content_digest(object))
}

/// The content hash as 32 bytes.
pub(crate) fn content_digest(object: &Map) -> [u8; 32] {
    let mut text = String::with_capacity(1024);
    json::put_map(&mut text, object, |key| {
        !matches!(key, "unsigned" | "signatures" | "hashes")
    });
    Sha256::digest(text.as_bytes()).into()
}

/// The event id that follows from the event's reference hash, in the version's alphabet (EV-6, ID-8). Versions 1
/// and 2, whose ids do not follow from hashes, get the URL-safe one.
#[must_use]
pub fn event_id(object: &Map, version: &'static RoomVersion) -> EventId {
    event_id_of(&redact::signing_form(object, version), version)
}

/// As [`event_id`], from the event's [`redact::signing_form`].
pub(crate) fn event_id_of(signing_form: &str, version: &'static RoomVersion) -> EventId {
    let digest = Sha256::digest(signing_form.as_bytes());
    let hash = match version.event_format {
        EventFormat::HashIds => base64::encode(&digest),
        EventFormat::UrlSafeHashIds | EventFormat::ServerIds => base64::encode_url_safe(&digest),
    };
    EventId::parse(&format!("${hash}")).expect("`$` and 43 characters of base64 are an event id")
}
