//! The parser: one pass, no recursion, every refusal with its byte offset and the rule.

use super::{Map, Value};
use crate::{
    error::{Code, Error, Result},
    limits,
};
use alloc::{format, string::String, vec::Vec};
use core::mem;

/// Reads one strict JSON value, nested at most [`limits::JSON_DEPTH`] levels; of duplicate keys the last wins
/// (CJ-8).
///
/// # Errors
/// [`Code::BadJson`] for what is no JSON or is nested too deeply, [`Code::NotCanonical`] for a number that is no
/// integer in range (CJ-2, CJ-7); each with the byte offset and the rule.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    Parser::new(bytes, Numbers::Strict, limits::JSON_DEPTH)?.document()
}

/// Reads one JSON value from another server that holds events: a request's body or a reply's.
///
/// One bad event must not take the others with it (EV-25). A number that canonical JSON does not allow therefore
/// becomes [`Value::Number`], and nesting may reach [`limits::BODY_JSON_DEPTH`]; [`Pdu::from_object`] then refuses
/// only the event that holds such a thing outside `unsigned`.
///
/// # Errors
/// [`Code::BadJson`] for what is no JSON or is nested too deeply.
///
/// [`Pdu::from_object`]: crate::Pdu::from_object
pub fn parse_lenient(bytes: &[u8]) -> Result<Value> {
    Parser::new(bytes, Numbers::Kept, limits::BODY_JSON_DEPTH)?.document()
}

/// Reads one strict JSON object.
///
/// # Errors
/// As [`parse`]; also [`Code::BadJson`] for another kind of value.
pub fn parse_object(bytes: &[u8]) -> Result<Map> {
    object(parse(bytes)?)
}

/// Reads one JSON object as [`parse_lenient`] reads a value.
///
/// # Errors
/// As [`parse_lenient`]; also [`Code::BadJson`] for another kind of value.
pub fn parse_object_lenient(bytes: &[u8]) -> Result<Map> {
    object(parse_lenient(bytes)?)
}

fn object(value: Value) -> Result<Map> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Error::new(
            Code::BadJson,
            format!("the JSON is {}, an object is needed", other.kind()),
        )),
    }
}

/// What becomes of a number that canonical JSON does not allow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Strict,
    Kept,
}

/// A container whose end has not been read yet.
enum Open {
    Array(Vec<Value>),
    /// With the key whose value comes next.
    Object(Map, String),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    numbers: Numbers,
    max_depth: usize,
}

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], numbers: Numbers, max_depth: usize) -> Result<Self> {
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(bad(0, "a byte order mark is not allowed (CJ-9)"));
        }
        let text = core::str::from_utf8(bytes).map_err(|e| bad(e.valid_up_to(), "not valid UTF-8 (CJ-9)"))?;
        Ok(Self {
            text,
            at: 0,
            numbers,
            max_depth,
        })
    }

    fn document(mut self) -> Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.skip_space();
            let mut value = match self.peek() {
                Some(b'{') => {
                    self.enter(open.len())?;
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        Value::Object(Map::new())
                    } else {
                        let key = self.key()?;
                        open.push(Open::Object(Map::new(), key));
                        continue;
                    }
                }
                Some(b'[') => {
                    self.enter(open.len())?;
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        Value::Array(Vec::new())
                    } else {
                        open.push(Open::Array(Vec::new()));
                        continue;
                    }
                }
                Some(b'"') => Value::String(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true", Value::Bool(true))?,
                Some(b'f') => self.word("false", Value::Bool(false))?,
                Some(b'n') => self.word("null", Value::Null)?,
                Some(_) => return Err(bad(self.at, "no JSON value begins with this character")),
                None => return Err(bad(self.at, "the text ends where a value is needed")),
            };
            // A value is complete: give it to its container, which may complete that one in turn.
            loop {
                self.skip_space();
                let next = self.peek();
                match open.last_mut() {
                    None if next.is_none() => return Ok(value),
                    None => return Err(bad(self.at, "something follows the JSON value (CJ-9)")),
                    Some(Open::Array(items)) => {
                        items.push(value);
                        match next {
                            Some(b',') => {
                                self.at += 1;
                                break;
                            }
                            Some(b']') => value = Value::Array(mem::take(items)),
                            _ => return Err(bad(self.at, "`,` or `]` is needed here")),
                        }
                    }
                    Some(Open::Object(map, key)) => {
                        map.insert(mem::take(key), value);
                        match next {
                            Some(b',') => {
                                self.at += 1;
                                self.skip_space();
                                *key = self.key()?;
                                break;
                            }
                            Some(b'}') => value = Value::Object(mem::take(map)),
                            _ => return Err(bad(self.at, "`,` or `}` is needed here")),
                        }
                    }
                }
                self.at += 1;
                open.pop();
            }
        }
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

    fn word(&mut self, word: &str, value: Value) -> Result<Value> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(bad(self.at, "no JSON value begins with this word"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<String> {
        if self.peek() != Some(b'"') {
            return Err(bad(self.at, "a key in quotes is needed here"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(bad(self.at, "`:` is needed after a key"));
        }
        self.at += 1;
        Ok(key)
    }

    /// A string, from its opening quote.
    fn string(&mut self) -> Result<String> {
        let opening = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1F)) {
                self.at += 1;
            }
            // Stops are ASCII, so both ends are character boundaries.
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    out.push(c);
                }
                Some(_) => return Err(bad(self.at, "a control character in a string must be escaped")),
                None => return Err(bad(opening, "this string has no end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.unicode_escape(start)?,
            _ => return Err(bad(start, "no such escape in JSON")),
        })
    }

    /// What follows `\u`, with the second half of a surrogate pair.
    fn unicode_escape(&mut self, start: usize) -> Result<char> {
        let lone = || bad(start, "half of a surrogate pair (CJ-9)");
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                    return Err(lone());
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone());
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut code = 0;
        for digit in digits {
            let Some(digit) = char::from(*digit).to_digit(16) else {
                return Err(bad(self.at, "`\\u` needs four hexadecimal digits"));
            };
            code = code << 4 | digit;
        }
        if digits.is_empty() {
            return Err(bad(self.at, "`\\u` needs four hexadecimal digits"));
        }
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// A number by JSON's grammar; only then is it asked whether canonical JSON allows it.
    fn number(&mut self) -> Result<Value> {
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
        let mut offence = None;
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(bad(self.at, "a number needs a digit after the point"));
            }
            offence = Some("a number has a fraction; canonical JSON has integers only (CJ-2)");
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(bad(self.at, "a number needs a digit in its exponent"));
            }
            offence = Some("a number has an exponent; canonical JSON has integers only (CJ-2)");
        }
        let token = &self.text[start..self.at];
        let offence = match offence {
            Some(offence) => offence,
            None if token == "-0" => "`-0` is not canonical JSON (CJ-7)",
            None => match token.parse::<i64>() {
                Ok(int) if int.unsigned_abs() <= limits::MAX_INT.unsigned_abs() => {
                    return Ok(Value::Int(int));
                }
                _ => "an integer is outside ±(2^53 − 1) (CJ-2)",
            },
        };
        match self.numbers {
            Numbers::Kept => Ok(Value::Number(token.into())),
            Numbers::Strict => Err(Error::new(Code::NotCanonical, format!("byte {start}: {offence}"))),
        }
    }
}

fn bad(at: usize, rule: &str) -> Error {
    Error::new(Code::BadJson, format!("byte {at}: {rule}"))
}
