//! [`Allowances`]: how much each account may send, over all its connections.
//!
//! In memory only, and bounded. An account is remembered while it has sessions, and after them until its buckets are full
//! again, so that whoever is over the rate gains nothing by connecting anew or twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::jid::Jid;
use xmpp::time::Moment;

use crate::Core;
use crate::config::Limits;
use crate::core::Place;
use crate::rate::TokenBucket;

/// Accounts below which nothing is looked through; also the most without sessions that are remembered.
const ACCOUNTS_MIN: usize = 10_000;

/// What one account may send, or one connection that has no account yet.
pub(crate) struct Allowance(Mutex<Buckets>);

#[derive(Clone, Copy)]
struct Buckets {
    stanzas: TokenBucket,
    bytes: TokenBucket,
}

impl Allowance {
    /// Makes one that is used by nobody else.
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let stanzas = TokenBucket::new(limits.client_stanzas);
        Arc::new(Self(Mutex::new(Buckets { stanzas, bytes: TokenBucket::new(limits.client_bytes) })))
    }

    /// Only the sessions of one account ever wait for each other here.
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes bytes that have arrived.
    pub(crate) fn charge_bytes(&self, now: Moment, count: usize) {
        self.buckets().bytes.charge(now, count);
    }

    /// Notes stanzas that have arrived, or work that is worth as many.
    pub(crate) fn charge_stanzas(&self, now: Moment, count: usize) {
        self.buckets().stanzas.charge(now, count);
    }

    /// Tells until when nothing more is to be read.
    pub(crate) fn wait_until(&self, now: Moment) -> Option<Moment> {
        let Buckets { stanzas, bytes } = *self.buckets();
        stanzas.wait_until(now).max(bytes.wait_until(now))
    }

    fn is_full(&self, now: Moment) -> bool {
        let Buckets { stanzas, bytes } = *self.buckets();
        stanzas.is_full(now) && bytes.is_full(now)
    }
}

/// The allowances of accounts.
pub(crate) struct Allowances(Mutex<Known>);

struct Known {
    accounts: HashMap<Box<str>, Arc<Allowance>>,
    /// How many accounts there may be until those that need not be remembered are looked for.
    sweep_at: usize,
}

impl Allowances {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Known { accounts: HashMap::new(), sweep_at: ACCOUNTS_MIN }))
    }

    /// Returns the allowance of an account, which all its sessions share. Asked for once per session.
    pub(crate) fn of(&self, account: &str, limits: &Limits, now: Moment) -> Arc<Allowance> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = known.accounts.get(account) {
            return Arc::clone(allowance);
        }
        if known.accounts.len() >= known.sweep_at {
            known.sweep(now);
        }
        let allowance = Allowance::new(limits);
        known.accounts.insert(account.into(), Arc::clone(&allowance));
        allowance
    }
}

/// Rows of the disk whose reading costs as much as a stanza.
const ROWS_PER_STANZA: usize = 64;
/// Bytes of them that do.
const BYTES_PER_STANZA: usize = 16 * 1024;

/// How many stanzas reading so much is worth, beyond the one that asks for it.
fn work(rows: usize, bytes: usize) -> usize {
    rows / ROWS_PER_STANZA + bytes / BYTES_PER_STANZA
}

impl Core {
    /// Charges an account of ours for what was read on its behalf: a stanza that touches thousands of rows costs more
    /// than one that touches one.
    pub(crate) fn charge_work_of(&self, account: &str, rows: usize, bytes: usize) {
        let count = work(rows, bytes);
        if count > 0 {
            let now = self.env.moment();
            self.allowances.of(account, &self.config.limits, now).charge_stanzas(now, count);
        }
    }

    /// Charges whoever asked for what was read for them.
    pub(crate) fn charge_work(&self, asker: &Jid, rows: usize, bytes: usize) {
        match self.place(asker) {
            Place::Account => self.charge_work_of(asker.bare_str(), rows, bytes),
            Place::Remote(domain) => self.federation.charge_work(domain, self.env.moment(), work(rows, bytes)),
            Place::Server | Place::Service(_) => {}
        }
    }
}

impl Known {
    /// Forgets accounts without sessions whose buckets are full, and all without sessions when these are too many.
    fn sweep(&mut self, now: Moment) {
        let has_sessions = |allowance: &Arc<Allowance>| Arc::strong_count(allowance) > 1;
        self.accounts.retain(|_, allowance| has_sessions(allowance) || !allowance.is_full(now));
        let without = self.accounts.values().filter(|allowance| !has_sessions(allowance)).count();
        if without >= ACCOUNTS_MIN {
            self.accounts.retain(|_, allowance| has_sessions(allowance));
        }
        // only after as many have come again, so that a sign-in rarely pays for it
        self.sweep_at = self.accounts.len().saturating_mul(2).max(ACCOUNTS_MIN);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate::Rate;

    const NOW: Moment = Moment::from_millis(1_000_000);

    fn limits() -> Limits {
        Limits {
            client_stanzas: Rate { per_second: 1, burst: 2 },
            client_bytes: Rate { per_second: 100, burst: 1000 },
            ..Limits::default()
        }
    }

    #[test]
    fn an_account_that_comes_again_has_what_was_left() {
        let (allowances, limits) = (Allowances::new(), limits());
        let of = |account: &str| allowances.of(account, &limits, NOW);
        for _ in 0..3 {
            of("alice@example.org").charge_stanzas(NOW, 1);
        }
        assert!(of("alice@example.org").wait_until(NOW).is_some());
        assert_eq!(of("bob@example.org").wait_until(NOW), None);
        of("bob@example.org").charge_bytes(NOW, 1001);
        assert!(of("bob@example.org").wait_until(NOW).is_some());
    }

    #[test]
    fn who_is_forgotten_has_no_sessions_and_owes_nothing() {
        let (allowances, limits) = (Allowances::new(), limits());
        let of = |account: &str| allowances.of(account, &limits, NOW);
        let online = of("online@example.org");
        of("spent@example.org").charge_stanzas(NOW, 1);
        for n in 0..ACCOUNTS_MIN {
            of(&n.to_string());
        }
        let known = || allowances.0.lock().unwrap().accounts.len();
        assert!(known() < 10, "{}", known());
        assert!(Arc::ptr_eq(&online, &of("online@example.org")));
        assert!(!of("spent@example.org").is_full(NOW));
        assert!(of("spent@example.org").is_full(NOW + Duration::from_secs(1)));
    }

    #[test]
    fn debtors_without_sessions_are_bounded_too() {
        let (allowances, limits) = (Allowances::new(), limits());
        let of = |account: &str| allowances.of(account, &limits, NOW);
        let online = of("online@example.org");
        for n in 0..3 * ACCOUNTS_MIN {
            of(&n.to_string()).charge_stanzas(NOW, 1);
        }
        assert!(allowances.0.lock().unwrap().accounts.len() <= 2 * ACCOUNTS_MIN);
        assert!(Arc::ptr_eq(&online, &of("online@example.org")));
    }
}
