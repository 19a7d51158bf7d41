//! Single events: form, hashes, id, redaction, signatures.

use crate::json::{key_pair, parse, parse_event, public};
use roomlet_wire::{
    Code, Error, Map, Parsed, Pdu, Result, RoomVersion, ServerName, Value, Verified, hash, json, redact,
    sign::{self, KeyRing, PublicKey},
};

/// The content hash of an event (EV-5), as `hashes.sha256` has it. What `hashes` says now does not matter.
///
/// # Errors
/// `BadJson`; `NotCanonical`, also for numbers that versions 1 to 5 allow.
pub fn content_hash(event: &str) -> Result<String> {
    Ok(hash::content_hash(&parse(event)?))
}

/// The id of an event: from version 3 on what follows from its reference hash (EV-6), before what it says.
///
/// # Errors
/// `UnknownRoomVersion`; those of [`check_event`].
pub fn event_id(event: &str, version: &str) -> Result<String> {
    Ok(read(event, RoomVersion::named(version)?)?.id.as_str().to_owned())
}

/// What is left of an event after a redaction (EV-10), in canonical form.
///
/// # Errors
/// `UnknownRoomVersion`, `BadJson`, `NotCanonical`.
pub fn redact(event: &str, version: &str) -> Result<String> {
    let version = RoomVersion::named(version)?;
    Ok(json::map_to_canonical(&redact::redact(
        &parse_event(event, version)?,
        version,
    )))
}

/// The servers whose signatures an event needs (EV-14, EV-15).
///
/// # Errors
/// `UnknownRoomVersion`; those of [`check_event`].
pub fn required_signers(event: &str, version: &str) -> Result<Vec<String>> {
    let signers = read(event, RoomVersion::named(version)?)?.required_signers();
    Ok(signers.iter().map(String::from).collect())
}

/// Checks the form of an event: fields and their types, identifiers, sizes and numbers of things, canonical JSON
/// (ID-11 … ID-15, CJ-2). Neither hash nor signatures.
///
/// # Errors
/// `BadEvent`, `BadJson`, `NotCanonical`, `TooLarge`, `BadId`, naming field and rule; `UnknownRoomVersion`.
pub fn check_event(event: &str, version: &str) -> Result<()> {
    read(event, RoomVersion::named(version)?).map(|_| ())
}

/// An event with its content hash and the signature of `server` (EV-5, EV-7), in canonical form. Signatures that it
/// has stay; they are right no longer if the hash was another one.
///
/// # Errors
/// `UnknownRoomVersion`, `BadJson`, `NotCanonical`, `BadId`, `BadParam` for the seed and for a key id that is not of
/// ed25519.
pub fn sign_event(event: &str, version: &str, server: &str, key_id: &str, seed: &str) -> Result<String> {
    let (version, server) = (RoomVersion::named(version)?, ServerName::parse(server)?);
    let (mut event, key) = (parse_event(event, version)?, key_pair(key_id, seed)?);
    let sha256 = hash::content_hash(&event);
    let hashes = [("sha256".to_owned(), Value::from(sha256))];
    event.insert("hashes".into(), Value::Object(hashes.into()));
    sign::sign_event(&mut event, version, &server, &key);
    Ok(json::map_to_canonical(&event))
}

/// Checks the signatures that an event needs, and its content hash; gives what is to be believed of it in canonical
/// form: the event, or its redacted form if the hash does not fit (EV-5). `keys` is a JSON object by server, then by
/// key id, of public keys in base64; that they were valid at the event's time is the caller's to know (EV-17).
///
/// # Errors
/// `MissingSignature`, `BadSignature`, `UnknownKey`; those of [`check_event`]; `BadParam` for `keys`, also where they
/// are no JSON.
pub fn verify_event(event: &str, version: &str, keys: &str) -> Result<String> {
    let event = read(event, RoomVersion::named(version)?)?;
    let keys = parse(keys).map_err(|error| Error::new(Code::BadParam, format!("keys: {}", error.about())))?;
    Ok(event.verify(&Keys(keys))?.json().to_owned())
}

/// Keys by server and id.
struct Keys(Map);

impl KeyRing for Keys {
    fn key(&self, server: &str, id: &str, _: i64, _: bool) -> Result<PublicKey> {
        let of_server = self.0.get(server);
        if let Some(other) = of_server.filter(|keys| keys.as_object().is_none()) {
            let about = format!(
                "keys: those of {server} are {}, an object is needed",
                other.kind()
            );
            return Err(Error::new(Code::BadParam, about));
        }
        let Some(key) = of_server.and_then(|keys| keys.get(id)) else {
            let about = format!("there is no key {id} of {server} among those given");
            return Err(Error::new(Code::UnknownKey, about));
        };
        let text = key.as_str().ok_or_else(|| {
            let about = format!("keys: that of {server}, {id}, is {}, no base64", key.kind());
            Error::new(Code::BadParam, about)
        })?;
        public(text).map_err(|error| error.context(format_args!("keys: that of {server}, {id}")))
    }
}

/// Reads an event.
pub(crate) fn read(event: &str, version: &'static RoomVersion) -> Result<Pdu<Parsed>> {
    Pdu::parse(event.as_bytes(), version)
}

/// Reads an event whose signatures and hash are the caller's to check, or that is not finished yet.
pub(crate) fn believe(event: &str, version: &'static RoomVersion) -> Result<Pdu<Verified>> {
    Ok(read(event, version)?.unchecked())
}
