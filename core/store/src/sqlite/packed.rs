//! An event's JSON in fewer bytes: what all events say becomes one byte, base64 the bytes that it stands for.
//!
//! Canonical JSON holds no control characters, for they are escaped, and UTF-8 holds no byte 0xC0, 0xC1 or above 0xF4.
//! These 45 bytes are free to stand for something else, so that what is not known here stays as it is, and the text
//! comes back to the byte.

use roomlet_wire::base64;

/// The 32 bytes of an event id follow, as 43 characters of the URL-safe alphabet.
const ID: u8 = 0;
/// 32 bytes follow, as 43 characters of the standard alphabet: a content hash, an event id of version 3.
const HASH: u8 = 1;
/// 64 bytes follow, as 86 characters of the standard alphabet: a signature.
const SIGNATURE: u8 = 2;
/// The first byte that stands for a phrase.
const FIRST_PHRASE: u8 = 3;

/// Phrases of PDUs in canonical form. Each is stored as a number: the order never changes, new ones go to the end, and
/// [`phrase_byte`] has no place for more than 42.
const PHRASES: [&str; 42] = [
    r#"{"auth_events":["$"#,
    r#"","$"#,
    r#"],"content":{"#,
    r#""],"content":{"#,
    r#"},"depth":"#,
    r#","hashes":{"sha256":""#,
    r#""},"origin_server_ts":"#,
    r#""},"origin":""#,
    r#"","origin_server_ts":"#,
    r#","prev_events":["$"#,
    r#""],"room_id":"!"#,
    r#""],"redacts":"$"#,
    r#"","room_id":"!"#,
    r#"","sender":"@"#,
    r#"","signatures":{""#,
    r#"":{"ed25519:"#,
    r#""}},"state_key":"@"#,
    r#""}},"state_key":"","type":"m.room."#,
    r#""}},"state_key":"","type":""#,
    r#""}},"type":"m.room.message"}"#,
    r#""}},"type":"m.room.encrypted"}"#,
    r#""}},"type":"m.reaction"}"#,
    r#""}},"type":"m.room.redaction"}"#,
    r#""}},"type":"m."#,
    r#""}},"type":""#,
    r#"","type":"m.room.member"}"#,
    r#""membership":"join""#,
    r#""membership":"leave""#,
    r#""membership":"invite""#,
    r#""displayname":""#,
    r#""avatar_url":"mxc://"#,
    r#"{"body":""#,
    r#""body":""#,
    r#"","msgtype":"m.text""#,
    r#""m.mentions":{},"#,
    r#""m.relates_to":{"#,
    r#""event_id":"$"#,
    r#"","rel_type":"m."#,
    r#""format":"org.matrix.custom.html","formatted_body":""#,
    r#"{"m.text":[{"body":""#,
    r#"{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":""#,
    r#"","session_id":""#,
];

/// The byte of a phrase: control characters first, then what UTF-8 leaves free.
const fn phrase_byte(index: usize) -> u8 {
    match index as u8 + FIRST_PHRASE {
        byte @ ..=0x1F => byte,
        byte @ 0x20..=0x21 => byte - 0x20 + 0xC0,
        byte => byte - 0x22 + 0xF5,
    }
}

/// The index of the phrase that a byte stands for; `None` for bytes of text.
fn phrase_index(byte: u8) -> Option<usize> {
    let number = match byte {
        FIRST_PHRASE..=0x1F => byte,
        0xC0..=0xC1 => byte - 0xC0 + 0x20,
        0xF5.. => byte - 0xF5 + 0x22,
        _ => return None,
    };
    Some(usize::from(number - FIRST_PHRASE))
}

/// The numbers of the phrases: those that begin with the same two bytes are neighbours, longer ones first.
const SORTED: [u8; PHRASES.len()] = sorted();

