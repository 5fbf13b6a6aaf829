//! [`BlindIndex`]: names that can be looked up and not read.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The first 16 bytes of a keyed hash: equal names give equal hashes, and without the key a hash says nothing.
pub type BlindHash = [u8; 16];

/// Turns names into keyed hashes (HMAC-SHA256 under "bidx").
#[derive(Clone)]
pub struct BlindIndex(Hmac<Sha256>);

impl BlindIndex {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Hashes `parts` for the purpose `purpose`.
    ///
    /// Each part counts with its length, so that ("ab", "c") and ("a", "bc") differ; two purposes never give equal hashes
    /// for equal parts. 128 bits of the hash are kept: rows of one store do not collide.
    pub fn hash(&self, purpose: u8, parts: &[&[u8]]) -> BlindHash {
        let mut mac = self.0.clone(); // the keyed state, so that the key is not hashed in again for each row
        mac.update(&[purpose]);
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(mac.finalize().into_bytes()) {
            *to = from;
        }
        hash
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindIndex(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_borders() {
        let index = BlindIndex::new(&[7; 32]);
        assert_eq!(index.hash(1, &[b"ab", b"c"]), index.hash(1, &[b"ab", b"c"]));
        assert_ne!(index.hash(1, &[b"ab", b"c"]), index.hash(1, &[b"a", b"bc"]));
        assert_ne!(index.hash(1, &[b"ab"]), index.hash(1, &[b"ab", b""]));
        assert_ne!(index.hash(1, &[b"ab"]), index.hash(2, &[b"ab"]));
        assert_ne!(index.hash(1, &[b"ab"]), BlindIndex::new(&[8; 32]).hash(1, &[b"ab"]));
    }
}
