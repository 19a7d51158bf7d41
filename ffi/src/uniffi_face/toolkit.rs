//! The toolkit: functions without a server.

use super::error::{HostError, RoomletError};
use crate::guard;
use roomlet_homeserver::{Code, Error};
use roomlet_toolkit as toolkit;
use std::sync::Arc;

type Result<T> = std::result::Result<T, RoomletError>;

/// Runs what answers at once; a panic becomes an error.
fn run<T>(work: impl FnOnce() -> toolkit::Result<T>) -> Result<T> {
    Ok(guard::catch(work)?)
}

/// What the authorization rules say of an event.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Verdict {
    /// Whether they allow it.
    pub is_allowed: bool,
    /// If not: the rule that refuses it, a name that stays.
    pub rule: Option<String>,
    /// If not: the rule in words, with the values that decided.
    pub about: Option<String>,
}

impl From<toolkit::Verdict> for Verdict {
    fn from(verdict: toolkit::Verdict) -> Self {
        let toolkit::Verdict {
            is_allowed,
            rule,
            about,
        } = verdict;
        Self {
            is_allowed,
            rule,
            about,
        }
    }
}

/// Type and state key of a state event.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct StateType {
    /// Its type.
    pub kind: String,
    /// Its state key.
    pub state_key: String,
}

/// What an identifier names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Enum)]
pub enum IdKind {
    /// A user: `@localpart:server`.
    User,
    /// A room: `!opaque:server`, or `!hash` from version 12 on.
    Room,
    /// A room alias: `#localpart:server`.
    RoomAlias,
    /// An event: `$hash`, or `$opaque:server` before version 3.
    Event,
    /// A server: `host` or `host:port`.
    Server,
    /// A signing key: `algorithm:name`.
    Key,
}

/// An identifier in its parts.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct ParsedId {
    /// What stands before the server, without the sigil; of a key its name; empty for a server.
    pub local: String,
    /// The server; of a key its algorithm; none for ids that are hashes.
    pub server: Option<String>,
    /// The host of the server.
    pub host: Option<String>,
    /// The port of the server, if it names one.
    pub port: Option<u16>,
}

/// The capabilities of a room version.
#[derive(Clone, PartialEq, Eq, Debug, uniffi::Record)]
pub struct RoomVersionInfo {
    /// Its name.
    pub id: String,
    /// False for a draft's.
    pub is_stable: bool,
    /// How event ids come about: `server`, `hash` or `url_safe_hash`.
    pub event_ids: String,
    /// The algorithm of state resolution: `1`, `2` or `2.1`.
    pub state_resolution: String,
    /// How power levels are written: `lenient`, `strings` or `integers`.
    pub power_levels: String,
    /// Events have to be canonical JSON.
    pub strict_canonical_json: bool,
    /// Keys have to have been valid when an event was signed.
    pub enforces_key_validity: bool,
    /// `m.room.aliases` has rules of its own.
    pub special_aliases: bool,
    /// The join rule `knock`.
    pub knock: bool,
    /// The join rule `restricted`.
    pub restricted: bool,
    /// The join rule `knock_restricted`.
    pub knock_restricted: bool,
    /// `redacts` is in the content of a redaction.
    pub redacts_in_content: bool,
    /// The creator is the sender of the create event.
    pub creator_is_sender: bool,
    /// The room id is the hash of the create event.
    pub room_id_is_create_hash: bool,
    /// Creators rank above every power level.
    pub creators_rank_above: bool,
    /// Messages are made of content blocks.
    pub extensible_events: bool,
}

/// Gives events that a resolution needs. Implemented by the host; called on the thread that resolves.
#[uniffi::export(foreign)]
pub trait EventSource: Send + Sync {
    /// The events of these ids, JSON in federation form, in any order.
    ///
    /// # Errors
    /// Any: the resolution fails with it.
    fn events(&self, ids: Vec<String>) -> std::result::Result<Vec<String>, HostError>;
}

/// The canonical form of a JSON value.
///
/// # Errors
/// 100 `BadJson`, 101 `NotCanonical`.
#[uniffi::export]
pub fn canonical_json(json: String) -> Result<String> {
    run(|| toolkit::canonical_json(&json))
}

/// The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes.
///
/// # Errors
/// 106 `BadParam`.
#[uniffi::export]
pub fn public_key(seed: String) -> Result<String> {
    run(|| toolkit::public_key(&seed))
}

