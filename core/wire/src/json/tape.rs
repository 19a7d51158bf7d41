//! The parser: one pass, no recursion, every refusal with its byte offset and the rule. It gives a flat list of what it
//! found, of which trees and canonical text are made.

use super::{
    number::{self, Numbers},
    scan,
};
use crate::error::{Code, Error, Result};
use alloc::{format, string::String, vec::Vec};

/// What stands at a place of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    /// Between the quotes nothing is escaped.
    Plain,
    /// Between the quotes something is.
    Escaped,
    Array,
    /// Its children are keys and values in turn.
    Object,
}

/// A value or key. Its children follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Of a number its token, of a string what is between the quotes.
    start: u32,
    end: u32,
    /// The index of the entry after it and its children.
    pub(super) next: u32,
}

/// A parsed text: its values in the order in which they begin, the outermost first.
pub(super) struct Tape<'a> {
    pub(super) text: &'a str,
    pub(super) entries: Vec<Entry>,
}

impl<'a> Tape<'a> {
    /// Reads one JSON value, nested at most `max_depth` levels. Numbers are refused under [`Numbers::Strict`] only.
    pub(super) fn parse(bytes: &'a [u8], numbers: Numbers, max_depth: usize) -> Result<Self> {
        Parser::new(bytes, numbers, max_depth)?.document()
    }

    /// The token or, of a string, what stands between the quotes.
    pub(super) fn raw(&self, entry: &Entry) -> &'a str {
        &self.text[entry.start as usize..entry.end as usize]
    }
}

