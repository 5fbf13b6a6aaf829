//! Why an account is not made or changed.

use std::fmt;

use store::StoreError;
use xmpp::stanza::{Condition, StanzaError};

/// Why an account was not made, changed or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// The name cannot be the localpart of an address.
    InvalidName,
    /// Somebody has the name, had it once, or it is kept.
    NameTaken,
    /// The password cannot be one.
    InvalidPassword,
    /// There is no such account.
    NotFound,
    /// The invitation is unknown, used up or over.
    InvalidToken,
    /// The invitation is for another name.
    OtherName,
    /// One needs an invitation here.
    InvitationNeeded,
    /// The disk does not obey.
    Store(StoreError),
}

impl AccountError {
    /// Returns the words for a person.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::InvalidName => "This name cannot be used. Use letters, digits, dots and dashes.",
            Self::NameTaken => "This name is taken.",
            Self::InvalidPassword => "This password cannot be used.",
            Self::NotFound => "There is no such account.",
            Self::InvalidToken => "The provided token is invalid or expired",
            Self::OtherName => "This invitation is for another name.",
            Self::InvitationNeeded => "One needs an invitation to register here.",
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
            AccountError::InvalidName | AccountError::InvalidPassword => Condition::NotAcceptable,
            AccountError::NameTaken => Condition::Conflict,
            AccountError::NotFound | AccountError::InvalidToken => Condition::ItemNotFound,
            AccountError::OtherName | AccountError::InvitationNeeded => Condition::NotAllowed,
            AccountError::Store(_) => Condition::InternalServerError,
        };
        Self::new(condition).with_text(error.words())
    }
}
