//! Brokers and networks that lie. What a lie about single stanzas does to an engine is tested beside the engine
//! (`crates/client/src/tests`); here the lies are told in a whole world, on links between the real programs.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use client::command::InboxSide;
use client::event::AccountState;
use client::{Command, Event};
use xmpp::ns::{CLIENT, SERVER};
use xmpp::xml::Element;

use crate::record::ratchets::Ratchets;
use crate::stanzas;
use crate::world::link::Kind;
use crate::world::{Crossing, NORTH, Party, SOUTH, Tamper, Tls, World};
use waxwing_tests::words::{contains, find};

/// Changes each stanza that a broker sends to the other one.
fn between_brokers(mut change: impl FnMut(Element) -> Vec<Element> + 'static) -> Option<Tamper> {
    Some(Box::new(move |crossing: &Crossing| match (crossing.kind, stanzas::parse(&crossing.bytes, SERVER)) {
        (Kind::Server, Some(all)) => {
            let changed: Vec<Element> = all.into_iter().flat_map(&mut change).collect();
            stanzas::write(&changed, SERVER)
        }
        _ => crossing.bytes.clone(),
    }))
}

/// Replaces text in what goes over a kind of link.
fn replacing(kind: Kind, changes: &'static [(&'static str, &'static str)]) -> Option<Tamper> {
    Some(Box::new(move |crossing: &Crossing| {
        let Ok(text) = std::str::from_utf8(&crossing.bytes) else { return crossing.bytes.clone() };
        let changed = match crossing.kind == kind {
            true => changes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)),
            false => text.to_owned(),
        };
        changed.into()
    }))
}

fn is_message(stanza: &Element) -> bool {
    stanza.name() == "message"
}

#[test]
fn c02_every_stanza_between_brokers_twice_is_shown_once() {
    let (mut world, alice, bob) = World::alice_and_bob(70);
    world.tamper = between_brokers(|stanza| match stanza.name() {
        "message" | "presence" | "iq" => vec![stanza.clone(), stanza],
        _ => vec![stanza], // what belongs to the stream itself
    });
    for text in ["one", "two", "three"] {
        world.say(bob, "alice", text);
        world.say(alice, "bob", text);
    }
    world.kill_person(alice);
    world.say(bob, "alice", "while you were away");
    world.start_person(alice);
    world.settle();
    assert_eq!(world.received(alice), ["one", "two", "three", "while you were away"]);
    assert_eq!(world.received(bob), ["one", "two", "three"]);
}

/// The other broker keeps everything, key exchanges too, and says it all again much later.
#[test]
fn c02_an_old_conversation_told_again_changes_nothing() {
    let mut world = World::new(71);
    let kept: Rc<RefCell<Vec<Element>>> = Rc::default();
    let keep = Rc::clone(&kept);
    world.tamper = between_brokers(move |stanza| {
        keep.borrow_mut().extend(Some(stanza.clone()).filter(is_message));
        vec![stanza]
    });
    let alice = world.join("alice", NORTH);
    let bob = world.join("bob", SOUTH);
    world.befriend(bob, alice);
    for text in ["one", "two"] {
        world.say(bob, "alice", text);
        world.say(alice, "bob", text);
    }
    let old = kept.borrow().clone();
    assert!(old.len() >= 5);
    let mut again = Some(old);
    world.tamper = between_brokers(move |stanza| {
        let to_alice = stanza.attr("to").is_some_and(|to| to.contains("alice"));
        let mut all: Vec<Element> = match to_alice {
            true => again.take().unwrap_or_default(),
            false => Vec::new(),
        };
        all.retain(|old| old.attr("to").is_some_and(|to| to.contains("alice")));
        all.push(stanza);
        all
    });
    world.say(bob, "alice", "three");
    world.tamper = None;
    world.say(alice, "bob", "three");
    world.say(bob, "alice", "four");
    assert_eq!(world.received(alice), ["one", "two", "three", "four"]);
    assert_eq!(world.received(bob), ["one", "two", "three"]);
    assert!(world.texts(alice, InboxSide::Requests).is_empty());
    let mut ratchets = Ratchets::default();
    ratchets.watch(world.record.said_by_people());
}

