//! The toolkit: functions without a server, which answer at once.

use super::{
    bytes::{Args, roomlet_bytes},
    call::Call,
    error::{roomlet_code, roomlet_error},
    handle::{self, Opaque},
    result::{Outcome, roomlet_result},
};
use crate::convert;
use roomlet_homeserver::{Code, Error, Result};
use roomlet_toolkit::{self as toolkit, IdKind};
use std::{
    ffi::c_void,
    sync::{Arc, Mutex, PoisonError},
};

/// `kind` of `roomlet_tool_parse_id`: `@localpart:server`.
pub const ROOMLET_ID_USER: i32 = 0;
/// `kind` of `roomlet_tool_parse_id`: `!opaque:server`, or `!hash` from version 12 on.
pub const ROOMLET_ID_ROOM: i32 = 1;
/// `kind` of `roomlet_tool_parse_id`: `#localpart:server`.
pub const ROOMLET_ID_ROOM_ALIAS: i32 = 2;
/// `kind` of `roomlet_tool_parse_id`: `$hash`, or `$opaque:server` before version 3.
pub const ROOMLET_ID_EVENT: i32 = 3;
/// `kind` of `roomlet_tool_parse_id`: `host` or `host:port`.
pub const ROOMLET_ID_SERVER: i32 = 4;
/// `kind` of `roomlet_tool_parse_id`: `algorithm:name`; the algorithm is given as `server`.
pub const ROOMLET_ID_KEY: i32 = 5;

fn id_kind(kind: i32) -> Result<IdKind> {
    Ok(match kind {
        ROOMLET_ID_USER => IdKind::User,
        ROOMLET_ID_ROOM => IdKind::Room,
        ROOMLET_ID_ROOM_ALIAS => IdKind::RoomAlias,
        ROOMLET_ID_EVENT => IdKind::Event,
        ROOMLET_ID_SERVER => IdKind::Server,
        ROOMLET_ID_KEY => IdKind::Key,
        _ => {
            let about = format!("`kind`: {kind} is none of ROOMLET_ID_*");
            return Err(Error::new(Code::BadArgument, about));
        }
    })
}

/// Runs `body` and hands out the text that it gives.
fn answer(
    call: Call,
    result: *mut *mut roomlet_result,
    body: impl FnOnce(&Args) -> Result<String>,
) -> roomlet_code {
    call.run(|args| {
        let out = args.out(result, "result")?;
        let text = body(args)?;
        out.write(handle::put(Arc::new(Outcome::text(text))));
        Ok(())
    })
}

fn texts(args: &Args, first: *const roomlet_bytes, count: usize, param: &str) -> Result<Vec<String>> {
    let list = args.slice(first, count, param)?;
    list.iter()
        .map(|text| Ok(args.text(*text, param)?.to_owned()))
        .collect()
}

/// Where the events go that a source is asked for; lives as long as the call of the source.
pub struct roomlet_events(());

impl Opaque for roomlet_events {
    type Inner = Mutex<Vec<String>>;
    const KIND: usize = 9;
}

/// Gives an event that a source was asked for. The text is copied. Any thread.
/// Errors: ROOMLET_FREED_HANDLE after the call of the source, ROOMLET_BAD_ARGUMENT for text that is not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_events_add(
    events: *mut roomlet_events,
    event: roomlet_bytes,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let event = args.text(event, "event")?.to_owned();
        let events = handle::get(events, "events")?;
        events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Ok(())
    })
}

/// Gives the events of `ids`, a JSON list, with `roomlet_events_add`, in any order; returns 0, or another number if it
/// cannot. Called on the thread that calls `roomlet_tool_resolve_state_from`.
pub type roomlet_event_source = Option<
    unsafe extern "C" fn(user_data: *mut c_void, ids: roomlet_bytes, events: *mut roomlet_events) -> i32,
>;

/// As roomlet_tool_resolve_state, where `source` gives events when they are needed: a call for each step into the auth
/// chains. Any thread.
/// Errors: as there; ROOMLET_HOST if `source` does not return 0; ROOMLET_BAD_EVENT if it gives what was not asked for, or more
/// than a million events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_resolve_state_from(
    version: roomlet_bytes,
    states: roomlet_bytes,
    source: roomlet_event_source,
    user_data: *mut c_void,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let version = args.text(version, "version")?;
        let states = convert::states(args.text(states, "states")?)?;
        let Some(source) = source else {
            return Err(Error::new(Code::BadArgument, "`source`: is NULL"));
        };
        let resolved = toolkit::resolve_state_from(version, &states, |ids| {
            let ids = convert::strings(&ids);
            let events = Arc::new(Mutex::new(Vec::new()));
            let lent = handle::put::<roomlet_events>(Arc::clone(&events));
            // SAFETY: the caller's promise; what is lent lives until it returns.
            let failed = unsafe { source(user_data, roomlet_bytes::lend(ids.as_bytes()), lent) };
            handle::take(lent, "events")?;
            if failed != 0 {
                let about = format!("the host's source of events gave {failed}");
                return Err(Error::new(Code::Host, about));
            }
            Ok(std::mem::take(
                &mut *events.lock().unwrap_or_else(PoisonError::into_inner),
            ))
        });
        Ok(convert::strings(&resolved?))
    })
}

