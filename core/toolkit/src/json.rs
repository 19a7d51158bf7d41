//! JSON as Matrix signs it.

use roomlet_wire::{
    Code, Error, KeyId, Map, Result, RoomVersion, ServerName, base64,
    json::{self, Numbers},
    sign::{self, KeyPair, PublicKey},
};

/// The canonical form of a JSON value (CJ-1 … CJ-3).
///
/// # Errors
/// `BadJson`; `NotCanonical` for a number that is no integer of at most 53 bits.
pub fn canonical_json(json: &str) -> Result<String> {
    Ok(json::canonical(json.as_bytes(), Numbers::Strict)?.into_owned())
}

/// The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes.
///
/// # Errors
/// `BadParam`.
pub fn public_key(seed: &str) -> Result<String> {
    Ok(key_pair("ed25519:1", seed)?.public().to_base64())
}

/// A JSON object with the signature of `server` under `signatures`, beside those that it has (CJ-11), in canonical form.
///
/// # Errors
/// `BadJson`, `NotCanonical`, `BadId`, `BadParam` for the seed and for a key id that is not of ed25519.
pub fn sign_json(object: &str, server: &str, key_id: &str, seed: &str) -> Result<String> {
    let mut object = parse(object)?;
    sign::sign_json(&mut object, &ServerName::parse(server)?, &key_pair(key_id, seed)?);
    Ok(json::map_to_canonical(&object))
}

/// Checks that an object has a signature of `server` with the key `key_id`, and that it is right.
///
/// # Errors
/// `MissingSignature`, `BadSignature`; `BadJson`, `NotCanonical`, `BadId`; `BadParam` for a key that is none, and for a
/// key id that is not of ed25519.
pub fn verify_json(object: &str, server: &str, key_id: &str, public_key: &str) -> Result<()> {
    let (server, id) = (ServerName::parse(server)?, ed25519(key_id)?);
    sign::verify_json(&parse(object)?, &server, &id, &public(public_key)?)
}

pub(crate) fn parse(object: &str) -> Result<Map> {
    json::parse_object(object.as_bytes())
}

/// Reads an event that need not be finished, with the numbers that events of its version may have (CJ-2).
pub(crate) fn parse_event(event: &str, version: &RoomVersion) -> Result<Map> {
    match version.strict_json {
        true => parse(event),
        // Numbers become what all servers hash (CJ-5).
        false => json::parse_object_lenient(json::canonical(event.as_bytes(), Numbers::Python)?.as_bytes()),
    }
}

/// Reads a public key that the caller gives.
pub(crate) fn public(base64: &str) -> Result<PublicKey> {
    PublicKey::parse(base64).map_err(|error| Error::new(Code::BadParam, error.about()))
}

fn ed25519(id: &str) -> Result<KeyId> {
    let id = KeyId::parse(id)?;
    if id.is_ed25519() {
        return Ok(id);
    }
    let about = format!("key id {id}: keys of ed25519 alone sign here");
    Err(Error::new(Code::BadParam, about))
}

pub(crate) fn key_pair(id: &str, seed: &str) -> Result<KeyPair> {
    let bytes = base64::decode_array(seed).ok_or_else(|| {
        // The seed is secret: it is not told.
        Error::new(Code::BadParam, "the seed of a key is 32 bytes in base64")
    })?;
    Ok(KeyPair::from_seed(ed25519(id)?, &bytes))
}
