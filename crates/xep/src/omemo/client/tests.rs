//! Two accounts over elements only; attack row C13 as far as it needs keys.

use crypto::Random;
use crypto::omemo::{Bundle, Delivery, Device, Legacy, Omemo2, Profile, PublishedBundle, SessionSet};
use crypto::random::SeededRandom;
use xmpp::jid::BareJid;
use xmpp::time::Timestamp;
use xmpp::xml::Element;

use super::*;
use crate::omemo::{BundleElement, Encrypted, Version};
use crate::sce::{self, Envelope};

const NOW: u64 = 1_800_000_000;

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

struct Party {
    jid: BareJid,
    device: Device,
    omemo2: SessionSet<Omemo2>,
    legacy: SessionSet<Legacy>,
}

impl Party {
    fn new(address: &str, random: &dyn Random) -> Self {
        Self {
            jid: jid(address),
            device: Device::generate(NOW, random),
            omemo2: SessionSet::new(),
            legacy: SessionSet::new(),
        }
    }

    /// The device's bundle as others read it from the wire.
    fn bundle<P: Profile>(&self) -> Bundle<P> {
        let published = BundleElement::from(self.device.bundle::<P>()).to_element(P::ID.into());
        let (version, read) = BundleElement::parse(&published).unwrap();
        assert_eq!(version, P::ID.into());
        Bundle::parse(&PublishedBundle::from(read)).unwrap()
    }

    fn meet(&mut self, other: &Self, random: &dyn Random) {
        self.omemo2.start(&self.device, &other.bundle(), NOW, random).unwrap();
        self.legacy.start(&self.device, &other.bundle(), NOW, random).unwrap();
    }
}

fn two(random: &dyn Random) -> (Party, Party) {
    let mut alice = Party::new("alice@example.org", random);
    let bob = Party::new("bob@example.net", random);
    alice.meet(&bob, random);
    (alice, bob)
}

/// `from` says "hello" to `to` under both versions; the message as it comes off the wire.
fn say(from: &mut Party, to: &Party, random: &dyn Random) -> Element {
    let envelope = Envelope {
        from: from.jid.clone(),
        to: to.jid.clone(),
        time: Timestamp::from_secs(NOW as i64),
        recipients_hash: None,
        witnesses: Default::default(),
        content: vec![Element::new("body", "jabber:client").with_text("hello")],
    };
    let sealer = Sealer { device: &from.device, now: NOW, random };
    let (jid, device) = (&to.jid, to.device.id());
    let mut recipients = Recipients {
        omemo2: vec![Recipient { jid, device, sessions: &mut from.omemo2 }],
        legacy: vec![Recipient { jid, device, sessions: &mut from.legacy }],
    };
    let sealed = seal(&sealer, &Said { envelope: &envelope, body: "hello" }, &mut recipients).unwrap();
    let xml = sealed.to_message(&to.jid, "m1").to_xml("jabber:client");
    crate::document::parse(xml.replacen("<message", "<message xmlns='jabber:client'", 1).as_bytes(), 100_000).unwrap()
}

fn take<P: Profile>(
    to: &mut Party,
    sessions: fn(&mut Party) -> &mut SessionSet<P>,
    element: &Encrypted,
    random: &dyn Random,
) -> Result<Opened, OpenError> {
    let own = to.jid.clone();
    let opener = Opener { own: &own, pinned: None, delivery: Delivery::Live, now: NOW, random };
    let mut set = std::mem::take(sessions(to));
    let opened = open(&opener, element, &mut to.device, &mut set);
    *sessions(to) = set;
    opened
}

fn part(message: &Element, version: Version) -> Encrypted {
    Encrypted::of_stanza(message, version).unwrap().unwrap()
}

#[test]
fn one_message_reaches_both_versions() {
    let random = SeededRandom::new(1);
    let (mut alice, mut bob) = two(&random);
    let message = say(&mut alice, &bob, &random);
    let names: Vec<(&str, &str)> = message.children().map(|c| (c.name(), c.ns())).collect();
    assert_eq!(
        names,
        [
            ("encrypted", "urn:xmpp:omemo:2"),
            ("encrypted", "eu.siacs.conversations.axolotl"),
            ("encryption", "urn:xmpp:eme:0"),
            ("store", "urn:xmpp:hints"),
            ("origin-id", "urn:xmpp:sid:0"),
        ]
    );
    assert!(!message.to_xml("").contains("hello"));

    let opened = take(&mut bob, |b| &mut b.omemo2, &part(&message, Version::Omemo2), &random).unwrap();
    assert!(opened.new_session && opened.used_prekey.is_some());
    assert_eq!(opened.identity.montgomery(), alice.device.identity().montgomery());
    let Content::Envelope(bytes) = opened.content else { panic!("no envelope") };
    let arrival = sce::Arrival::Live { now: Timestamp::from_secs(NOW as i64) };
    let expected = sce::Expected { from: &alice.jid, to: &bob.jid, group: false, arrival };
    let said = sce::open(&bytes, &expected).unwrap();
    assert_eq!(said.content.first().map(Element::text).as_deref(), Some("hello"));

    let opened = take(&mut bob, |b| &mut b.legacy, &part(&message, Version::Legacy), &random).unwrap();
    assert_eq!(opened.content, Content::Body("hello".into()));
}

