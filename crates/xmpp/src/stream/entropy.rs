//! Random text for one stream, out of one handed-in seed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 random bytes, fresh for every stream: all its ids and nonces come from them.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Takes the bytes, which must come from a cryptographic random source.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(<redacted>)")
    }
}

/// Hands out tokens of 160 bits: unguessable without the seed, never twice the same.
#[derive(Debug)]
pub(super) struct Entropy {
    seed: Seed,
    used: u64,
}

impl Entropy {
    pub(super) fn new(seed: Seed) -> Entropy {
        Entropy { seed, used: 0 }
    }

    /// 40 hexadecimal characters: fit for stream ids, nonces and stanza ids.
    pub(super) fn token(&mut self) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.seed.0.as_slice())
            .expect("HMAC accepts keys of any length (RFC 2104 section 2)");
        mac.update(b"waxwing stream token");
        mac.update(&self.used.to_le_bytes());
        self.used = self.used.wrapping_add(1);
        mac.finalize().into_bytes().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_by_use_and_by_seed() {
        let mut one = Entropy::new(Seed::new([1; 32]));
        let mut two = Entropy::new(Seed::new([2; 32]));
        let tokens = [one.token(), one.token(), two.token(), two.token()];
        for (at, token) in tokens.iter().enumerate() {
            assert_eq!(token.len(), 40);
            assert!(tokens.iter().skip(at + 1).all(|other| other != token));
        }
        assert!(!format!("{one:?}").contains("1, 1"));
    }
}
