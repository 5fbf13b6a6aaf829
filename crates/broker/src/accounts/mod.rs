//! Accounts: making, changing and closing them, over the stream (XEP-0077, XEP-0445), the page and the operator.
//!
//! Knows who may have which name ([`names`]), what is kept instead of a password ([`password`]), and that whatever an
//! account leaves behind goes with it ([`lifecycle`]). The pace of guessing is the session's.
//!
//! A name that was ever in use is not given out again: whoever came later would receive what is meant for the first.

mod error;
pub mod lifecycle;
pub mod names;
pub mod password;
pub mod registration;

#[cfg(test)]
mod tests;

pub use error::{AccountError, Proposal};
pub use lifecycle::{change_password, create, create_by_operator, delete, finish_deletions, reset_password};
pub use registration::PreAuth;

/// What an operator can choose about accounts.
#[derive(Debug, Clone, Default)]
pub struct AccountSettings {
    /// Anybody may register, without an invitation.
    pub is_open: bool,
    /// Localparts that nobody gets, besides the usual ones ([`names::RESERVED`]).
    pub reserved_names: Vec<String>,
}
