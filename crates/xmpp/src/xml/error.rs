//! What can be wrong with a peer's XML.

use std::fmt;

/// Why a peer's bytes are not acceptable XML. The stream that carried them is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmlError {
    /// Not well-formed, not namespace-well-formed, or not UTF-8.
    Malformed,
    /// A comment, processing instruction, document type or entity (RFC 6120 §11.1).
    Restricted,
    /// A prefix that nobody declared (RFC 6120 §4.9.3.1).
    UndeclaredPrefix,
    /// One of [`Limits`](super::Limits) is exceeded.
    TooLarge,
    /// Characters between stanzas that are not white space.
    StrayText,
}

impl XmlError {
    /// Returns the stream error condition for the wire (RFC 6120 §4.9.3).
    #[must_use]
    pub fn condition(&self) -> &'static str {
        match self {
            Self::Malformed => "not-well-formed",
            Self::Restricted => "restricted-xml",
            Self::UndeclaredPrefix => "bad-namespace-prefix",
            Self::TooLarge => "policy-violation",
            Self::StrayText => "bad-format",
        }
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the XML is not well-formed",
            Self::Restricted => "the XML has a construct that XMPP forbids",
            Self::UndeclaredPrefix => "the XML uses a prefix that nobody declared",
            Self::TooLarge => "the stanza exceeds a size limit",
            Self::StrayText => "there is text between stanzas",
        })
    }
}

impl std::error::Error for XmlError {}
