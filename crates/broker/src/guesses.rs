//! [`Guesses`]: how fast passwords may be guessed, without the guesser locking the owner out.
//!
//! All networks from which nobody has signed in to an account share one pace of failures for it, so that many networks
//! guess no faster than one. A network from which somebody has signed in has a pace of its own: there the owner does not
//! wait for what others do elsewhere, and never longer than a second.
//!
//! A guess is charged when the login begins and given back when the password was right, so that many connections at once
//! guess no faster than one after the other. Once an account has seen too many, its logins go on one at a time, each at
//! least the longest delay after the one before; the network that came last lets others go first, so that one network
//! with many connections does not keep the owner out who comes from another.
//!
//! What is remembered is in memory only, and holds no network and no name: keyed hashes, under a key of this process.
//! Absent: devices. Before the password there is nothing by which a device could be told from another.

use std::collections::{HashMap, HashSet, VecDeque};
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

/// How long the network that came last lets others go first.
const YIELD: Duration = Duration::from_secs(1);

/// Accounts whose logins go on one at a time; beyond it those are forgotten whose next may go on, then all.
const TURNS_MAX: usize = 10_000;

/// Pairs of account and network that are remembered; the oldest go first.
const KNOWN_MAX: usize = 50_000;

/// A keyed hash of account and network.
type Trace = [u8; 16];

/// Failed logins, and where good ones came from.
pub(crate) struct Guesses {
    pace: Pace,
    key: Zeroizing<[u8; 32]>,
    known: Mutex<Known>,
    /// By the name of the pace.
    turns: Mutex<HashMap<Box<str>, Turn>>,
}

/// When the next login of an account may go on that has seen too many wrong passwords.
struct Turn {
    next: Moment,
    /// Where the one before came from.
    last: Option<Trace>,
}

