//! Round trips, and attack row C13: what is inconsistent is refused as a whole.

use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::*;
use crate::omemo::{NS_LEGACY, NS_OMEMO2};

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn key(owner: Option<&str>, device: u32) -> KeyElement {
    KeyElement { jid: owner.map(jid), device, key_exchange: device % 2 == 1, bytes: vec![9; 80] }
}

fn omemo2() -> Encrypted {
    Encrypted {
        version: Version::Omemo2,
        sender_device: 27183,
        keys: vec![key(Some("bob@example.net"), 1), key(Some("bob@example.net"), 2), key(Some("alice@example.org"), 1)],
        iv: None,
        payload: Some(vec![5; 256]),
    }
}

fn legacy() -> Encrypted {
    Encrypted {
        version: Version::Legacy,
        sender_device: 27183,
        keys: vec![key(None, 1), key(None, 2)],
        iv: Some(vec![7; 12]),
        payload: Some(vec![5; 3]),
    }
}

#[test]
fn both_versions_round_trip() {
    for message in [omemo2(), legacy()] {
        assert_eq!(Encrypted::parse(&message.to_element()), Ok(message.clone()));
        let empty = Encrypted { payload: None, ..message };
        assert_eq!(Encrypted::parse(&empty.to_element()), Ok(empty));
    }
}

#[test]
fn looks_as_the_specification_shows() {
    let xml = omemo2().to_element().to_xml("jabber:client");
    let key = base64(&[9; 80]);
    let payload = base64(&[5; 256]);
    assert_eq!(
        xml,
        format!(
            "<encrypted xmlns=\"urn:xmpp:omemo:2\"><header sid=\"27183\">\
             <keys jid=\"bob@example.net\"><key rid=\"1\" kex=\"true\">{key}</key><key rid=\"2\">{key}</key></keys>\
             <keys jid=\"alice@example.org\"><key rid=\"1\" kex=\"true\">{key}</key></keys>\
             </header><payload>{payload}</payload></encrypted>"
        )
    );
}

#[test]
fn the_key_is_found_by_account_and_device() {
    let message = omemo2();
    assert_eq!(
        message.key_for(&jid("alice@example.org"), 1).map(|k| k.jid.clone()),
        Some(Some(jid("alice@example.org")))
    );
    assert_eq!(legacy().key_for(&jid("anyone@example.org"), 2).map(|k| k.device), Some(2));
}

#[test]
fn c13_foreign_rid_is_not_ours() {
    assert_eq!(omemo2().key_for(&jid("alice@example.org"), 2), None);
    assert_eq!(omemo2().key_for(&jid("carol@example.org"), 1), None);
    assert_eq!(legacy().key_for(&jid("alice@example.org"), 3), None);
}

#[test]
fn c13_duplicate_key_elements_are_refused() {
    let mut twice = legacy();
    twice.keys.push(key(None, 2));
    assert!(Encrypted::parse(&twice.to_element()).is_err());

    let mut twice = omemo2();
    twice.keys.push(key(Some("bob@example.net"), 2));
    assert!(Encrypted::parse(&twice.to_element()).is_err());

    // the same account in two groups
    let mut element = omemo2().to_element();
    let header = element.child_mut("header", NS_OMEMO2).unwrap();
    header.push(Element::new("keys", NS_OMEMO2).with_attr("jid", "BOB@example.net"));
    assert!(Encrypted::parse(&element).is_err());
}

#[test]
fn c13_payload_without_key_is_refused() {
    for message in [omemo2(), legacy()] {
        let without = Encrypted { keys: Vec::new(), ..message };
        assert!(Encrypted::parse(&without.to_element()).is_err());
    }
}

/// Applies `change` to the element and expects it to be refused.
fn refused(what: &str, message: &Encrypted, change: impl FnOnce(&mut Element)) {
    let mut element = message.to_element();
    change(&mut element);
    assert!(Encrypted::parse(&element).is_err(), "{what}");
}

fn header(element: &mut Element) -> &mut Element {
    let ns = element.ns().to_owned();
    element.child_mut("header", &ns).unwrap()
}

#[test]
fn c13_table_of_inconsistent_elements() {
    let push = |name: &'static str, text: &str| {
        let text = text.to_owned();
        move |e: &mut Element| {
            let ns = e.ns().to_owned();
            e.push(Element::new(name, ns).with_text(text));
        }
    };
    for message in [omemo2(), legacy()] {
        let empty = Encrypted { payload: None, ..message.clone() };
        refused("no sid", &message, |e| drop(header(e).remove_attr("sid")));
        refused("sid 0", &message, |e| header(e).set_attr("sid", "0"));
        refused("sid too large", &message, |e| header(e).set_attr("sid", "2147483648"));
        refused("two headers", &message, push("header", ""));
        refused("no header", &message, |e| e.retain_children(|c| c.name() != "header"));
        refused("two payloads", &message, push("payload", "AAAA"));
        refused("payload is no base64", &empty, push("payload", "*"));
        refused("empty payload", &empty, push("payload", " "));
    }
    let empty = Encrypted { payload: None, ..omemo2() };
    refused("payload of no whole blocks", &empty, push("payload", "AAAA"));
    refused("kex is no boolean", &omemo2(), |e| {
        let keys = header(e).child_mut("keys", NS_OMEMO2).unwrap();
        keys.push(Element::new("key", NS_OMEMO2).with_attr("rid", "9").with_attr("kex", "yes").with_text("AAAA"));
    });
    refused("keys of nobody", &omemo2(), |e| header(e).push(Element::new("keys", NS_OMEMO2)));
    refused("keys of a full JID", &omemo2(), |e| {
        header(e).push(Element::new("keys", NS_OMEMO2).with_attr("jid", "bob@example.net/phone"));
    });
    refused("no iv", &legacy(), |e| header(e).retain_children(|c| c.name() != "iv"));
    refused("two ivs", &legacy(), |e| header(e).push(Element::new("iv", NS_LEGACY).with_text("AAAA")));
    refused("short iv", &Encrypted { iv: Some(vec![0; 11]), ..legacy() }, |_| {});
    refused("key without text", &legacy(), |e| {
        header(e).push(Element::new("key", NS_LEGACY).with_attr("rid", "9"));
    });
}

#[test]
fn too_many_keys_or_bytes_are_refused() {
    let many = Encrypted { keys: (1..=600).map(|id| key(None, id)).collect(), ..legacy() };
    assert!(Encrypted::parse(&many.to_element()).is_err());
    let long = Encrypted { payload: Some(vec![0; PAYLOAD_BYTES_MAX + 16]), ..omemo2() };
    assert!(Encrypted::parse(&long.to_element()).is_err());
}

#[test]
fn strangers_inside_are_ignored() {
    let mut element = omemo2().to_element();
    header(&mut element).push(Element::new("key", "urn:other").with_attr("rid", "1"));
    element.push(Element::new("payload", "urn:other"));
    assert_eq!(Encrypted::parse(&element), Ok(omemo2()));
}

#[test]
fn a_stanza_carries_one_of_each_version() {
    let mut message =
        Element::new("message", "jabber:client").with_child(omemo2().to_element()).with_child(legacy().to_element());
    assert_eq!(Encrypted::of_stanza(&message, Version::Legacy), Ok(Some(legacy())));
    assert_eq!(Encrypted::of_stanza(&message, Version::Omemo2), Ok(Some(omemo2())));
    message.push(legacy().to_element());
    assert!(Encrypted::of_stanza(&message, Version::Legacy).is_err());
    assert_eq!(Encrypted::of_stanza(&Element::new("message", "jabber:client"), Version::Legacy), Ok(None));
}
