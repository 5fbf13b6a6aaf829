//! The time, which passes only when the world says so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use xmpp::time::{Clock, Moment, Timestamp};

/// A clock that is set by hand.
pub(crate) struct VirtualClock(AtomicI64);

impl VirtualClock {
    pub(crate) fn new() -> Self {
        Self::at(Timestamp::from_millis(1_800_000_000_000))
    }

    pub(crate) fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Sets the clock; it never goes back.
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.as_millis(), Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn boot(&self) -> Option<([u8; 16], Duration)> {
        Some(([1; 16], Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())))
    }

    fn moment(&self) -> Moment {
        Moment::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}
