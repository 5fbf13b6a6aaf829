//! [`Pace`]: how fast something may be done to one account, such as guessing its password.
//!
//! Kept in memory only, and bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use xmpp::time::Moment;

use crate::rate::{Rate, TokenBucket};

/// Accounts remembered at once; beyond it those without debt are forgotten, then all.
const ACCOUNTS_MAX: usize = 10_000;

/// Buckets count thousandths, because what is counted here happens less than once per second.
const COST: usize = 1000;

/// A bucket of tokens per account.
pub(crate) struct Pace {
    rate: Rate,
    buckets: Mutex<HashMap<Box<str>, TokenBucket>>,
}

impl Pace {
    /// Failed logins: five in ten minutes are free; after that each login waits. Nobody is locked out, so nobody can lock
    /// others out (security-design §4).
    pub(crate) fn of_failed_logins() -> Self {
        Self::new(5, 5, 600)
    }

    /// Changes of a password: five in ten minutes. Each costs a good part of a second of computing, on purpose.
    pub(crate) fn of_password_changes() -> Self {
        // asked for before it is charged, so the last one may leave the bucket empty, not in debt
        Self::new(4, 5, 600)
    }

    /// Requests to subscribe from people whom the account does not know: five a minute (security-design §6).
    pub(crate) fn of_strangers(per_minute: u32) -> Self {
        // asked for before it is charged, so the last one may leave the bucket empty, not in debt
        Self::new(per_minute.saturating_sub(1), per_minute, 60)
    }

    fn new(burst: u32, count: u32, seconds: u32) -> Self {
        let per_second = (count.saturating_mul(1000) / seconds).max(1);
        Self { rate: Rate { per_second, burst: burst.saturating_mul(1000) }, buckets: Mutex::default() }
    }

    /// Notes that it was done, and returns what [`Pace::give_back`] puts back.
    pub(crate) fn charge(&self, account: &str, now: Moment) -> i64 {
        let mut map = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= ACCOUNTS_MAX && !map.contains_key(account) {
            map.retain(|_, bucket| bucket.wait_until(now).is_some());
            if map.len() >= ACCOUNTS_MAX {
                map.clear();
            }
        }
        map.entry(account.into()).or_insert_with(|| TokenBucket::new(self.rate)).charge(now, COST)
    }

    /// Puts back what one [`Pace::charge`] has taken.
    pub(crate) fn give_back(&self, account: &str, taken: i64) {
        let mut map = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = map.get_mut(account) {
            bucket.give_back(taken);
        }
    }

    /// Tells until when it may not be done again.
    pub(crate) fn wait_until(&self, account: &str, now: Moment) -> Option<Moment> {
        let map = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(account).and_then(|bucket| bucket.wait_until(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn five_failures_are_free_and_the_sixth_delays_that_account_only() {
        let pace = Pace::of_failed_logins();
        let now = Moment::from_millis(0);
        for _ in 0..5 {
            pace.charge("alice@example.org", now);
        }
        assert_eq!(pace.wait_until("alice@example.org", now), None);
        pace.charge("alice@example.org", now);
        assert!(pace.wait_until("alice@example.org", now).is_some());
        assert_eq!(pace.wait_until("bob@example.org", now), None);
        let later = now + Duration::from_secs(126);
        assert_eq!(pace.wait_until("alice@example.org", later), None);
    }
}