const fn sorted() -> [u8; PHRASES.len()] {
    let mut order = [0; PHRASES.len()];
    let mut placed = 0;
    while placed < order.len() {
        let mut at = placed;
        while at > 0
            && is_before(
                PHRASES[placed].as_bytes(),
                PHRASES[order[at - 1] as usize].as_bytes(),
            )
        {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = placed as u8;
        placed += 1;
    }
    order
}

const fn is_before(a: &[u8], b: &[u8]) -> bool {
    if a[0] != b[0] {
        a[0] < b[0]
    } else if a[1] != b[1] {
        a[1] < b[1]
    } else {
        a.len() > b.len()
    }
}

/// The first eight bytes of a phrase as a number, and which bits of a text's beginning to compare with it.
#[derive(Clone, Copy)]
struct Beginning {
    bytes: u64,
    mask: u64,
}

/// Of the phrases in the order of [`SORTED`].
const BEGINNINGS: [Beginning; PHRASES.len()] = beginnings();

const fn beginnings() -> [Beginning; PHRASES.len()] {
    let mut beginnings = [Beginning { bytes: 0, mask: 0 }; PHRASES.len()];
    let mut at = 0;
    while at < SORTED.len() {
        let phrase = PHRASES[SORTED[at] as usize].as_bytes();
        let mut byte = 0;
        while byte < 8 && byte < phrase.len() {
            beginnings[at].bytes |= (phrase[byte] as u64) << (8 * byte);
            beginnings[at].mask |= 0xFF << (8 * byte);
            byte += 1;
        }
        at += 1;
    }
    beginnings
}

/// The bytes that phrases begin with.
const FIRST: [u8; 5] = *b"\"{}],";

/// Where in [`SORTED`] the phrases are that begin with a byte of [`FIRST`] and a second one.
const BEGIN_WITH: [[(u8, u8); 128]; FIRST.len()] = begin_with();

const fn begin_with() -> [[(u8, u8); 128]; FIRST.len()] {
    let mut ranges = [[(0, 0); 128]; FIRST.len()];
    let mut at = 0;
    while at < SORTED.len() {
        let phrase = PHRASES[SORTED[at] as usize].as_bytes();
        let range = &mut ranges[first_index(phrase[0])][phrase[1] as usize];
        if range.1 == 0 {
            range.0 = at as u8;
        }
        range.1 = at as u8 + 1;
        at += 1;
    }
    ranges
}

const fn first_index(byte: u8) -> usize {
    let mut index = 0;
    while FIRST[index] != byte {
        index += 1;
    }
    index
}

/// What a byte of a text may be the beginning of.
#[derive(Clone, Copy)]
enum Class {
    /// Of nothing.
    Plain,
    /// Of a phrase: a number in [`FIRST`].
    Phrase(u8),
    /// Of an id.
    Dollar,
    /// It occurs in no canonical JSON.
    None,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < classes.len() {
        if !is_text(byte as u8) {
            classes[byte] = Class::None;
        }
        byte += 1;
    }
    let mut index = 0;
    while index < FIRST.len() {
        classes[FIRST[index] as usize] = Class::Phrase(index as u8);
        index += 1;
    }
    classes[b'$' as usize] = Class::Dollar;
    classes
}

/// Whether a byte occurs in canonical JSON.
const fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0xBF | 0xC2..=0xF4)
}

/// Packs a JSON text; `None` if it has bytes that no canonical JSON has.
pub(super) fn pack(json: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    pack_into(json, &mut out).then_some(out)
}

/// Packs a JSON text in place of what `out` has; `false` if it has bytes that no canonical JSON has.
pub(super) fn pack_into(json: &str, out: &mut Vec<u8>) -> bool {
    let text = json.as_bytes();
    out.clear();
    let mut at = 0;
    // From here on what is as it is in the text is still to be copied.
    let mut copied = 0;
    while at < text.len() {
        let phrase = match CLASSES[usize::from(text[at])] {
            Class::Plain => {
                at += 1;
                continue;
            }
            Class::None => return false,
            Class::Phrase(first) => longest_phrase(usize::from(first), &text[at..]),
            Class::Dollar => None,
        };
        let is_before_base64 = match phrase {
            Some(index) => {
                out.extend_from_slice(&text[copied..at]);
                out.push(phrase_byte(index));
                at += PHRASES[index].len();
                copied = at;
                true
            }
            None => {
                at += 1;
                matches!(text[at - 1], b'"' | b'$')
            }
        };
        if is_before_base64 && let Some(bytes) = Base64::at_start(&json[at..]) {
            out.extend_from_slice(&text[copied..at]);
            at += bytes.put(out);
            copied = at;
        }
    }
    out.extend_from_slice(&text[copied..]);
    true
}

/// The longest phrase that `text` begins with, whose first byte has this number.
fn longest_phrase(first: usize, text: &[u8]) -> Option<usize> {
    let (begin, end) = *BEGIN_WITH[first].get(usize::from(*text.get(1)?))?;
    let range = usize::from(begin)..usize::from(end);
    let word = match text.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            // No phrase has a zero byte.
            let mut bytes = [0; 8];
            bytes[..text.len()].copy_from_slice(text);
            u64::from_le_bytes(bytes)
        }
    };
    let phrases = BEGINNINGS[range.clone()].iter().zip(&SORTED[range]);
    let like = phrases.filter(|(beginning, _)| word & beginning.mask == beginning.bytes);
    let mut indexes = like.map(|(_, index)| usize::from(*index));
    indexes.find(|index| text.starts_with(PHRASES[*index].as_bytes()))
}

/// Bytes that a text has as base64, in a form that comes back the same.
enum Base64 {
    Id([u8; 32]),
    Hash([u8; 32]),
    Signature([u8; 64]),
}