/// The broker of one's contact says of a node that there is none.
pub(crate) fn hiding(node: &'static str) -> Option<Tamper> {
    between_brokers(move |mut stanza| {
        let shows = stanza
            .children()
            .flat_map(Element::children)
            .any(|items| items.attr("node").is_some_and(|shown| shown.starts_with(node)));
        if stanza.name() == "iq" && stanza.attr("type") == Some("result") && shows {
            stanza.set_attr("type", "error");
            stanza.retain_children(|_| false);
            let condition = Element::new("item-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas");
            stanza.push(Element::new("error", SERVER).with_attr("type", "cancel").with_child(condition));
        }
        vec![stanza]
    })
}

#[test]
fn c08_whichever_node_is_hidden_nothing_is_sent_in_clear_and_nothing_weaker() {
    const NODES: [&str; 5] = [
        "urn:xmpp:omemo:2:devices",
        "urn:xmpp:omemo:2:bundles",
        "urn:xmpp:omemo:2",
        "eu.siacs.conversations.axolotl",
        "",
    ];
    for (seed, node) in (72..).zip(NODES) {
        for known_before in [false, true] {
            let mut world = World::new(seed);
            let alice = world.join("alice", NORTH);
            let bob = world.join("bob", SOUTH);
            if known_before {
                world.befriend(bob, alice);
                world.say(alice, "bob", "in the open");
            }
            world.tamper = hiding(node);
            let from = world.record.crossings.len();
            let say = Command::Say { who: "bob@south.example".to_owned(), text: "hide and seek".to_owned() };
            world.command(alice, say);
            world.advance(std::time::Duration::from_secs(2 * 86_400));
            assert!(world.tampered_count > 0 || known_before, "nothing was hidden: {node}");
            for crossing in &world.record.crossings[from..] {
                assert_eq!(find(&crossing.bytes, "hide and seek"), None, "hidden: {node}");
                let weaker = contains(&crossing.bytes, b"<encrypted xmlns='eu.siacs.conversations.axolotl'");
                assert!(!(known_before && weaker), "weaker than before: {node}");
            }
            world.tamper = None;
            world.advance(std::time::Duration::from_secs(2 * 86_400));
            let texts = [world.texts(bob, InboxSide::Contacts), world.texts(bob, InboxSide::Requests)].concat();
            assert!(texts.iter().filter(|text| *text == "hide and seek").count() <= 1);
        }
    }
}

/// The other broker sends Alice's words on in somebody else's name, and to somebody else.
#[test]
fn c14_messages_that_a_broker_redirects_are_not_shown() {
    let (mut world, alice, bob) = World::alice_and_bob(80);
    let carol = world.join("carol", NORTH);
    let dave = world.join("dave", SOUTH);
    world.befriend(dave, alice);
    world.befriend(bob, carol);
    world.say(bob, "alice", "before");
    world.say(dave, "alice", "before");
    world.tamper = between_brokers(|mut stanza| {
        if is_message(&stanza) && stanza.attr("from").is_some_and(|from| from.starts_with("bob")) {
            stanza.set_attr("from", "dave@south.example");
        }
        vec![stanza]
    });
    world.say(bob, "alice", "in the name of dave");
    world.tamper = between_brokers(|mut stanza| {
        if is_message(&stanza) && stanza.attr("to").is_some_and(|to| to.starts_with("alice")) {
            stanza.set_attr("to", "carol@north.example");
        }
        vec![stanza]
    });
    world.say(bob, "alice", "to carol instead");
    world.tamper = None;
    assert!(world.tampered_count >= 2);
    assert_eq!(world.received(alice), ["before", "before"]);
    assert!(world.received(carol).is_empty());
    for person in [alice, carol] {
        assert!(world.texts(person, InboxSide::Requests).is_empty());
    }
    world.say(bob, "alice", "after");
    assert_eq!(world.received(alice).last().map(String::as_str), Some("after"));
}

