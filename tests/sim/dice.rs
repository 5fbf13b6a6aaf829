//! Chance, from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A source of choices that a seed repeats (SplitMix64). For schedules; keys come from `crypto::random::SeededRandom`.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Draws an index into something of `len` parts.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index fits")
    }

    /// Says yes once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a test for `rounds` seeds, or for those that the environment names, and says which seed it was that failed.
pub(crate) fn for_seeds(rounds: u64, mut test: impl FnMut(u64)) {
    let (first, rounds) = match number("WAXWING_SIM_SEED") {
        Some(seed) => (seed, number("WAXWING_SIM_ROUNDS").unwrap_or(1)),
        None => (1, number("WAXWING_SIM_ROUNDS").unwrap_or(rounds)),
    };
    for seed in first..first + rounds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("the simulation failed; repeat it with WAXWING_SIM_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
