//! Content hash and reference hash (EV-5, EV-6).

use crate::{
    base64,
    id::EventId,
    json::{Map, Members, Object, map_to_canonical},
    redact,
    version::{EventFormat, RoomVersion},
};
use alloc::string::String;
use sha2::{Digest, Sha256};

/// The content hash of an event: unpadded base64 for `hashes.sha256` (EV-5).
#[must_use]
pub fn content_hash(object: &Map) -> String {
    let text = map_to_canonical(object);
    base64::encode(&content_digest(&Members::of(Object::trusted(&text))))
}

/// The content hash as 32 bytes.
pub(crate) fn content_digest(event: &Members<'_>) -> [u8; 32] {
    let mut digest = Sha256::new();
    event.put_kept(
        |key| !matches!(key, "unsigned" | "signatures" | "hashes"),
        |piece| digest.update(piece.as_bytes()),
    );
    digest.finalize().into()
}

/// The event id that follows from the event's reference hash, in the version's alphabet (EV-6, ID-8). Versions 1
/// and 2, whose ids do not follow from hashes, get the URL-safe one.
#[must_use]
pub fn event_id(object: &Map, version: &'static RoomVersion) -> EventId {
    event_id_of(&redact::signing_form_of_map(object, version), version)
}

/// The reference hash of an event in unpadded standard base64: what versions 1 and 2 put beside the ids of cited events
/// (EV-2, EV-6).
#[must_use]
pub fn reference_hash(object: &Map, version: &'static RoomVersion) -> String {
    base64::encode(&Sha256::digest(
        redact::signing_form_of_map(object, version).as_bytes(),
    ))
}

/// As [`event_id`], from the event's signing form.
pub(crate) fn event_id_of(signing_form: &str, version: &'static RoomVersion) -> EventId {
    let digest = Sha256::digest(signing_form.as_bytes());
    EventId::of_hash(&digest.into(), version.event_format == EventFormat::HashIds)
}
