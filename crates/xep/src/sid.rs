//! Unique and stable stanza ids (XEP-0359): the sender's own id, and the one an archive gives.

use xmpp::jid::{BareJid, Jid};
use xmpp::xml::Element;

use crate::{Claim, Status};

/// Namespace of both elements.
pub const NS: &str = "urn:xmpp:sid:0";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 359, version: "0.7.0", status: Status::Complete, features: &[NS] };

/// Longest id that is believed; longer ones are treated as absent.
const ID_BYTES_MAX: usize = 256;

/// Writes `<origin-id/>`.
#[must_use]
pub fn origin_id(id: &str) -> Element {
    Element::new("origin-id", NS).with_attr("id", id)
}

/// Reads the sender's own id of a stanza.
///
/// It is the sender's word: good for recognising repeats from the same sender, for nothing else.
#[must_use]
pub fn origin_id_of(stanza: &Element) -> Option<&str> {
    stanza.child("origin-id", NS)?.attr("id").filter(|id| is_plausible(id))
}

/// Writes `<stanza-id/>` in the name of `by`.
#[must_use]
pub fn stanza_id(id: &str, by: &Jid) -> Element {
    Element::new("stanza-id", NS).with_attr("id", id).with_attr("by", by.as_str())
}

/// Reads the id that `by` gave to a stanza: the own account's archive, or the room the stanza came through.
///
/// Ids in any other name are ignored, and so is everything when that name is there twice: whoever may add one may not
/// have been kept from adding another. The caller passes only a name whose server is known to remove forged ids, which
/// it says by announcing [`NS`] (XEP-0359 §4.1).
///
/// Attack row X07.
#[must_use]
pub fn stanza_id_of<'a>(stanza: &'a Element, by: &BareJid) -> Option<&'a str> {
    let mut found = stanza
        .children()
        .filter(|c| c.is("stanza-id", NS))
        .filter(|c| c.attr("by").and_then(|by| Jid::parse(by).ok()).is_some_and(|named| named == *by.as_ref()));
    match (found.next(), found.next()) {
        (Some(one), None) => one.attr("id").filter(|id| is_plausible(id)),
        _ => None,
    }
}

fn is_plausible(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    fn message(ids: &[(&str, &str)]) -> Element {
        let ids = ids.iter().map(|(id, by)| Element::new("stanza-id", NS).with_attr("id", *id).with_attr("by", *by));
        Element::new("message", "jabber:client").with_child(origin_id("o-1")).with_children(ids)
    }

    #[test]
    fn ids_round_trip() {
        let stanza = Element::new("message", "jabber:client")
            .with_child(origin_id("o-1"))
            .with_child(stanza_id("s-1", &jid("alice@example.org").to_jid()));
        assert_eq!(origin_id_of(&stanza), Some("o-1"));
        assert_eq!(stanza_id_of(&stanza, &jid("alice@example.org")), Some("s-1"));
        assert_eq!(origin_id_of(&Element::new("message", "jabber:client").with_child(origin_id(""))), None);
    }

    #[test]
    fn x07_stanza_ids_in_other_names_are_ignored() {
        let own = jid("alice@example.org");
        assert_eq!(stanza_id_of(&message(&[("1", "mallory@example.org")]), &own), None);
        assert_eq!(stanza_id_of(&message(&[("1", "example.org")]), &own), None);
        assert_eq!(stanza_id_of(&message(&[("1", "alice@example.org/phone")]), &own), None);
        assert_eq!(stanza_id_of(&message(&[("1", "not a jid@@")]), &own), None);
        assert_eq!(
            stanza_id_of(&message(&[("1", "room@muc.example.org"), ("2", "alice@example.org")]), &own),
            Some("2")
        );
    }

    #[test]
    fn x07_two_stanza_ids_in_one_name_are_worth_none() {
        let own = jid("alice@example.org");
        assert_eq!(stanza_id_of(&message(&[("1", "alice@example.org"), ("2", "ALICE@example.org")]), &own), None);
    }
}