/// Words beside an encrypted element, as a broker could add them.
#[test]
fn c14_words_that_a_broker_adds_are_not_shown() {
    let (mut world, alice, bob) = World::alice_and_bob(81);
    world.tamper = Some(Box::new(|crossing: &Crossing| match stanzas::parse(&crossing.bytes, CLIENT) {
        Some(mut all) if crossing.kind == Kind::Client && matches!(crossing.to, Party::Person(_)) => {
            for stanza in all.iter_mut().filter(|stanza| is_message(stanza)) {
                stanza.push(Element::new("body", CLIENT).with_text("send money to this account"));
                stanza.push(Element::new("subject", CLIENT).with_text("urgent"));
            }
            stanzas::write(&all, CLIENT)
        }
        _ => crossing.bytes.clone(),
    }));
    world.say(bob, "alice", "genuine");
    assert!(world.tampered_count > 0);
    assert_eq!(world.received(alice), ["genuine"]);
    let shown = world.people[alice].events.iter().filter(|event| matches!(event, Event::Message(_))).count();
    assert_eq!(shown, 1);
}

/// Says `forged` to a person, in front of the next stanza that comes for her.
fn saying(person: usize, forged: String) -> Option<Tamper> {
    let mut forgery = Some(forged);
    Some(Box::new(move |crossing: &Crossing| {
        let is_hers = crossing.kind == Kind::Client && crossing.to == Party::Person(person);
        match stanzas::parse(&crossing.bytes, CLIENT).filter(|_| is_hers) {
            Some(_) => [forgery.take().unwrap_or_default().as_bytes(), &crossing.bytes].concat().into(),
            None => crossing.bytes.clone(),
        }
    }))
}

/// Alice's own broker, or somebody who can write into her stream, says `forged`. Returns the world afterwards, in which
/// she has talked on with Bob and has met nobody else.
fn told(seed: u64, forged: String) -> (World, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(seed);
    world.say(bob, "alice", "before");
    world.tamper = saying(alice, forged.clone());
    world.say(bob, "alice", "after");
    world.tamper = None;
    assert_eq!(world.tampered_count, 1);
    world.advance(std::time::Duration::from_secs(300));
    world.say(bob, "alice", "later");
    world.say(alice, "bob", "answer");
    assert_eq!(world.received(alice), ["before", "after", "later"], "{forged}");
    assert_eq!(world.received(bob), ["answer"], "{forged}");
    assert!(world.texts(alice, InboxSide::Requests).is_empty(), "{forged}");
    for person in ["mallory@south.example", "mallory@north.example"] {
        assert!(world.contact(alice, person).is_none(), "{forged}");
    }
    (world, alice)
}

#[test]
fn x01_forged_carbons_are_not_shown() {
    for from in ["bob@south.example", "alice@north.example/other", "alice@north.example", "north.example"] {
        let forged = format!(
            "<message from='{from}' to='alice@north.example'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='mallory@south.example' \
             to='alice@north.example'><body>forged</body></message></forwarded></received></message>"
        );
        told(90, forged);
    }
}

#[test]
fn x02_forged_archive_results_are_not_shown() {
    for from in ["bob@south.example", "alice@north.example", "north.example"] {
        let forged = format!(
            "<message from='{from}' to='alice@north.example'><result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='mallory@south.example' \
             to='alice@north.example'><body>forged</body></message></forwarded></result></message>"
        );
        told(91, forged);
    }
}

#[test]
fn x03_forged_roster_pushes_make_no_contacts() {
    for from in ["bob@south.example", "south.example", "alice@north.example", "mallory@north.example"] {
        let forged = format!(
            "<iq type='set' id='push' from='{from}' to='alice@north.example'><query xmlns='jabber:iq:roster'>\
             <item jid='mallory@south.example' subscription='both'/></query></iq>"
        );
        told(92, forged);
    }
}

/// Bob's list of devices, as told by somebody else, and one with a device that has no keys, in his name: the latter may
/// make her ask, and must not take the true one away.
#[test]
fn x04_forged_events_take_no_device_away() {
    for from in ["mallory@south.example", "south.example", "bob@south.example"] {
        let forged = format!(
            "<message from='{from}' to='alice@north.example' type='headline'>\
             <event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:omemo:2:devices'>\
             <item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='4711'/></devices></item>\
             </items></event></message>"
        );
        let (mut world, alice, bob) = World::alice_and_bob(93);
        world.say(bob, "alice", "before");
        world.tamper = saying(alice, forged);
        world.say(bob, "alice", "after");
        world.tamper = None;
        assert_eq!(world.tampered_count, 1);
        if from != "bob@south.example" {
            world.say(alice, "bob", "answer");
            assert_eq!(world.received(bob), ["answer"], "{from}");
        }
        assert_eq!(world.received(alice), ["before", "after"], "{from}");
    }
}

