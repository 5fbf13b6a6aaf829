//! Cryptographic hash functions (XEP-0300): a hash with the name of its function, as elements carry it.

use std::fmt;

use sha2::{Digest, Sha256, Sha512};
use xmpp::xml::Element;

use crate::encoding::{base64, parse_base64};
use crate::{Claim, Malformed, Status};

/// Namespace of `<hash/>`.
pub const NS: &str = "urn:xmpp:hashes:2";

/// What this module claims.
pub const CLAIM: Claim = Claim {
    xep: 300,
    version: "1.0.0",
    status: Status::Complete,
    features: &[NS, "urn:xmpp:hash-function-text-names:sha-256", "urn:xmpp:hash-function-text-names:sha-512"],
};

/// Longest hash of any function.
const BYTES_MAX: usize = 64;
/// Longest name of a function.
const ALGO_BYTES_MAX: usize = 32;

/// A hash and the name of its function.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    /// The function's name, `sha-256` for example.
    pub algo: String,
    /// The hash.
    pub value: Vec<u8>,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(<redacted>)")
    }
}

impl Hash {
    /// Hashes bytes with SHA-256.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of_sha256(Sha256::digest(bytes).into())
    }

    /// Wraps a SHA-256 that was computed elsewhere.
    #[must_use]
    pub fn of_sha256(value: [u8; 32]) -> Self {
        Self { algo: "sha-256".to_owned(), value: value.to_vec() }
    }

    /// Reads a `<hash/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it names no function or its text is no base64.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("hash", NS) {
            return Err(Malformed("not a hash"));
        }
        let algo = element.attr("algo").filter(|a| !a.is_empty() && a.len() <= ALGO_BYTES_MAX);
        let algo = algo.ok_or(Malformed("the hash names no function"))?.to_owned();
        let value = parse_base64(&element.text(), BYTES_MAX)?;
        Ok(Self { algo, value })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("hash", NS).with_attr("algo", self.algo.as_str()).with_text(base64(&self.value))
    }

    /// Compares with the hash of `bytes`; none when the function is unknown to us, or too weak to rely on.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> Option<bool> {
        match self.algo.as_str() {
            "sha-256" => Some(self.value == Sha256::digest(bytes).as_slice()),
            "sha-512" => Some(self.value == Sha512::digest(bytes).as_slice()),
            _ => None,
        }
    }
}

/// Reads the hashes among an element's children; broken ones are left out, and so are those past the eighth.
#[must_use]
pub fn of_children(parent: &Element) -> Vec<Hash> {
    parent.children().filter_map(|c| Hash::parse(c).ok()).take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_compares() {
        let hash = Hash::sha256(b"abc");
        assert_eq!(Hash::parse(&hash.to_element()), Ok(hash.clone()));
        assert_eq!(hash.to_element().text(), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert_eq!((hash.matches(b"abc"), hash.matches(b"abd")), (Some(true), Some(false)));
        let unknown = Hash { algo: "sha-1".into(), value: vec![0; 20] };
        assert_eq!(unknown.matches(b""), None);
    }

    #[test]
    fn broken_hashes_are_left_out() {
        let parent = Element::new("file", "x")
            .with_child(Element::new("hash", NS).with_text("AAAA"))
            .with_child(Element::new("hash", NS).with_attr("algo", "sha-256").with_text("*"))
            .with_children(vec![Hash::sha256(b"abc").to_element(); 20]);
        assert_eq!(of_children(&parent), vec![Hash::sha256(b"abc"); 8]);
    }
}
