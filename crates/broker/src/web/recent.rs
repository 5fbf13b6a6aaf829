//! What the pages remember of accounts that were made a moment ago, so that a page that is loaded again still shows the
//! password.
//!
//! The broker draws the password when it shows the form, and the form carries it, with a proof that it is ours. So a form
//! that the browser sends once more (a reload) is answered with the same page, and nothing was kept. Only when the person
//! asks for it is the password itself kept, in memory, under an address that nobody can guess, until they say that they
//! have it or half an hour has passed: phones throw pages away while an app is being installed.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crypto::Random;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use xmpp::jid::BareJid;
use xmpp::time::Moment;
use zeroize::Zeroizing;

/// How long an account counts as made a moment ago, and how long a password is kept for who asks for it.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Accounts that are remembered at the same time; the oldest goes first.
const MADE_MAX: usize = 500;

/// Proves that a password in a form is one that we drew for this invitation.
type Proof = [u8; 32];

/// See the module.
pub(crate) struct Recent {
    key: Zeroizing<[u8; 32]>,
    made: Mutex<Vec<Made>>,
}

struct Made {
    token: String,
    address: BareJid,
    proof: Proof,
    until: Moment,
    kept: Option<Kept>,
}

struct Kept {
    id: String,
    password: Zeroizing<String>,
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}

impl Recent {
    pub(crate) fn new(random: &dyn Random) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        Self { key, made: Mutex::default() }
    }

    /// The proof that goes into a form beside a password, in hexadecimal digits.
    pub(super) fn proof(&self, token: &str, password: &str) -> String {
        self.mac(token, password).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tells whether a password in a form is one that we drew for this invitation.
    pub(super) fn is_ours(&self, token: &str, password: &str, proof: &str) -> bool {
        let expected = Zeroizing::new(self.proof(token, password));
        expected.as_bytes().ct_eq(proof.as_bytes()).into()
    }

    /// Remembers, without the password, that an account was made.
    pub(super) fn remember(&self, token: &str, address: &BareJid, password: &str, now: Moment) {
        let mut made = self.made(now);
        if made.len() >= MADE_MAX {
            made.remove(0);
        }
        let proof = self.mac(token, password);
        made.push(Made { token: token.to_owned(), address: address.clone(), proof, until: now + LIFETIME, kept: None });
    }

    /// Returns the account that was made a moment ago with this invitation and this password.
    pub(super) fn made_with(&self, token: &str, password: &str, now: Moment) -> Option<BareJid> {
        let proof = self.mac(token, password);
        self.made(now).iter().find(|made| made.is(token, &proof)).map(|made| made.address.clone())
    }

    /// Keeps the password of an account that was made a moment ago, and returns the name under which it is kept.
    pub(super) fn keep(&self, token: &str, password: &str, id: String, now: Moment) -> Option<String> {
        let proof = self.mac(token, password);
        let mut all = self.made(now);
        let made = all.iter_mut().find(|made| made.is(token, &proof))?;
        made.until = now + LIFETIME;
        let kept = made.kept.get_or_insert_with(|| Kept { id, password: Zeroizing::new(password.to_owned()) });
        Some(kept.id.clone())
    }

    /// Returns what is kept under a name.
    pub(super) fn kept(&self, id: &str, now: Moment) -> Option<(BareJid, Zeroizing<String>)> {
        let all = self.made(now);
        let is_it = |kept: &Kept| bool::from(kept.id.as_bytes().ct_eq(id.as_bytes()));
        let made = all.iter().find(|made| made.kept.as_ref().is_some_and(is_it))?;
        Some((made.address.clone(), made.kept.as_ref()?.password.clone()))
    }

    /// Forgets what is kept under a name. Tells whether there was something.
    pub(super) fn forget(&self, id: &str, now: Moment) -> bool {
        let mut all = self.made(now);
        let before = all.len();
        all.retain(|made| made.kept.as_ref().is_none_or(|kept| !bool::from(kept.id.as_bytes().ct_eq(id.as_bytes()))));
        all.len() < before
    }

    /// Forgets what is over.
    pub(super) fn forget_old(&self, now: Moment) {
        drop(self.made(now));
    }

    /// What was made and is not over.
    fn made(&self, now: Moment) -> MutexGuard<'_, Vec<Made>> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|made| made.until > now);
        made
    }

    fn mac(&self, token: &str, password: &str) -> Proof {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).expect("HMAC takes keys of every length");
        mac.update(&(token.len() as u64).to_be_bytes());
        mac.update(token.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Made {
    fn is(&self, token: &str, proof: &Proof) -> bool {
        self.token == token && bool::from(self.proof.ct_eq(proof))
    }
}
