//! Synapse in a process of its own: a room a line, its answers a line.

use crate::room::{Room, key};
use roomlet_wire::{
    json::{self, Map, Value},
    version::TABLE,
};
use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The process.
pub(crate) struct Oracle {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// What it says of a room.
pub(crate) struct Answers {
    pub(crate) events: Vec<Answer>,
    /// The ids of each resolved state, sorted; `None` where there is no answer.
    pub(crate) merges: Vec<Option<Vec<String>>>,
}

/// What it says of an event.
pub(crate) struct Answer {
    /// `None` if it does not read the event at all.
    pub(crate) form: Option<Form>,
    /// Verdicts: `allow`, `deny: why` or `fail: why`.
    pub(crate) own: String,
    pub(crate) before: String,
}

/// What it says of an event's form.
pub(crate) struct Form {
    pub(crate) id: String,
    pub(crate) hash_fits: bool,
    /// Canonical JSON.
    pub(crate) redacted: String,
    /// A verdict.
    pub(crate) signed: String,
}

impl Oracle {
    pub(crate) fn start(python: &Path, script: &Path) -> io::Result<Self> {
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (to, from) = (process.stdin.take(), process.stdout.take());
        let missing = || io::Error::other("a pipe is missing");
        Ok(Self {
            process,
            to: to.ok_or_else(missing)?,
            from: BufReader::new(from.ok_or_else(missing)?),
        })
    }

    /// Asks about a room.
    pub(crate) fn ask(&mut self, room: &Room) -> io::Result<Answers> {
        writeln!(self.to, "{}", question(room))?;
        self.to.flush()?;
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(io::Error::other("Synapse's process ended"));
        }
        let answer = json::parse_object(line.trim().as_bytes()).map_err(io::Error::other)?;
        if let Some(failure) = answer.get("failure") {
            return Err(io::Error::other(format!("Synapse failed: {failure:?}")));
        }
        read(&answer).ok_or_else(|| io::Error::other(format!("no answer: {line}")))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn strings(list: impl IntoIterator<Item = String>) -> Value {
    list.into_iter().map(Value::from).collect::<Vec<_>>().into()
}

fn question(room: &Room) -> String {
    let events = room.events.iter().map(|made| {
        let entry = Map::from([
            ("pdu".into(), made.raw.clone().into()),
            ("rejected".into(), made.node.rejected.into()),
            ("before".into(), strings(room.ids(&made.state_before))),
        ]);
        Value::from(entry)
    });
    let merges = room.merges.iter().map(|merge| {
        let sets = merge.sets.iter().map(|set| strings(room.ids(set)));
        Value::from(sets.collect::<Vec<_>>())
    });
    let extensible = room.version.extensible_events;
    let question = Map::from([
        (
            "rules".into(),
            if extensible { "10" } else { room.version.id }.into(),
        ),
        (
            "known".into(),
            strings(TABLE.iter().map(|version| version.id.to_owned())),
        ),
        ("public_key".into(), key().public().to_base64().into()),
        ("events".into(), events.collect::<Vec<_>>().into()),
        ("merges".into(), merges.collect::<Vec<_>>().into()),
    ]);
    json::map_to_canonical(&question)
}

fn read(answer: &Map) -> Option<Answers> {
    let events = answer.get("events")?.as_array()?.iter().map(|event| {
        let text = |key: &str| Some(event.get(key)?.as_str()?.to_owned());
        let form = || {
            Some(Form {
                id: text("id")?,
                hash_fits: event.get("hash_fits")?.as_bool()?,
                redacted: text("redacted")?,
                signed: text("signed")?,
            })
        };
        Some(Answer {
            form: form(),
            own: text("own")?,
            before: text("before")?,
        })
    });
    let merges = answer.get("merges")?.as_array()?.iter().map(|merge| {
        if *merge == Value::Null {
            return Some(None);
        }
        let ids = merge.as_array()?.iter();
        let ids = ids.map(|id| Some(id.as_str()?.to_owned()));
        Some(Some(ids.collect::<Option<_>>()?))
    });
    Some(Answers {
        events: events.collect::<Option<_>>()?,
        merges: merges.collect::<Option<_>>()?,
    })
}
