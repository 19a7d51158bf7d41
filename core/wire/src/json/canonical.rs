//! From any JSON text to its canonical form, without a tree (CJ-1 … CJ-9).

use super::{
    number::{self, Numbers},
    print::put_string,
    scan,
    tape::{self, Entry, Kind, Tape},
};
use crate::{
    error::{Code, Error, Result},
    limits,
};
use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::cmp::Ordering;

/// The canonical form of one JSON value; the text itself where that is canonical already, as what most servers send is.
/// Of duplicate keys the last wins (CJ-8). Nesting may reach [`limits::JSON_DEPTH`] levels, under [`Numbers::Kept`]
/// [`limits::BODY_JSON_DEPTH`].
///
/// # Errors
/// [`Code::BadJson`] for what is no JSON or is nested too deeply; [`Code::NotCanonical`] for a number that `numbers`
/// does not allow.
pub fn canonical(bytes: &[u8], numbers: Numbers) -> Result<Cow<'_, str>> {
    let depth = match numbers {
        Numbers::Kept => limits::BODY_JSON_DEPTH,
        Numbers::Strict | Numbers::Python => limits::JSON_DEPTH,
    };
    if let Ok(text) = core::str::from_utf8(bytes)
        && is_canonical(text, numbers, depth)
    {
        return Ok(text.into());
    }
    let tape = Tape::parse(bytes, numbers, depth)?;
    print(&tape, numbers, |_| true).map(Cow::Owned)
}

/// As [`canonical`] under [`Numbers::Kept`], for an object whose member `without` is left out; what is no object is
/// printed as it is. Numbers become Python's where `numbers` says so.
pub(crate) fn canonical_without(bytes: &[u8], without: &str, numbers: Numbers) -> Result<String> {
    let tape = Tape::parse(bytes, Numbers::Kept, limits::BODY_JSON_DEPTH)?;
    print(&tape, numbers, |key| key != without)
}

/// Whether `text` is one canonical value, nested at most `depth` levels.
fn is_canonical(text: &str, numbers: Numbers, depth: usize) -> bool {
    let mut cursor = Cursor::new(text, numbers);
    cursor.value(depth).is_some() && cursor.at == text.len()
}

fn print(tape: &Tape<'_>, numbers: Numbers, keep: impl Fn(&str) -> bool) -> Result<String> {
    let mut printer = Printer {
        tape,
        numbers,
        out: String::with_capacity(tape.text.len()),
        keys: Vec::new(),
    };
    printer.value(0, &keep)?;
    Ok(printer.out)
}

struct Printer<'a, 'b> {
    tape: &'b Tape<'a>,
    numbers: Numbers,
    out: String,
    /// The keys of the objects that are being printed, innermost last: a stack that all share.
    keys: Vec<u32>,
}

impl Printer<'_, '_> {
    /// Prints the value at an index. Recurses as deep as the parser let the text be nested. `keep` is asked for the
    /// keys of this value, not of what is in them.
    fn value(&mut self, index: usize, keep: &dyn Fn(&str) -> bool) -> Result<()> {
        let entry = self.tape.entries[index];
        match entry.kind {
            Kind::Null => self.out.push_str("null"),
            Kind::True => self.out.push_str("true"),
            Kind::False => self.out.push_str("false"),
            Kind::Number => self.number(&entry)?,
            Kind::Plain | Kind::Escaped => self.string(&entry),
            Kind::Array => {
                self.out.push('[');
                let mut at = index + 1;
                while at < entry.next as usize {
                    if at > index + 1 {
                        self.out.push(',');
                    }
                    self.value(at, &|_| true)?;
                    at = self.tape.entries[at].next as usize;
                }
                self.out.push(']');
            }
            Kind::Object => self.object(index, keep)?,
        }
        Ok(())
    }

    fn object(&mut self, index: usize, keep: &dyn Fn(&str) -> bool) -> Result<()> {
        let start = self.keys.len();
        let mut at = index + 1;
        let mut sorted = true;
        while at < self.tape.entries[index].next as usize {
            if let Some(last) = self.keys.get(start..).and_then(<[u32]>::last) {
                sorted = sorted && self.compare(*last, at as u32) == Ordering::Less;
            }
            self.keys.push(at as u32);
            at = self.tape.entries[at + 1].next as usize;
        }
        if !sorted {
            let mut keys = self.keys.split_off(start);
            // Of equal keys the last is that which was written last.
            keys.sort_unstable_by(|a, b| self.compare(*a, *b).then(a.cmp(b)));
            for (i, key) in keys.iter().enumerate() {
                let is_last = keys
                    .get(i + 1)
                    .is_none_or(|next| self.compare(*key, *next) != Ordering::Equal);
                if is_last {
                    self.keys.push(*key);
                }
            }
        }
        self.out.push('{');
        let opened = self.out.len();
        for i in start..self.keys.len() {
            let at = self.keys[i] as usize;
            let key = self.tape.entries[at];
            if !keep(&self.text(&key)) {
                continue;
            }
            if self.out.len() > opened {
                self.out.push(',');
            }
            self.string(&key);
            self.out.push(':');
            self.value(at + 1, &|_| true)?;
        }
        self.out.push('}');
        self.keys.truncate(start);
        Ok(())
    }