impl Base64 {
    /// What stands before the first quote of `text`.
    fn at_start(text: &str) -> Option<Self> {
        let is_quote = |at: usize| text.as_bytes().get(at) == Some(&b'"');
        if is_quote(43) {
            let text = text.get(..43)?;
            let id = || base64::decode_url_safe_exact(text).map(Self::Id);
            id().or_else(|| base64::decode_exact(text).map(Self::Hash))
        } else if is_quote(86) {
            base64::decode_exact(text.get(..86)?).map(Self::Signature)
        } else {
            None
        }
    }

    /// Appends it; how many characters it was.
    fn put(&self, out: &mut Vec<u8>) -> usize {
        let (mark, bytes): (u8, &[u8]) = match self {
            Self::Id(bytes) => (ID, bytes),
            Self::Hash(bytes) => (HASH, bytes),
            Self::Signature(bytes) => (SIGNATURE, bytes),
        };
        out.push(mark);
        out.extend_from_slice(bytes);
        if mark == SIGNATURE { 86 } else { 43 }
    }
}

/// The text of what [`pack`] gave; `None` for what it never gives.
pub(super) fn unpack(packed: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(packed.len() * 3 / 2);
    let mut rest = packed;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            ID => {
                let bytes = rest.split_off(..32)?;
                out.extend(base64::encode_url_safe(bytes).bytes());
            }
            HASH => out.extend(base64::encode(rest.split_off(..32)?).bytes()),
            SIGNATURE => out.extend(base64::encode(rest.split_off(..64)?).bytes()),
            byte => match phrase_index(byte) {
                Some(index) => out.extend(PHRASES.get(index)?.bytes()),
                None => out.push(byte),
            },
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::*;

    #[test]
    fn every_phrase_has_a_byte_that_is_no_text() {
        for (index, phrase) in PHRASES.iter().enumerate() {
            let byte = phrase_byte(index);
            assert!(!is_text(byte), "{phrase}");
            assert_eq!(phrase_index(byte), Some(index), "{phrase}");
            assert!(phrase.bytes().all(is_text), "{phrase}");
            assert!(
                PHRASES[..index].iter().all(|other| other != phrase),
                "{phrase} is there twice"
            );
        }
        let free = (0..=0xFF_u8).filter(|byte| !is_text(*byte)).count();
        assert_eq!(free, PHRASES.len() + usize::from(FIRST_PHRASE));
    }

    #[test]
    fn of_phrases_that_begin_alike_the_longest_is_found() {
        for phrase in PHRASES {
            for end in 1..=phrase.len() {
                for other in PHRASES.map(|other| &other[..1]).into_iter().chain(["", "x"]) {
                    let text = format!("{}{other}{phrase}", &phrase[..end]);
                    let fitting = (0..PHRASES.len()).filter(|&index| text.starts_with(PHRASES[index]));
                    let longest = fitting.max_by_key(|&index| PHRASES[index].len());
                    let first = FIRST.iter().position(|&byte| byte == text.as_bytes()[0]).unwrap();
                    assert_eq!(longest_phrase(first, text.as_bytes()), longest, "{text}");
                }
            }
        }
    }

    #[test]
    fn an_event_takes_two_thirds_of_its_text() {
        let archive = include_str!("../../../../tests/vectors/archive.jsonl");
        let (mut text, mut bytes) = (0, 0);
        for line in archive.lines() {
            let packed = pack(line).unwrap();
            assert_eq!(unpack(&packed).unwrap(), line);
            text += line.len();
            bytes += packed.len();
        }
        assert!(3 * bytes < 2 * text, "{bytes} of {text}");
    }

    #[test]
    fn text_of_any_kind_comes_back() {
        for text in [
            "",
            "{}",
            r#"{"auth_events":["$"#,
            r#"{"auth_events":["$abc","$def"],"content":{}}"#,
            r#"{"body":"Grüße, 世界 🎉"}"#,
            // An id whose last character has bits to spare, and one of each alphabet.
            r#""$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB""#,
            r#""$-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#,
            r#""$+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#,
            // Characters of several bytes where a quote might be.
            "\"$äääääääääääääääääääääääääääääääääääääääääääääää\"",
        ] {
            assert_eq!(unpack(&pack(text).unwrap()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_canonical_json_is_not_packed() {
        for text in ["\n", "{\"a\":\u{0}}", "a\tb"] {
            assert_eq!(pack(text), None, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_end_too_early_or_make_no_text_are_refused() {
        let whole = pack(
            include_str!("../../../../tests/vectors/archive.jsonl")
                .lines()
                .next()
                .unwrap(),
        )
        .unwrap();
        let id = whole.iter().position(|byte| *byte == ID).unwrap();
        assert_eq!(unpack(&whole[..id + 20]), None);
        for bytes in [&[ID][..], &[SIGNATURE, 1, 2], &[0xC3], &[b'a', 0xE4, b'b']] {
            assert_eq!(unpack(bytes), None, "{bytes:?}");
        }
    }
}
