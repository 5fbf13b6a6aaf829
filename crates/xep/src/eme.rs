//! Explicit message encryption (XEP-0380): tells clients that cannot decrypt how a message is encrypted.

use xmpp::xml::Element;

use crate::omemo::Version;
use crate::{Claim, Status};

/// Namespace of `<encryption/>`.
pub const NS: &str = "urn:xmpp:eme:0";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 380, version: "0.4.0", status: Status::Complete, features: &[NS] };

/// Longest name of a method that is shown.
const NAME_CHARS_MAX: usize = 64;

/// How a message is encrypted, in its sender's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The namespace of the encryption.
    pub namespace: String,
    /// What people call it.
    pub name: Option<String>,
}

impl Encryption {
    /// Describes a version of OMEMO.
    #[must_use]
    pub fn omemo(version: Version) -> Self {
        Self { namespace: version.ns().to_owned(), name: Some("OMEMO".to_owned()) }
    }

    /// Reads the first `<encryption/>` of a stanza.
    #[must_use]
    pub fn of_stanza(stanza: &Element) -> Option<Self> {
        let element = stanza.child("encryption", NS)?;
        let namespace = element.attr("namespace").filter(|ns| !ns.is_empty())?;
        let name = element.attr("name").map(|name| name.chars().take(NAME_CHARS_MAX).collect());
        Some(Self { namespace: namespace.to_owned(), name })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("encryption", NS)
            .with_attr("namespace", self.namespace.as_str())
            .with_attr_opt("name", self.name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for version in Version::STRONGEST_FIRST {
            let encryption = Encryption::omemo(version);
            let stanza = Element::new("message", "jabber:client").with_child(encryption.to_element());
            assert_eq!(Encryption::of_stanza(&stanza), Some(encryption));
        }
        let without = Element::new("message", "jabber:client").with_child(Element::new("encryption", NS));
        assert_eq!(Encryption::of_stanza(&without), None);
    }
}
