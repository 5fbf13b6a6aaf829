//! What only a server may say, and nobody else in its name.
//!
//! Clients believe what their own server tells them: when a message was sent (XEP-0203), which id the archive gave it
//! (XEP-0359), that it is a copy of what another device sent or got (XEP-0280), that it comes from the archive
//! (XEP-0313), to whom a service has delivered it and who the author was (XEP-0033). So whatever comes from a client or
//! from another server loses all that claims to be said by the receiving server, one of its services, or the receiving
//! account: on the sender's side too, where the receiver is somewhere else. What others say in their own names passes.
//!
//! Attack rows X01, X02 and X07.

use xmpp::jid::Jid;
use xmpp::xml::{Element, ElementRef, Frame, Splice};

use crate::{delay, sid};

/// Namespace of stamps before XEP-0203 (XEP-0091); some clients still read them.
const NS_LEGACY_DELAY: &str = "jabber:x:delay";
/// Namespaces of carbons begin with this (XEP-0280).
const NS_CARBONS: &str = "urn:xmpp:carbons:";
/// Namespaces of archives begin with this (XEP-0313).
const NS_MAM: &str = "urn:xmpp:mam:";
/// Namespace of extended addresses (XEP-0033).
const NS_ADDRESS: &str = "http://jabber.org/protocol/address";

/// Who a stanza is from and for, as far as it decides who may say what.
#[derive(Clone, Copy)]
pub struct Parties<'a> {
    /// The sender; true, whatever the stanza says.
    pub from: &'a Jid,
    /// Another server brought it, not a client of ours.
    pub from_server: bool,
    /// The receiver.
    pub to: &'a Jid,
    /// Tells whether a domain is ours, or that of a service of ours.
    pub is_ours: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Parties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parties(<redacted>)")
    }
}

impl Parties<'_> {
    /// Whether only the receiving server, a service of it or the receiving account may speak in this name.
    fn is_kept_name(&self, name: Option<&str>) -> bool {
        let Some(name) = name.and_then(|name| Jid::parse(name).ok()) else { return false };
        let is_server = name.localpart().is_none()
            && (name.domainpart() == self.to.domainpart() || (self.is_ours)(name.domainpart()));
        is_server || name.bare_str() == self.to.bare_str()
    }

    /// Whether the sender can be an archive of its own: a room's or an account's, which speak with bare addresses.
    fn is_archive(&self) -> bool {
        self.from_server && self.from.is_bare()
    }

    /// Whether a child of the stanza says what the sender may not say.
    fn is_false(&self, child: ElementRef<'_>) -> bool {
        match (child.name(), child.ns()) {
            ("delay", delay::NS) | ("x", NS_LEGACY_DELAY) => self.is_kept_name(child.attr("from").as_deref()),
            ("stanza-id", sid::NS) => self.is_kept_name(child.attr("by").as_deref()),
            ("sent" | "received", ns) => ns.starts_with(NS_CARBONS),
            ("result", ns) => ns.starts_with(NS_MAM) && !self.is_archive(),
            _ => false,
        }
    }
}

/// Removes from a stanza what its sender may not say. `splice` is of `stanza`.
#[must_use]
pub fn without_false(stanza: &Frame, splice: Splice, parties: Parties<'_>) -> Splice {
    let is_dropped = |child: ElementRef<'_>| parties.is_false(child) || has_false_addresses(child);
    if !stanza.root().children().any(is_dropped) {
        return splice;
    }
    let addresses = stanza.root().children().filter(|child| has_false_addresses(*child)).map(true_addresses);
    let addresses: Vec<Element> = addresses.collect();
    addresses.iter().fold(splice.drop_children(is_dropped), |splice, addresses| splice.append(addresses))
}

fn is_author(address: &ElementRef<'_>) -> bool {
    address.is("address", NS_ADDRESS) && address.attr("type").as_deref() == Some("ofrom")
}

/// Whether addresses tell what only a service can know: who the author was, and who has it already.
fn has_false_addresses(child: ElementRef<'_>) -> bool {
    let is_false = |address: ElementRef<'_>| is_author(&address) || address.attr("delivered").is_some();
    child.is("addresses", NS_ADDRESS) && child.children().any(is_false)
}

