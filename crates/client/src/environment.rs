//! What an engine borrows from the machine: the time and chance. Both are handed in, so that a simulation can own them.

use std::fmt;
use std::sync::Arc;

use crypto::Random;
use store::ClockReading;
use xmpp::time::{Clock, Timestamp};

/// The clock and the random source of one engine.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time; it may jump, and nothing here breaks when it does.
    pub clock: Arc<dyn Clock>,
    /// Makes keys, passwords and the ids of stanzas.
    pub random: Arc<dyn Random>,
    /// Names this run, where the machine names none.
    run: [u8; 16],
}

impl Environment {
    /// Bundles a clock and a random source.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let mut run = [0; 16];
        random.fill(&mut run);
        Self { clock, random, run }
    }

    /// Returns the time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the clocks say, for judging the wall clock.
    pub(crate) fn clock_reading(&self) -> ClockReading {
        let (boot, up_ms) = match self.clock.boot() {
            Some((boot, passed)) => (boot, u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)),
            None => (self.run, self.clock.moment().as_millis()),
        };
        ClockReading { wall_ms: self.now().as_millis(), boot, up_ms }
    }

    /// Draws an id of 128 bits: nobody can guess the id of a question and answer it in another's place (X06).
    pub(crate) fn id(&self) -> String {
        hex::encode(self.bytes::<16>())
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