/// A JSON object with the signature of `server` beside those that it has, in canonical form.
///
/// # Errors
/// 100 `BadJson`, 101 `NotCanonical`, 102 `BadId`, 106 `BadParam` for the seed and for a key id that is not of
/// ed25519.
#[uniffi::export]
pub fn sign_json(object: String, server: String, key_id: String, seed: String) -> Result<String> {
    run(|| toolkit::sign_json(&object, &server, &key_id, &seed))
}

/// Checks the signature of `server` with the key `key_id`.
///
/// # Errors
/// 201 `MissingSignature`, 200 `BadSignature`, 100 `BadJson`, 101 `NotCanonical`, 102 `BadId`, 106 `BadParam` for a key that
/// is none and for a key id that is not of ed25519.
#[uniffi::export]
pub fn verify_json(object: String, server: String, key_id: String, public_key: String) -> Result<()> {
    run(|| toolkit::verify_json(&object, &server, &key_id, &public_key))
}

/// The content hash of an event, as `hashes.sha256` has it.
///
/// # Errors
/// 100 `BadJson`; 101 `NotCanonical`, also for numbers that versions 1 to 5 allow.
#[uniffi::export]
pub fn content_hash(event: String) -> Result<String> {
    run(|| toolkit::content_hash(&event))
}

/// The id of an event of a room of `version`.
///
/// # Errors
/// 105 `UnknownRoomVersion`; those of `check_event`.
#[uniffi::export]
pub fn event_id(event: String, version: String) -> Result<String> {
    run(|| toolkit::event_id(&event, &version))
}

/// What is left of an event after a redaction.
///
/// # Errors
/// 105 `UnknownRoomVersion`, 100 `BadJson`, 101 `NotCanonical`.
#[uniffi::export]
pub fn redact(event: String, version: String) -> Result<String> {
    run(|| toolkit::redact(&event, &version))
}

/// The servers whose signatures an event needs.
///
/// # Errors
/// 105 `UnknownRoomVersion`; those of `check_event`.
#[uniffi::export]
pub fn required_signers(event: String, version: String) -> Result<Vec<String>> {
    run(|| toolkit::required_signers(&event, &version))
}

/// Checks the form of an event: fields, identifiers, sizes, canonical JSON; neither hash nor signatures.
///
/// # Errors
/// 104 `BadEvent`, 100 `BadJson`, 101 `NotCanonical`, 103 `TooLarge`, 102 `BadId`, naming field and rule;
/// 105 `UnknownRoomVersion`.
#[uniffi::export]
pub fn check_event(event: String, version: String) -> Result<()> {
    run(|| toolkit::check_event(&event, &version))
}

/// The event with its content hash and the signature of `server`.
///
/// # Errors
/// As `sign_json`; 105 `UnknownRoomVersion`.
#[uniffi::export]
pub fn sign_event(
    event: String,
    version: String,
    server: String,
    key_id: String,
    seed: String,
) -> Result<String> {
    run(|| toolkit::sign_event(&event, &version, &server, &key_id, &seed))
}

/// Checks the signatures that an event needs, and its content hash; gives the event, or its redacted form if the hash
/// does not fit. `keys` is a JSON object by server, then by key id, of public keys in base64.
///
/// # Errors
/// 201 `MissingSignature`, 200 `BadSignature`, 202 `UnknownKey`, 106 `BadParam` for `keys`; those of `check_event`.
#[uniffi::export]
pub fn verify_event(event: String, version: String, keys: String) -> Result<String> {
    run(|| toolkit::verify_event(&event, &version, &keys))
}

/// Whether an event is allowed by its own auth events, which are given. Neither hashes nor signatures are looked at.
///
/// # Errors
/// 401 `UnknownEvent` for an auth event that is not given; those of `check_event`.
#[uniffi::export]
pub fn check_auth_events(event: String, auth_events: Vec<String>, version: String) -> Result<Verdict> {
    run(|| Ok(toolkit::check_auth_events(&event, &auth_events, &version)?.into()))
}

/// Whether an event is allowed in the state of these events; else as `check_auth_events`.
///
/// # Errors
/// Those of `check_event`.
#[uniffi::export]
pub fn check_auth(event: String, state: Vec<String>, version: String) -> Result<Verdict> {
    run(|| Ok(toolkit::check_auth(&event, &state, &version)?.into()))
}

