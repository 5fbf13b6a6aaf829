//! Links: `xmpp:` URIs (RFC 5122), the actions in them (XEP-0147), and what Waxwing adds.
//!
//! [`XmppUri`] is the syntax: an address, an action and pairs of key and value, whatever they mean. [`Link`] is the
//! meaning of the actions that we act on: inviting (XEP-0379, 0401, 0445), verifying (XEP-0434), linking two brokers,
//! and writing to somebody. Both are bounded, and what one writes it reads back the same.
//!
//! Ours are `wx-pin`, the hash of a broker's TLS key, and `wx-at`, where to reach it without DNS (security-design
//! §3.3); other clients ignore keys that they do not know (RFC 5122 §2.5).

mod endpoint;
mod link;
mod percent;
mod syntax;

use std::fmt;

use xmpp::jid::JidError;

pub use endpoint::{Endpoint, Host};
pub use link::{Action, Link, TrustKeys};
pub use syntax::XmppUri;

use crate::{Claim, Status};

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 147, version: "1.2", status: Status::Partial, features: &[] };

/// Longest link read or written, in bytes.
pub const BYTES_MAX: usize = 8192;

/// Why a text is no link that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// Longer than [`BYTES_MAX`], or too many keys.
    TooLong,
    /// Does not begin with `xmpp:`.
    Scheme,
    /// The address in it is none.
    Address(JidError),
    /// A percent sign without two hexadecimal digits, bytes that are no UTF-8, or a control character.
    Escape,
    /// The query is not `action;key=value;…`.
    Query,
    /// `wx-pin` is no SHA-256 in URL-safe base64.
    Pin,
    /// `wx-at` is no list of `host:port`.
    Endpoint,
    /// A key in `trust` or `distrust` is no 32 bytes in hexadecimal, or the encryption is not named.
    TrustKey,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the link is too long"),
            Self::Scheme => f.write_str("the link does not begin with xmpp:"),
            Self::Address(error) => write!(f, "the address in the link is wrong: {error}"),
            Self::Escape => f.write_str("the link is damaged (a % escape is wrong)"),
            Self::Query => f.write_str("the link is damaged (the part after the ? is wrong)"),
            Self::Pin => f.write_str("the link is damaged (wx-pin is wrong)"),
            Self::Endpoint => f.write_str("the link is damaged (wx-at is wrong)"),
            Self::TrustKey => f.write_str("the link is damaged (a key in it is wrong)"),
        }
    }
}

impl std::error::Error for UriError {}

impl From<JidError> for UriError {
    fn from(error: JidError) -> Self {
        Self::Address(error)
    }
}

#[cfg(test)]
mod tests;
