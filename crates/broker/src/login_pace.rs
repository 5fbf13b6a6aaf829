//! [`LoginPace`]: how fast passwords of one account may be guessed.
//!
//! Five failures in ten minutes are free; after that each login waits. Nobody is locked out, so nobody can lock others
//! out. Kept in memory only, and bounded.
//!
//! Source: security-design §4.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use xmpp::time::Timestamp;

use crate::rate::{Rate, TokenBucket};

/// Accounts remembered at once; beyond it those without debt are forgotten, then all.
const ACCOUNTS_MAX: usize = 10_000;

/// Buckets count milli-failures, because one failure in two minutes is less than one per second: 8⅓ in 1000.
const FAILURE_COST: usize = 1000;
const PACE: Rate = Rate { per_second: 8, burst: 5000 };

#[derive(Default)]
pub(crate) struct LoginPace(Mutex<HashMap<Box<str>, TokenBucket>>);

impl LoginPace {
    /// Notes a failed login.
    pub(crate) fn failed(&self, account: &str, now: Timestamp) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= ACCOUNTS_MAX && !map.contains_key(account) {
            map.retain(|_, bucket| bucket.wait_until(now).is_some());
            if map.len() >= ACCOUNTS_MAX {
                map.clear();
            }
        }
        map.entry(account.into()).or_insert_with(|| TokenBucket::new(PACE)).charge(now, FAILURE_COST);
    }

    /// Tells until when the next login of an account waits.
    pub(crate) fn wait_until(&self, account: &str, now: Timestamp) -> Option<Timestamp> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(account).and_then(|bucket| bucket.wait_until(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn five_failures_are_free_and_the_sixth_delays_that_account_only() {
        let pace = LoginPace::default();
        let now = Timestamp::from_millis(0);
        for _ in 0..5 {
            pace.failed("alice@example.org", now);
        }
        assert_eq!(pace.wait_until("alice@example.org", now), None);
        pace.failed("alice@example.org", now);
        assert!(pace.wait_until("alice@example.org", now).is_some());
        assert_eq!(pace.wait_until("bob@example.org", now), None);
        let later = now + Duration::from_secs(126);
        assert_eq!(pace.wait_until("alice@example.org", later), None);
    }
}