/// The canonical form of a JSON value, as `result`.
/// Any thread.
/// Errors: ROOMLET_BAD_JSON; ROOMLET_NOT_CANONICAL for a number that is no integer of at most 53 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_canonical_json(
    json: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let json = args.text(json, "json")?;
        toolkit::canonical_json(json)
    })
}

/// The public key of a signing key, both in unpadded base64; `seed` is its 32 bytes.
/// Any thread.
/// Errors: ROOMLET_BAD_PARAM if it is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_public_key(
    seed: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let seed = args.text(seed, "seed")?;
        toolkit::public_key(seed)
    })
}

/// The object, in canonical form, with the signature of `server` beside those that it has. `key_id` is `ed25519:` and a name,
/// `seed` as for `roomlet_tool_public_key`.
/// Any thread.
/// Errors: ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_BAD_ID, ROOMLET_BAD_PARAM for the seed and for a key id that is
/// not of ed25519.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_sign_json(
    object: roomlet_bytes,
    server: roomlet_bytes,
    key_id: roomlet_bytes,
    seed: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let object = args.text(object, "object")?;
        let server = args.text(server, "server")?;
        let key_id = args.text(key_id, "key_id")?;
        let seed = args.text(seed, "seed")?;
        toolkit::sign_json(object, server, key_id, seed)
    })
}

/// Checks that `object` has a signature of `server` with the key `key_id`, and that it is right. `public_key` is in base64.
/// Any thread.
/// Errors: ROOMLET_MISSING_SIGNATURE, ROOMLET_BAD_SIGNATURE, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_BAD_ID,
/// ROOMLET_BAD_PARAM for a key that is none and for a key id that is not of ed25519.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_verify_json(
    object: roomlet_bytes,
    server: roomlet_bytes,
    key_id: roomlet_bytes,
    public_key: roomlet_bytes,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let object = args.text(object, "object")?;
        let server = args.text(server, "server")?;
        let key_id = args.text(key_id, "key_id")?;
        let public_key = args.text(public_key, "public_key")?;
        toolkit::verify_json(object, server, key_id, public_key)
    })
}

/// The content hash of an event, as `hashes.sha256` has it.
/// Any thread.
/// Errors: ROOMLET_BAD_JSON; ROOMLET_NOT_CANONICAL, also for numbers that versions 1 to 5 allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_content_hash(
    event: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        toolkit::content_hash(event)
    })
}

/// The id of an event of a room of `version`: from version 3 on computed from its content, before that its `event_id`.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_ROOM_VERSION; those of roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_event_id(
    event: roomlet_bytes,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        toolkit::event_id(event, version)
    })
}

/// What is left of an event after a redaction, in canonical form.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_ROOM_VERSION, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_redact(
    event: roomlet_bytes,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        toolkit::redact(event, version)
    })
}

/// The servers whose signatures an event needs, a JSON list.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_ROOM_VERSION; those of roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_required_signers(
    event: roomlet_bytes,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        Ok(convert::strings(&toolkit::required_signers(event, version)?))
    })
}

/// Checks the form of an event: fields, identifiers, sizes, canonical JSON; neither hash nor signatures.
/// Any thread.
/// Errors: ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_TOO_LARGE, ROOMLET_BAD_ID, naming field and rule;
/// ROOMLET_UNKNOWN_ROOM_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_check_event(
    event: roomlet_bytes,
    version: roomlet_bytes,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    unsafe { Call::new(err) }.run(|args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        toolkit::check_event(event, version)
    })
}

/// The event with its content hash and the signature of `server`, in canonical form. Signatures that it has stay; they no
/// longer hold if the hash was another one.
/// Any thread.
/// Errors: as roomlet_tool_sign_json; ROOMLET_UNKNOWN_ROOM_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_sign_event(
    event: roomlet_bytes,
    version: roomlet_bytes,
    server: roomlet_bytes,
    key_id: roomlet_bytes,
    seed: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        let server = args.text(server, "server")?;
        let key_id = args.text(key_id, "key_id")?;
        let seed = args.text(seed, "seed")?;
        toolkit::sign_event(event, version, server, key_id, seed)
    })
}

/// Checks the signatures that an event needs, and its content hash; the result is the event, or its redacted form if the
/// hash does not fit. `keys` is a JSON object by server, then by key id, of public keys in base64; whether they were valid at
/// the time of the event is for the caller to know.
/// Any thread.
/// Errors: ROOMLET_MISSING_SIGNATURE, ROOMLET_BAD_SIGNATURE, ROOMLET_UNKNOWN_KEY, ROOMLET_BAD_PARAM for `keys`; those of
/// roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_verify_event(
    event: roomlet_bytes,
    version: roomlet_bytes,
    keys: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        let keys = args.text(keys, "keys")?;
        toolkit::verify_event(event, version, keys)
    })
}

