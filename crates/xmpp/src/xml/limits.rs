//! How much XML a peer may send.

/// Longest name of a namespace, in bytes; real ones have less than a hundred.
///
/// Every element of a tree holds the name of its namespace, so one long name and thousands of short elements would take
/// thousands of times the memory that they take on the wire.
pub(super) const NAMESPACE_BYTES_MAX: usize = 1024;

/// Bounds on one stream's XML; each is checked before memory is set aside for what exceeds it.
///
/// Source: security-design §6 ("XML"), advertised as XEP-0478 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest top-level element, in bytes.
    pub stanza_bytes: usize,
    /// Deepest nesting inside one top-level element, which itself is depth 1.
    pub depth: usize,
    /// Most attributes on one element, namespace declarations not counted.
    pub attributes: usize,
    /// Most namespace declarations on one element.
    pub declarations: usize,
    /// Longest element or attribute name, in bytes.
    pub name_bytes: usize,
    /// Most elements inside one top-level element, at all depths.
    pub children: usize,
}

impl Limits {
    /// Bounds before the peer has proved who it is.
    pub const PRE_AUTH: Self = Self::with_stanza_bytes(10_000);
    /// Bounds on an authenticated client's stream.
    pub const CLIENT: Self = Self::with_stanza_bytes(262_144);
    /// Bounds on an authenticated server's stream.
    ///
    /// A server adds addresses to what its client has sent, so it gets more than a client: or one client with a stanza at
    /// its bounds could have the connection of two servers cut.
    pub const SERVER: Self = Self::with_room(524_288, 8, 16);
    /// Bounds on what a client accepts from its own server, which adds addresses and times to what others have sent: or a
    /// stanza at the bounds would cut the connection again at each delivery.
    pub const OWN_SERVER: Self = Self::with_room(524_288 + 65_536, 16, 64);

    /// Makes the default bounds with another stanza size.
    #[must_use]
    pub const fn with_stanza_bytes(stanza_bytes: usize) -> Self {
        Self { stanza_bytes, depth: 48, attributes: 64, declarations: 32, name_bytes: 256, children: 4096 }
    }

    const fn with_room(stanza_bytes: usize, attributes: usize, children: usize) -> Self {
        let usual = Self::with_stanza_bytes(stanza_bytes);
        Self { attributes: usual.attributes + attributes, children: usual.children + children, ..usual }
    }
}
