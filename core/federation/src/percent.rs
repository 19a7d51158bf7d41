//! Percent-encoding of what stands in paths and queries (ID-8).

use roomlet_wire::{Code, Error, Result};

/// `text` with everything but unreserved characters (`A-Za-z0-9-._~`) percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// A segment of a path.
pub(crate) fn decode(text: &str) -> Result<String> {
    decode_bytes(text, |byte| byte)
}

/// A name or value of a query, where `+` is a space as well.
pub(crate) fn decode_query(text: &str) -> Result<String> {
    decode_bytes(text, |byte| if byte == b'+' { b' ' } else { byte })
}

fn decode_bytes(text: &str, plain: fn(u8) -> u8) -> Result<String> {
    let bad = |rule: &str| {
        Error::new(
            Code::BadParam,
            format!("{rule} in the percent-encoding of the target"),
        )
    };
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(plain(byte));
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        match (digit(), digit()) {
            // Two hexadecimal digits are below 256.
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err(bad("`%` without two hexadecimal digits")),
        }
    }
    String::from_utf8(out).map_err(|_| bad("bytes that are no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_reverses_encoding() {
        for text in ["", "a-._~Z9", "!room/é:example.org", "$a+b/c=%", "\u{0}\u{7f}"] {
            assert_eq!(decode(&encode(text)), Ok(text.to_owned()));
            assert_eq!(decode_query(&encode(text)), Ok(text.to_owned()));
        }
        assert_eq!(encode("$a/b+c:é"), "%24a%2Fb%2Bc%3A%C3%A9");
    }

    #[test]
    fn plus_is_a_space_in_queries_only() {
        assert_eq!(decode("a+b"), Ok("a+b".to_owned()));
        assert_eq!(decode_query("a+b"), Ok("a b".to_owned()));
    }

    #[test]
    fn broken_encodings_are_refused() {
        for text in ["%", "%4", "%zz", "a%4", "%ff", "%+1"] {
            assert_eq!(
                decode(text).map_err(|error| error.code()),
                Err(Code::BadParam),
                "{text}"
            );
        }
    }
}
