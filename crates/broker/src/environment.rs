//! [`Environment`]: what the outside world lends to the broker.

use std::fmt;
use std::sync::Arc;

use crypto::Random;
use xmpp::time::{Clock, Moment, Timestamp};

/// The clock and the random source; the broker knows no other machine.
#[derive(Clone)]
pub struct Environment {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws unpredictable bytes.
    pub random: Arc<dyn Random>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// Returns the time of the wall clock: for what is written down and what others are told. It may be wrong and may jump.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the present moment, which only ever gets later: for rates and deadlines.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.clock.moment()
    }

    /// Draws an identifier of 128 bits, as 32 hexadecimal digits: nobody can guess it (attack row X06).
    #[must_use]
    pub fn random_id(&self) -> String {
        let mut bytes = [0u8; 16];
        self.random.fill(&mut bytes);
        format!("{:032x}", u128::from_be_bytes(bytes))
    }
}

/// Wakes the task that drives a session; called from any thread, never blocks.
pub type Wake = Arc<dyn Fn() + Send + Sync>;
