//! Introductions of brokers, ours: how a broker without a DNS name is reached by others that nobody has configured.
//!
//! Such a broker is called by its key (`<host>-<20 characters of its pin>.local`), so its name proves itself, and a link
//! of somebody there says where it listens. Whoever adds that person hands both to their own broker:
//!
//! ```xml
//! <iq type='set' to='north-….local' id='1'>
//!   <introduction xmlns='urn:waxwing:peer:0' domain='south-….local' pin='(base64url SHA-256 of its key)' token='…'>
//!     <at>192.0.2.7:5223</at>
//!   </introduction>
//! </iq>
//! ```
//!
//! With the token of an invitation that stood in the link, the broker passes its own name, pin and place on to the other,
//! in an IQ of the same form from broker to broker: the invitation shows that somebody there wants to be reached.
//!
//! The answer is empty, or an error: `not-allowed` (this broker connects to nobody by links), `not-acceptable` (the name
//! is not made from the pin), `conflict` (another pin is known), `forbidden` (the operator's rules), `resource-constraint`
//! (the account has introduced too many), `item-not-found` (no such invitation).

use xmpp::xml::Element;

use crate::Malformed;
use crate::encoding::{base64url, parse_base64url};
use crate::uri::Endpoint;

/// Namespace of the element.
pub const NS: &str = "urn:waxwing:peer:0";

/// How many characters of the pin a name must have to count: 100 bits, which nobody finds a second key for.
pub const NAME_CHARS: usize = 20;

/// The most places that are read.
pub const PLACES_MAX: usize = 8;

/// Longest domain and token that are read, in bytes.
const TEXT_MAX: usize = 256;

/// RFC 4648 §6 in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A broker, and where it listens.
#[derive(Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Its name.
    pub domain: String,
    /// SHA-256 over its SubjectPublicKeyInfo.
    pub pin: [u8; 32],
    /// Where it listens for direct TLS, of clients and of servers.
    pub at: Vec<Endpoint>,
    /// The invitation by which somebody came to know it.
    pub token: Option<String>,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Introduction(<redacted>)")
    }
}

impl Introduction {
    /// Writes the element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut element = Element::new("introduction", NS)
            .with_attr("domain", self.domain.as_str())
            .with_attr("pin", base64url(&self.pin));
        if let Some(token) = &self.token {
            element = element.with_attr("token", token.as_str());
        }
        self.at.iter().fold(element, |element, at| element.with_child(Element::new("at", NS).with_text(at.to_text())))
    }

    /// Reads the element.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when it is another element, or something in it is missing, too long or not what it should be.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        if !element.is("introduction", NS) {
            return Err(Malformed("no introduction"));
        }
        let short = |name| element.attr(name).filter(|text| !text.is_empty() && text.len() <= TEXT_MAX);
        let at: Vec<&Element> = element.children().filter(|child| child.is("at", NS)).collect();
        if at.len() > PLACES_MAX {
            return Err(Malformed("an introduction with too many places"));
        }
        let place = |at: &&Element| Endpoint::parse(at.text().trim()).map_err(|_| Malformed("a place that is none"));
        Ok(Self {
            domain: short("domain").ok_or(Malformed("an introduction without a domain"))?.to_owned(),
            pin: short("pin").and_then(parse_base64url).ok_or(Malformed("an introduction without a pin"))?,
            at: at.iter().map(place).collect::<Result<_, _>>()?,
            token: short("token").map(str::to_owned),
        })
    }
}

/// Returns the characters of a pin that stand in the name of its broker.
#[must_use]
pub fn name_chars(pin: &[u8; 32]) -> String {
    let bit = |nth: usize| pin.get(nth / 8).map_or(0, |byte| usize::from(byte >> (7 - nth % 8) & 1));
    let character = |nth: usize| {
        let value = (0..5).fold(0, |value, at| value << 1 | bit(5 * nth + at));
        BASE32.get(value).map_or('a', |b| char::from(*b))
    };
    (0..NAME_CHARS).map(character).collect()
}

/// Says whether a domain is the name that a broker with this key gives itself. Nobody else can prove such a name: it is
/// not in DNS (RFC 6762 §3), and no authority certifies it.
#[must_use]
pub fn makes(pin: &[u8; 32], domain: &str) -> bool {
    let label = domain.strip_suffix(".local").filter(|label| !label.contains('.'));
    label
        .and_then(|label| label.rsplit_once('-'))
        .is_some_and(|(host, chars)| !host.is_empty() && chars == name_chars(pin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduction() -> Introduction {
        Introduction {
            domain: "north-abc.local".into(),
            pin: [7; 32],
            at: ["192.0.2.7:5223", "[2001:db8::7]:5223", "host.example:1"]
                .map(|at| Endpoint::parse(at).unwrap())
                .to_vec(),
            token: Some("t0k3n".into()),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut one = introduction();
        assert_eq!(Introduction::parse(&one.to_element()), Ok(one.clone()));
        one.token = None;
        one.at.clear();
        assert_eq!(Introduction::parse(&one.to_element()), Ok(one));
    }

    #[test]
    fn what_is_wrong_in_it_is_refused() {
        let good = introduction().to_element();
        let without = |name: &str| {
            let mut element = Element::new("introduction", NS);
            for attribute in ["domain", "pin"].into_iter().filter(|attribute| *attribute != name) {
                element = element.with_attr(attribute, good.attr(attribute).unwrap());
            }
            element
        };
        let place = |text: &str| Element::new("at", NS).with_text(text);
        for bad in [
            without("domain"),
            without("pin"),
            without("pin").with_attr("pin", "short"),
            without("domain").with_attr("domain", "x".repeat(257)),
            good.clone().with_child(place("nowhere")),
            (0..PLACES_MAX).fold(good.clone(), |element, _| element.with_child(place("192.0.2.7:1"))),
            Element::new("introduction", "urn:example:other"),
        ] {
            assert!(Introduction::parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_makes_one_kind_of_name() {
        let mut pin = [0; 32];
        pin[..13].copy_from_slice(&[0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xff]);
        assert_eq!(name_chars(&pin), "74ap6ah7ad7qb7ya74ap");
        assert!(makes(&pin, "tower-74ap6ah7ad7qb7ya74ap.local") && makes(&pin, "a-b-74ap6ah7ad7qb7ya74ap.local"));
        for other in [
            "tower-74ap6a.local",
            "tower-74ap6ah7ad7qb7ya74ap.example",
            "rooms.tower-74ap6ah7ad7qb7ya74ap.local",
            "-74ap6ah7ad7qb7ya74ap.local",
            "74ap6ah7ad7qb7ya74ap.local",
            "tower-74ap6ah7ad7qb7ya74ap.local.example",
        ] {
            assert!(!makes(&pin, other), "{other}");
        }
        assert!(!makes(&[7; 32], "tower-74ap6ah7ad7qb7ya74ap.local"));
    }
}
