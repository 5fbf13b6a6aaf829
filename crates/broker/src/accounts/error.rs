//! Why an account is not made or changed.

use std::fmt;

use store::StoreError;
use xmpp::stanza::{Condition, StanzaError};
use zeroize::Zeroizing;

/// A password that the broker proposes instead of a weak one. It is kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(Zeroizing<String>);

impl Proposal {
    pub(crate) fn new(password: Zeroizing<String>) -> Self {
        Self(password)
    }

    /// Returns the password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Why an account was not made, changed or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The name cannot be the localpart of an address.
    InvalidName,
    /// Somebody has the name, had it once, or it is kept.
    NameTaken,
    /// The name looks official, and the operator did not say that this is meant.
    NameReserved,
    /// The password cannot be one.
    InvalidPassword,
    /// The password is easy to guess. The broker proposes another.
    WeakPassword(Proposal),
    /// There is no such account.
    NotFound,
    /// The invitation is unknown, used up or over.
    InvalidToken,
    /// The invitation is for another name.
    OtherName,
    /// The invitation was told often enough that a name is taken: it is not for finding out who has an account.
    TooManyNames,
    /// One needs an invitation here.
    InvitationNeeded,
    /// Too many ask for new passwords at this moment.
    Busy,
    /// The disk does not obey.
    Store(StoreError),
}

impl AccountError {
    /// Returns the words for a person.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self {
            Self::InvalidName => "This name cannot be used. Use letters, digits, dots and dashes.",
            Self::NameTaken => "This name is taken.",
            Self::NameReserved => "This name is kept for whoever runs this server.",
            Self::InvalidPassword => "This password cannot be used.",
            Self::WeakPassword(_) => {
                "This password is easy to guess. Choose a longer one: twelve random characters, or several words that do \
                 not belong together."
            }
            Self::NotFound => "There is no such account.",
            Self::InvalidToken => "The provided token is invalid or expired",
            Self::OtherName => "This invitation is for another name.",
            Self::TooManyNames => {
                "Too many names were tried with this invitation, so it is no longer good. Ask for a new one."
            }
            Self::InvitationNeeded => "One needs an invitation to register here.",
            Self::Busy => "Too many people are setting passwords here at this moment. Try again in a minute.",
            Self::Store(_) => "The server cannot save this now. Try again later.",
        }
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl std::error::Error for AccountError {}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<&AccountError> for StanzaError {
    fn from(error: &AccountError) -> Self {
        let condition = match error {
            AccountError::WeakPassword(proposal) => {
                // in words too, for apps that know nothing of our element
                let words = format!("{} For example: {}", error.words(), proposal.expose());
                return xep::ibr::weak_password(&words, proposal.expose());
            }
            AccountError::InvalidName | AccountError::InvalidPassword => Condition::NotAcceptable,
            AccountError::NameTaken | AccountError::NameReserved => Condition::Conflict,
            AccountError::NotFound | AccountError::InvalidToken => Condition::ItemNotFound,
            AccountError::OtherName | AccountError::InvitationNeeded => Condition::NotAllowed,
            AccountError::Busy => Condition::ResourceConstraint,
            AccountError::TooManyNames => Condition::PolicyViolation,
            AccountError::Store(_) => Condition::InternalServerError,
        };
        Self::new(condition).with_text(error.words())
    }
}