#[test]
fn the_answer_that_is_due_is_empty_and_says_nothing() {
    let random = SeededRandom::new(2);
    let (mut alice, mut bob) = two(&random);
    let message = say(&mut alice, &bob, &random);
    let opened = take(&mut bob, |b| &mut b.legacy, &part(&message, Version::Legacy), &random).unwrap();
    let sealer = Sealer { device: &bob.device, now: NOW, random: &random };
    let recipient = Recipient { jid: &alice.jid, device: alice.device.id(), sessions: &mut bob.legacy };
    let reply = seal_reply(&sealer, recipient, &opened.reply_due.unwrap()).unwrap();
    let reply = reply.to_message(&alice.jid, "m2");
    assert!(reply.child("encryption", "urn:xmpp:eme:0").is_none());
    let opened = take(&mut alice, |a| &mut a.legacy, &part(&reply, Version::Legacy), &random).unwrap();
    assert_eq!((opened.content, opened.reply_due), (Content::Empty, None));
    assert!(!alice.legacy.is_unacknowledged());

    let recipient = Recipient { jid: &bob.jid, device: bob.device.id(), sessions: &mut alice.omemo2 };
    let sealer = Sealer { device: &alice.device, now: NOW, random: &random };
    let empty = seal_empty(&sealer, recipient).unwrap().to_message(&bob.jid, "m3");
    let opened = take(&mut bob, |b| &mut b.omemo2, &part(&empty, Version::Omemo2), &random).unwrap();
    assert_eq!(opened.content, Content::Empty);
}

#[test]
fn a_message_opens_once() {
    let random = SeededRandom::new(3);
    let (mut alice, mut bob) = two(&random);
    let message = part(&say(&mut alice, &bob, &random), Version::Omemo2);
    assert!(take(&mut bob, |b| &mut b.omemo2, &message, &random).is_ok());
    let again = take(&mut bob, |b| &mut b.omemo2, &message, &random);
    assert!(matches!(again, Err(OpenError::Key(_))));
}

#[test]
fn c13_key_and_payload_belong_together() {
    let random = SeededRandom::new(4);
    let (mut alice, mut bob) = two(&random);
    let message = part(&say(&mut alice, &bob, &random), Version::Omemo2);
    let legacy = part(&say(&mut alice, &bob, &random), Version::Legacy);

    let sealer = Sealer { device: &alice.device, now: NOW, random: &random };
    let recipient = Recipient { jid: &bob.jid, device: bob.device.id(), sessions: &mut alice.omemo2 };
    let empty = seal_empty(&sealer, recipient).unwrap().parts()[0].clone();

    let mut flipped = message.payload.clone().unwrap();
    flipped[0] ^= 1;
    let wrong = [
        ("payload without its key", Encrypted { payload: message.payload.clone(), ..empty.clone() }),
        ("key without its payload", Encrypted { payload: None, ..message.clone() }),
        ("altered payload", Encrypted { payload: Some(flipped), ..message.clone() }),
    ];
    for (what, element) in wrong {
        let refused = take(&mut bob, |b| &mut b.omemo2, &element, &random).map(|o| o.content);
        assert_eq!(refused, Err(OpenError::Content), "{what}");
    }
    let iv = Encrypted { iv: Some(vec![0; 12]), ..legacy.clone() };
    let refused = take(&mut bob, |b| &mut b.legacy, &iv, &random).map(|o| o.content);
    assert_eq!(refused, Err(OpenError::Content), "wrong iv");

    // What was refused has changed nothing: the genuine messages still open, prekeys and all.
    assert!(take(&mut bob, |b| &mut b.omemo2, &message, &random).is_ok());
    assert!(take(&mut bob, |b| &mut b.omemo2, &empty, &random).is_ok());
    assert!(take(&mut bob, |b| &mut b.legacy, &legacy, &random).is_ok());
}

#[test]
fn c13_foreign_rid_is_discarded() {
    let random = SeededRandom::new(5);
    let (mut alice, mut bob) = two(&random);
    let mut message = part(&say(&mut alice, &bob, &random), Version::Omemo2);
    message.keys[0].device ^= 1;
    let refused = take(&mut bob, |b| &mut b.omemo2, &message, &random).map(|o| o.content);
    assert_eq!(refused, Err(OpenError::NotForThisDevice));
    message.keys[0].device ^= 1;
    message.keys[0].jid = Some(alice.jid.clone());
    let refused = take(&mut bob, |b| &mut b.omemo2, &message, &random).map(|o| o.content);
    assert_eq!(refused, Err(OpenError::NotForThisDevice));
    let legacy = part(&say(&mut alice, &bob, &random), Version::Legacy);
    let refused = take(&mut bob, |b| &mut b.omemo2, &legacy, &random).map(|o| o.content);
    assert_eq!(refused, Err(OpenError::WrongVersion));
}

#[test]
fn c08_there_is_no_sealing_without_a_device_or_a_session() {
    let random = SeededRandom::new(6);
    let alice = Party::new("alice@example.org", &random);
    let bob = jid("bob@example.net");
    let envelope = Envelope {
        from: alice.jid.clone(),
        to: bob.clone(),
        time: Timestamp::from_secs(0),
        recipients_hash: None,
        witnesses: Default::default(),
        content: Vec::new(),
    };
    let sealer = Sealer { device: &alice.device, now: NOW, random: &random };
    let said = Said { envelope: &envelope, body: "hello" };
    assert!(!format!("{said:?}").contains("hello"), "words stay out of logs");
    assert_eq!(seal(&sealer, &said, &mut Recipients::default()), Err(SealError::NoRecipients));
    let mut none = SessionSet::new();
    let mut recipients =
        Recipients { omemo2: vec![Recipient { jid: &bob, device: 5, sessions: &mut none }], legacy: Vec::new() };
    let refused = Err(SealError::NoSession { version: Version::Omemo2, device: 5 });
    assert_eq!(seal(&sealer, &said, &mut recipients), refused);
}
