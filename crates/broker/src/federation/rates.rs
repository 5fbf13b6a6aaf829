//! How much each remote domain may send, over all its connections.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use xmpp::time::Moment;

use super::source::registered_domain;
use crate::rate::{Rate, TokenBucket};

/// Domains remembered at once; beyond it all are forgotten, and are new again.
const DOMAINS_MAX: usize = 10_000;
/// How long a domain counts as new.
const NEW_FOR: Duration = Duration::from_secs(86_400);

/// The budgets of remote domains. In memory only: after a restart every domain is new for a day.
pub(super) struct DomainRates {
    rate: Rate,
    new_rate: Rate,
    domains: Mutex<HashMap<Box<str>, Domain>>,
}

struct Domain {
    first_heard: Moment,
    is_new: bool,
    bucket: TokenBucket,
}

impl DomainRates {
    pub(super) fn new(rate: Rate, new_domain_divisor: u32) -> Self {
        Self { rate, new_rate: rate.divided_by(new_domain_divisor), domains: Mutex::default() }
    }

    /// Notes a stanza, and tells until when nothing more is to be read from that domain.
    pub(super) fn charge(&self, domain: &str, now: Moment) -> Option<Moment> {
        self.charge_many(domain, now, 1)
    }

    /// As [`DomainRates::charge`], for work that is worth so many stanzas.
    pub(super) fn charge_many(&self, domain: &str, now: Moment, count: usize) -> Option<Moment> {
        let domain = registered_domain(domain); // whoever owns a domain makes as many names in it as they like
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= DOMAINS_MAX && !domains.contains_key(domain) {
            domains.clear();
        }
        if !domains.contains_key(domain) {
            let bucket = TokenBucket::new(self.new_rate);
            domains.insert(domain.into(), Domain { first_heard: now, is_new: true, bucket });
        }
        let known = domains.get_mut(domain)?;
        if known.is_new && now.since(known.first_heard) >= NEW_FOR {
            known.is_new = false;
            known.bucket = TokenBucket::new(self.rate);
        }
        known.bucket.charge(now, count);
        known.bucket.wait_until(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b13_subdomains_of_one_registered_domain_share_a_budget() {
        let rates = DomainRates::new(Rate { per_second: 100, burst: 1000 }, 10);
        let start = Moment::from_millis(1_000_000_000);
        let count = |name: &dyn Fn(usize) -> String| {
            (0..2000).take_while(|nth| rates.charge(&name(*nth), start).is_none()).count()
        };
        assert_eq!(count(&|nth| format!("n{nth}.evil.co.uk")), 100);
        assert_eq!(count(&|nth| format!("n{nth}.evil.example")), 100);
        assert_eq!(count(&|_| "deep.er.evil.example".to_owned()), 0, "it is the same one");
        // under a private suffix each name has another owner; under .local each is a broker
        assert_eq!(rates.charge("alice.github.io", start), None);
        assert_eq!(count(&|_| "bob.github.io".to_owned()), 100);
        assert_eq!(count(&|_| "tower-abcdef.local".to_owned()), 100);
        assert_eq!(count(&|_| "attic-abcdef.local".to_owned()), 100);
    }

    #[test]
    fn a_new_domain_gets_a_tenth_for_a_day() {
        let rates = DomainRates::new(Rate { per_second: 100, burst: 1000 }, 10);
        let start = Moment::from_millis(1_000_000_000);
        let passed = |now| (0..2000).take_while(|_| rates.charge("peer.example", now).is_none()).count();
        assert_eq!(passed(start), 100);
        assert_eq!(passed(start + NEW_FOR), 1000);
        assert_eq!(rates.charge("other.example", start), None, "each domain has its own budget");
    }
}
