//! Steps 2 and 3 of an event's receipt: who must have signed, and does the content hash fit (EV-5, EV-14 … EV-17).

use super::{Event, Parsed, Pdu, Verified};
use crate::{
    error::{Code, Error, Result},
    id::{KeyId, ServerName, UserId},
    json::{self, Map, Members, Object, Raw, Value},
    redact,
    sign::{self, Batch, KeyPair, KeyRing, PublicKey},
    version::EventFormat,
};
use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use arrayvec::ArrayVec;

/// The servers that must have signed an event; there are three reasons at most (EV-14).
type Signers<'a> = ArrayVec<&'a str, 3>;

impl Pdu<Parsed> {
    /// The servers whose signatures this event needs (EV-14, EV-15). Empty only for the invite that a third-party
    /// invite turned into, which is judged by that invite's keys instead (AUTH-9).
    #[must_use]
    pub fn required_signers(&self) -> Vec<ServerName> {
        let redaction = self.redaction();
        all_signers(self, redaction.as_ref())
            .into_iter()
            .filter_map(|name| ServerName::parse_any_length(name).ok())
            .collect()
    }

    /// Calls `see` with each server that must have signed this event and the id of each key with which it has.
    pub fn each_needed_key(&self, mut see: impl FnMut(&str, &str)) {
        let redaction = self.redaction();
        for server in &all_signers(self, redaction.as_ref()) {
            let signed = self.signatures().get(server).and_then(Raw::as_object);
            for (id, _) in signed.into_iter().flat_map(Object::iter) {
                see(server, &id);
            }
        }
    }

    /// The form that is judged and served where the content hash does not fit.
    fn redaction(&self) -> Option<Event> {
        (!self.1.hash_fits).then(|| redacted_for_hash(self))
    }

    /// Checks every required signature (EV-14 … EV-17) and the content hash (EV-5), redacting on mismatch.
    ///
    /// # Errors
    /// [`Code::MissingSignature`], [`Code::UnknownKey`], [`Code::ExpiredKey`], [`Code::BadSignature`].
    pub fn verify(self, keys: &dyn KeyRing) -> Result<Pdu<Verified>> {
        let redaction = self.check_signed(keys, &mut verifies_alone)?;
        Ok(self.verified(redaction))
    }

    /// As [`verify`](Self::verify) for each of several events, for a tenth less work; results are in their order. What is
    /// needed for all of them is in memory at once, so many events are better given in parts: a hundred are enough.
    ///
    /// # Errors
    /// Of each event as there.
    pub fn verify_all(pdus: Vec<Self>, keys: &dyn KeyRing) -> Vec<Result<Pdu<Verified>>> {
        let mut batch = Batch::default();
        let mut checks = Vec::with_capacity(pdus.len());
        for pdu in &pdus {
            let first = batch.len();
            let signed = pdu.check_signed(keys, &mut |key, message, signature| {
                batch.push(key, message.as_bytes(), signature);
                true
            });
            checks.push((signed, first..batch.len()));
        }
        let verdicts = batch.verdicts();
        let judged = pdus.into_iter().zip(checks).map(|(pdu, (signed, of_event))| {
            if verdicts[of_event].contains(&false) {
                // Which error it is depends on the first that does not verify.
                return pdu.verify(keys);
            }
            signed.map(|redaction| pdu.verified(redaction))
        });
        judged.collect()
    }

    /// Whether all that must have signed the event have, where `verifies` tells of each signature. Gives the form that is
    /// judged instead of the event, if there is one.
    fn check_signed(
        &self,
        keys: &dyn KeyRing,
        verifies: &mut dyn FnMut(&PublicKey, &str, &str) -> bool,
    ) -> Result<Option<Event>> {
        let redaction = self.redaction();
        for server in &all_signers(self, redaction.as_ref()) {
            let signed = self.signatures().get(server).and_then(Raw::as_object);
            check_signatures(self, &self.1.signing_form, signed, server, keys, verifies)?;
        }
        Ok(redaction)
    }

    fn verified(self, redaction: Option<Event>) -> Pdu<Verified> {
        match redaction {
            None => Pdu(self.0, ()),
            Some(redacted) => Pdu(Arc::new(redacted), ()),
        }
    }

    /// Takes the signatures as checked before, by somebody whom the caller trusts: the content hash is all that is
    /// looked at (EV-5), redacting on mismatch.
    #[must_use]
    pub fn trust_signatures(self) -> Pdu<Verified> {
        let redaction = self.redaction();
        self.verified(redaction)
    }

    /// Takes the event as it is, whatever its hash and signatures: to ask what the rules would make of it. It must be
    /// neither stored nor sent.
    #[must_use]
    pub fn unchecked(self) -> Pdu<Verified> {
        Pdu(self.0, ())
    }
}

