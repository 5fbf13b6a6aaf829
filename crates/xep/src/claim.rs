//! What each extension says about itself.

/// How much of a specification is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Everything that the specification demands of our part in it.
    Complete,
    /// A part; the module's own text says which.
    Partial,
    /// Nothing beyond the types on the wire.
    WireOnly,
}

impl Status {
    /// Returns the word for it in DOAP files (XEP-0453 §3).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial | Self::WireOnly => "partial",
        }
    }
}

/// What a module claims to implement: stands beside the code, feeds service discovery and the conformance lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Number of the XEP; 0 where the source is an RFC or our own design.
    pub xep: u16,
    /// Version of the specification that was read.
    pub version: &'static str,
    /// How much of it is done.
    pub status: Status,
    /// Features that service discovery announces (XEP-0030 §3.1).
    pub features: &'static [&'static str],
}
