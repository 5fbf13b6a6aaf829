//! Envelopes against the stanzas that carry them, and attack row C14.

use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use super::*;
use crate::{delay, eme, hints, sid};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn body(text: &str) -> Element {
    Element::new("body", "jabber:client").with_text(text)
}

fn envelope(content: Vec<Element>) -> Envelope {
    Envelope {
        from: jid("alice@example.org"),
        to: jid("bob@example.net"),
        time: NOW,
        recipients_hash: Some([7; 32]),
        witnesses: Default::default(),
        content,
    }
}

fn bytes(envelope: &Envelope) -> Vec<u8> {
    envelope.to_bytes(|b| b.fill(0x2a)).unwrap()
}

/// Opens as bob would, who got it from alice just now.
fn open_as_bob(bytes: &[u8]) -> Result<Opened, EnvelopeError> {
    open_at(bytes, Arrival::Live { now: NOW })
}

fn open_at(bytes: &[u8], arrival: Arrival) -> Result<Opened, EnvelopeError> {
    let (from, to) = (jid("alice@example.org"), jid("bob@example.net"));
    open(bytes, &Expected { from: &from, to: &to, group: false, arrival })
}

/// An envelope by hand, as another client would write it.
fn raw(affixes: &str, content: &str) -> Vec<u8> {
    format!("<envelope xmlns='urn:xmpp:sce:1'><content>{content}</content>{affixes}</envelope>").into_bytes()
}

#[test]
fn what_is_said_arrives() {
    let content = vec![body("Hello & <World>"), Element::new("active", "http://jabber.org/protocol/chatstates")];
    let opened = open_as_bob(&bytes(&envelope(content.clone()))).unwrap();
    assert_eq!(
        opened,
        Opened {
            content,
            time: TimeVerdict::Fits(NOW),
            recipients_hash: Some([7; 32]),
            witnesses: Default::default(),
            dropped_count: 0,
        }
    );
}

#[test]
fn every_length_is_padded_to_its_class() {
    let classes = [256, 512, 1024, 2048, 4096, 8192, 16384, 24576];
    let mut seen = Vec::new();
    for len in (0..600).chain((600..20_000).step_by(97)) {
        let size = bytes(&envelope(vec![body(&"x".repeat(len))])).len();
        assert!(classes.contains(&size), "{len} became {size}");
        if seen.last() != Some(&size) {
            seen.push(size);
        }
    }
    assert!(seen.is_sorted() && seen.len() >= 6);
    assert_eq!((size_class(0), size_class(257), size_class(8193)), (256, 512, 16384));
}

#[test]
fn too_much_is_not_sent() {
    let large = envelope(vec![body(&"x".repeat(SEND_BYTES_MAX))]);
    assert_eq!(large.to_bytes(|_| ()), Err(EnvelopeError::TooLarge));
    assert!(open_as_bob(&raw("", &" ".repeat(ACCEPT_BYTES_MAX))).is_err());
}

#[test]
fn other_clients_may_leave_affixes_out_and_write_prefixes() {
    let opened = open_as_bob(&raw("<rpad/>", "<body xmlns='jabber:client'>x</body>")).unwrap();
    assert_eq!((opened.time, opened.content), (TimeVerdict::Absent, vec![body("x")]));
    let prefixed = b"<s:envelope xmlns:s='urn:xmpp:sce:1' xmlns:c='jabber:client'><s:content><c:body>x</c:body>\
        </s:content><s:rpad>abc</s:rpad><s:from jid='Alice@example.org/phone'/></s:envelope>";
    assert_eq!(open_as_bob(prefixed).unwrap().content, vec![body("x")]);
}

#[test]
fn c14_wrong_from_is_rejected() {
    for from in ["mallory@example.org", "example.org", "alice@example.org.evil"] {
        let bytes = raw(&format!("<rpad/><from jid='{from}'/>"), "");
        assert_eq!(open_as_bob(&bytes), Err(EnvelopeError::WrongSender), "{from}");
    }
}

#[test]
fn c14_wrong_to_is_rejected() {
    let bytes = raw("<rpad/><to jid='carol@example.net'/>", "");
    assert_eq!(open_as_bob(&bytes), Err(EnvelopeError::WrongRecipient));
}

#[test]
fn c14_group_and_private_are_not_swapped() {
    let (alice, bob, room) = (jid("alice@example.org"), jid("bob@example.net"), jid("room@muc.example.org"));
    let arrival = Arrival::Live { now: NOW };
    let in_room = Expected { from: &alice, to: &room, group: true, arrival };
    let private = Expected { from: &alice, to: &bob, group: false, arrival };
    let to_bob = bytes(&envelope(vec![body("for bob")]));
    let to_room = bytes(&Envelope { to: room.clone(), ..envelope(vec![body("for all")]) });
    assert!(open(&to_bob, &private).is_ok() && open(&to_room, &in_room).is_ok());
    assert_eq!(open(&to_bob, &in_room), Err(EnvelopeError::WrongRecipient));
    assert_eq!(open(&to_room, &private), Err(EnvelopeError::WrongRecipient));
    assert_eq!(open(&raw("<rpad/>", ""), &in_room), Err(EnvelopeError::RecipientMissing));
}

