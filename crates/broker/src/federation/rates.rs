//! How much each remote domain may send, over all its connections.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use xmpp::time::Moment;

use super::source::STRANGERS;
use crate::rate::{Rate, TokenBucket};

/// Domains remembered at once. Beyond it those are forgotten that lose nothing by it, because all that they may send is
/// there again: new ones first, then others. As long as there are none, whoever comes shares one budget ([`OTHERS`]).
const DOMAINS_MAX: usize = 10_000;
/// How often it is looked for domains that can be forgotten.
const SWEEP: Duration = Duration::from_secs(1);
/// The name of the budget of those who find no place. No domain is called so.
const OTHERS: &str = "";
/// How long a domain counts as new.
const NEW_FOR: Duration = Duration::from_secs(86_400);

/// The budgets of remote domains. In memory only: after a restart every domain is new for a day.
pub(super) struct DomainRates {
    rate: Rate,
    new_rate: Rate,
    domains: Mutex<Domains>,
}

#[derive(Default)]
struct Domains {
    by_source: HashMap<Box<str>, Domain>,
    /// When it was looked last for what can be forgotten.
    swept: Option<Moment>,
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

    /// Notes so many stanzas, or work that is worth them, and tells until when nothing more is to be read from that source:
    /// a domain as [`super::Federation::source_of`] calls it.
    pub(super) fn charge(&self, source: &str, now: Moment, count: usize) -> Option<Moment> {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let source = if domains.has_place(source, now) { source } else { OTHERS };
        let known = match domains.by_source.get_mut(source) {
            Some(known) => known,
            None => {
                let bucket = TokenBucket::new(self.new_rate);
                let new = Domain { first_heard: now, is_new: true, bucket };
                domains.by_source.entry(source.into()).or_insert(new)
            }
        };
        // whoever share a budget because they are strangers, or many, stay new
        if known.is_new && !matches!(source, STRANGERS | OTHERS) && now.since(known.first_heard) >= NEW_FOR {
            known.is_new = false;
            known.bucket = TokenBucket::new(self.rate);
        }
        known.bucket.charge(now, count);
        known.bucket.wait_until(now)
    }
}