/// A guess that is charged before anybody knows whether it is right.
#[must_use]
pub(crate) struct Admitted {
    pace: Box<str>,
    taken: i64,
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
        Self { pace: Pace::of_failed_logins(), key, known: Mutex::default(), turns: Mutex::default() }
    }

    /// A login begins, or has waited: it goes on, or waits until then and asks again. It counts as a guess until
    /// [`Guesses::succeeded`] gets what this returns.
    pub(crate) fn admit(&self, account: &str, network: Option<&str>, now: Moment) -> Result<Admitted, Moment> {
        let (pace, longest) = self.pace_of(account, network);
        let trace = network.and_then(|network| self.trace(account, network));
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner); // held until it is charged
        if let Some(until) = self.pace.wait_until(&pace, now) {
            // forgotten among very many, or there since this moment
            let next = turns.entry(pace.clone()).or_insert_with(|| Turn { next: until.min(now + longest), last: None });
            let yields = longest == DELAY_MAX && trace.is_some() && next.last == trace;
            let at = if yields { next.next + YIELD } else { next.next };
            if at > now {
                return Err(at);
            }
        }
        Ok(self.charge(&mut turns, pace, longest, trace, now))
    }

    fn charge(
        &self,
        turns: &mut HashMap<Box<str>, Turn>,
        pace: Box<str>,
        longest: Duration,
        last: Option<Trace>,
        now: Moment,
    ) -> Admitted {
        let taken = self.pace.charge(&pace, now);
        if let Some(until) = self.pace.wait_until(&pace, now) {
            if turns.len() >= TURNS_MAX && !turns.contains_key(&pace) {
                turns.retain(|_, turn| turn.next > now);
                if turns.len() >= TURNS_MAX {
                    turns.clear();
                }
            }
            turns.insert(pace.clone(), Turn { next: until.min(now + longest), last });
        } else {
            turns.remove(&pace);
        }
        Admitted { pace, taken }
    }

    /// The name of a pace, and the longest that a login waits for it.
    fn pace_of(&self, account: &str, network: Option<&str>) -> (Box<str>, Duration) {
        match self.known_from(account, network) {
            Some(own) => (own.into(), DELAY_MAX_KNOWN),
            None => (account.into(), DELAY_MAX),
        }
    }

    /// A password was right.
    pub(crate) fn succeeded(&self, account: &str, network: Option<&str>, admitted: Option<Admitted>) {
        if let Some(Admitted { pace, taken }) = admitted {
            self.pace.give_back(&pace, taken);
        }
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

    /// So many wrong passwords, each tried as soon as may be without waiting; and until when the next one waits.
    fn fail(guesses: &Guesses, account: &str, network: Option<&str>, now: Moment) -> (usize, Moment) {
        let mut tried = 0;
        loop {
            match guesses.admit(account, network, now) {
                Ok(_) => tried += 1,
                Err(until) => return (tried, until),
            }
        }
    }

    fn wait(guesses: &Guesses, account: &str, network: Option<&str>, now: Moment) -> Option<Moment> {
        guesses.admit(account, network, now).err()
    }

    #[test]
    fn b13_who_has_signed_in_from_somewhere_waits_a_second_at_most() {
        let (guesses, now) = (guesses(), Moment::from_millis(1_000_000));
        guesses.succeeded("alice", Some("home"), None);
        let (tried, until) = fail(&guesses, "alice", Some("elsewhere"), now);
        assert_eq!((tried, until), (6, now + DELAY_MAX + YIELD), "whoever came last lets others go first");
        assert_eq!(wait(&guesses, "alice", Some("another"), now), Some(now + DELAY_MAX));
        assert_eq!(wait(&guesses, "alice", None, now), Some(now + DELAY_MAX));
        // somebody at home guesses as well, and others elsewhere do not wait for that
        assert_eq!(fail(&guesses, "alice", Some("home"), now), (6, now + DELAY_MAX_KNOWN));
        assert_eq!(fail(&guesses, "bob", Some("home"), now).1, now + DELAY_MAX + YIELD, "it is alice's home");
        assert_eq!(wait(&guesses, "carol", Some("home"), now), None);
    }

    #[test]
    fn b13_many_connections_at_once_guess_no_faster_than_one() {
        let (guesses, start) = (guesses(), Moment::from_millis(1_000_000));
        // a thousand connections that have all begun, and ask again whenever they may
        let mut waiting: Vec<Moment> = vec![start; 1000];
        let mut tried = 0;
        for second in 0..600_u64 {
            let now = start + Duration::from_secs(second);
            for at in waiting.iter_mut().filter(|at| **at <= now) {
                match guesses.admit("alice", Some("elsewhere"), now) {
                    Ok(_) => tried += 1, // wrong; the next one begins in its place
                    Err(until) => *at = until,
                }
            }
        }
        assert!((50..=70).contains(&tried), "{tried}: six at once, then one in ten seconds");
    }

    #[test]
    fn b13_many_connections_of_one_network_do_not_keep_the_owner_out() {
        let (guesses, now) = (guesses(), Moment::from_millis(1_000_000));
        let until = fail(&guesses, "alice", Some("elsewhere"), now).1;
        let own = wait(&guesses, "alice", Some("train"), now);
        assert_eq!(own, Some(now + DELAY_MAX));
        let then = now + DELAY_MAX;
        assert_eq!(wait(&guesses, "alice", Some("elsewhere"), then), Some(until), "it waits longer than others");
        let admitted = guesses.admit("alice", Some("train"), then).ok();
        assert!(admitted.is_some());
        assert!(guesses.admit("alice", Some("elsewhere"), until).is_err(), "one at a time");
        guesses.succeeded("alice", Some("train"), admitted);
        assert_eq!(wait(&guesses, "alice", Some("train"), then), None, "and is known there now");
    }

    #[test]
    fn what_was_right_is_no_guess() {
        let (guesses, now) = (guesses(), Moment::from_millis(1_000_000));
        for _ in 0..100 {
            let admitted = guesses.admit("alice", None, now).ok();
            assert!(admitted.is_some());
            guesses.succeeded("alice", None, admitted);
        }
        assert_eq!(fail(&guesses, "alice", None, now).0, 6);
    }

    #[test]
    fn b13_what_is_remembered_is_bounded_and_names_nobody() {
        let guesses = guesses();
        for nth in 0..KNOWN_MAX + 10 {
            guesses.succeeded("alice", Some(&nth.to_string()), None);
        }
        let known = guesses.known.lock().unwrap();
        assert_eq!((known.traces.len(), known.by_age.len()), (KNOWN_MAX, KNOWN_MAX));
        drop(known);
        assert!(guesses.known_from("alice", Some("0")).is_none(), "the oldest went first");
        let newest = (KNOWN_MAX + 9).to_string();
        assert!(guesses.known_from("alice", Some(&newest)).is_some_and(|name| !name.contains("alice")));
    }
}
