//! Where a broker is that DNS does not know: `<address xmlns='urn:waxwing:address:0'/>`, ours.
//!
//! A client asks its own server at the start of each session (an IQ `get` to the server's domain), so that a broker which
//! gets a new address takes its people along while it can still be reached at the old one:
//!
//! ```xml
//! <iq type='get' id='a' to='north-abcdef.local'><address xmlns='urn:waxwing:address:0'/></iq>
//! <iq type='result' id='a' from='north-abcdef.local'>
//!   <address xmlns='urn:waxwing:address:0' pin='base64url of SHA-256 of the SPKI'><at>192.0.2.1:5222</at></address>
//! </iq>
//! ```
//!
//! It is believed only as the answer to one's own question inside the own authenticated stream, and only with the pin by
//! which the server is known already: it moves an account to another place, never to another server.

use xmpp::xml::Element;

use crate::Malformed;
use crate::encoding::{base64url, parse_base64url};
use crate::uri::Endpoint;

/// Namespace of `<address/>`.
pub const NS: &str = "urn:waxwing:address:0";

/// The most places that are read.
const PLACES_MAX: usize = 16;

/// Where a broker is, and how to know it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// SHA-256 of its TLS public key.
    pub pin: [u8; 32],
    /// Where it listens for clients, the best first.
    pub at: Vec<Endpoint>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(<redacted>)")
    }
}

/// Makes the question.
#[must_use]
pub fn question() -> Element {
    Element::new("address", NS)
}

impl Address {
    /// Writes the answer.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let at = self.at.iter().take(PLACES_MAX).map(|at| Element::new("at", NS).with_text(at.to_text()));
        Element::new("address", NS).with_attr("pin", base64url(&self.pin)).with_children(at)
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the pin or a place is damaged, or there are too many places.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("address", NS) {
            return Err(Malformed("not an address"));
        }
        let pin = element.attr("pin").and_then(parse_base64url).ok_or(Malformed("the pin is damaged"))?;
        let places: Vec<&Element> = element.children().filter(|child| child.is("at", NS)).collect();
        if places.len() > PLACES_MAX {
            return Err(Malformed("too many places"));
        }
        let at = places.iter().map(|place| Endpoint::parse(place.text().trim())).collect::<Result<_, _>>();
        Ok(Self { pin, at: at.map_err(|_| Malformed("a place is damaged"))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_back_and_damage_is_refused() {
        let at = ["192.0.2.1:5222", "[2001:db8::1]:5223", "host.example:5222"];
        let at: Vec<Endpoint> = at.iter().map(|text| Endpoint::parse(text).unwrap()).collect();
        let address = Address { pin: [7; 32], at };
        let element = address.to_element();
        assert_eq!(Address::parse(&element), Ok(address));
        assert!(Address::parse(&question()).is_err(), "no pin");
        let place = |text: &str| Element::new("at", NS).with_text(text);
        for bad in ["", "host", "host:0", "a b:1"] {
            assert!(Address::parse(&element.clone().with_child(place(bad))).is_err(), "{bad}");
        }
        let many = (0..20).fold(element.clone(), |element, _| element.with_child(place("h.example:1")));
        assert!(Address::parse(&many).is_err());
        assert!(Address::parse(&element.with_attr("pin", "AAAA")).is_err());
    }
}
