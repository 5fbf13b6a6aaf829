//! The witness of a device (security design §3.5): what it keeps at its own server, and at Waxwing peers inside the envelope,
//! to notice that its store was put back.
//!
//! Everything here is opaque bytes that only the device itself can open. A node per device, because some servers keep one
//! item per node. What peers hold travels in the affix `<wx/>` ([`crate::sce`]): `<w/>` tells the newest one, `<pw/>` gives back
//! the one before.

use xmpp::xml::Element;

use crate::Malformed;
use crate::encoding::{base64, parse_base64};

/// The namespace, and what nodes are called after.
pub const NS: &str = "urn:waxwing:witness:0";
/// The only item of a node.
pub const ITEM: &str = "current";
/// The options to publish with: exactly these.
pub const OPTIONS: &[(&str, &str)] = &[("pubsub#persist_items", "true"), ("pubsub#access_model", "whitelist")];
/// No witness is longer; how long they are is the device's own affair.
pub const BYTES_MAX: usize = 128;

/// Names the node of a device.
#[must_use]
pub fn node(device: u32) -> String {
    format!("{NS}:{device}")
}

/// Writes a witness as the payload of its item.
#[must_use]
pub fn to_element(sealed: &[u8]) -> Element {
    Element::new("witness", NS).with_text(base64(sealed))
}

/// Reads the payload of an item.
///
/// # Errors
///
/// [`Malformed`] when it is another element, no base64, or too long.
pub fn parse(element: &Element) -> Result<Vec<u8>, Malformed> {
    if !element.is("witness", NS) {
        return Err(Malformed("the item is no witness"));
    }
    parse_base64(&element.text(), BYTES_MAX)
}

/// A witness that comes back from a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Whose it is: a device of the account that the envelope goes to.
    pub device: u32,
    /// The witness.
    pub sealed: Vec<u8>,
}

/// The witnesses in an envelope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// The newest one of the sending device.
    pub newest: Option<Vec<u8>>,
    /// What recipients' devices had given to keep before their newest, several of each where they have not been answered.
    pub returned: Vec<Returned>,
}

/// How many returned witnesses are read; more are not written either.
pub const RETURNED_MAX: usize = 64;

impl Witnesses {
    /// Writes the children of the affix.
    pub(crate) fn to_elements<'a>(&'a self, ns: &'a str) -> impl Iterator<Item = Element> + 'a {
        let newest = self.newest.iter().map(move |sealed| Element::new("w", ns.to_owned()).with_text(base64(sealed)));
        let returned = self.returned.iter().map(move |returned| {
            Element::new("pw", ns.to_owned())
                .with_attr("device", returned.device.to_string())
                .with_text(base64(&returned.sealed))
        });
        newest.chain(returned)
    }

    /// Reads the children of the affix. What is odd is left out: a witness that is not understood proves nothing.
    pub(crate) fn parse(affix: &Element, ns: &str) -> Self {
        let read =
            |element: &Element| parse_base64(&element.text(), BYTES_MAX).ok().filter(|sealed| !sealed.is_empty());
        let returned = affix
            .children()
            .filter(|child| child.is("pw", ns))
            .filter_map(|child| Some(Returned { device: child.attr("device")?.parse().ok()?, sealed: read(child)? }));
        Self { newest: affix.child("w", ns).and_then(read), returned: returned.take(RETURNED_MAX).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_comes_back_as_it_was_written() {
        let sealed = [7; 64];
        let element = to_element(&sealed);
        assert_eq!(parse(&element).as_deref(), Ok(&sealed[..]));
        assert_eq!(node(31), "urn:waxwing:witness:0:31");
        assert!(parse(&Element::new("witness", "urn:other")).is_err());
        assert!(parse(&Element::new("witness", NS).with_text("not base64!")).is_err());
        assert!(parse(&to_element(&[0; BYTES_MAX + 1])).is_err());
    }

    #[test]
    fn what_peers_hold_travels_in_the_affix_and_what_is_odd_is_left_out() {
        let ns = crate::sce::NS_WX;
        let witnesses = Witnesses {
            newest: Some(vec![1; 64]),
            returned: vec![Returned { device: 5, sealed: vec![2; 64] }, Returned { device: 6, sealed: vec![3; 64] }],
        };
        let affix = Element::new("wx", ns).with_children(witnesses.to_elements(ns));
        assert_eq!(Witnesses::parse(&affix, ns), witnesses);
        let odd = Element::new("wx", ns)
            .with_child(Element::new("w", ns).with_text("?"))
            .with_child(Element::new("pw", ns).with_text(base64(&[2; 64])))
            .with_child(Element::new("pw", ns).with_attr("device", "x").with_text(base64(&[2; 64])))
            .with_child(Element::new("pw", ns).with_attr("device", "5").with_text(base64(&[2; 200])));
        assert_eq!(Witnesses::parse(&odd, ns), Witnesses::default());
    }
}
