//! The one way in which reading an extension's element fails.

use std::fmt;

use xmpp::stanza::{Condition, StanzaError};

/// An element is not of the form that its specification demands.
///
/// Says which rule was broken, in words of our own; never what the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

impl From<&Malformed> for StanzaError {
    fn from(fault: &Malformed) -> Self {
        Self::new(Condition::BadRequest).with_text(fault.0)
    }
}

impl From<Malformed> for StanzaError {
    fn from(fault: Malformed) -> Self {
        Self::from(&fault)
    }
}
