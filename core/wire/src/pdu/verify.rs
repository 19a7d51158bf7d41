//! Steps 2 and 3 of an event's receipt: who must have signed, and does the content hash fit (EV-5, EV-14 … EV-17).

use super::{Event, Parsed, Pdu, Verified};
use crate::{
    base64,
    error::{Code, Error, Result},
    hash,
    id::{KeyId, ServerName, UserId},
    json::{Map, Value},
    redact,
    sign::{self, KeyPair, KeyRing},
    version::EventFormat,
};
use alloc::{format, vec::Vec};
use core::marker::PhantomData;

impl Pdu<Parsed> {
    /// The servers whose signatures this event needs (EV-14, EV-15). Empty only for the invite that a third-party
    /// invite turned into, which is judged by that invite's keys instead (AUTH-9).
    #[must_use]
    pub fn required_signers(&self) -> Vec<ServerName> {
        required_signers(self)
    }

    /// Checks every required signature (EV-14 … EV-17) and the content hash (EV-5), redacting on mismatch.
    ///
    /// # Errors
    /// [`Code::MissingSignature`], [`Code::UnknownKey`], [`Code::ExpiredKey`], [`Code::BadSignature`].
    pub fn verify(self, keys: &dyn KeyRing) -> Result<Pdu<Verified>> {
        let mut signers = required_signers(&self);
        let mut redaction = None;
        if !content_hash_fits(&self) {
            let mut event = redacted(&self);
            event.hash_mismatch = true;
            event.preview.clone_from(&self.preview);
            // The redacted form is what is judged and served from here on, so it needs its own signers too: without
            // `third_party_invite` the event is an ordinary invite, which anyone could make in the sender's name.
            for server in required_signers(&event) {
                if !signers.contains(&server) {
                    signers.push(server);
                }
            }
            redaction = Some(event);
        }
        let message = redact::signing_form(&self.object, self.version);
        for server in &signers {
            let signed = sign::signatures_of(&self.object, server);
            check_signatures(&self, &message, signed, server, keys)?;
        }
        Ok(match redaction {
            None => Pdu(self.0, PhantomData),
            Some(event) => Pdu::new(event),
        })
    }
}

impl Pdu<Verified> {
    /// The redacted form of the event, same id (EV-10, EV-13).
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self::new(redacted(self))
    }

    /// Adds a signature of `key` beside those that the event has, as the resident of a restricted join and the
    /// server of an invited user do (FED-33, FED-37).
    #[must_use]
    pub fn countersigned(&self, server: &ServerName, key: &KeyPair) -> Self {
        let mut event = Event::clone(self);
        let signature = key.sign(redact::signing_form(&event.object, event.version).as_bytes());
        sign::insert_signature(&mut event.object, server, key.id(), signature.into());
        Self::new(event)
    }

    /// This event with `server`'s signatures taken over from `other`, the form of the event that `server` gave back
    /// (FED-37): nothing else of `other` is used. They must verify over this event (EV-16).
    ///
    /// # Errors
    /// As [`Pdu::verify`], for signatures of `server` alone.
    pub fn with_signatures_from(&self, other: &Map, server: &ServerName, keys: &dyn KeyRing) -> Result<Self> {
        let message = redact::signing_form(&self.object, self.version);
        let signed = sign::signatures_of(other, server);
        let checked = check_signatures(self, &message, signed, server, keys)?;
        let mut event = Event::clone(self);
        for (id, signature) in checked {
            sign::insert_signature(&mut event.object, server, id, Value::from(signature));
        }
        Ok(Self::new(event))
    }
}

fn required_signers(event: &Event) -> Vec<ServerName> {
    let mut servers = Vec::with_capacity(2);
    let from_third_party_invite =
        event.membership() == Some("invite") && event.content().contains_key("third_party_invite");
    if !from_third_party_invite {
        servers.push(event.sender.server_name());
    }
    if event.version.event_format == EventFormat::ServerIds
        && let Some(domain) = event.id.domain()
        && let Ok(server) = ServerName::parse_any_length(domain)
    {
        servers.push(server);
    }
    if let Some(Ok(user)) = authorising_user(event) {
        servers.push(user.server_name());
    }
    servers.dedup();
    servers
}

/// `join_authorised_via_users_server` of a join, where it asks for a signature (EV-14).
fn authorising_user(event: &Event) -> Option<Result<UserId>> {
    if !event.version.restricted || event.membership() != Some("join") {
        return None;
    }
    let value = event.content().get("join_authorised_via_users_server")?;
    Some(UserId::parse(value.as_str().unwrap_or_default()))
}

/// Refuses a join authorised by what is no user, as no server could sign it.
pub(super) fn check_authorising_user(event: &Event) -> Result<()> {
    match authorising_user(event) {
        Some(Err(e)) => Err(e.context("event: `content.join_authorised_via_users_server`")),
        _ => Ok(()),
    }
}

/// Of `server`'s signatures those whose keys are known and were valid must all verify, and there must be one
/// (EV-16). Gives those.
fn check_signatures<'a>(
    event: &Event,
    message: &str,
    signed: Option<&'a Map>,
    server: &ServerName,
    keys: &dyn KeyRing,
) -> Result<Vec<(&'a str, &'a str)>> {
    let mut checked = Vec::new();
    let mut unusable = None;
    for (name, signature) in signed.into_iter().flatten() {
        let Ok(id) = KeyId::parse(name) else { continue };
        if !id.is_ed25519() {
            continue;
        }
        match keys.key(server, &id, event.origin_server_ts, event.version.key_validity) {
            Ok(key) => match signature.as_str() {
                Some(text) if key.verifies_base64(message.as_bytes(), text) => {
                    checked.push((name.as_str(), text));
                }
                _ => {
                    let what = format!("the signature of {server} with {id} does not verify (EV-16)");
                    return Err(problem(event, Code::BadSignature, &what));
                }
            },
            Err(e) if matches!(e.code(), Code::UnknownKey | Code::ExpiredKey) => unusable = Some(e),
            Err(e) => return Err(e),
        }
    }
    if checked.is_empty() {
        return Err(match unusable {
            Some(e) => e.context(format!("event {}", event.id)),
            None => problem(
                event,
                Code::MissingSignature,
                &format!("{server} did not sign it (EV-14)"),
            ),
        });
    }
    Ok(checked)
}

fn problem(event: &Event, code: Code, what: &str) -> Error {
    Error::new(code, format!("event {}: {what}", event.id))
}

fn content_hash_fits(event: &Event) -> bool {
    event
        .object
        .get("hashes")
        .and_then(|hashes| hashes.get("sha256"))
        .and_then(Value::as_str)
        .and_then(base64::decode_array::<32>)
        .is_some_and(|claimed| claimed == hash::content_digest(&event.object))
}

fn redacted(event: &Event) -> Event {
    let object = redact::redact(&event.object, event.version);
    Event {
        version: event.version,
        id: event.id.clone(),
        room_id: event.room_id.clone(),
        sender: event.sender.clone(),
        kind: event.kind.clone(),
        state_key: event.state_key.clone(),
        prev_events: event.prev_events.clone(),
        auth_events: event.auth_events.clone(),
        depth: event.depth,
        origin_server_ts: event.origin_server_ts,
        redacts: Event::find_redacts(&object, &event.kind, event.version),
        hash_mismatch: event.hash_mismatch,
        oversized_ids: event.oversized_ids,
        object,
        preview: None,
    }
}
