//! An archive's lines as events, on all cores.

use super::{
    Trust,
    archive::{Line, Lines},
};
use crate::inner::Inner;
use roomlet_federation::keys::View;
use roomlet_wire::{Parsed, Pdu, Result, RoomVersion, Verified};

/// How far the event of a line was read.
pub(super) enum Reading {
    Parsed(Pdu<Parsed>),
    Done(Result<Pdu<Verified>>),
    /// It is in other hands, which will put it back.
    Taken,
}

impl Reading {
    fn of(line: &[u8], version: &'static RoomVersion, trust: Trust) -> Self {
        match Pdu::parse(line, version) {
            Err(error) => Self::Done(Err(error)),
            // At once: what the check of a signature would need is let go of.
            Ok(pdu) if trust == Trust::Signatures => Self::Done(Ok(pdu.trust_signatures())),
            Ok(pdu) => Self::Parsed(pdu),
        }
    }

    /// Takes those events that are parsed and for which `which` holds, with their places.
    pub(super) fn take(
        readings: &mut [Self],
        which: impl Fn(&Pdu<Parsed>) -> bool,
    ) -> (Vec<usize>, Vec<Pdu<Parsed>>) {
        let mut taken = (Vec::new(), Vec::new());
        for (place, reading) in readings.iter_mut().enumerate() {
            match std::mem::replace(reading, Self::Taken) {
                Self::Parsed(pdu) if which(&pdu) => {
                    taken.0.push(place);
                    taken.1.push(pdu);
                }
                other => *reading = other,
            }
        }
        taken
    }

    pub(super) fn put_back(readings: &mut [Self], places: Vec<usize>, checked: Vec<Result<Pdu<Verified>>>) {
        for (place, checked) in places.into_iter().zip(checked) {
            readings[place] = Self::Done(checked);
        }
    }
}

impl Inner {
    /// Reads lines on all cores. Events are checked where they were parsed, while they are at hand; only those for which keys
    /// have to be asked for are left.
    pub(super) fn read_lines(
        &self,
        lines: &Lines,
        version: &'static RoomVersion,
        trust: Trust,
    ) -> Vec<Reading> {
        let read = |keys: &View<'_>, block: Vec<Line<'_>>| {
            let readings = block
                .into_iter()
                .map(|line| Reading::of(line.bytes, version, trust));
            let mut readings: Vec<Reading> = readings.collect();
            let (places, ready) = Reading::take(&mut readings, |pdu| !keys.lacks_any(pdu));
            let checked = Pdu::verify_all(ready, keys);
            Reading::put_back(&mut readings, places, checked);
            readings
        };
        self.in_blocks(lines.iter().collect(), read, |error| Reading::Done(Err(error)))
    }
}
