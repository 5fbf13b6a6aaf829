//! C08: no server can make an engine send less than it sent before, or anything in clear.

use xep::omemo::{NS_LEGACY, NS_OMEMO2, Version};

use crate::command::Command;
use crate::error::Failure;
use crate::event::{Event, MessageState};
use crate::testing::World;

fn used(world: &World, ns: &str) -> usize {
    world.server.messages.iter().filter(|m| m.child("encrypted", ns).is_some()).count()
}

#[test]
fn c08_hiding_either_node_never_leads_to_less() {
    for version in Version::STRONGEST_FIRST {
        let (mut world, alice, bob) = World::alice_and_bob(80);
        world.say(alice, "bob", "strong");
        world.server.hide("bob@south.example", version);
        world.advance(std::time::Duration::from_secs(25 * 60 * 60)); // the list is fetched anew
        world.say(alice, "bob", "still strong");
        assert_eq!(world.received(bob), ["strong", "still strong"]);
        assert_eq!(used(&world, NS_LEGACY), 0);
    }
}

#[test]
fn c08_hiding_both_nodes_sends_nothing() {
    let (mut world, alice, bob) = World::alice_and_bob(81);
    world.say(alice, "bob", "strong");
    let sent = world.server.messages.len();
    for version in Version::STRONGEST_FIRST {
        world.server.hide("bob@south.example", version);
    }
    world.advance(std::time::Duration::from_secs(25 * 60 * 60));
    let id = world.say(alice, "bob", "to nobody");
    assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(Failure::NotSecure));
    assert_eq!(world.server.messages.len(), sent);
    assert_eq!(world.received(bob), ["strong"]);
}

#[test]
fn c08_nobody_securely_reachable_is_told_and_nothing_is_sent() {
    let (mut world, alice, _) = World::alice_and_bob(82);
    world.server.register("carol@north.example", "no app of hers was ever here");
    let sent = world.server.messages.len();
    let invites = world.server.invites_count();
    let id = world.say(alice, "carol@north.example", "psst");
    let failed = MessageState::Undeliverable(Failure::NotSecure);
    let told =
        |event: &Event| matches!(event, Event::MessageState { id: of, state, .. } if *of == id && *state == failed);
    assert!(world.people[alice].events.iter().any(told));
    assert_eq!(world.server.messages.len(), sent);
    assert_eq!(world.server.invites_count(), invites, "an invitation is made when somebody asks for one");
    assert!(world.contact(alice, "carol@north.example").is_none(), "nobody was reached, so nobody is a contact");
}

#[test]
fn c08_no_body_reaches_the_wire() {
    let (mut world, alice, bob) = World::alice_and_bob(83);
    for text in ["a rather particular sentence", "another one"] {
        world.say(alice, "bob", text);
        world.say(bob, "alice", text);
    }
    assert!(world.server.messages.len() >= 4);
    for message in &world.server.messages {
        let xml = message.to_xml("");
        assert!(!xml.contains("particular") && !xml.contains("<body"), "{xml}");
        let allowed = ["encrypted", "encryption", "store", "origin-id"];
        assert!(message.children().all(|child| allowed.contains(&child.name())), "{xml}");
    }
}

#[test]
fn c08_a_device_that_appears_late_is_found_at_the_next_try() {
    let (mut world, alice, _) = World::alice_and_bob(84);
    for version in Version::STRONGEST_FIRST {
        world.server.hide("bob@south.example", version);
    }
    world.advance(std::time::Duration::from_secs(25 * 60 * 60));
    let id = world.say(alice, "bob", "patience");
    world.server.hidden.clear();
    world.command(alice, Command::Retry { who: "bob".into(), message: id.clone() }).unwrap();
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
}

#[test]
fn devices_without_omemo_2_are_reached_by_legacy() {
    let (mut world, alice, bob) = World::alice_and_bob(85);
    // As an app of the older kind publishes: no node of the newer one.
    world.server.hide("bob@south.example", Version::Omemo2);
    world.server.hide("alice@north.example", Version::Omemo2);
    let carol = world.join("carol", "north.example");
    world.say(carol, "bob@south.example", "old words");
    assert!(used(&world, NS_LEGACY) > 0);
    world.command(bob, Command::Accept { who: "carol@north.example".into() }).unwrap();
    assert_eq!(world.received(bob), ["old words"]);
    assert!(world.inbox(bob, crate::command::InboxSide::Contacts).last().unwrap().legacy, "and shown as weaker");
    assert!(world.inbox(carol, crate::command::InboxSide::Contacts).last().unwrap().legacy);
    assert!(world.contact(carol, "bob@south.example").unwrap().legacy, "as weak as the weakest device");
    assert!(!world.contact(alice, "bob@south.example").unwrap().legacy, "alice and bob had met before");
    assert_eq!(world.received(alice), Vec::<String>::new());
    assert!(used(&world, NS_OMEMO2) > 0, "alice and bob had met before");
}
