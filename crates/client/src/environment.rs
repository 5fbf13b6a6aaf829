//! What an engine borrows from the machine: the time and chance. Both are handed in, so that a simulation can own them.

use std::fmt;
use std::sync::Arc;

use crypto::Random;
use xmpp::time::{Clock, Timestamp};

/// The clock and the random source of one engine.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time; it may jump, and nothing here breaks when it does.
    pub clock: Arc<dyn Clock>,
    /// Makes keys, passwords and the ids of stanzas.
    pub random: Arc<dyn Random>,
}

impl Environment {
    /// Bundles a clock and a random source.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// Returns the time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
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