impl Domains {
    /// Whether a source has, or can have, a budget of its own. Makes room where there is none.
    fn has_place(&mut self, source: &str, now: Moment) -> bool {
        if self.by_source.len() < DOMAINS_MAX || self.by_source.contains_key(source) {
            return true;
        }
        if self.swept.is_some_and(|swept| now.since(swept) < SWEEP) {
            return false;
        }
        self.swept = Some(now);
        self.by_source.retain(|_, known| !known.is_new || !known.bucket.is_full(now));
        if self.by_source.len() >= DOMAINS_MAX {
            self.by_source.retain(|_, known| !known.bucket.is_full(now));
        }
        self.by_source.len() < DOMAINS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::super::peers::Peers;
    use super::*;
    use crate::config::Peer;

    const RATE: Rate = Rate { per_second: 100, burst: 1000 };
    const START: Moment = Moment::from_millis(1_000_000_000);

    /// Counts the stanzas that pass until one has to wait.
    fn passed(rates: &DomainRates, now: Moment, source: impl Fn(usize) -> String) -> usize {
        (0..2000).take_while(|nth| rates.charge(&source(*nth), now, 1).is_none()).count()
    }

    #[test]
    fn b13_subdomains_of_one_registered_domain_share_a_budget() {
        let rates = DomainRates::new(RATE, 10);
        let peers = Peers::new(Vec::new());
        let count =
            |name: &dyn Fn(usize) -> String| passed(&rates, START, |nth| peers.source_of(&name(nth)).to_owned());
        assert_eq!(count(&|nth| format!("n{nth}.evil.co.uk")), 100);
        assert_eq!(count(&|nth| format!("n{nth}.evil.example")), 100);
        assert_eq!(count(&|_| "deep.er.evil.example".to_owned()), 0, "it is the same one");
        // under a private suffix each name has another owner
        assert_eq!(count(&|_| "alice.github.io".to_owned()), 100);
        assert_eq!(count(&|_| "bob.github.io".to_owned()), 100);
    }

    /// Such a name costs a key, and a key costs nothing.
    #[test]
    fn b13_names_made_of_keys_are_one_source_until_somebody_here_knows_them() {
        let known = |domain: &str, introduced_by: &[&str]| Peer {
            domain: domain.into(),
            addresses: Vec::new(),
            pin: Some([7; 32]),
            introduced_by: introduced_by.iter().map(|by| (*by).to_owned()).collect(),
        };
        let operators = known("attic-abcdef.local", &[]);
        let peers = Peers::new(vec![operators, known("tower-abcdef.local", &["bob@north.example"])]);
        let rates = DomainRates::new(RATE, 10);
        let count =
            |name: &dyn Fn(usize) -> String, now| passed(&rates, now, |nth| peers.source_of(&name(nth)).to_owned());
        assert_eq!(count(&|nth| format!("n{nth}-abcdef.local"), START), 100);
        assert_eq!(count(&|nth| format!("n{nth}.m{nth}-abcdef.local"), START), 0, "nor does a name below one help");
        assert_eq!(count(&|_| "tower-abcdef.local".to_owned(), START), 100);
        assert_eq!(count(&|_| "attic-abcdef.local".to_owned(), START), 100);
        assert_eq!(count(&|_| "chat.attic-abcdef.local".to_owned(), START), 0, "it is the attic's");
        let tomorrow = START + NEW_FOR;
        assert_eq!(count(&|nth| format!("n{nth}-abcdef.local"), tomorrow), 100, "strangers stay new");
        assert_eq!(count(&|_| "tower-abcdef.local".to_owned(), tomorrow), 1000);
    }

    #[test]
    fn b13_many_new_domains_make_nobody_else_new_again() {
        let rates = DomainRates::new(RATE, 10);
        let friend = |_| "friend.example".to_owned();
        assert_eq!(passed(&rates, START, friend), 100);
        let day = START + NEW_FOR;
        assert_eq!(passed(&rates, day, friend), 1000);
        let later = day + Duration::from_secs(3600);
        for nth in 0..3 * DOMAINS_MAX {
            let _ = rates.charge(&format!("n{nth}.example"), later + Duration::from_millis(nth as u64 / 2), 1);
        }
        assert!(rates.domains.lock().unwrap().by_source.len() <= DOMAINS_MAX + 1);
        assert_eq!(passed(&rates, later + Duration::from_secs(60), friend), 1000, "not forgotten");
    }

    #[test]
    fn b13_domains_for_which_there_is_no_place_share_one_budget() {
        let rates = DomainRates::new(RATE, 10);
        for nth in 0..DOMAINS_MAX {
            let _ = rates.charge(&format!("busy{nth}.example"), START, 50);
        }
        assert_eq!(passed(&rates, START, |nth| format!("late{nth}.example")), 100);
        assert_eq!(passed(&rates, START, |_| "busy7.example".to_owned()), 50, "who has a place keeps it");
        assert_eq!(rates.domains.lock().unwrap().by_source.len(), DOMAINS_MAX + 1);
        let later = START + Duration::from_secs(60);
        assert_eq!(passed(&rates, later, |_| "late1.example".to_owned()), 100);
        assert_eq!(rates.domains.lock().unwrap().by_source.len(), 1, "there is room again");
    }

    #[test]
    fn a_new_domain_gets_a_tenth_for_a_day() {
        let rates = DomainRates::new(RATE, 10);
        let count = |now| passed(&rates, now, |_| "peer.example".to_owned());
        assert_eq!(count(START), 100);
        assert_eq!(count(START + NEW_FOR), 1000);
        assert_eq!(rates.charge("other.example", START, 1), None, "each domain has its own budget");
    }
}