#[test]
fn c14_affixes_are_not_repeated() {
    for twice in [
        "<from jid='alice@example.org'/><from jid='mallory@example.org'/>",
        "<to jid='bob@example.net'/><to jid='bob@example.net'/>",
        "<content/>",
        "<time stamp='2027-01-15T08:00:00Z'/><time stamp='2027-01-15T08:00:00Z'/>",
    ] {
        assert!(matches!(open_as_bob(&raw(twice, "")), Err(EnvelopeError::Malformed(_))), "{twice}");
    }
    for broken in ["<from/>", "<to jid='a@b@c'/>", "<time/>", "<time stamp='yesterday'/>"] {
        assert!(matches!(open_as_bob(&raw(broken, "")), Err(EnvelopeError::Malformed(_))), "{broken}");
    }
}

#[test]
fn c14_forbidden_inside_is_dropped() {
    let forbidden = [
        "<store xmlns='urn:xmpp:hints'/>",
        "<no-copy xmlns='urn:xmpp:hints'/>",
        "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='example.net'/>",
        "<addresses xmlns='http://jabber.org/protocol/address'/>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>",
        "<delay xmlns='urn:xmpp:delay' from='example.net' stamp='2027-01-15T08:00:00Z'/>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        "<received xmlns='urn:xmpp:carbons:2'/>",
        "<result xmlns='urn:xmpp:mam:2'/>",
        "<forwarded xmlns='urn:xmpp:forward:0'/>",
        "<x xmlns='http://jabber.org/protocol/muc#user'/>",
        "<event xmlns='http://jabber.org/protocol/pubsub#event'/>",
        "<error xmlns='jabber:client'/>",
        "<envelope/>",
        "<body>in no namespace of its own</body>",
        "<body xmlns=''>in none</body>",
    ];
    for element in forbidden {
        let opened = open_as_bob(&raw("", &format!("{element}<body xmlns='jabber:client'>x</body>"))).unwrap();
        assert_eq!((opened.content, opened.dropped_count), (vec![body("x")], 1), "{element}");
    }
    let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='1'/>";
    assert_eq!(open_as_bob(&raw("", origin)).unwrap().dropped_count, 0);
}

#[test]
fn c14_smuggled_outside_is_ignored() {
    let stanza = Element::new("message", "jabber:client")
        .with_attr("from", "alice@example.org/x")
        .with_attr("type", "chat")
        .with_child(body("pay to mallory instead"))
        .with_child(Element::new("subject", "jabber:client"))
        .with_child(Element::new("x", "jabber:x:oob"))
        .with_child(Element::new("replace", "urn:xmpp:message-correct:0").with_attr("id", "1"))
        .with_child(Element::new("envelope", NS).with_child(Element::new("content", NS)))
        .with_child(Element::new("opt-out", "urn:xmpp:omemo:2"))
        .with_child(Element::new("encrypted", "urn:xmpp:omemo:2"))
        .with_child(Element::new("store", hints::NS))
        .with_child(Element::new("encryption", eme::NS))
        .with_child(Element::new("origin-id", sid::NS).with_attr("id", "o"))
        .with_child(Element::new("delay", delay::NS));
    let opened = open_as_bob(&bytes(&envelope(vec![body("hello")]))).unwrap();
    let restored = opened.restore(&stanza);
    let names: Vec<&str> = restored.children().map(Element::name).collect();
    assert_eq!(names, ["store", "encryption", "origin-id", "delay", "body"]);
    assert_eq!(restored.child_text("body", "jabber:client").as_deref(), Some("hello"));
    assert_eq!(restored.attr("type"), Some("chat"));
}

#[test]
fn times_far_off_are_told() {
    let sent = bytes(&envelope(Vec::new()));
    let minutes = |m: i64| Timestamp::from_secs(NOW.as_secs() + m * 60);
    let verdict = |arrival| open_at(&sent, arrival).unwrap().time;
    let (fits, differs) = (TimeVerdict::Fits(NOW), TimeVerdict::Differs { stated: NOW });
    assert_eq!(verdict(Arrival::Live { now: minutes(10) }), fits);
    assert_eq!(verdict(Arrival::Live { now: minutes(-10) }), fits);
    assert_eq!(verdict(Arrival::Live { now: minutes(11) }), differs);
    assert_eq!(verdict(Arrival::Live { now: minutes(-11) }), differs);
    assert_eq!(verdict(Arrival::Delayed { stamp: minutes(24 * 60) }), fits);
    assert_eq!(verdict(Arrival::Delayed { stamp: minutes(24 * 60 + 1) }), differs);
}

#[test]
fn what_is_no_envelope_is_rejected() {
    for bad in [
        "",
        "<envelope/>",
        "<content xmlns='urn:xmpp:sce:1'/>",
        "<envelope xmlns='urn:xmpp:sce:0'><content/></envelope>",
        "<envelope xmlns='urn:xmpp:sce:1'/>",
        "<envelope xmlns='urn:xmpp:sce:1'><content/></envelope><envelope xmlns='urn:xmpp:sce:1'/>",
    ] {
        assert!(open_as_bob(bad.as_bytes()).is_err(), "{bad}");
    }
}