#[test]
fn x06_answers_to_questions_that_nobody_asked_are_ignored() {
    for from in ["bob@south.example", "alice@north.example", "north.example"] {
        for kind in ["result", "error"] {
            let forged = format!(
                "<iq type='{kind}' id='00000000000000000000000000000000' from='{from}' to='alice@north.example'>\
                 <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:omemo:2:devices'>\
                 <item id='current'><devices xmlns='urn:xmpp:omemo:2'/></item></items></pubsub></iq>"
            );
            told(94, forged);
        }
    }
}

/// A contact's broker claims that a message is old, and that it was archived by others.
#[test]
fn x07_stamps_and_ids_of_others_change_nothing() {
    let (mut world, alice, bob) = World::alice_and_bob(95);
    world.tamper = between_brokers(|mut stanza| {
        if is_message(&stanza) {
            for by in ["alice@north.example", "north.example", "south.example"] {
                let delay = Element::new("delay", "urn:xmpp:delay");
                stanza.push(delay.with_attr("from", by).with_attr("stamp", "2001-01-01T00:00:00Z"));
                let id = Element::new("stanza-id", "urn:xmpp:sid:0");
                stanza.push(id.with_attr("by", by).with_attr("id", "forged"));
            }
        }
        vec![stanza]
    });
    world.say(bob, "alice", "one");
    world.say(bob, "alice", "two");
    assert!(world.tampered_count >= 2);
    assert_eq!(world.received(alice), ["one", "two"], "equal ids of others make no repetition");
    let now = world.now();
    for message in world.inbox(alice, InboxSide::Contacts) {
        assert!(now.since(message.written_at).as_secs() < 60, "the stamp is believed");
        assert!(now.since(message.saved_at).as_secs() < 60, "the stamp is believed");
    }
}

/// The other broker speaks for others.
#[test]
fn x08_a_broker_that_speaks_for_others_is_not_believed() {
    for from in ["carol@north.example/x", "eve@east.example/x", "north.example", "bob@south.example.org"] {
        let (mut world, alice, bob) = World::alice_and_bob(96);
        world.say(bob, "alice", "before");
        world.tamper = between_brokers(move |mut stanza| {
            if is_message(&stanza) {
                stanza.set_attr("from", from);
            }
            vec![stanza]
        });
        world.say(bob, "alice", "in another name");
        assert!(world.tampered_count > 0);
        assert_eq!(world.received(alice), ["before"], "{from}");
        assert!(world.texts(alice, InboxSide::Requests).is_empty(), "{from}");
        world.tamper = None;
        world.settle();
        world.say(bob, "alice", "after");
        assert_eq!(world.received(alice).last().map(String::as_str), Some("after"), "{from}");
    }
}

/// Somebody on the way to the broker; Alice comes back through his network.
fn reconnected(seed: u64, change: impl FnOnce(&mut World)) -> (World, usize, usize) {
    let (mut world, alice, _) = World::alice_and_bob(seed);
    world.kill_person(alice);
    world.settle();
    change(&mut world);
    let from = world.record.crossings.len();
    world.start_person(alice);
    world.advance(std::time::Duration::from_secs(900));
    (world, alice, from)
}

fn is_online(world: &World, person: usize) -> bool {
    let state = world.people[person].events.iter().rev().find_map(|event| match event {
        Event::Account(state) => Some(state.clone()),
        _ => None,
    });
    state == Some(AccountState::Online)
}

/// Whether Alice said anything that helps to sign in as her.
fn gave_credentials(world: &World, person: usize, from: usize) -> bool {
    world.record.crossings[from..]
        .iter()
        .filter(|crossing| crossing.from == Party::Person(person))
        .any(|crossing| contains(&crossing.bytes, b"<response"))
}