    fn text(&self, entry: &Entry) -> Cow<'_, str> {
        match entry.kind {
            Kind::Escaped => tape::unescape(self.tape.raw(entry)).into(),
            _ => self.tape.raw(entry).into(),
        }
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        let (a, b) = (&self.tape.entries[a as usize], &self.tape.entries[b as usize]);
        self.text(a).cmp(&self.text(b))
    }

    fn string(&mut self, entry: &Entry) {
        match entry.kind {
            Kind::Escaped => put_string(&mut self.out, &tape::unescape(self.tape.raw(entry))),
            _ => {
                self.out.push('"');
                self.out.push_str(self.tape.raw(entry));
                self.out.push('"');
            }
        }
    }

    fn number(&mut self, entry: &Entry) -> Result<()> {
        let token = self.tape.raw(entry);
        if self.numbers != Numbers::Python {
            self.out.push_str(token);
            return Ok(());
        }
        let Some(printed) = number::python(token) else {
            let shown: String = token.chars().take(40).collect();
            return Err(Error::new(
                Code::NotCanonical,
                format!("the number {shown} is too large (CJ-5)"),
            ));
        };
        self.out.push_str(&printed);
        Ok(())
    }
}

/// Steps through a text as long as it is canonical: `None` where it is not, whether or not it is JSON.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    pub(crate) at: usize,
    numbers: Numbers,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str, numbers: Numbers) -> Self {
        Self { text, at: 0, numbers }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte`, if that is next.
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Steps over one value, nested at most `depth` levels: as deep as it recurses.
    pub(crate) fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.members(depth, |cursor, _, depth| cursor.value(depth)),
            b'[' => {
                let depth = depth.checked_sub(1)?;
                self.at += 1;
                if self.peek()? == b']' {
                    self.at += 1;
                    return Some(());
                }
                loop {
                    self.value(depth)?;
                    match self.peek()? {
                        b',' => self.at += 1,
                        b']' => break,
                        _ => return None,
                    }
                }
                self.at += 1;
                Some(())
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => None,
        }
    }

    /// Steps over an object whose keys ascend; `member` steps over the value of each key, given what stands between the
    /// key's quotes and the depth that is left.
    pub(crate) fn members(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, &'a str, usize) -> Option<()>,
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut last: Option<(&str, bool)> = None;
        loop {
            let (key, is_escaped) = self.string()?;
            if let Some((last, was_escaped)) = last
                && !ascends(last, key, was_escaped || is_escaped)
            {
                return None;
            }
            last = Some((key, is_escaped));
            self.take(b':')?;
            member(self, key, depth)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let found = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        found.then(|| self.at += word.len())
    }

    /// Steps over a string and gives what stands between its quotes, and whether anything is escaped there.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.take(b'"')?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start;
        let mut is_escaped = false;
        loop {
            at = scan::plain_end(bytes, at);
            match *bytes.get(at)? {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    at += canonical_escape(&bytes[at + 1..])?;
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        Some((&self.text[start..at], is_escaped))
    }

    fn number(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        if bytes[start] == b'-' {
            self.at += 1;
        }
        let first = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 || (digits > 1 && bytes[first] == b'0') {
            return None;
        }
        if let Some(b'.' | b'e' | b'E') = self.peek() {
            return self.fraction(start);
        }
        let token = &self.text[start..self.at];
        let canonical = match self.numbers {
            Numbers::Strict => token != "-0" && number::is_in_range(token),
            Numbers::Kept => true,
            Numbers::Python => number::python(token).is_some_and(|printed| printed == token),
        };
        canonical.then_some(())
    }

    /// What follows the digits of a number that is no integer.
    fn fraction(&mut self, start: usize) -> Option<()> {
        if self.numbers == Numbers::Strict {
            return None;
        }
        let digits = |cursor: &mut Self| {
            let start = cursor.at;
            while let Some(b'0'..=b'9') = cursor.peek() {
                cursor.at += 1;
            }
            (cursor.at > start).then_some(())
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits(self)?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            digits(self)?;
        }
        let token = &self.text[start..self.at];
        let canonical = match self.numbers {
            Numbers::Python => number::python(token).is_some_and(|printed| printed == token),
            _ => true,
        };
        canonical.then_some(())
    }
}

/// The length of a canonical escape, the backslash included, of which `rest` follows the backslash (CJ-3).
fn canonical_escape(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => Some(2),
        [
            b'u',
            b'0',
            b'0',
            high @ (b'0' | b'1'),
            low @ (b'0'..=b'9' | b'a'..=b'f'),
            ..,
        ] => {
            let has_short_form = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
            (!has_short_form).then_some(6)
        }
        _ => None,
    }
}

/// Whether one key comes before another, both as they stand between their quotes, where something may be escaped.
fn ascends(a: &str, b: &str, escaped: bool) -> bool {
    if escaped {
        tape::unescape(a) < tape::unescape(b)
    } else {
        a < b
    }
}
