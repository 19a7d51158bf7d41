//! Where roomlet and another engine say different things.

use crate::{
    known,
    oracle::{Answer, Answers},
    room::{Made, Room},
};
use roomlet_room::Denied;
use roomlet_wire::json;
use std::fmt;

/// A disagreement.
pub(crate) struct Difference {
    /// With whom.
    pub(crate) oracle: &'static str,
    /// What about: `id`, `own`, `merge`, ….
    pub(crate) about: &'static str,
    /// The place in `docs/differences.md`, if it is known.
    pub(crate) known: Option<&'static str>,
    text: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.oracle, self.about, self.text)
    }
}

/// All disagreements about a room.
pub(crate) fn compare(room: &Room, answers: &Answers, oracle: &'static str) -> Vec<Difference> {
    let mut found = Vec::new();
    for (made, answer) in room.events.iter().zip(&answers.events) {
        compare_event(room, made, answer, oracle, &mut found);
    }
    // What is refused or let in for a known reason is so in resolution, too.
    let cause = found.iter().find_map(|difference| difference.known);
    for (i, (merge, theirs)) in room.merges.iter().zip(&answers.merges).enumerate() {
        let mut ours = room.ids(&merge.resolved);
        ours.sort();
        let Some(theirs) = theirs else { continue };
        if ours != *theirs {
            let only = |a: &[String], b: &[String]| -> Vec<String> {
                let only = a.iter().filter(|id| !b.contains(id));
                only.map(|id| room.shown(id)).collect()
            };
            let differing = ours.iter().filter(|id| !theirs.contains(id));
            let differing = differing.chain(theirs.iter().filter(|id| !ours.contains(id)));
            found.push(Difference {
                oracle,
                about: "merge",
                known: cause.or_else(|| known::of_merge(room, differing, oracle)),
                text: format!(
                    "merge {i}: only roomlet has {:?}, only {oracle} has {:?}",
                    only(&ours, theirs),
                    only(theirs, &ours)
                ),
            });
        }
    }
    found
}

fn compare_event(
    room: &Room,
    made: &Made,
    answer: &Answer,
    oracle: &'static str,
    found: &mut Vec<Difference>,
) {
    let event = || room.shown(&made.node.pdu.id);
    let mut unequal = |about: &'static str, known: Option<&'static str>, ours: String, theirs: String| {
        if ours != theirs {
            found.push(Difference {
                oracle,
                about,
                known,
                text: format!("{}: roomlet {ours}, {oracle} {theirs}", event()),
            });
        }
    };
    if let Some(form) = &answer.form {
        unequal("id", None, made.node.pdu.id.to_string(), form.id.clone());
        let fits = !made.node.pdu.hash_mismatch;
        unequal(
            "content hash",
            known::of_hash(made, oracle),
            fits.to_string(),
            form.hash_fits.to_string(),
        );
        unequal(
            "redaction",
            known::of_redaction(made, oracle),
            json::map_to_canonical(&made.redacted),
            form.redacted.clone(),
        );
        let known = known::of_signature(made, &form.signed, oracle);
        unequal("signature", known, "allow".into(), form.signed.clone());
    }
    let mut verdict = |about: &'static str, ours: &Result<(), Denied>, theirs: &str| {
        if ours.is_ok() == (theirs == "allow") {
            return;
        }
        let text = ours
            .as_ref()
            .map_or_else(ToString::to_string, |()| "allow".into());
        found.push(Difference {
            oracle,
            about,
            known: known::reason(room, made, ours, theirs, oracle),
            text: format!("{}: roomlet {text}, {oracle} {theirs}", event()),
        });
    };
    verdict("own auth events", &made.own, &answer.own);
    if made.has_state_before() && answer.form.is_some() {
        verdict("state before", &made.before, &answer.before);
    }
}

impl Room {
    /// A short name of an event.
    fn shown(&self, id: &str) -> String {
        let made = self.events.iter().find(|made| made.node.pdu.id.as_str() == id);
        made.map_or_else(
            || id.to_owned(),
            |made| {
                let pdu = &made.node.pdu;
                format!("{} ({} {:?})", made.step, pdu.kind, pdu.state_key)
            },
        )
    }
}
