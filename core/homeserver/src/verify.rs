//! Checking the events that other servers give: form, keys, signatures, hash (EV-21 steps 1–3).

use crate::inner::Inner;
use roomlet_federation::keys::View;
use roomlet_wire::{
    Code, Error, EventId, KeyId, Map, Parsed, Pdu, Result, RoomId, RoomVersion, ServerName, Verified,
    json::{Object, Raw, RawValue},
};
use std::{collections::BTreeSet, time::Duration};

/// Fewer signatures than this are not worth a second thread.
const PARALLEL_FROM: usize = 16;
/// Events that are checked together: enough to share what can be shared, few enough to stay in a core's own memory.
const BLOCK: usize = 64;

/// What is wrong with events of a reply. The log hears of it in one line: there may be thousands where a room is old and its
/// servers are gone.
#[derive(Default)]
pub(crate) struct Faults {
    count: usize,
    first: Option<String>,
}

impl Faults {
    pub(crate) fn add<T: ToString>(&mut self, fault: impl FnOnce() -> T) {
        self.count += 1;
        self.first.get_or_insert_with(|| fault().to_string());
    }
}

/// The PDUs of a reply that have the form of one of the room's.
struct ParsedReply {
    pdus: Vec<Pdu<Parsed>>,
    faults: Faults,
}

impl ParsedReply {
    fn new(room: &RoomId, version: &'static RoomVersion, values: Vec<RawValue>) -> Self {
        let mut faults = Faults::default();
        let mut pdus = Vec::with_capacity(values.len());
        for value in values {
            match Pdu::parse_backfill(value.text().as_bytes(), version) {
                Ok(pdu) if pdu.room_id != *room => {
                    let about = format!("event {} is of room {}", pdu.id, pdu.room_id);
                    faults.add(|| Error::new(Code::BadEvent, about));
                }
                Ok(pdu) => pdus.push(pdu),
                Err(error) => faults.add(|| error),
            }
        }
        Self { pdus, faults }
    }

    fn needed_keys(&self) -> Vec<NeededKey> {
        needed_keys(&self.pdus)
    }
}

impl Inner {
    /// Tells the log what became of events of a reply, if any is wrong.
    pub(crate) fn warn_of_reply(&self, server: &ServerName, room: &RoomId, became: &str, faults: Faults) {
        if let Faults {
            count,
            first: Some(first),
        } = faults
        {
            self.warn(format_args!(
                "events of room {room} in a reply of {server} are {became}: {count}, first: {first}"
            ));
        }
    }

    /// Checks the PDUs of a reply of `server`; bad ones, those of other rooms and those `known` already are left out
    /// (EV-25, TM-10).
    ///
    /// # Errors
    /// Of the store: what is left out then might be good.
    pub(crate) async fn verify_reply(
        &self,
        server: &ServerName,
        room: &RoomId,
        version: &'static RoomVersion,
        values: Vec<RawValue>,
        known: &BTreeSet<EventId>,
    ) -> Result<Vec<Pdu<Verified>>> {
        let mut reply = ParsedReply::new(room, version, values);
        reply.pdus.retain(|pdu| !known.contains(&pdu.id));
        self.keys.ensure(reply.needed_keys()).await;
        self.check_reply(server, room, reply)
    }

    /// As [`verify_reply`](Self::verify_reply); `None` if the keys are not to be had within `patience`. Then others are slow,
    /// and a later try finds more of them.
    pub(crate) async fn verify_reply_within(
        &self,
        server: &ServerName,
        room: &RoomId,
        version: &'static RoomVersion,
        values: Vec<RawValue>,
        patience: Duration,
    ) -> Result<Option<Vec<Pdu<Verified>>>> {
        let reply = ParsedReply::new(room, version, values);
        let in_time = self.keys.ensure_within(reply.needed_keys(), patience).await;
        in_time.then(|| self.check_reply(server, room, reply)).transpose()
    }

    fn check_reply(
        &self,
        server: &ServerName,
        room: &RoomId,
        reply: ParsedReply,
    ) -> Result<Vec<Pdu<Verified>>> {
        let ParsedReply { pdus, mut faults } = reply;
        let mut verified = Vec::with_capacity(pdus.len());
        for checked in self.check_signatures(pdus) {
            match checked {
                Ok(pdu) => verified.push(pdu),
                Err(error) if error.is_outage() => return Err(error),
                Err(error) => faults.add(|| error),
            }
        }
        self.warn_of_reply(server, room, "left out", faults);
        Ok(verified)
    }

