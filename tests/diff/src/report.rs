//! What was compared, and how often each rule decided.

use crate::{compare::Difference, oracle::Answers, room::Room};
use std::{collections::BTreeMap, fmt};

/// Every case in which a rule refuses an event, as [`name`] prints it; but for `RoomIdOfAnotherCreate`, as whoever cites no
/// event of the room is refused before.
const CASES: [&str; 52] = [
    "AliasesOfAnotherServer",
    "Banned",
    "CannotInvite",
    "CannotKnock",
    "CannotLeave",
    "CreateAsAuthEvent",
    "CreateBadCreators",
    "CreateForeignRoomId",
    "CreateUnknownVersion",
    "CreateWithPrevEvents",
    "CreateWithRoomId",
    "CreateWithoutCreator",
    "DuplicateAuthEvent",
    "ForeignAuthEvent",
    "JoinForAnother",
    "JoinRuleForbids",
    "KnockForAnother",
    "KnockNotAllowed",
    "MemberWithoutMembership",
    "MemberWithoutStateKey",
    "NoCreate",
    "NotAuthorised",
    "NotFederated",
    "NotInvited",
    "OversizedId",
    "PowerChange",
    "PowerMalformed",
    "PowerNamesCreator",
    "PowerTooLow AuthoriseJoin",
    "PowerTooLow Ban",
    "PowerTooLow Invite",
    "PowerTooLow InviteThirdParty",
    "PowerTooLow Kick",
    "PowerTooLow Redact",
    "PowerTooLow Send",
    "PowerTooLow Unban",
    "RejectedAuthEvent",
    "SenderNotJoined Ban",
    "SenderNotJoined Invite",
    "SenderNotJoined Kick",
    "SenderNotJoined Send",
    "StateKeyOfAnother",
    "TargetNotBelow Ban",
    "TargetNotBelow Kick",
    "ThirdPartyInvite Banned",
    "ThirdPartyInvite Malformed",
    "ThirdPartyInvite NoValidSignature",
    "ThirdPartyInvite OtherSender",
    "ThirdPartyInvite OtherUser",
    "ThirdPartyInvite UnknownToken",
    "UnknownMembership",
    "UnneededAuthEvent",
];

/// Counts over many rooms.
#[derive(Default)]
pub(crate) struct Report {
    rooms: BTreeMap<&'static str, usize>,
    events: usize,
    dropped: usize,
    verdicts: usize,
    /// Merges by whether anything was in conflict.
    merges: [usize; 2],
    /// By rule, then by the case of it.
    decided: BTreeMap<String, BTreeMap<String, usize>>,
    /// Refusals of Synapse by an exception that is no refusal.
    failed: usize,
    /// By explanation, and by what they are about.
    known: BTreeMap<(&'static str, &'static str), usize>,
    /// Unexplained differences.
    pub(crate) failures: Vec<String>,
}

impl Report {
    pub(crate) fn count(&mut self, room: &Room, answers: &Answers, differences: &[Difference]) {
        *self.rooms.entry(room.version.id).or_default() += 1;
        self.events += room.events.len();
        self.dropped += room.dropped;
        for (made, answer) in room.events.iter().zip(&answers.events) {
            self.failed += usize::from(answer.own.starts_with("fail"));
            let mut verdicts = vec![&made.own];
            if made.has_state_before() {
                verdicts.push(&made.before);
            }
            for verdict in verdicts {
                self.verdicts += 1;
                let (rule, case) = match verdict {
                    Ok(()) => ("allow".to_owned(), made.node.pdu.kind.to_string()),
                    Err(denied) => (denied.rule().to_owned(), name(&format!("{denied:?}"))),
                };
                *self.decided.entry(rule).or_default().entry(case).or_default() += 1;
            }
        }
        for merge in &room.merges {
            let conflict = merge.sets.iter().any(|set| *set != merge.sets[0]);
            self.merges[usize::from(conflict)] += 1;
        }
        for difference in differences {
            if let Some(known) = difference.known {
                *self.known.entry((known, difference.about)).or_default() += 1;
            }
        }
    }

    /// The cases that decided less often than that, and how often they did.
    pub(crate) fn rare(&self, least: usize) -> Vec<(&'static str, usize)> {
        let count = |case: &str| self.decided.values().filter_map(|cases| cases.get(case)).sum();
        let counts = CASES.iter().map(|case| (*case, count(case)));
        counts.filter(|(_, count)| *count < least).collect()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (version, count) in other.rooms {
            *self.rooms.entry(version).or_default() += count;
        }
        self.events += other.events;
        self.dropped += other.dropped;
        self.verdicts += other.verdicts;
        self.failed += other.failed;
        for (ours, more) in self.merges.iter_mut().zip(other.merges) {
            *ours += more;
        }
        for (rule, cases) in other.decided {
            for (case, count) in cases {
                *self
                    .decided
                    .entry(rule.clone())
                    .or_default()
                    .entry(case)
                    .or_default() += count;
            }
        }
        for (known, count) in other.known {
            *self.known.entry(known).or_default() += count;
        }
        self.failures.extend(other.failures);
    }
}

/// The names in a printed value, without values that vary: `SenderNotJoined Ban`.
fn name(debug: &str) -> String {
    let mut words = debug
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    match (first.as_str(), words.next(), words.next()) {
        ("SenderNotJoined" | "PowerTooLow" | "TargetNotBelow", _, Some(action)) => {
            format!("{first} {action}")
        }
        ("ThirdPartyInvite", Some(fault), _) => format!("{first} {fault}"),
        _ => first,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "decided by rule:")?;
        for (rule, cases) in &self.decided {
            writeln!(f, "  {rule:<10} {:>9}", cases.values().sum::<usize>())?;
            for (case, count) in cases.iter().filter(|_| rule != "allow") {
                writeln!(f, "    {case:<36} {count:>9}")?;
            }
        }
        for ((known, about), count) in &self.known {
            writeln!(f, "known difference {known} ({about}): {count}")?;
        }
        for failure in &self.failures {
            writeln!(f, "DIFFERENCE {failure}")?;
        }
        let rooms: Vec<String> = self.rooms.iter().map(|(v, n)| format!("{n} of {v}")).collect();
        writeln!(f, "rooms: {}", rooms.join(", "))?;
        writeln!(
            f,
            "{} rooms, {} events ({} more not read), {} verdicts ({} of Synapse's by failing), {} merges with and {} without conflict",
            self.rooms.values().sum::<usize>(),
            self.events,
            self.dropped,
            self.verdicts,
            self.failed,
            self.merges[1],
            self.merges[0]
        )?;
        writeln!(f, "{} unexplained differences", self.failures.len())
    }
}
