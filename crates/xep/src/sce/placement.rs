//! What may stand inside an envelope, and what is believed outside of one.
//!
//! Attack row C14: a server cannot add words beside an encrypted element, and a contact cannot smuggle inside what
//! only servers may say.

use xmpp::xml::Element;

use crate::{delay, eme, hints, omemo, sid};

const NS_ADDRESS: &str = "http://jabber.org/protocol/address";
const NS_CARBONS: &str = "urn:xmpp:carbons:2";
const NS_FORWARD: &str = "urn:xmpp:forward:0";
const NS_MAM: &str = "urn:xmpp:mam:2";
const NS_MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const NS_OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
const NS_OPENPGP: &str = "urn:xmpp:openpgp:0";
const NS_PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// Tells whether an element may stand inside an envelope.
///
/// Forbidden is what servers act on or vouch for: hints, stanza-id, addresses, EME, delay, forwarded stanzas, what
/// rooms add, PEP events; another encrypted element; and whatever has no namespace of its own.
///
/// Source: XEP-0420 §9 and §10.
#[must_use]
pub fn allowed_inside(element: &Element) -> bool {
    let forbidden = match element.ns() {
        "" | super::NS => true,
        hints::NS | NS_ADDRESS | eme::NS | delay::NS | NS_CARBONS | NS_FORWARD | NS_MAM => true,
        NS_MUC_USER | NS_OCCUPANT_ID | NS_PUBSUB_EVENT => true,
        omemo::NS_LEGACY | omemo::NS_OMEMO2 | NS_OPENPGP => true,
        sid::NS => element.name() == "stanza-id",
        xmpp::ns::CLIENT => element.name() == "error",
        _ => false,
    };
    !forbidden
}

/// Tells whether an element outside is believed beside an encrypted one.
///
/// Source: security-design §2.5 ("Outside only").
#[must_use]
pub fn allowed_outside(element: &Element) -> bool {
    match element.ns() {
        hints::NS | eme::NS | delay::NS | sid::NS | NS_MUC_USER | NS_OCCUPANT_ID | NS_ADDRESS => true,
        omemo::NS_LEGACY | omemo::NS_OMEMO2 => element.name() == "encrypted",
        _ => false,
    }
}

/// Makes the stanza that the sender meant: `stanza` with its attributes, of its children only those that are
/// believed, without the encrypted elements, and then the content.
#[must_use]
pub fn restore(stanza: &Element, content: impl IntoIterator<Item = Element>) -> Element {
    let mut restored = Element::new(stanza.name().to_owned(), stanza.ns().to_owned());
    for (name, value) in stanza.attrs() {
        restored.set_attr(name.to_owned(), value);
    }
    let outside = stanza.children().filter(|c| allowed_outside(c) && c.name() != "encrypted").cloned();
    restored.with_children(outside).with_children(content)
}