    /// Checks one event as an object.
    pub(crate) async fn verify_object(
        &self,
        object: Map,
        version: &'static RoomVersion,
    ) -> Result<Pdu<Verified>> {
        self.verify_parsed(Pdu::from_object(object, version)?).await
    }

    /// Checks one event as it came.
    pub(crate) async fn verify_one(
        &self,
        bytes: &[u8],
        version: &'static RoomVersion,
    ) -> Result<Pdu<Verified>> {
        self.verify_parsed(Pdu::parse(bytes, version)?).await
    }

    async fn verify_parsed(&self, pdu: Pdu<Parsed>) -> Result<Pdu<Verified>> {
        self.verify(vec![pdu])
            .await
            .pop()
            .unwrap_or_else(|| Err(Error::new(Code::BadEvent, "no event")))
    }

    /// Gets the keys that the events need, then checks their signatures, on several cores where there are many.
    pub(crate) async fn verify(&self, pdus: Vec<Pdu<Parsed>>) -> Vec<Result<Pdu<Verified>>> {
        self.keys.ensure(needed_keys(&pdus)).await;
        self.check_signatures(pdus)
    }

    fn check_signatures(&self, pdus: Vec<Pdu<Parsed>>) -> Vec<Result<Pdu<Verified>>> {
        let verify = |keys: &View<'_>, block| Pdu::verify_all(block, keys);
        self.in_blocks(pdus, verify, Err)
    }

    /// Does `work` on blocks of many things, on several cores where that is worth it. It gives one result for each; `panicked`
    /// stands for those of a core on which it panicked: callers match results by their place.
    pub(crate) fn in_blocks<T: Send, R: Send>(
        &self,
        things: Vec<T>,
        work: impl Fn(&View<'_>, Vec<T>) -> Vec<R> + Sync,
        panicked: impl Fn(Error) -> R,
    ) -> Vec<R> {
        let on_one_core = |part: Vec<T>| -> Vec<R> {
            let keys = self.keys.view();
            let mut results = Vec::with_capacity(part.len());
            for block in parts_of(part, BLOCK) {
                results.extend(work(&keys, block));
            }
            results
        };
        if things.len() < PARALLEL_FROM {
            return on_one_core(things);
        }
        // Asked only now: it reads files of the system.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores == 1 {
            return on_one_core(things);
        }
        let share = things.len().div_ceil(cores);
        std::thread::scope(|scope| {
            let on_one_core = &on_one_core;
            let threads: Vec<_> = parts_of(things, share)
                .map(|part| (part.len(), scope.spawn(move || on_one_core(part))))
                .collect();
            let panicked = |count: usize| {
                let error = || panicked(Error::new(Code::Panic, "a signature check panicked"));
                (0..count).map(|_| error()).collect()
            };
            threads
                .into_iter()
                .flat_map(|(count, thread)| thread.join().unwrap_or_else(|_| panicked(count)))
                .collect()
        })
    }
}

/// Parts of `size` things each; the last may have fewer.
pub(crate) fn parts_of<T>(things: Vec<T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let mut rest = things.into_iter();
    std::iter::from_fn(move || {
        let part: Vec<T> = rest.by_ref().take(size).collect();
        (!part.is_empty()).then_some(part)
    })
}

/// A key that is to be had, and for which time.
type NeededKey = (ServerName, KeyId, i64);

/// The keys whose signatures events carry of the servers that must have signed them.
fn needed_keys(pdus: &[Pdu<Parsed>]) -> Vec<NeededKey> {
    let mut needed = Vec::with_capacity(pdus.len());
    for pdu in pdus {
        pdu.each_needed_key(|server, id| needed.extend(needed_key(pdu, server, id)));
    }
    needed
}

/// The keys whose signatures an event carries of one server.
pub(crate) fn keys_of(pdu: &Pdu<Parsed>, server: &ServerName) -> Vec<NeededKey> {
    let signatures = pdu.signatures().get(server).and_then(Raw::as_object);
    let ids = signatures.into_iter().flat_map(Object::iter);
    ids.filter_map(|(id, _)| needed_key(pdu, server, &id)).collect()
}

/// `None` where no server could have such a key.
fn needed_key(pdu: &Pdu<Parsed>, server: &str, id: &str) -> Option<NeededKey> {
    let server = ServerName::parse_any_length(server).ok()?;
    let id = KeyId::parse(id).ok().filter(KeyId::is_ed25519)?;
    Some((server, id, pdu.origin_server_ts))
}