/// Copies addresses without what only a service can know.
fn true_addresses(addresses: ElementRef<'_>) -> Element {
    let rest = addresses.children().filter(|address| !is_author(address)).map(|address| {
        let mut address = address.to_element();
        address.remove_attr("delivered");
        address
    });
    Element::new("addresses", NS_ADDRESS).with_children(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xmpp::ns;

    fn frame(children: &str) -> Frame {
        let xml = format!("<message xmlns='{}' id='1'>{children}</message>", ns::CLIENT);
        Frame::from_element(&crate::document::parse(xml.as_bytes(), 10_000).unwrap(), ns::CLIENT)
    }

    /// What is left of the children of a message, from a client of ours and from another server.
    fn left(children: &str, from: [&str; 2], to: &str) -> [String; 2] {
        let is_ours = |domain: &str| ["example.org", "upload.example.org", "xn--mnchen-3ya.example"].contains(&domain);
        let to = Jid::parse(to).unwrap();
        [false, true].map(|from_server| {
            let from = Jid::parse(from[usize::from(from_server)]).unwrap();
            let parties = Parties { from: &from, from_server, to: &to, is_ours: &is_ours };
            let stanza = frame(children);
            let stripped = without_false(&stanza, stanza.splice(), parties).finish().to_element();
            stripped.children().map(|child| child.to_xml(ns::CLIENT)).collect()
        })
    }

    const SENDERS: [&str; 2] = ["mallory@example.org/x", "mallory@example.net/x"];
    const BOB: &str = "bob@example.org/phone";

    /// One rule: what is false, whoever sends it.
    #[test]
    fn x07_nobody_speaks_in_the_name_of_the_server() {
        let names = ["example.org", "EXAMPLE.org", "upload.example.org", "bob@example.org", "Bob@Example.ORG/desk"];
        let mut table: Vec<String> = Vec::new();
        for name in names {
            table.push(format!("<delay xmlns='urn:xmpp:delay' from='{name}' stamp='2026-01-01T00:00:00Z'/>"));
            table.push(format!("<x xmlns='jabber:x:delay' from='{name}' stamp='20260101T00:00:00'/>"));
            table.push(format!("<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='{name}'/>"));
        }
        for (name, ns) in [
            ("sent", "urn:xmpp:carbons:2"),
            ("received", "urn:xmpp:carbons:2"),
            ("received", "urn:xmpp:carbons:1"),
            ("result", "urn:xmpp:mam:2"),
            ("result", "urn:xmpp:mam:1"),
        ] {
            table.push(format!("<{name} xmlns='{ns}'><forwarded xmlns='urn:xmpp:forward:0'/></{name}>"));
        }
        for line in table {
            assert_eq!(left(&line, SENDERS, BOB), [String::new(), String::new()], "{line}");
            let beside = format!("<body>a</body>{line}<store xmlns='urn:xmpp:hints'/>{line}");
            let kept = left("<body>a</body><store xmlns='urn:xmpp:hints'/>", SENDERS, BOB);
            assert_eq!(left(&beside, SENDERS, BOB), kept, "{line}");
        }
    }

    /// Also for people elsewhere: their server may trust that nobody speaks for it.
    #[test]
    fn x07_nor_in_the_name_of_the_receivers_server() {
        for name in ["example.net", "juliet@example.net", "example.org"] {
            let line = format!("<delay xmlns='urn:xmpp:delay' from='{name}' stamp='2026-01-01T00:00:00Z'/>");
            assert_eq!(left(&line, SENDERS, "juliet@example.net")[0], "", "{name}");
        }
        // however a domain is written
        let line = "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='m\u{fc}nchen.example'/>";
        assert_eq!(left(line, SENDERS, "juliet@m\u{fc}nchen.example")[0], "");
    }

    #[test]
    fn what_others_say_in_their_own_names_passes() {
        for line in [
            "<delay xmlns='urn:xmpp:delay' from='example.net' stamp='2026-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' from='mallory@example.org/x' stamp='2026-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' from='not@an@address' stamp='2026-01-01T00:00:00Z'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='room@muc.example.net'/>",
            "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>",
            "<private xmlns='urn:xmpp:carbons:2'/>",
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<addresses xmlns='http://jabber.org/protocol/address'><address type='to' jid='a@example.org'/></addresses>",
        ] {
            let [client, server] = left(line, SENDERS, BOB);
            assert!(!client.is_empty() && client == server, "{line}");
        }
        // an archive elsewhere, such as a room's
        let result = "<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'/>";
        assert_ne!(left(result, ["room@muc.example.org", "room@muc.example.net"], BOB)[1], "");
    }

    #[test]
    fn addresses_lose_what_only_a_service_can_know() {
        let line = "<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='ceo@example.org'/>\
            <address type='to' jid='a@example.org' delivered='true'/><address type='cc' jid='b@example.org'/></addresses>";
        let clean = "<addresses xmlns='http://jabber.org/protocol/address'><address type='to' jid='a@example.org'/>\
            <address type='cc' jid='b@example.org'/></addresses>";
        assert_eq!(left(line, SENDERS, BOB), left(clean, SENDERS, BOB));
        assert!(left(clean, SENDERS, BOB).iter().all(|left| left.contains("b@example.org")));
    }
}