impl Pdu<Verified> {
    /// The redacted form of the event, same id (EV-10, EV-13).
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self(Arc::new(redacted(self)), ())
    }

    /// Adds a signature of `key` beside those that the event has, as the resident of a restricted join and the
    /// server of an invited user do (FED-33, FED-37).
    #[must_use]
    pub fn countersigned(&self, server: &ServerName, key: &KeyPair) -> Self {
        let signature = key.sign(signing_form(self).as_bytes());
        self.with_signatures(server, [(key.id().to_string(), signature)])
    }

    /// This event with a signature of `server` taken over from `other`, the form of the event that `server` gave back
    /// (FED-37): nothing else of `other` is used. All must verify over this event (EV-16); one is enough, and leaves the
    /// event within its size.
    ///
    /// # Errors
    /// As [`Pdu::verify`], for signatures of `server` alone.
    pub fn with_signatures_from(
        &self,
        other: Object<'_>,
        server: &ServerName,
        keys: &dyn KeyRing,
    ) -> Result<Self> {
        let signed = other.get("signatures");
        let signed = signed.and_then(|all| all.get(server)?.as_object());
        let form = signing_form(self);
        let (id, signature) = check_signatures(self, &form, signed, server, keys, &mut verifies_alone)?;
        Ok(self.with_signatures(server, [(id.into_owned(), signature.into_owned())]))
    }

    fn with_signatures(
        &self,
        server: &ServerName,
        signatures: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut object: Map = self.to_map();
        for (id, signature) in signatures {
            sign::insert_signature(&mut object, server, &id, Value::from(signature));
        }
        Self(Arc::new(self.with_json(json::map_to_canonical(&object))), ())
    }
}

fn signing_form(event: &Event) -> String {
    redact::signing_form(&Members::of(event.object()), event.version)
}

/// The servers that must have signed an event and, where its hash does not fit, its redacted form, which is what is judged
/// and served then: without `third_party_invite` it is an ordinary invite, which anyone could make in the sender's name.
fn all_signers<'a>(event: &'a Event, redaction: Option<&'a Event>) -> Signers<'a> {
    let mut signers = required_signers(event);
    for server in redaction.into_iter().flat_map(required_signers) {
        if !signers.contains(&server) {
            signers.push(server);
        }
    }
    signers
}

fn required_signers(event: &Event) -> Signers<'_> {
    let mut servers = Signers::new();
    let from_third_party_invite =
        event.membership() == Some("invite") && event.spans.third_party_invite.is_some();
    if !from_third_party_invite {
        servers.push(event.sender.server());
    }
    if event.version.event_format == EventFormat::ServerIds
        && let Some(domain) = event.id.domain()
        && !servers.contains(&domain)
    {
        servers.push(domain);
    }
    if let Some(user) = authorising_user(event)
        && let Some(server) = server_in(user)
        && !servers.contains(&server)
    {
        servers.push(server);
    }
    servers
}

/// The server of a user id as it stands in JSON. Only what comes before the first `:` can be escaped there.
fn server_in(user: Raw<'_>) -> Option<&str> {
    let text = user.text().strip_prefix('"')?.strip_suffix('"')?;
    text.split_once(':').map(|(_, server)| server)
}

/// `join_authorised_via_users_server` of a join, where it asks for a signature (EV-14).
fn authorising_user(event: &Event) -> Option<Raw<'_>> {
    let span = event.spans.authoriser.filter(|_| event.version.restricted)?;
    (event.membership() == Some("join")).then(|| Raw::trusted(event.text_at(span)))
}

/// Refuses a join authorised by what is no user, as no server could sign it.
pub(super) fn check_authorising_user(event: &Event) -> Result<()> {
    let Some(user) = authorising_user(event) else {
        return Ok(());
    };
    match UserId::parse(&user.as_str().unwrap_or_default()) {
        Ok(_) => Ok(()),
        Err(e) => Err(e.context("event: `content.join_authorised_via_users_server`")),
    }
}

fn verifies_alone(key: &PublicKey, message: &str, signature: &str) -> bool {
    key.verifies_base64(message.as_bytes(), signature)
}

/// Of `server`'s signatures those whose keys are known and were valid must all verify, as `verifies` tells of key, message
/// and signature, and there must be one (EV-16). Gives the first of them, with its key's id.
fn check_signatures<'a>(
    event: &Event,
    message: &str,
    signed: Option<Object<'a>>,
    server: &str,
    keys: &dyn KeyRing,
    verifies: &mut dyn FnMut(&PublicKey, &str, &str) -> bool,
) -> Result<(Cow<'a, str>, Cow<'a, str>)> {
    let mut first = None;
    let mut unusable = None;
    for (id, signature) in signed.into_iter().flat_map(Object::iter) {
        if !KeyId::names_ed25519(&id) {
            continue;
        }
        match keys.key(server, &id, event.origin_server_ts, event.version.key_validity) {
            Ok(key) => match signature.as_str() {
                Some(text) if verifies(&key, message, &text) => {
                    first.get_or_insert((id, text));
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
    match (first, unusable) {
        (Some(first), _) => Ok(first),
        (None, Some(e)) => Err(e.context(format!("event {}", event.id))),
        (None, None) => {
            let what = format!("{server} did not sign it (EV-14)");
            Err(problem(event, Code::MissingSignature, &what))
        }
    }
}

fn problem(event: &Event, code: Code, what: &str) -> Error {
    Error::new(code, format!("event {}: {what}", event.id))
}

/// What is left of an event whose content hash does not fit (EV-5).
fn redacted_for_hash(event: &Event) -> Event {
    let mut redacted = redacted(event);
    redacted.hash_mismatch = true;
    redacted.preview.clone_from(&event.preview);
    redacted
}

fn redacted(event: &Event) -> Event {
    let mut redacted = event.with_json(redact::redact_json(event.object(), event.version));
    redacted.preview = None;
    redacted
}
