//! Sessions that broke are replaced without the user, once a day; servers that fail for a while lose nothing.

use std::time::Duration;

use xmpp::stanza::Condition;

use crate::Command;
use crate::command::InboxSide;
use crate::error::Failure;
use crate::event::{Event, MessageState, Notice};
use crate::testing::World;

fn notices(world: &World, person: usize) -> Vec<Notice> {
    let notice = |event: &Event| match event {
        Event::Notice(notice) => Some(notice.clone()),
        _ => None,
    };
    world.people[person].events.iter().filter_map(notice).collect()
}

/// Breaks what is inside the next encrypted elements.
pub(super) fn spoil(world: &mut World) {
    world.server.tamper = Some(Box::new(|mut stanza| {
        for encrypted in stanza.children_mut().filter(|child| child.name() == "encrypted") {
            for header in encrypted.children_mut().filter(|child| child.name() == "header") {
                for keys in header.children_mut() {
                    for key in keys.children_mut() {
                        let mut text = key.text();
                        text.replace_range(40..44, if &text[40..44] == "AAAA" { "BBBB" } else { "AAAA" });
                        *key = xmpp::xml::Element::new("key", key.ns().to_owned())
                            .with_attr("rid", key.attr("rid").unwrap().to_owned())
                            .with_attr_opt("kex", key.attr("kex").map(str::to_owned))
                            .with_text(text);
                    }
                }
            }
        }
        vec![stanza]
    }));
}

#[test]
fn an_unreadable_message_leads_to_a_new_session_once_a_day() {
    let (mut world, alice, bob) = World::alice_and_bob(70);
    world.say(bob, "alice", "fine");
    world.say(alice, "bob", "fine");
    spoil(&mut world);
    world.say(bob, "alice", "lost");
    world.server.tamper = None;
    world.settle();
    let unreadable = |n: &&Notice| matches!(n, Notice::Unreadable { .. });
    assert_eq!(notices(&world, alice).iter().filter(unreadable).count(), 1);
    world.say(bob, "alice", "readable again");
    assert_eq!(world.received(alice), ["fine", "readable again"]);
    spoil(&mut world);
    world.say(bob, "alice", "lost too");
    world.server.tamper = None;
    assert_eq!(notices(&world, alice).iter().filter(unreadable).count(), 1);
    assert!(notices(&world, alice).iter().any(|n| matches!(n, Notice::StillUnreadable { .. })));
    world.say(bob, "alice", "and on it goes");
    assert_eq!(world.received(alice), ["fine", "readable again", "and on it goes"]);
}

/// The program ends when the user has been told, and before the bundle is here: the next start goes on.
#[test]
fn a_repair_outlives_the_program() {
    let (mut world, alice, bob) = World::alice_and_bob(79);
    world.say(bob, "alice", "fine");
    world.say(alice, "bob", "fine");
    world.server.failing.insert("bob@south.example".into(), Condition::RemoteServerTimeout);
    spoil(&mut world);
    world.say(bob, "alice", "lost");
    world.server.tamper = None;
    world.settle();
    let bob_jid = xmpp::jid::BareJid::parse("bob@south.example").unwrap();
    let id = world.device_ids("bob@south.example")[0];
    let due = |world: &mut World| {
        let row = store::block_on(world.engine(alice).device_row(&bob_jid, id)).unwrap().unwrap();
        row.is_repair_due(xep::omemo::Version::Omemo2)
    };
    let to_bob =
        |world: &World| world.server.messages.iter().filter(|m| m.attr("to") == Some("bob@south.example")).count();
    assert_eq!(notices(&world, alice), [Notice::Unreadable { contact: bob_jid.clone() }]);
    assert!(due(&mut world));
    let before = to_bob(&world);
    world.kill(alice);
    world.server.failing.clear();
    world.start(alice, crate::engine::Origin::Same).unwrap();
    world.command(alice, Command::GoOnline).unwrap();
    assert_eq!(to_bob(&world), before + 1, "the message that tells of the new session");
    assert!(!due(&mut world));
    world.restart(alice);
    assert_eq!(to_bob(&world), before + 1, "once");
}

