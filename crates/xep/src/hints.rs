//! Message processing hints (XEP-0334): what servers should do with a message that they cannot read.

use xmpp::xml::Element;

use crate::{Claim, Status};

/// Namespace of all hints.
pub const NS: &str = "urn:xmpp:hints";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 334, version: "1.0.0", status: Status::Complete, features: &[NS] };

/// A hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// Keep the message although it has no body: every encrypted message asks for it.
    Store,
    /// Do not keep it, neither for later delivery nor in an archive.
    NoStore,
    /// Do not archive it, but deliver it later.
    NoPermanentStore,
    /// Do not copy it to other resources.
    NoCopy,
}

impl Hint {
    const ALL: [Self; 4] = [Self::Store, Self::NoStore, Self::NoPermanentStore, Self::NoCopy];

    /// The element's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::NoStore => "no-store",
            Self::NoPermanentStore => "no-permanent-store",
            Self::NoCopy => "no-copy",
        }
    }

    /// Reads a hint; unknown ones are no error, they say nothing to us.
    #[must_use]
    pub fn parse(element: &Element) -> Option<Self> {
        Self::ALL.into_iter().find(|hint| element.is(hint.as_str(), NS))
    }

    /// Writes the hint.
    #[must_use]
    pub fn to_element(self) -> Element {
        Element::new(self.as_str(), NS)
    }

    /// Tells whether a stanza carries the hint.
    #[must_use]
    pub fn is_on(self, stanza: &Element) -> bool {
        stanza.child(self.as_str(), NS).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_round_trips() {
        for hint in Hint::ALL {
            assert_eq!(Hint::parse(&hint.to_element()), Some(hint));
            assert!(hint.is_on(&Element::new("message", "jabber:client").with_child(hint.to_element())));
        }
        assert_eq!(Hint::parse(&Element::new("store", "urn:other")), None);
        assert!(!Hint::Store.is_on(&Element::new("message", "jabber:client")));
    }
}
