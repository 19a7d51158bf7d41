//! Taking a whole room from an archive: a file of PDUs, as another server or an earlier store gave them.

use crate::{
    inner::Inner,
    room::{Arrival, OpenRoom, Outcome, RoomHandle},
};
use roomlet_wire::{Code, Error, Parsed, Pdu, Result, RoomId, RoomVersion, Verified, json, limits};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Events that are taken with one commit: all of them change the same pages of indexes, so many make few writes. Events
/// are written together until they have so many bytes, or there are so many.
const BATCH_BYTES: usize = 2 << 20;
const BATCH: usize = 4096;
/// Events that wait for others which come later in the file, and the bytes of their JSON; beyond that they are left out.
const WAITING: usize = 10_000;
const WAITING_BYTES: usize = 16 << 20;

/// What of an archive's events is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// All of it, as if a server had sent them now.
    Nothing,
    /// Signatures are taken as right: an archive that this host wrote itself. All other rules hold.
    Signatures,
}

/// What became of an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The room.
    pub room: RoomId,
    /// Events that are part of the room now.
    pub accepted: u64,
    /// Events that are part of it and that users do not see (EV-21 step 6).
    pub soft_failed: u64,
    /// Events that are held as refused (EV-23).
    pub rejected: u64,
    /// Events that the room had before.
    pub known: u64,
    /// Events that were left out: their form, hash or signatures are wrong, they are of another room, or what they
    /// cite is not in the file.
    pub left_out: u64,
    /// Of the first that was left out or rejected, what and why.
    pub first_fault: Option<String>,
}

/// Events in the order of the file, line by line.
struct Archive {
    file: BufReader<File>,
    name: String,
    line: Vec<u8>,
    /// The line's number, from 1.
    number: u64,
}

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Error::new(Code::BadParam, format!("archive {name}: {error}")))?;
        Ok(Self {
            file: BufReader::with_capacity(1 << 16, file),
            name,
            line: Vec::new(),
            number: 0,
        })
    }

    /// Goes to the next line that is not empty; `false` at the end.
    fn next(&mut self) -> Result<bool> {
        // Somewhat more than an event may have, so that one that is too large is told apart from what is no archive.
        const LONGEST: u64 = 4 * limits::PDU_BYTES as u64;
        loop {
            self.line.clear();
            self.number += 1;
            let mut longest = self.file.by_ref().take(LONGEST);
            let read = longest.read_until(b'\n', &mut self.line);
            match read {
                Err(error) => return Err(self.fault(&error.to_string())),
                Ok(0) => return Ok(false),
                Ok(read) if read as u64 == LONGEST => return Err(self.fault("is longer than any event")),
                Ok(_) if self.line.trim_ascii().is_empty() => {}
                Ok(_) => break,
            }
        }
        // What is canonical without its end is read faster.
        self.line.pop_if(|last| *last == b'\n');
        Ok(true)
    }

    fn fault(&self, what: &str) -> Error {
        Error::new(
            Code::BadParam,
            format!("archive {}: line {}: {what}", self.name, self.number),
        )
    }
}

/// An import under way.
struct Import {
    archive: Archive,
    version: &'static RoomVersion,
    trust: Trust,
    /// Events whose parents are not here yet.
    waiting: Vec<Pdu<Verified>>,
    waiting_bytes: usize,
    report: Imported,
}

impl Inner {
    /// See [`Homeserver::import_room`](crate::Homeserver::import_room).
    pub(crate) async fn import_room(&self, path: &Path, trust: Trust) -> Result<Imported> {
        self.check_open()?;
        let mut archive = Archive::open(path)?;
        if !archive.next()? {
            return Err(archive.fault("there is no event"));
        }
        let version = version_of(&archive.line)
            .map_err(|error| error.context(format!("archive {}: line 1", archive.name)))?;
        let create = Pdu::parse(&archive.line, version)
            .map_err(|error| error.context(format!("archive {}: line 1", archive.name)))?;
        let room = create.room_id.clone();
        let handle = self.rooms.get_or_create(&room, version)?;
        let mut import = Import {
            archive,
            version,
            trust,
            waiting: Vec::new(),
            waiting_bytes: 0,
            report: Imported {
                room,
                accepted: 0,
                soft_failed: 0,
                rejected: 0,
                known: 0,
                left_out: 0,
                first_fault: None,
            },
        };
        let mut batch = self.read(&mut import, Some(create)).await?;
        while !batch.is_empty() {
            // The room takes one batch while the next is read and its signatures are checked.
            let taking = take(&handle, batch);
            let reading = self.read(&mut import, None);
            let (taken, next) = tokio::join!(taking, reading);
            import.count(taken?);
            batch = next?;
        }
        import.take_waiting(&handle).await?;
        Ok(import.report)
    }

