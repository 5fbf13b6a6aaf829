//! What is kept instead of a password, and how one is made.

use crypto::Random;
use xmpp::jid::BareJid;
use xmpp::sasl::{Hash, PasswordForms, ScramVerifier};
use zeroize::Zeroizing;

use super::{AccountError, Proposal};
use crate::Core;
use crate::tables::VerifierRow;

/// Letters and digits that nobody mistakes for each other: 32 of them, so that each is five bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Letters of a token or a password: 26 × 5 = 130 bits.
pub(crate) const STRONG_LEN: usize = 26;
/// Letters of a password that is written down by hand: 20 × 5 = 100 bits.
const PASSWORD_LEN: usize = 20;
/// Length of a salt, in bytes.
const SALT_LEN: usize = 16;

/// Draws `len` letters.
pub(crate) fn random_letters(random: &dyn Random, len: usize) -> String {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes.iter().filter_map(|b| ALPHABET.get(usize::from(b & 31))).map(|b| char::from(*b)).collect()
}

/// Makes a password of 100 bits, in groups of five letters.
#[must_use]
pub fn generate(random: &dyn Random) -> Zeroizing<String> {
    let letters = Zeroizing::new(random_letters(random, PASSWORD_LEN));
    let mut grouped = Zeroizing::new(String::with_capacity(PASSWORD_LEN + PASSWORD_LEN / 5));
    for (at, letter) in letters.chars().enumerate() {
        if at > 0 && at % 5 == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    grouped
}

/// Guesses that it takes at least to find a password, as a power of ten: twelve random characters, which zxcvbn counts as
/// ten possibilities each, and a little more than 39 bits.
const STRONG_GUESSES_LOG10: f64 = 39.0 * std::f64::consts::LOG10_2;

/// Characters that are looked at: the cost of looking grows with the square of them, and more can only make a password
/// stronger.
const LOOKED_AT: usize = 64;

/// Refuses a password that is easy to guess, for somebody who knows the name of the account too. Each form signs in, so each
/// is looked at, and not what was typed: preparation makes a simple password of full-width letters or soft hyphens.
///
/// # Errors
///
/// [`AccountError::WeakPassword`], with one to take instead.
pub(crate) fn check_strength(core: &Core, account: &BareJid, forms: &PasswordForms) -> Result<(), AccountError> {
    let known = [account.localpart().unwrap_or_default(), account.domainpart(), account.as_str()];
    let is_strong = |form: &Zeroizing<String>| {
        let end = form.char_indices().nth(LOOKED_AT).map_or(form.len(), |(at, _)| at);
        let looked_at = form.get(..end).unwrap_or_default();
        zxcvbn::zxcvbn(looked_at, &known).guesses_log10() >= STRONG_GUESSES_LOG10
    };
    if is_strong(&forms.first) && forms.other.as_ref().is_none_or(is_strong) {
        return Ok(());
    }
    Err(AccountError::WeakPassword(Proposal::new(generate(&*core.env.random))))
}

/// Computes what checks a password of an account, for each hash that we offer.
///
/// # Errors
///
/// [`AccountError::InvalidPassword`] when it cannot be one, [`AccountError::WeakPassword`], [`AccountError::Busy`].
pub async fn verifiers(core: &Core, account: &BareJid, password: &str) -> Result<Vec<VerifierRow>, AccountError> {
    let forms = PasswordForms::of(password).map_err(|_| AccountError::InvalidPassword)?;
    check_strength(core, account, &forms)?;
    let salted = Hash::ALL.map(|hash| {
        let mut salt = [0; SALT_LEN];
        core.env.random.fill(&mut salt);
        (hash, salt)
    });
    let (password, iterations) = (Zeroizing::new(password.to_owned()), core.config.scram_iterations);
    // a good part of a second on purpose, which nobody else is to wait for
    let derived = core.env.work(move || {
        let derive = |(hash, salt): (Hash, [u8; SALT_LEN])| {
            let verifier = ScramVerifier::derive(hash, &password, &salt, iterations);
            let verifier = verifier.map_err(|_| AccountError::InvalidPassword)?;
            VerifierRow::of(hash, &verifier).ok_or(AccountError::InvalidPassword)
        };
        salted.into_iter().map(derive).collect()
    });
    derived.await.unwrap_or(Err(AccountError::Busy))
}
