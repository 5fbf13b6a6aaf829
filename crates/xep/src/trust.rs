//! Trust messages (XEP-0434): somebody's word about whose keys are whose.
//!
//! The types on the wire only. Who may be believed is the client's decision (XEP-0450, attack row C17); links carry the
//! same in [`crate::uri`].

use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::encoding::{base64, parse_base64};
use crate::{Claim, Malformed, Status};

/// Namespace of `<trust-message/>`.
pub const NS: &str = "urn:xmpp:tm:1";
/// The usage of automatic trust management (XEP-0450).
pub const USAGE_ATM: &str = "urn:xmpp:atm:1";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 434, version: "0.6.0", status: Status::WireOnly, features: &[] };

/// The most key owners and, for each, keys that are read.
const ENTRIES_MAX: usize = 128;
/// Longest key identifier.
const KEY_BYTES_MAX: usize = 64;

/// What is said about the keys of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// The person.
    pub jid: BareJid,
    /// Identifiers of keys that are hers.
    pub trust: Vec<Vec<u8>>,
    /// Identifiers of keys that are not.
    pub distrust: Vec<Vec<u8>>,
}

/// A `<trust-message/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustMessage {
    /// The protocol that it belongs to.
    pub usage: String,
    /// The encryption whose keys they are.
    pub encryption: String,
    /// What is said; at least one person.
    pub owners: Vec<KeyOwner>,
}

impl TrustMessage {
    /// Reads a `<trust-message/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when anything in it is wrong: half of a decision about trust is not to be acted on.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("trust-message", NS) {
            return Err(Malformed("not a trust message"));
        }
        let attr = |name: &str| element.attr(name).map(str::to_owned).ok_or(Malformed("an attribute is missing"));
        let owners: Vec<_> = element.children().filter(|c| c.is("key-owner", NS)).collect();
        if owners.is_empty() || owners.len() > ENTRIES_MAX {
            return Err(Malformed("too few or too many key owners"));
        }
        let owners = owners.into_iter().map(parse_owner).collect::<Result<_, _>>()?;
        Ok(Self { usage: attr("usage")?, encryption: attr("encryption")?, owners })
    }

    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let key = |name: &'static str| move |key: &Vec<u8>| Element::new(name, NS).with_text(base64(key));
        let owners = self.owners.iter().map(|owner| {
            Element::new("key-owner", NS)
                .with_attr("jid", owner.jid.as_str())
                .with_children(owner.trust.iter().map(key("trust")))
                .with_children(owner.distrust.iter().map(key("distrust")))
        });
        Element::new("trust-message", NS)
            .with_attr("usage", self.usage.as_str())
            .with_attr("encryption", self.encryption.as_str())
            .with_children(owners)
    }
}

fn parse_owner(element: &Element) -> Result<KeyOwner, Malformed> {
    let jid = element.attr("jid").and_then(|jid| BareJid::parse(jid).ok()).ok_or(Malformed("keys of nobody"))?;
    let keys = |name: &str| -> Result<Vec<Vec<u8>>, Malformed> {
        let found: Vec<_> = element.children().filter(|c| c.is(name, NS)).take(ENTRIES_MAX + 1).collect();
        if found.len() > ENTRIES_MAX {
            return Err(Malformed("too many keys"));
        }
        found.into_iter().map(|key| parse_base64(&key.text(), KEY_BYTES_MAX)).collect()
    };
    let owner = KeyOwner { jid, trust: keys("trust")?, distrust: keys("distrust")? };
    if owner.trust.iter().any(|key| owner.distrust.contains(key)) {
        return Err(Malformed("a key both trusted and not"));
    }
    if owner.trust.is_empty() && owner.distrust.is_empty() { Err(Malformed("no keys")) } else { Ok(owner) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    /// XEP-0434 §4, example 1.
    const EXAMPLE: &str = "<trust-message xmlns='urn:xmpp:tm:1' usage='urn:xmpp:atm:1' encryption='urn:xmpp:omemo:2'>
      <key-owner jid='alice@example.org'>
        <trust>aFABnX7Q/rbTgjBySYzrT2FsYCVYb49mbca5yB734KQ=</trust>
        <trust>IhpPjiKLchgrAG5cpSfTvdzPjZ5v6vTOluHEUehkgCA=</trust>
      </key-owner>
      <key-owner jid='bob@example.com'>
        <trust>YjVI04NcbTPvXLaA95RO84HPcSvyOgEZ2r5cTyUs0C8=</trust>
        <distrust>tCP1CI3pqSTVGzFYFyPYUMfMZ9Ck/msmfD0wH/VtJBM=</distrust>
      </key-owner>
    </trust-message>";

    fn read(xml: &str) -> Result<TrustMessage, Malformed> {
        TrustMessage::parse(&document::parse(xml.as_bytes(), 10_000).unwrap())
    }

    #[test]
    fn the_example_of_the_specification() {
        let message = read(EXAMPLE).unwrap();
        assert_eq!((message.usage.as_str(), message.owners.len()), (USAGE_ATM, 2));
        assert_eq!((message.owners[1].trust.len(), message.owners[1].distrust.len()), (1, 1));
        assert_eq!(TrustMessage::parse(&message.to_element()), Ok(message));
    }

    #[test]
    fn anything_wrong_spoils_the_whole() {
        for (from, to) in [
            ("usage=", "use="),
            ("alice@example.org", "alice@example.org/x"),
            ("aFABnX7Q", "*"),
            ("tCP1CI3pqSTVGzFYFyPYUMfMZ9Ck/msmfD0wH/VtJBM=", "YjVI04NcbTPvXLaA95RO84HPcSvyOgEZ2r5cTyUs0C8="),
            ("<key-owner jid='bob", "<key-owner jid='carol@example.org'/><key-owner jid='bob"),
        ] {
            assert!(read(&EXAMPLE.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
