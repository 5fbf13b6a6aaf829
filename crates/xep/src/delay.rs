//! Delayed delivery (XEP-0203): when a stanza that was kept was first sent.

use xmpp::jid::{BareJid, Jid};
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of `<delay/>`.
pub const NS: &str = "urn:xmpp:delay";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 203, version: "2.0", status: Status::Complete, features: &[NS] };

/// A stamp: who kept the stanza, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Who says so.
    pub from: Option<Jid>,
    /// When the stanza was first sent.
    pub stamp: Timestamp,
}

impl Delay {
    /// Reads a `<delay/>`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the stamp or the address is none.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("delay", NS) {
            return Err(Malformed("not a delay"));
        }
        let stamp = element.attr("stamp").ok_or(Malformed("the delay has no stamp"))?;
        let stamp = Timestamp::parse_xep0082(stamp).map_err(|_| Malformed("the stamp is no time"))?;
        let from = match element.attr("from") {
            Some(from) => Some(Jid::parse(from).map_err(|_| Malformed("the delay is from no JID"))?),
            None => None,
        };
        Ok(Self { from, stamp })
    }

    /// Writes the `<delay/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        Element::new("delay", NS)
            .with_attr_opt("from", self.from.as_ref().map(Jid::as_str))
            .with_attr("stamp", self.stamp.to_xep0082())
    }
}

/// Finds the time at which a stanza was sent, as the own server states it.
///
/// Believed are stamps from the own account or its server's domain, and the earliest of them: a server that restarted
/// may have stamped twice. Stamps in any other name, or in none, are a contact's word and ignored.
///
/// Attack row X07.
#[must_use]
pub fn stamp_of_own_server(stanza: &Element, own: &BareJid) -> Option<Timestamp> {
    let own_server = |from: &Jid| from == own.as_ref() || (from.as_str() == own.domainpart());
    stanza
        .children()
        .filter_map(|c| Delay::parse(c).ok())
        .filter(|d| d.from.as_ref().is_some_and(own_server))
        .map(|d| d.stamp)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn at(from: Option<&str>, secs: i64) -> Delay {
        Delay { from: from.map(jid), stamp: Timestamp::from_secs(secs) }
    }

    #[test]
    fn stamps_round_trip() {
        for delay in [at(None, 5), at(Some("example.org"), 7)] {
            assert_eq!(Delay::parse(&delay.to_element()), Ok(delay));
        }
        assert!(Delay::parse(&Element::new("delay", NS)).is_err());
        assert!(Delay::parse(&Element::new("delay", NS).with_attr("stamp", "noon")).is_err());
        assert!(Delay::parse(&at(None, 5).to_element().with_attr("from", "@")).is_err());
    }

    #[test]
    fn x07_only_the_own_server_is_believed() {
        let own = jid("alice@example.org").bare();
        let stanza = |delays: &[Delay]| {
            Element::new("message", "jabber:client").with_children(delays.iter().map(Delay::to_element))
        };
        for forged in [None, Some("example.net"), Some("mallory@example.org"), Some("alice@example.org/x"), Some("org")]
        {
            assert_eq!(stamp_of_own_server(&stanza(&[at(forged, 1)]), &own), None, "{forged:?}");
        }
        let mixed = [at(Some("example.net"), 1), at(Some("example.org"), 9), at(Some("alice@example.org"), 7)];
        assert_eq!(stamp_of_own_server(&stanza(&mixed), &own), Some(Timestamp::from_secs(7)));
    }
}