/// A container whose end has not been read yet.
struct Open {
    index: usize,
    is_object: bool,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    numbers: Numbers,
    max_depth: usize,
    entries: Vec<Entry>,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], numbers: Numbers, max_depth: usize) -> Result<Self> {
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(bad(0, "a byte order mark is not allowed (CJ-9)"));
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(bad(0, "longer than 4 GiB"));
        }
        let text = core::str::from_utf8(bytes).map_err(|e| bad(e.valid_up_to(), "not valid UTF-8 (CJ-9)"))?;
        Ok(Self {
            text,
            at: 0,
            numbers,
            max_depth,
            entries: Vec::new(),
        })
    }

    fn document(mut self) -> Result<Tape<'a>> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.enter(open.len())?;
                    let is_object = bracket == b'{';
                    let kind = if is_object { Kind::Object } else { Kind::Array };
                    let index = self.entries.len();
                    self.push(kind, 0, 0);
                    if self.peek() == Some(if is_object { b'}' } else { b']' }) {
                        self.at += 1;
                    } else {
                        open.push(Open { index, is_object });
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true", Kind::True)?,
                Some(b'f') => self.word("false", Kind::False)?,
                Some(b'n') => self.word("null", Kind::Null)?,
                Some(_) => return Err(bad(self.at, "no JSON value begins with this character")),
                None => return Err(bad(self.at, "the text ends where a value is needed")),
            }
            // A value is complete, which may complete its container in turn.
            loop {
                self.skip_space();
                let next = self.peek();
                let Some(Open { index, is_object }) = open.last() else {
                    return match next {
                        None => Ok(Tape {
                            text: self.text,
                            entries: self.entries,
                        }),
                        Some(_) => Err(bad(self.at, "something follows the JSON value (CJ-9)")),
                    };
                };
                match (next, is_object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        if *is_object {
                            self.skip_space();
                            self.key()?;
                        }
                        break;
                    }
                    (Some(b']'), false) | (Some(b'}'), true) => {
                        self.entries[*index].next = to_index(self.entries.len());
                    }
                    (_, false) => return Err(bad(self.at, "`,` or `]` is needed here")),
                    (_, true) => return Err(bad(self.at, "`,` or `}` is needed here")),
                }
                self.at += 1;
                open.pop();
            }
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = to_index(self.entries.len() + 1);
        self.entries.push(Entry {
            kind,
            start: to_index(start),
            end: to_index(end),
            next,
        });
    }

    /// Steps over the bracket that opens a container inside `depth` others.
    fn enter(&mut self, depth: usize) -> Result<()> {
        if depth == self.max_depth {
            return Err(bad(
                self.at,
                &format!("more than {} levels of arrays and objects (CJ-9)", self.max_depth),
            ));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(bad(self.at, "no JSON value begins with this word"));
        }
        self.at += word.len();
        self.push(kind, 0, 0);
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<()> {
        if self.peek() != Some(b'"') {
            return Err(bad(self.at, "a key in quotes is needed here"));
        }
        self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(bad(self.at, "`:` is needed after a key"));
        }
        self.at += 1;
        Ok(())
    }

    /// A string, from its opening quote.
    fn string(&mut self) -> Result<()> {
        let opening = self.at;
        self.at += 1;
        let mut kind = Kind::Plain;
        loop {
            self.at = scan::plain_end(self.text.as_bytes(), self.at);
            match self.peek() {
                Some(b'"') => {
                    self.push(kind, opening + 1, self.at);
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    let (_, length) = escape(self.text, self.at)?;
                    self.at += length;
                }
                Some(_) => return Err(bad(self.at, "a control character in a string must be escaped")),
                None => return Err(bad(opening, "this string has no end")),
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// A number by JSON's grammar; only then is it asked whether canonical JSON allows it.
    fn number(&mut self) -> Result<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        match self.digits() {
            0 => return Err(bad(self.at, "a number needs a digit here")),
            1 => {}
            _ if leading_zero => return Err(bad(start, "a number has a leading zero")),
            _ => {}
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(bad(self.at, "a number needs a digit after the point"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(bad(self.at, "a number needs a digit in its exponent"));
            }
        }
        if self.numbers == Numbers::Strict
            && let Some(offence) = number::strict_offence(&self.text[start..self.at])
        {
            return Err(Error::new(Code::NotCanonical, format!("byte {start}: {offence}")));
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }
}

/// What the text between two quotes means; every escape in it was checked.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(plain) = raw[at..].find('\\') {
        out.push_str(&raw[at..at + plain]);
        at += plain;
        let Ok((c, length)) = escape(raw, at) else {
            break;
        };
        out.push(c);
        at += length;
    }
    out.push_str(&raw[at..]);
    out
}

/// The character that an escape at `start` stands for, and the bytes that it takes.
fn escape(text: &str, start: usize) -> Result<(char, usize)> {
    let bytes = text.as_bytes();
    let c = match bytes.get(start + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes, start),
        _ => return Err(bad(start, "no such escape in JSON")),
    };
    Ok((c, 2))
}

/// `\u` and its digits, with the second half of a surrogate pair.
fn unicode_escape(bytes: &[u8], start: usize) -> Result<(char, usize)> {
    let lone = || bad(start, "half of a surrogate pair (CJ-9)");
    let first = hex4(bytes, start + 2)?;
    let (code, length) = match first {
        0xD800..=0xDBFF => {
            if !bytes[start + 6..].starts_with(b"\\u") {
                return Err(lone());
            }
            let second = hex4(bytes, start + 8)?;
            if !(0xDC00..=0xDFFF).contains(&second) {
                return Err(lone());
            }
            (0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00), 12)
        }
        other => (other, 6),
    };
    Ok((char::from_u32(code).ok_or_else(lone)?, length))
}

fn hex4(bytes: &[u8], at: usize) -> Result<u32> {
    let four = || bad(at, "`\\u` needs four hexadecimal digits");
    let digits = bytes.get(at..at + 4).ok_or_else(four)?;
    digits.iter().try_fold(0, |code, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or_else(four)?;
        Ok(code << 4 | digit)
    })
}

/// Texts have less than 4 GiB, so all offsets fit.
fn to_index(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn bad(at: usize, rule: &str) -> Error {
    Error::new(Code::BadJson, format!("byte {at}: {rule}"))
}
