//! Signing keys, signing JSON, checking signatures (CJ-11, CJ-12, EV-14 … EV-17).

mod batch;

pub use batch::Batch;

use crate::{
    base64,
    error::{Code, Error, Result},
    id::{KeyId, ServerName},
    json::{Map, Members, Object, Value, map_to_canonical},
    redact,
    version::RoomVersion,
};
use alloc::{
    format,
    string::{String, ToString},
};
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};

/// A signing key of this server; wiped from memory when dropped, never printed.
///
/// ```compile_fail
/// fn print(key: &roomlet_wire::sign::KeyPair) -> String {
///     format!("{key:?}")
/// }
/// ```
pub struct KeyPair {
    id: KeyId,
    secret: SigningKey,
}

// A dalek key has something to do on drop only if it wipes itself.
const _: () = assert!(
    core::mem::needs_drop::<SigningKey>(),
    "ed25519-dalek must be built with its feature `zeroize`"
);

/// A public ed25519 key, decompressed once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey(VerifyingKey);

impl KeyPair {
    /// From the 32 bytes of a seed.
    #[must_use]
    pub fn from_seed(id: KeyId, seed: &[u8; 32]) -> Self {
        Self {
            id,
            secret: SigningKey::from_bytes(seed),
        }
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The seed, for the store only; whoever takes it wipes it.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.secret.to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.secret.verifying_key())
    }

    /// The signature over `message` in unpadded base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        base64::encode(&self.secret.sign(message).to_bytes())
    }
}

impl PublicKey {
    /// From base64 of 32 bytes, which must be a point on the curve.
    ///
    /// # Errors
    /// [`Code::BadSignature`], naming the rule.
    pub fn parse(base64: &str) -> Result<Self> {
        Self::of_bytes(base64::decode_array(base64))
    }

    /// As [`PublicKey::parse`], in either alphabet of base64: an identity server's key in a third-party invite (AUTH-9).
    ///
    /// # Errors
    /// As there.
    pub fn parse_either_alphabet(base64: &str) -> Result<Self> {
        Self::of_bytes(base64::decode_array_either(base64))
    }

    fn of_bytes(bytes: Option<[u8; 32]>) -> Result<Self> {
        let bytes = bytes.ok_or_else(|| {
            Error::new(
                Code::BadSignature,
                "a public key is not 32 bytes in base64 (ID-17)",
            )
        })?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| Error::new(Code::BadSignature, "a public key is no point on the curve"))
    }

    /// Unpadded base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64::encode(self.0.as_bytes())
    }

    /// Whether `signature` (64 bytes) is this key's over `message`.
    ///
    /// This is RFC 8032's check without the cofactor and without `verify_strict`'s ban on keys and points of small
    /// order: what ruma and Go's library do, so that an event has the same verdict on those servers. libsodium, hence
    /// Synapse, has the ban; that splits no room but for a server that publishes such a key of its own, and the
    /// ban would protect nobody else. Vectors: `tests/vectors/ruma.json`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.0.verify(message, &s).is_ok())
    }

    /// As [`PublicKey::verifies`], for a signature in base64.
    #[must_use]
    pub fn verifies_base64(&self, message: &[u8], signature: &str) -> bool {
        base64::decode_array::<64>(signature).is_some_and(|s| self.verifies(message, &s))
    }
}

/// Where the check of an event finds keys. Implementations hold keys that were already fetched.
pub trait KeyRing {
    /// The key `id` of `server` if it may vouch for something of time `at` (milliseconds). With
    /// `check_validity` the key must have been valid then (EV-17); an expired key (`expired_ts` before `at`) is
    /// never given (EV-16).
    ///
    /// # Errors
    /// [`Code::UnknownKey`] or [`Code::ExpiredKey`].
    fn key(&self, server: &str, id: &str, at: i64, check_validity: bool) -> Result<PublicKey>;
}

/// Adds `server`'s signature to `object` under `signatures`, keeping others (CJ-11).
pub fn sign_json(object: &mut Map, server: &ServerName, key: &KeyPair) {
    let signature = key.sign(signing_form(object).as_bytes());
    insert_signature(object, server, key.id(), signature.into());
}

/// Adds `server`'s signature of an event, over its redacted form (EV-7), keeping others.
pub fn sign_event(object: &mut Map, version: &'static RoomVersion, server: &ServerName, key: &KeyPair) {
    let signature = key.sign(redact::signing_form_of_map(object, version).as_bytes());
    insert_signature(object, server, key.id(), signature.into());
}

/// Checks that `object` carries `server`'s signature with key `id`, and that it verifies.
///
/// # Errors
/// [`Code::MissingSignature`], [`Code::BadSignature`].
pub fn verify_json(object: &Map, server: &ServerName, id: &KeyId, key: &PublicKey) -> Result<()> {
    let signature = signatures_of(object, server).and_then(|of_server| of_server.get(id.as_str()));
    let Some(signature) = signature else {
        return Err(Error::new(
            Code::MissingSignature,
            format!("no signature of {server} with {id} (CJ-12)"),
        ));
    };
    let message = signing_form(object);
    if signature
        .as_str()
        .is_some_and(|s| key.verifies_base64(message.as_bytes(), s))
    {
        Ok(())
    } else {
        Err(Error::new(
            Code::BadSignature,
            format!("the signature of {server} with {id} does not verify"),
        ))
    }
}

/// The canonical JSON of `object` without `signatures` and `unsigned`.
fn signing_form(object: &Map) -> String {
    let text = map_to_canonical(object);
    Members::of(Object::trusted(&text)).kept(|key| !matches!(key, "signatures" | "unsigned"))
}

/// `signatures[server]`, if it is an object.
fn signatures_of<'a>(object: &'a Map, server: &str) -> Option<&'a Map> {
    object.get("signatures")?.get(server)?.as_object()
}

/// Puts a signature under `signatures[server][id]`; what is in the way and no object is replaced.
pub(crate) fn insert_signature(object: &mut Map, server: &str, id: &str, signature: Value) {
    let all = object_at(object, "signatures");
    object_at(all, server).insert(id.to_string(), signature);
}

fn object_at<'a>(map: &'a mut Map, key: &str) -> &'a mut Map {
    let entry = map.entry(key.to_string()).or_insert(Value::Null);
    if entry.as_object().is_none() {
        *entry = Value::Object(Map::new());
    }
    match entry {
        Value::Object(map) => map,
        _ => unreachable!("it was just made an object"),
    }
}
