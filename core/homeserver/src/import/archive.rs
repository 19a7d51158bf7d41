//! An archive's events as they stand in the file, a batch of lines at a time.

use roomlet_wire::{Code, Error, Result, limits};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    ops::Range,
    path::Path,
};

/// Lines that are read together: all their events change the same pages of the store's indexes, so many make few writes. They
/// are a batch once they have so many bytes, or there are so many.
const BATCH_BYTES: usize = 2 << 20;
pub(super) const BATCH: usize = 4096;

/// A file with one event a line.
pub(super) struct Archive {
    file: BufReader<File>,
    name: String,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
}

/// Lines of an archive that are not empty.
#[derive(Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Each with its number in the file.
    places: Vec<(u64, Range<usize>)>,
}

#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
}

impl Lines {
    pub(super) fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        self.places.iter().map(|(number, range)| Line {
            number: *number,
            bytes: &self.bytes[range.clone()],
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Error::new(Code::BadParam, format!("archive {name}: {error}")))?;
        Ok(Self {
            file: BufReader::with_capacity(1 << 16, file),
            name,
            number: 0,
        })
    }

    /// Adds the lines up to a batch's size to those that are there.
    pub(super) fn fill(&mut self, mut lines: Lines) -> Result<Lines> {
        while lines.places.len() < BATCH && lines.bytes.len() < BATCH_BYTES && self.next(&mut lines)? {}
        Ok(lines)
    }

    /// Adds the next line that is not empty; `false` at the end.
    pub(super) fn next(&mut self, lines: &mut Lines) -> Result<bool> {
        // Somewhat more than an event may have, so that one that is too large is told apart from what is no archive.
        const LONGEST: u64 = 4 * limits::PDU_BYTES as u64;
        let start = lines.bytes.len();
        loop {
            lines.bytes.truncate(start);
            self.number += 1;
            let mut longest = self.file.by_ref().take(LONGEST);
            let read = longest.read_until(b'\n', &mut lines.bytes);
            match read {
                Err(error) => return Err(self.fault(self.number, &error.to_string())),
                Ok(0) => return Ok(false),
                Ok(read) if read as u64 == LONGEST => {
                    return Err(self.fault(self.number, "is longer than any event"));
                }
                Ok(_) if lines.bytes[start..].trim_ascii().is_empty() => {}
                Ok(_) => break,
            }
        }
        // What is canonical without its end is read faster.
        lines.bytes.pop_if(|last| *last == b'\n');
        lines.places.push((self.number, start..lines.bytes.len()));
        Ok(true)
    }

    pub(super) fn fault(&self, number: u64, what: &str) -> Error {
        self.context(number, Error::new(Code::BadParam, what))
    }

    /// An error with the line where it is.
    pub(super) fn context(&self, number: u64, error: Error) -> Error {
        error.context(format!("archive {}: line {number}", self.name))
    }
}