#[test]
fn x09_without_the_offer_of_tls_nobody_signs_in() {
    let (world, alice, from) = reconnected(97, |world| {
        world.tls = Tls::Upgraded;
        world.tamper = Some(Box::new(|crossing: &Crossing| {
            let Ok(text) = std::str::from_utf8(&crossing.bytes) else { return crossing.bytes.clone() };
            match (text.find("<starttls"), crossing.to) {
                (Some(at), Party::Person(_)) => {
                    let end = text.rfind("</stream:features>").unwrap_or(text.len());
                    let offer = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism><mechanism>PLAIN</mechanism></mechanisms>";
                    format!("{}{offer}{}", &text[..at], &text[end..]).into()
                }
                _ => crossing.bytes.clone(),
            }
        }));
    });
    assert!(!is_online(&world, alice));
    assert!(!gave_credentials(&world, alice, from));
    let signs_in = |crossing: &Crossing| crossing.from == Party::Person(alice) && contains(&crossing.bytes, b"<auth");
    assert!(!world.record.crossings[from..].iter().any(signs_in));
}

#[test]
fn x09_stanzas_in_front_of_the_handshake_are_not_obeyed() {
    const FORGED: &str = "<message from='bob@south.example' to='alice@north.example'><body>forged</body></message>";
    let (mut world, alice, _) = reconnected(98, |world| {
        world.tls = Tls::Upgraded;
        let mut forgeries = 0;
        world.tamper = Some(Box::new(move |crossing: &Crossing| {
            let proceeds = contains(&crossing.bytes, b"<proceed");
            if proceeds && forgeries < 3 && matches!(crossing.to, Party::Person(_)) {
                forgeries += 1;
                return [&crossing.bytes[..], FORGED.as_bytes()].concat().into();
            }
            crossing.bytes.clone()
        }));
    });
    assert_eq!(world.tampered_count, 3);
    assert!(world.received(alice).is_empty());
    assert!(is_online(&world, alice), "the first honest connection leads in");
}

/// A certificate that everybody believes, and everything passed on: the two ends derive different bytes.
#[test]
fn x10_whoever_sits_between_cannot_sign_in() {
    let (world, alice, from) = reconnected(99, |world| world.interceptor = true);
    assert!(!is_online(&world, alice));
    assert!(gave_credentials(&world, alice, from), "it was tried");
    assert!(!contains(&joined(&world, from), b"<success"));
    let shown =
        world.people[alice].events.iter().rev().any(|event| matches!(event, Event::Account(AccountState::Refused(_))));
    assert!(shown, "the user hears of it");
}

#[test]
fn x10_altered_offers_lead_nowhere() {
    const EDITS: [&[(&str, &str)]; 4] = [
        &[("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", ""), ("<mechanism>SCRAM-SHA-1-PLUS</mechanism>", "")],
        &[("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", ""), ("<mechanism>SCRAM-SHA-256</mechanism>", "")],
        &[("<channel-binding type='tls-exporter'/>", "")],
        &[
            ("SCRAM-SHA-256-PLUS", "PLAIN"),
            ("SCRAM-SHA-1-PLUS", "PLAIN"),
            ("SCRAM-SHA-256", "PLAIN"),
            ("SCRAM-SHA-1", "PLAIN"),
        ],
    ];
    for edit in EDITS {
        let (world, alice, from) = reconnected(100, |world| world.tamper = replacing(Kind::Client, edit));
        assert!(world.tampered_count > 0, "{edit:?}");
        assert!(!is_online(&world, alice), "{edit:?}");
        let in_clear = contains(&joined(&world, from), b"mechanism='PLAIN'");
        assert!(!in_clear, "a password was sent");
    }
}

fn joined(world: &World, from: usize) -> Vec<u8> {
    world.record.crossings[from..].iter().flat_map(|crossing| crossing.bytes.to_vec()).collect()
}

/// The control for the tests above: an honest network in the same steps leads in.
#[test]
fn an_honest_network_leads_in() {
    let (world, alice, from) = reconnected(101, |_| ());
    assert!(is_online(&world, alice));
    assert!(gave_credentials(&world, alice, from));
    let tamper = |crossing: &Crossing| -> Bytes { crossing.bytes.clone() };
    let (world, alice, _) = reconnected(102, |world| world.tamper = Some(Box::new(tamper)));
    assert!(is_online(&world, alice));
}