/// A device that its owner's list names no more, and whose key is known.
#[test]
fn an_unreadable_message_of_a_known_device_off_the_list_is_told_and_repaired() {
    let (mut world, alice, bob) = World::alice_and_bob(80);
    world.say(bob, "alice", "fine");
    let bob_jid = xmpp::jid::BareJid::parse("bob@south.example").unwrap();
    let id = world.device_ids("bob@south.example")[0];
    let engine = world.engine(alice);
    store::block_on(async {
        let mut row = engine.device_row(&bob_jid, id).await.unwrap().unwrap();
        (row.listed_omemo2, row.listed_legacy) = (false, false);
        let mut tx = engine.store.transaction();
        engine.put_device_row(&mut tx, &row).unwrap();
        tx.commit().await.unwrap();
    });
    spoil(&mut world);
    world.say(bob, "alice", "lost");
    world.server.tamper = None;
    world.settle();
    assert!(notices(&world, alice).contains(&Notice::Unreadable { contact: bob_jid.clone() }));
    world.say(bob, "alice", "readable again");
    assert_eq!(world.received(alice), ["fine", "readable again"]);
}

#[test]
fn a_server_that_does_not_answer_keeps_messages_waiting() {
    let (mut world, alice, bob) = World::alice_and_bob(71);
    world.advance(Duration::from_secs(25 * 60 * 60));
    world.server.failing.insert("bob@south.example".into(), Condition::RemoteServerTimeout);
    let id = world.say(alice, "bob", "patience");
    assert_eq!(world.state(alice, "bob", &id), MessageState::Delayed(Failure::ServerTimeout));
    world.server.failing.clear();
    world.advance(Duration::from_secs(120));
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert_eq!(world.received(bob), ["patience"]);
}

#[test]
fn bounces_become_words() {
    for (condition, failure) in [
        (Condition::PolicyViolation, Failure::PolicyViolation),
        (Condition::ItemNotFound, Failure::NoSuchPerson),
        (Condition::RemoteServerNotFound, Failure::NoSuchServer),
        (Condition::ServiceUnavailable, Failure::Unavailable),
    ] {
        let (mut world, alice, _) = World::alice_and_bob(72);
        world.server.bouncing.insert("bob@south.example".into(), condition);
        let id = world.say(alice, "bob", "returned");
        assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(failure));
    }
}

#[test]
fn a_bounce_for_a_while_is_tried_again() {
    for condition in [Condition::RemoteServerTimeout, Condition::ResourceConstraint, Condition::InternalServerError] {
        let (mut world, alice, bob) = World::alice_and_bob(73);
        world.server.bouncing.insert("bob@south.example".into(), condition);
        let id = world.say(alice, "bob", "later");
        assert!(matches!(world.state(alice, "bob", &id), MessageState::Delayed(_)));
        world.server.bouncing.clear();
        world.advance(Duration::from_secs(300));
        assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
        assert_eq!(world.received(bob), ["later"]);
    }
}

#[test]
fn prekeys_are_refilled_when_they_run_low() {
    let mut world = World::new(74);
    let alice = world.join("alice", "north.example");
    let bundle = |world: &mut World| {
        let nodes = world.server.nodes("alice@north.example");
        let item = nodes["urn:xmpp:omemo:2:bundles"].last().unwrap().payload.clone().unwrap();
        xep::omemo::BundleElement::parse(&item).unwrap().1
    };
    assert_eq!(bundle(&mut world).prekeys.len(), 100);
    let bob = world.join("bob", "south.example");
    world.say(bob, "alice@north.example", "takes one");
    world.advance(Duration::from_secs(60 * 60));
    assert_eq!(bundle(&mut world).prekeys.len(), 99);
    let before = bundle(&mut world).signed_prekey;
    world.advance(Duration::from_secs(8 * 24 * 60 * 60));
    world.restart(alice);
    assert_ne!(bundle(&mut world).signed_prekey, before, "the signed prekey is replaced weekly");
}

