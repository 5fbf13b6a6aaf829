//! The operating system's random number generator.

use crypto::Random;

/// Random bytes from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// Fills `buf` from the operating system.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give. Every secret would be worthless then, so there is no
    /// way to continue that would not be worse than stopping.
    fn fill(&self, buf: &mut [u8]) {
        getrandom::fill(buf).expect("without a random source no secret can be made");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0u8; 32], [0u8; 32]);
        SystemRandom.fill(&mut first);
        SystemRandom.fill(&mut second);
        assert_ne!(first, second);
    }
}
