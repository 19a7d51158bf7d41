//! Taking a whole room from an archive: a file of PDUs, as another server or an earlier store gave them.

mod archive;
mod reading;

use crate::{
    inner::Inner,
    room::{Arrival, OpenRoom, Outcome, RoomHandle},
    verify::parts_of,
};
use archive::{Archive, BATCH, Lines};
use reading::Reading;
use roomlet_wire::{Code, Error, Pdu, Result, RoomId, RoomVersion, Verified, json};
use std::path::Path;

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

/// An import under way.
struct Import {
    archive: Archive,
    version: &'static RoomVersion,
    trust: Trust,
    /// Events that are less deep are history (EC-4).
    history: i64,
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
        let mut lines = Lines::default();
        if !archive.next(&mut lines)? {
            return Err(archive.fault(archive.number, "there is no event"));
        }
        let first = lines.iter().next().map_or(&[][..], |line| line.bytes);
        let context = |error: Error| archive.context(archive.number, error);
        let version = version_of(first).map_err(context)?;
        let room = Pdu::parse(first, version).map_err(context)?.room_id.clone();
        let handle = self.rooms.get_or_create(&room, version)?;
        let history = handle.run(OpenRoom::depth_of_history).await?;
        let mut import = Import {
            archive,
            version,
            trust,
            history,
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
        let mut batch = self.read(&mut import, lines).await?;
        while let Some(events) = batch {
            // The room takes one batch while the next is read and its signatures are checked.
            let taking = take(&handle, events, history);
            let reading = self.read(&mut import, Lines::default());
            let (taken, next) = tokio::join!(taking, reading);
            import.count(taken?);
            batch = next?;
        }
        import.take_waiting(&handle).await?;
        Ok(import.report)
    }

    /// The events of the next lines, after those that are read already; `None` at the end. Their signatures are checked, unless
    /// they are trusted.
    async fn read(&self, import: &mut Import, lines: Lines) -> Result<Option<Vec<Pdu<Verified>>>> {
        let lines = import.archive.fill(lines)?;
        if lines.is_empty() {
            return Ok(None);
        }
        let mut readings = self.read_lines(&lines, import.version, import.trust);
        let (places, lack_keys) = Reading::take(&mut readings, |_| true);
        let checked = self.verify(lack_keys).await;
        Reading::put_back(&mut readings, places, checked);
        let mut events = Vec::with_capacity(readings.len());
        for (reading, line) in readings.into_iter().zip(lines.iter()) {
            match reading {
                Reading::Done(Ok(pdu)) => events.push(pdu),
                Reading::Done(Err(error)) if error.is_outage() => return Err(error),
                Reading::Done(Err(error)) => {
                    let fault = import.archive.context(line.number, error);
                    import.leave_out(fault.about().to_owned());
                }
                Reading::Parsed(_) | Reading::Taken => {}
            }
        }
        Ok(Some(events))
    }
}

impl Import {
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
            for batch in parts_of(waiting, BATCH) {
                let taken = take(handle, batch, self.history).await?;
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
async fn take(
    handle: &RoomHandle,
    batch: Vec<Pdu<Verified>>,
    history: i64,
) -> Result<Vec<(Pdu<Verified>, Outcome)>> {
    handle
        .run(move |room: &mut OpenRoom| {
            room.quietly(|room| {
                let mut outcomes = Vec::with_capacity(batch.len());
                for pdu in batch {
                    let arrival = match pdu.depth < history {
                        true => Arrival::Backfill {
                            refused: false,
                            at_most: i64::MAX,
                        },
                        false => Arrival::LIVE,
                    };
                    let outcome = room.ingest(&pdu, arrival)?;
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
