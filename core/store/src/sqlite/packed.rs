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
fn phrase_byte(index: usize) -> u8 {
    match index as u8 + FIRST_PHRASE {
        byte @ ..=0x1F => byte,
        byte @ 0x20..=0x21 => byte - 0x20 + 0xC0,
        byte => byte - 0x22 + 0xF5,
    }
}

/// The index of the phrase of a byte that is none of text.
fn phrase_index(byte: u8) -> Option<usize> {
    let number = match byte {
        FIRST_PHRASE..=0x1F => byte,
        0xC0..=0xC1 => byte - 0xC0 + 0x20,
        0xF5.. => byte - 0xF5 + 0x22,
        _ => return None,
    };
    Some(usize::from(number - FIRST_PHRASE))
}

/// Whether a byte occurs in canonical JSON.
fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0xBF | 0xC2..=0xF4)
}

/// Packs a JSON text; `None` if it has bytes that no canonical JSON has.
pub(super) fn pack(json: &str) -> Option<Vec<u8>> {
    let text = json.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if matches!(byte, b'"' | b'{' | b'}' | b']' | b',')
            && let Some(index) = longest_phrase(&text[at..])
        {
            out.push(phrase_byte(index));
            at += PHRASES[index].len();
            at += pack_base64(&json[at..], &mut out);
            continue;
        }
        if !is_text(byte) {
            return None;
        }
        out.push(byte);
        at += 1;
        if matches!(byte, b'"' | b'$') {
            at += pack_base64(&json[at..], &mut out);
        }
    }
    Some(out)
}

fn longest_phrase(text: &[u8]) -> Option<usize> {
    let fitting = (0..PHRASES.len()).filter(|&index| text.starts_with(PHRASES[index].as_bytes()));
    fitting.max_by_key(|&index| PHRASES[index].len())
}

/// Packs the base64 that `text` begins with, up to a quote; how many characters of it.
fn pack_base64(text: &str, out: &mut Vec<u8>) -> usize {
    let is_quote = |at: usize| text.as_bytes().get(at) == Some(&b'"');
    // Only what comes back the same: the last character may have bits that say nothing.
    if is_quote(43) && text.is_char_boundary(43) {
        let characters = &text[..43];
        if let Some(bytes) = base64::decode_url_safe_array::<32>(characters)
            && base64::encode_url_safe(&bytes) == characters
        {
            out.push(ID);
            out.extend(bytes);
            return 43;
        }
        if let Some(bytes) = base64::decode_array::<32>(characters)
            && base64::encode(&bytes) == characters
        {
            out.push(HASH);
            out.extend(bytes);
            return 43;
        }
    } else if is_quote(86) && text.is_char_boundary(86) {
        let characters = &text[..86];
        if let Some(bytes) = base64::decode_array::<64>(characters)
            && base64::encode(&bytes) == characters
        {
            out.push(SIGNATURE);
            out.extend(bytes);
            return 86;
        }
    }
    0
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