/// The types and state keys of the state events that an event has to cite. The event need not be finished.
///
/// # Errors
/// 104 `BadEvent`, 100 `BadJson`, 101 `NotCanonical`, 105 `UnknownRoomVersion`.
#[uniffi::export]
pub fn auth_types(event: String, version: String) -> Result<Vec<StateType>> {
    run(|| {
        let types = toolkit::auth_types(&event, &version)?.into_iter();
        Ok(types
            .map(|(kind, state_key)| StateType { kind, state_key })
            .collect())
    })
}

/// The ids of those events of `state` that an event has to cite.
///
/// # Errors
/// As `auth_types`; those of `check_event`.
#[uniffi::export]
pub fn select_auth_events(event: String, state: Vec<String>, version: String) -> Result<Vec<String>> {
    run(|| toolkit::select_auth_events(&event, &state, &version))
}

/// The ids of the events of the state that several states resolve to. Each of `states` is given by the ids of its
/// events; `events` has these and their auth chains.
///
/// # Errors
/// 401 `UnknownEvent` for an event that is needed and not given; 104 `BadEvent` for two events of a state with the same
/// type and state key; those of `check_event`.
#[uniffi::export]
pub fn resolve_state(version: String, states: Vec<Vec<String>>, events: Vec<String>) -> Result<Vec<String>> {
    run(|| toolkit::resolve_state(&version, &states, &events))
}

/// As `resolve_state`, where `source` gives events when they are needed: a call for each step into the auth chains.
///
/// # Errors
/// As there; 706 `Host` if `source` fails; 104 `BadEvent` if it gives what was not asked for.
#[uniffi::export]
pub fn resolve_state_from(
    version: String,
    states: Vec<Vec<String>>,
    source: Arc<dyn EventSource>,
) -> Result<Vec<String>> {
    run(|| {
        toolkit::resolve_state_from(&version, &states, |ids| {
            let failed = |error: HostError| {
                let about = format!("the host's source of events failed: {error}");
                Error::new(Code::Host, about)
            };
            source.events(ids).map_err(failed)
        })
    })
}

/// Checks an identifier by the grammar of its kind and takes it apart.
///
/// # Errors
/// 102 `BadId`, with the rule.
#[uniffi::export]
pub fn parse_id(kind: IdKind, text: String) -> Result<ParsedId> {
    let kind = match kind {
        IdKind::User => toolkit::IdKind::User,
        IdKind::Room => toolkit::IdKind::Room,
        IdKind::RoomAlias => toolkit::IdKind::RoomAlias,
        IdKind::Event => toolkit::IdKind::Event,
        IdKind::Server => toolkit::IdKind::Server,
        IdKind::Key => toolkit::IdKind::Key,
    };
    run(|| {
        let parsed = toolkit::parse_id(kind, &text)?;
        Ok(ParsedId {
            local: parsed.local,
            server: parsed.server,
            host: parsed.host,
            port: parsed.port,
        })
    })
}

/// The names of all room versions.
///
/// # Errors
/// None.
#[uniffi::export]
pub fn room_versions() -> Result<Vec<String>> {
    run(|| Ok(toolkit::room_versions()))
}

/// What a room version can do.
///
/// # Errors
/// 105 `UnknownRoomVersion`.
#[uniffi::export]
pub fn room_version(id: String) -> Result<RoomVersionInfo> {
    run(|| {
        let version = toolkit::room_version(&id)?;
        Ok(RoomVersionInfo {
            id: version.id,
            is_stable: version.is_stable,
            event_ids: version.event_ids.to_owned(),
            state_resolution: version.state_resolution.to_owned(),
            power_levels: version.power_levels.to_owned(),
            strict_canonical_json: version.strict_canonical_json,
            enforces_key_validity: version.enforces_key_validity,
            special_aliases: version.special_aliases,
            knock: version.knock,
            restricted: version.restricted,
            knock_restricted: version.knock_restricted,
            redacts_in_content: version.redacts_in_content,
            creator_is_sender: version.creator_is_sender,
            room_id_is_create_hash: version.room_id_is_create_hash,
            creators_rank_above: version.creators_rank_above,
            extensible_events: version.extensible_events,
        })
    })
}
