//! One module per target; each function takes any bytes.

pub mod envelope;
pub mod jid;
pub mod omemo;
pub mod proxy;
pub mod ratchet;
pub mod sasl;
pub mod scanner;
pub mod state;
pub mod uris;

/// The same "random" keys for every run.
fn random() -> crypto::random::SeededRandom {
    crypto::random::SeededRandom::new(1)
}

/// A time for everything that wants one.
const NOW: u64 = 1_800_000_000;
