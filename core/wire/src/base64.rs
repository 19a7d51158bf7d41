//! Base64: unpadded out, padded or not in (ID-17).

use alloc::{string::String, vec::Vec};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The bits of a last character that no byte uses may be anything: Python's and ruma's decoders ignore them, and a
/// signature must have the same verdict everywhere.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Takes what [`encode`] gives, and nothing else.
const EXACT: GeneralPurposeConfig = CONFIG
    .with_decode_padding_mode(DecodePaddingMode::RequireNone)
    .with_decode_allow_trailing_bits(false);
const STANDARD_EXACT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EXACT);
const URL_SAFE_EXACT: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EXACT);

/// Standard alphabet, unpadded.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// URL-safe alphabet, unpadded.
#[must_use]
pub fn encode_url_safe(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// Standard alphabet, padding optional; `None` if it is not that.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// As [`decode`], for exactly `N` bytes.
#[must_use]
pub fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_array_with(&STANDARD, text)
}

/// As [`decode_array`], in the URL-safe alphabet too: that of keys of identity servers (AUTH-9).
#[must_use]
pub fn decode_array_either<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_array(text).or_else(|| decode_array_with(&URL_SAFE, text))
}

/// The bytes for which [`encode`] gives this very text.
#[must_use]
pub fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_array_with(&STANDARD_EXACT, text)
}

/// The bytes for which [`encode_url_safe`] gives this very text.
#[must_use]
pub fn decode_url_safe_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_array_with(&URL_SAFE_EXACT, text)
}

fn decode_array_with<const N: usize>(engine: &GeneralPurpose, text: &str) -> Option<[u8; N]> {
    // The decoder wants room for the padding's share, too.
    const ROOM: usize = 96;
    if N > ROOM - 3 || text.len() > 4 * N.div_ceil(3) {
        return None;
    }
    let mut room = [0; ROOM];
    let length = engine.decode_slice(text, &mut room).ok()?;
    room[..length].try_into().ok()
}

/// The 43 characters of a hash, into a slice of that length.
pub(crate) fn encode_hash(hash: &[u8; 32], standard_alphabet: bool, out: &mut [u8]) {
    let engine = if standard_alphabet { &STANDARD } else { &URL_SAFE };
    let written = engine.encode_slice(hash, out);
    debug_assert_eq!(written, Ok(43));
}
