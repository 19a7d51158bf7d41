//! Many signatures checked together: each gets the verdict that it would get alone, for a tenth less work.

use super::PublicKey;
use crate::base64;
use alloc::vec::Vec;
use curve25519_dalek::{
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use sha2::{Digest, Sha512};

/// Signatures whose verdicts are still to be told.
///
/// The equation is that of [`PublicKey::verifies`] for each of them: `R` of the signature must be, byte for byte,
/// `[s]B − [k]A`. Only the division that brings such a point into bytes is done for all of them at once. It is not the
/// check of a random sum that is called batch verification elsewhere: that one accepts some signatures which, alone, are
/// refused.
#[derive(Default)]
pub struct Batch {
    /// What `R` must be; the neutral point for what has not the form of a signature.
    expected: Vec<EdwardsPoint>,
    /// What it is, if it has the form of a signature.
    given: Vec<Option<CompressedEdwardsY>>,
}

impl Batch {
    /// Adds a signature of `key` over `message`, in unpadded base64.
    pub fn push(&mut self, key: &PublicKey, message: &[u8], signature: &str) {
        let (expected, given) = match read(signature) {
            Some((r, s)) => (expected(key, message, &r, &s), Some(r)),
            None => (EdwardsPoint::default(), None),
        };
        self.expected.push(expected);
        self.given.push(given);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Whether each verifies, in the order in which they were added.
    #[must_use]
    pub fn verdicts(self) -> Vec<bool> {
        // The division costs as much for none.
        if self.is_empty() {
            return Vec::new();
        }
        let expected = EdwardsPoint::compress_batch_alloc(&self.expected);
        let pairs = self.given.into_iter().zip(expected);
        pairs.map(|(given, expected)| given == Some(expected)).collect()
    }
}

/// The two halves of a signature. The second must be the least of the numbers that mean the same (RFC 8032, 5.1.7).
fn read(signature: &str) -> Option<(CompressedEdwardsY, Scalar)> {
    let bytes = base64::decode_array::<64>(signature)?;
    let (r, s) = bytes.split_first_chunk::<32>()?;
    let s = Scalar::from_canonical_bytes(s.try_into().ok()?).into_option()?;
    Some((CompressedEdwardsY(*r), s))
}

fn expected(key: &PublicKey, message: &[u8], r: &CompressedEdwardsY, s: &Scalar) -> EdwardsPoint {
    let hash = Sha512::new()
        .chain_update(r.as_bytes())
        .chain_update(key.0.as_bytes())
        .chain_update(message)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key.0.to_edwards(), s)
}
