//! [`Guesses`]: how fast passwords may be guessed, without the guesser locking the owner out.
//!
//! All networks from which nobody has signed in to an account share one pace of failures for it, so that many networks
//! guess no faster than one. A network from which somebody has signed in has a pace of its own: there the owner does not
//! wait for what others do elsewhere, and never longer than a second.
//!
//! What is remembered is in memory only, and holds no network and no name: keyed hashes, under a key of this process.
//! Absent: devices. Before the password there is nothing by which a device could be told from another.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use xmpp::time::Moment;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::pace::Pace;

/// The longest that a login is delayed after failures; a connection has 30 s for all of it.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// The longest that a login is delayed from where somebody has signed in before.
const DELAY_MAX_KNOWN: Duration = Duration::from_secs(1);

/// Pairs of account and network that are remembered; the oldest go first.
const KNOWN_MAX: usize = 50_000;

/// A keyed hash of account and network.
type Trace = [u8; 16];

/// Failed logins, and where good ones came from.
pub(crate) struct Guesses {
    pace: Pace,
    key: Zeroizing<[u8; 32]>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    traces: HashSet<Trace>,
    by_age: VecDeque<Trace>,
}

impl Guesses {
    pub(crate) fn new(env: &Environment) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        env.random.fill(&mut *key);
        Self { pace: Pace::of_failed_logins(), key, known: Mutex::default() }
    }

    /// A password was wrong.
    pub(crate) fn failed(&self, account: &str, network: Option<&str>, now: Moment) {
        match self.known_from(account, network) {
            Some(own) => self.pace.charge(&own, now),
            None => self.pace.charge(account, now),
        }
    }

    /// A password was right.
    pub(crate) fn succeeded(&self, account: &str, network: Option<&str>) {
        let Some(trace) = network.and_then(|network| self.trace(account, network)) else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.traces.insert(trace) {
            known.by_age.push_back(trace);
        }
        if known.by_age.len() > KNOWN_MAX
            && let Some(oldest) = known.by_age.pop_front()
        {
            known.traces.remove(&oldest);
        }
    }

    /// Tells until when a login waits, if it does.
    pub(crate) fn wait_until(&self, account: &str, network: Option<&str>, now: Moment) -> Option<Moment> {
        let (until, longest) = match self.known_from(account, network) {
            Some(own) => (self.pace.wait_until(&own, now), DELAY_MAX_KNOWN),
            None => (self.pace.wait_until(account, now), DELAY_MAX),
        };
        until.map(|until| until.min(now + longest))
    }

    /// The name of an account's own pace at a network where somebody has signed in to it.
    fn known_from(&self, account: &str, network: Option<&str>) -> Option<String> {
        let trace = self.trace(account, network?)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // no address has a space in it
        known
            .traces
            .contains(&trace)
            .then(|| trace.iter().fold(String::from(" "), |text, byte| format!("{text}{byte:02x}")))
    }

    fn trace(&self, account: &str, network: &str) -> Option<Trace> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).ok()?;
        mac.update(account.as_bytes());
        mac.update(b"\0");
        mac.update(network.as_bytes());
        mac.finalize().into_bytes().first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::ManualClock;

    fn guesses() -> Guesses {
        let random = Arc::new(crypto::random::SeededRandom::new(1));
        Guesses::new(&Environment::new(Arc::new(ManualClock::new()), random))
    }

    #[test]
    fn b13_who_has_signed_in_from_somewhere_waits_a_second_at_most() {
        let (guesses, now) = (guesses(), Moment::from_millis(1_000_000));
        guesses.succeeded("alice", Some("home"));
        for _ in 0..100 {
            guesses.failed("alice", Some("elsewhere"), now);
        }
        assert_eq!(guesses.wait_until("alice", Some("home"), now), None);
        assert_eq!(guesses.wait_until("alice", Some("another"), now), Some(now + DELAY_MAX));
        assert_eq!(guesses.wait_until("alice", None, now), Some(now + DELAY_MAX));
        // somebody at home guesses as well, and others elsewhere do not wait for that
        for _ in 0..100 {
            guesses.failed("alice", Some("home"), now);
            guesses.failed("bob", Some("home"), now);
        }
        assert_eq!(guesses.wait_until("alice", Some("home"), now), Some(now + DELAY_MAX_KNOWN));
        assert_eq!(guesses.wait_until("bob", Some("home"), now), Some(now + DELAY_MAX), "it is alice's home");
        assert_eq!(guesses.wait_until("carol", Some("home"), now), None);
    }

    #[test]
    fn b13_what_is_remembered_is_bounded_and_names_nobody() {
        let guesses = guesses();
        for nth in 0..KNOWN_MAX + 10 {
            guesses.succeeded("alice", Some(&nth.to_string()));
        }
        let known = guesses.known.lock().unwrap();
        assert_eq!((known.traces.len(), known.by_age.len()), (KNOWN_MAX, KNOWN_MAX));
        drop(known);
        assert!(guesses.known_from("alice", Some("0")).is_none(), "the oldest went first");
        let newest = (KNOWN_MAX + 9).to_string();
        assert!(guesses.known_from("alice", Some(&newest)).is_some_and(|name| !name.contains("alice")));
    }
}
