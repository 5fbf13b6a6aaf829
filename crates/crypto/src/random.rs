//! [`Random`]: how randomness comes in.
//!
//! The crate has no random source of its own. Programs pass the operating system's; tests and simulations pass
//! [`SeededRandom`], so that every run can be repeated from its seed.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills `buf` with bytes that nobody can predict.
    fn fill(&self, buf: &mut [u8]);
}

/// The same bytes for the same seed, every time. **Not for production**: whoever knows the seed knows every key.
///
/// Block `i` is SHA-256(seed ‖ i), both little-endian `u64`.
pub struct SeededRandom {
    seed: u64,
    next_block: Mutex<u64>,
}

impl SeededRandom {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, next_block: Mutex::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buf: &mut [u8]) {
        // A panic while the lock is held can only leave a counter behind, which stays usable.
        let mut next_block = self.next_block.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in buf.chunks_mut(32) {
            let block =
                Sha256::new().chain_update(self.seed.to_le_bytes()).chain_update(next_block.to_le_bytes()).finalize();
            *next_block += 1;
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence_and_no_other() {
        let draw = |seed| {
            let mut bytes = [0u8; 70];
            SeededRandom::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn consecutive_draws_differ() {
        let random = SeededRandom::new(1);
        let (mut first, mut second) = ([0u8; 32], [0u8; 32]);
        random.fill(&mut first);
        random.fill(&mut second);
        assert_ne!(first, second);
    }
}