/// Two people who fetched the same bundle may pick the same prekey: neither loses a word, live or not.
#[test]
fn two_senders_who_picked_one_prekey_are_both_read() {
    for away in [false, true] {
        let mut world = World::new(76);
        let alice = world.join("alice", "north.example");
        let others = [world.join("bob", "south.example"), world.join("carol", "west.example")];
        for node in ["urn:xmpp:omemo:2:bundles".to_owned(), {
            let id = world.device_ids("alice@north.example")[0];
            format!("eu.siacs.conversations.axolotl.bundles:{id}")
        }] {
            let nodes = world.server.nodes("alice@north.example");
            let Some(item) = nodes.get_mut(&node).and_then(|items| items.last_mut()) else { continue };
            let payload = item.payload.as_mut().unwrap();
            let prekeys = payload.children_mut().find(|child| child.name() == "prekeys").unwrap();
            let first = prekeys.children().next().unwrap().clone();
            *prekeys = xmpp::xml::Element::new("prekeys", prekeys.ns().to_owned()).with_child(first);
        }
        if away {
            world.kill(alice);
        }
        for (number, person) in others.iter().enumerate() {
            world.say(*person, "alice@north.example", &format!("words {number}"));
        }
        if away {
            world.restart(alice);
        }
        let mut requests = world.texts(alice, InboxSide::Requests);
        requests.sort();
        assert_eq!(requests, ["words 0", "words 1"], "away: {away}");
        for (person, who) in others.iter().zip(["bob@south.example", "carol@west.example"]) {
            world.command(alice, Command::Accept { who: who.into() }).unwrap();
            world.say(alice, who, "welcome");
            assert_eq!(world.received(*person), ["welcome"], "away: {away}");
            world.say(*person, "alice", "thank you");
        }
        let mut received = world.received(alice);
        received.sort();
        assert_eq!(received, ["thank you", "thank you", "words 0", "words 1"]);
        assert!(world.notices(alice).is_empty());
    }
}

#[test]
fn nodes_that_are_shown_to_subscribers_only_are_asked_for_once() {
    let (mut world, alice, bob) = World::alice_and_bob(75);
    world.advance(Duration::from_secs(25 * 60 * 60));
    world.server.failing.insert("bob@south.example".into(), Condition::Forbidden);
    let id = world.say(alice, "bob", "may I?");
    world.advance(Duration::from_secs(600));
    assert_eq!(world.state(alice, "bob", &id), MessageState::Delayed(Failure::NotSecure));
    let asked = |world: &World| {
        let to_bob = |p: &&xmpp::xml::Element| p.attr("to") == Some("bob@south.example");
        world.server.presences.iter().filter(to_bob).filter(|p| p.attr("type") == Some("subscribe")).count()
    };
    assert_eq!(asked(&world), 1);
    assert!(world.contact(bob, "alice@north.example").unwrap().asks_presence, "it is bob's to grant");
    world.server.failing.clear();
    world.command(bob, crate::Command::GrantPresence { who: "alice".into() }).unwrap();
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert_eq!(world.received(bob), ["may I?"]);
}

#[test]
fn nodes_with_other_settings_are_configured_and_published_again() {
    let mut world = World::new(76);
    world.server.refuses_options = true;
    world.join("alice", "north.example");
    assert_eq!(world.device_ids("alice@north.example").len(), 1);
    for node in ["urn:xmpp:omemo:2:bundles", "eu.siacs.conversations.axolotl.devicelist"] {
        assert!(world.server.nodes("alice@north.example").contains_key(node), "{node}");
    }
}

#[test]
fn the_signed_prekey_is_replaced_weekly_without_a_restart() {
    let mut world = World::new(77);
    world.join("alice", "north.example");
    let signed = |world: &mut World| {
        let item = world.server.nodes("alice@north.example")["urn:xmpp:omemo:2:bundles"].last().unwrap().clone();
        xep::omemo::BundleElement::parse(item.payload.as_ref().unwrap()).unwrap().1.signed_prekey
    };
    let before = signed(&mut world);
    world.advance(Duration::from_secs(6 * 24 * 60 * 60));
    assert_eq!(signed(&mut world), before);
    world.advance(Duration::from_secs(2 * 24 * 60 * 60));
    assert_ne!(signed(&mut world), before);
}

#[test]
fn servers_that_know_no_options_get_none() {
    let mut world = World::new(78);
    world.server.knows_options = false;
    world.join("alice", "north.example");
    assert_eq!(world.device_ids("alice@north.example").len(), 1);
    assert!(world.server.nodes("alice@north.example").contains_key("urn:xmpp:omemo:2:bundles"));
}
