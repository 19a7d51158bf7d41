//! Finding the end of a string, eight bytes at a time.

/// A byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The lowest bit set of the result marks the first byte of `word` that is zero; bits above it may be set too.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(0x01)) & !word & each(0x80)
}

/// The offset of the first byte from `at` on that does not stand for itself in a string: a quote, a backslash or a
/// control character; the length, if there is none.
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        // A byte below 0x20 borrows in the subtraction; one with its top bit set is none of these.
        let controls = word.wrapping_sub(each(0x20)) & !word & each(0x80);
        let found = zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')) | controls;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at)
        && !matches!(byte, b'"' | b'\\' | 0..=0x1F)
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_first_byte_that_needs_care_is_found_wherever_it_is() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    for filler in [b' ', b'a', 0x7F, 0x80, 0xFF] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        let is_plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
                        let end = if is_plain { length } else { place };
                        assert_eq!(plain_end(&bytes, 0), end, "{byte} at {place} of {length}");
                    }
                }
            }
        }
    }
}