/// Whether an event is allowed by its own auth events, which are given, in any order, in version 12 with the create event; a
/// JSON object of `allowed`, and if that is false `rule`, a name that stays (docs/toolkit.md lists them), and `about`, the rule
/// in words. Neither hashes nor signatures are looked at.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_EVENT for an auth event that is not given; those of roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_check_auth_events(
    event: roomlet_bytes,
    auth_events: *const roomlet_bytes,
    auth_events_count: usize,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let auth_events = texts(args, auth_events, auth_events_count, "auth_events")?;
        let version = args.text(version, "version")?;
        Ok(convert::verdict(&toolkit::check_auth_events(
            event,
            &auth_events,
            version,
        )?))
    })
}

/// Whether an event is allowed in the state of these events, of which those that matter are enough; else as
/// roomlet_tool_check_auth_events.
/// Any thread.
/// Errors: those of roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_check_auth(
    event: roomlet_bytes,
    state: *const roomlet_bytes,
    state_count: usize,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let state = texts(args, state, state_count, "state")?;
        let version = args.text(version, "version")?;
        Ok(convert::verdict(&toolkit::check_auth(event, &state, version)?))
    })
}

/// The types and state keys of the state events that an event has to cite, a JSON list of pairs. Of the event only `type`,
/// `sender`, `state_key` and `content` are read: it need not be finished.
/// Any thread.
/// Errors: ROOMLET_BAD_EVENT, ROOMLET_BAD_JSON, ROOMLET_NOT_CANONICAL, ROOMLET_UNKNOWN_ROOM_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_auth_types(
    event: roomlet_bytes,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let version = args.text(version, "version")?;
        Ok(convert::pairs(&toolkit::auth_types(event, version)?))
    })
}

/// The ids of those events of `state` that an event has to cite, a JSON list.
/// Any thread.
/// Errors: as roomlet_tool_auth_types; those of roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_select_auth_events(
    event: roomlet_bytes,
    state: *const roomlet_bytes,
    state_count: usize,
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let event = args.text(event, "event")?;
        let state = texts(args, state, state_count, "state")?;
        let version = args.text(version, "version")?;
        Ok(convert::strings(&toolkit::select_auth_events(
            event, &state, version,
        )?))
    })
}

/// The ids of the events of the state that several states resolve to, a JSON list by type and state key. `states` is a JSON
/// list of lists of event ids; `events` has these events and their auth chains, and may have more. Neither hashes nor
/// signatures are looked at.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_EVENT for an event that is needed and not given; ROOMLET_BAD_EVENT for two events of a state with
/// the same type and state key; ROOMLET_BAD_PARAM for `states` that are no such list, ROOMLET_BAD_ID for an id in it; those of
/// roomlet_tool_check_event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_resolve_state(
    version: roomlet_bytes,
    states: roomlet_bytes,
    events: *const roomlet_bytes,
    events_count: usize,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let version = args.text(version, "version")?;
        let states = args.text(states, "states")?;
        let events = texts(args, events, events_count, "events")?;
        let states = convert::states(states)?;
        Ok(convert::strings(&toolkit::resolve_state(
            version, &states, &events,
        )?))
    })
}

/// Checks an identifier and takes it apart: a JSON object of `local` (what stands before the server, without the sigil; of a
/// key its name), `server`, `host` and `port`, the last three null where there is none. `kind` is a constant ROOMLET_ID_*.
/// Any thread.
/// Errors: ROOMLET_BAD_ID, with the rule; ROOMLET_BAD_ARGUMENT for another kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_parse_id(
    kind: i32,
    text: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let text = args.text(text, "text")?;
        Ok(convert::parsed_id(&toolkit::parse_id(id_kind(kind)?, text)?))
    })
}

/// The names of all room versions, a JSON list.
/// Any thread.
/// Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_room_versions(
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |_| {
        Ok(convert::strings(&toolkit::room_versions()))
    })
}

/// What a room version can do, a JSON object: `id`; `stable`, false for a draft's; `event_ids` (`server`, `hash` or
/// `url_safe_hash`), `state_resolution` (`1`, `2` or `2.1`), `power_levels` (`lenient`, `strings` or `integers`); and true
/// or false each `strict_canonical_json`, `enforces_key_validity`, `special_aliases`, `knock`, `restricted`,
/// `knock_restricted`, `redacts_in_content`, `creator_is_sender`, `room_id_is_create_hash`, `creators_rank_above`,
/// `extensible_events`.
/// Any thread.
/// Errors: ROOMLET_UNKNOWN_ROOM_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomlet_tool_room_version(
    version: roomlet_bytes,
    result: *mut *mut roomlet_result,
    err: *mut *mut roomlet_error,
) -> roomlet_code {
    // SAFETY: the header's rules are the caller's promise.
    answer(unsafe { Call::new(err) }, result, |args| {
        let version = args.text(version, "version")?;
        Ok(convert::room_version(&toolkit::room_version(version)?))
    })
}
