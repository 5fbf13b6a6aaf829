//! [`TokenBucket`]: how much of something somebody may do, in virtual time.

use std::time::Duration;

use xmpp::time::Moment;

/// A sustained rate and how much may be saved up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back per second; 0 switches the limit off.
    pub per_second: u32,
    /// Most tokens that can be saved up.
    pub burst: u32,
}

impl Rate {
    /// No limit at all.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 0 };

    /// Divides both numbers, never below one.
    #[must_use]
    pub fn divided_by(self, divisor: u32) -> Self {
        let divide = |n: u32| if n == 0 { 0 } else { (n / divisor.max(1)).max(1) };
        Self { per_second: divide(self.per_second), burst: divide(self.burst) }
    }
}

/// The longest that anybody has to wait, in microseconds.
const DEBT_MAX: i64 = 60_000_000;

/// A bucket of tokens that refills with time. What was done is charged afterwards, so a bucket can be in debt; whoever
/// is in debt waits, and nothing is refused.
#[derive(Debug, Clone, Copy)]
pub struct TokenBucket {
    rate: Rate,
    /// The moment at which the bucket is full again, in microseconds.
    full_at: i64,
}

impl TokenBucket {
    /// Makes a full bucket.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, full_at: i64::MIN }
    }

    /// Takes tokens out, and returns what [`TokenBucket::give_back`] puts back: less where the debt is as large as any.
    pub fn charge(&mut self, now: Moment, count: usize) -> i64 {
        if self.rate.per_second == 0 {
            return 0;
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let cost = count.saturating_mul(1_000_000) / i64::from(self.rate.per_second);
        let latest = micros(now).saturating_add(self.capacity()).saturating_add(DEBT_MAX);
        let before = self.full_at.max(micros(now));
        self.full_at = before.saturating_add(cost).min(latest);
        self.full_at.saturating_sub(before)
    }

    /// Puts back what one [`TokenBucket::charge`] has taken out, because it was not done after all.
    pub fn give_back(&mut self, taken: i64) {
        self.full_at = self.full_at.saturating_sub(taken.max(0));
    }

    /// How long an empty bucket takes to fill, in microseconds.
    fn capacity(&self) -> i64 {
        i64::from(self.rate.burst).saturating_mul(1_000_000) / i64::from(self.rate.per_second.max(1))
    }

    /// Tells whether as much is saved up as can be.
    #[must_use]
    pub fn is_full(&self, now: Moment) -> bool {
        self.rate.per_second == 0 || self.full_at <= micros(now)
    }

    /// Returns the moment from which there are tokens again, if there are none now.
    #[must_use]
    pub fn wait_until(&self, now: Moment) -> Option<Moment> {
        if self.rate.per_second == 0 {
            return None;
        }
        let wait = self.full_at.saturating_sub(self.capacity()).saturating_sub(micros(now));
        (wait > 0).then(|| now + Duration::from_millis(wait.unsigned_abs().div_ceil(1000)))
    }
}

fn micros(at: Moment) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_waits_for_its_rate() {
        let now = Moment::from_millis(1_000_000);
        let mut bucket = TokenBucket::new(Rate { per_second: 10, burst: 5 });
        assert!(bucket.is_full(now));
        bucket.charge(now, 5);
        assert_eq!(bucket.wait_until(now), None);
        assert!(!bucket.is_full(now) && bucket.is_full(now + Duration::from_millis(500)));
        bucket.charge(now, 1);
        assert_eq!(bucket.wait_until(now), Some(now + Duration::from_millis(100)));
        let later = now + Duration::from_millis(100);
        assert_eq!(bucket.wait_until(later), None);
    }

    #[test]
    fn a_debt_is_bounded() {
        let now = Moment::from_millis(1_000_000_000);
        let mut bucket = TokenBucket::new(Rate { per_second: 1, burst: 1 });
        bucket.charge(now, 1_000_000);
        assert_eq!(bucket.wait_until(now), Some(now + Duration::from_secs(60)));
    }

    #[test]
    fn no_rate_means_no_limit() {
        let now = Moment::from_millis(0);
        let mut bucket = TokenBucket::new(Rate::UNLIMITED);
        bucket.charge(now, usize::MAX);
        assert_eq!(bucket.wait_until(now), None);
    }

    #[test]
    fn a_divided_rate_never_becomes_unlimited() {
        let rate = Rate { per_second: 5, burst: 5 }.divided_by(10);
        assert_eq!(rate, Rate { per_second: 1, burst: 1 });
    }
}