    /// The next batch, after the event that begins it; its signatures are checked, unless they are trusted.
    async fn read(&self, import: &mut Import, first: Option<Pdu<Parsed>>) -> Result<Vec<Pdu<Verified>>> {
        if import.trust == Trust::Signatures {
            // At once: what the check of a signature would need is let go of.
            let first = first.map(Pdu::trust_signatures);
            return import.read(first, Pdu::trust_signatures);
        }
        let parsed = import.read(first, |pdu| pdu)?;
        let mut verified = Vec::with_capacity(parsed.len());
        for checked in self.verify(parsed).await {
            match checked {
                Ok(pdu) => verified.push(pdu),
                Err(error) => import.leave_out(error.about().to_owned()),
            }
        }
        Ok(verified)
    }
}

impl Import {
    /// Reads events up to a batch's number, each as `made`.
    fn read<T>(&mut self, first: Option<T>, made: impl Fn(Pdu<Parsed>) -> T) -> Result<Vec<T>> {
        let mut batch = Vec::from_iter(first);
        let mut bytes = 0;
        while batch.len() < BATCH && bytes < BATCH_BYTES && self.archive.next()? {
            bytes += self.archive.line.len();
            match Pdu::parse(&self.archive.line, self.version) {
                Ok(pdu) => batch.push(made(pdu)),
                Err(error) => self.leave_out(self.archive.fault(error.about()).about().to_owned()),
            }
        }
        Ok(batch)
    }

    fn leave_out(&mut self, fault: String) {
        self.report.left_out += 1;
        self.report.first_fault.get_or_insert(fault);
    }

    fn count(&mut self, outcomes: Vec<(Pdu<Verified>, Outcome)>) {
        for (pdu, outcome) in outcomes {
            match outcome {
                Outcome::Accepted => self.report.accepted += 1,
                Outcome::Known => self.report.known += 1,
                Outcome::SoftFailed(_) => self.report.soft_failed += 1,
                Outcome::Rejected(denied) => {
                    self.report.rejected += 1;
                    let fault = format!("event {}: {denied}", pdu.id);
                    self.report.first_fault.get_or_insert(fault);
                }
                Outcome::Dropped(about) => self.leave_out(about),
                Outcome::Missing(_) if self.may_wait(&pdu) => {
                    self.waiting_bytes += pdu.json().len();
                    self.waiting.push(pdu);
                }
                Outcome::Missing(missing) => self.leave_out(missing_text(&pdu, &missing)),
            }
        }
    }

    fn may_wait(&self, pdu: &Pdu<Verified>) -> bool {
        self.waiting.len() < WAITING && self.waiting_bytes + pdu.json().len() <= WAITING_BYTES
    }

    /// Takes what came before its parents, as often as that helps.
    async fn take_waiting(&mut self, handle: &RoomHandle) -> Result<()> {
        loop {
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting_bytes = 0;
            let count = waiting.len();
            let mut rest = waiting.into_iter().peekable();
            while rest.peek().is_some() {
                let batch = rest.by_ref().take(BATCH).collect();
                let taken = take(handle, batch).await?;
                self.count(taken);
            }
            if self.waiting.len() == count {
                break;
            }
        }
        for pdu in std::mem::take(&mut self.waiting) {
            self.leave_out(format!("event {}: what it cites is not in the archive", pdu.id));
        }
        Ok(())
    }
}

fn missing_text(pdu: &Pdu<Verified>, missing: &crate::room::Missing) -> String {
    let cited = missing.prev.iter().chain(&missing.auth).next();
    let cited = cited.map_or("", |id| id.as_str());
    format!(
        "event {} cites {cited}, which comes too late in the archive",
        pdu.id
    )
}

/// Takes a batch in one commit. Users hear of an archive by their memberships alone.
async fn take(handle: &RoomHandle, batch: Vec<Pdu<Verified>>) -> Result<Vec<(Pdu<Verified>, Outcome)>> {
    handle
        .run(move |room: &mut OpenRoom| {
            room.quietly(|room| {
                let mut outcomes = Vec::with_capacity(batch.len());
                for pdu in batch {
                    let outcome = room.ingest(&pdu, Arrival::LIVE)?;
                    outcomes.push((pdu, outcome));
                }
                Ok(outcomes)
            })
        })
        .await
}

/// The version of the room whose create event this is.
fn version_of(create: &[u8]) -> Result<&'static RoomVersion> {
    let event = json::parse_object(create)?;
    let is_create = event.get("type").and_then(|kind| kind.as_str()) == Some("m.room.create");
    let content = event.get("content").and_then(|content| content.as_object());
    let Some(content) = content.filter(|_| is_create) else {
        return Err(Error::new(
            Code::BadEvent,
            "the first event of an archive is its room's m.room.create",
        ));
    };
    let version = content.get("room_version").and_then(|version| version.as_str());
    RoomVersion::named(version.unwrap_or("1"))
}
