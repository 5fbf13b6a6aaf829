//! C02, C13, C14: what a server or a contact does to encrypted messages.

use std::time::Duration;

use store::backend::memory::Fault;
use xmpp::xml::Element;

use crate::event::{Event, Notice};
use crate::testing::World;

#[test]
fn c02_a_message_delivered_twice_is_shown_once_and_changes_nothing() {
    let (mut world, alice, bob) = World::alice_and_bob(20);
    world.say(bob, "alice", "session");
    world.server.tamper = Some(Box::new(|stanza| vec![stanza.clone(), stanza.clone(), stanza]));
    world.say(bob, "alice", "once");
    world.server.tamper = None;
    world.say(bob, "alice", "still fine");
    world.say(alice, "bob", "both ways");
    assert_eq!(world.received(alice), ["session", "once", "still fine"]);
    assert_eq!(world.received(bob), ["both ways"]);
    assert!(!has_notice(&world, alice, |notice| matches!(notice, Notice::Unreadable { .. })));
}

#[test]
fn c02_a_replayed_key_exchange_begins_no_session() {
    let (mut world, alice, bob) = World::alice_and_bob(21);
    let exchange = world.server.messages.iter().find(|m| m.attr("to") == Some("alice@north.example")).cloned().unwrap();
    world.say(bob, "alice", "after");
    let commits = world.people[alice].backend.commit_count();
    world.server.deliver(exchange);
    world.settle();
    assert_eq!(world.people[alice].backend.commit_count(), commits);
    world.say(bob, "alice", "and still");
    assert_eq!(world.received(alice), ["after", "and still"]);
}

#[test]
fn c02_a_repetition_under_another_id_is_not_shown_either() {
    let (mut world, alice, bob) = World::alice_and_bob(22);
    world.say(bob, "alice", "session");
    world.server.tamper = Some(Box::new(|stanza| {
        let mut other = stanza.clone();
        other.set_attr("id", "another");
        other.retain_children(|child| child.name() != "origin-id");
        vec![stanza, other]
    }));
    world.say(bob, "alice", "once");
    assert_eq!(world.received(alice), ["session", "once"]);
}

#[test]
fn c13_odd_elements_are_ignored() {
    let (mut world, alice, bob) = World::alice_and_bob(23);
    world.say(bob, "alice", "session");
    let change: [fn(&mut Element); 4] = [
        |encrypted| encrypted.retain_children(|child| child.name() != "payload"), // a key without payload
        |encrypted| encrypted.retain_children(|child| child.name() != "header"),  // a payload without key
        |encrypted| {
            // the same key twice
            let header = encrypted.children_mut().find(|child| child.name() == "header").unwrap();
            let keys = header.children().next().cloned().unwrap();
            header.push(keys);
        },
        |encrypted| {
            // for a device that does not exist
            let header = encrypted.children_mut().find(|child| child.name() == "header").unwrap();
            for keys in header.children_mut() {
                for key in keys.children_mut() {
                    key.set_attr("rid", "1");
                }
            }
        },
    ];
    for change in change {
        world.server.tamper = Some(Box::new(move |mut stanza| {
            stanza.children_mut().filter(|child| child.name() == "encrypted").for_each(change);
            vec![stanza]
        }));
        world.say(bob, "alice", "tampered");
    }
    world.server.tamper = None;
    world.say(bob, "alice", "whole");
    assert_eq!(world.received(alice), ["session", "whole"]);
}

#[test]
fn c14_clear_text_beside_an_encrypted_element_is_not_shown() {
    let (mut world, alice, bob) = World::alice_and_bob(24);
    world.server.tamper = Some(Box::new(|mut stanza| {
        stanza.push(Element::new("body", xmpp::ns::CLIENT).with_text("smuggled"));
        stanza.push(Element::new("subject", xmpp::ns::CLIENT).with_text("smuggled"));
        vec![stanza]
    }));
    world.say(bob, "alice", "sealed");
    assert_eq!(world.received(alice), ["sealed"]);
}

#[test]
fn c14_clear_text_alone_is_not_shown() {
    let (mut world, alice, _) = World::alice_and_bob(25);
    for to in ["alice@north.example", "alice@north.example/x"] {
        let message = Element::new("message", xmpp::ns::CLIENT)
            .with_attr("type", "chat")
            .with_attr("from", "bob@south.example/r")
            .with_attr("to", to)
            .with_attr("id", "clear")
            .with_child(Element::new("body", xmpp::ns::CLIENT).with_text("trust me"));
        world.server.inject(alice, &message);
    }
    world.settle();
    assert!(world.received(alice).is_empty());
}

#[test]
fn c14_a_message_passed_on_in_anothers_name_is_not_shown() {
    let (mut world, alice, bob) = World::alice_and_bob(26);
    let eve = world.join("eve", "south.example");
    let link = world.invite_of(alice);
    world.command(eve, crate::Command::Add { link, name: None }).unwrap();
    world.say(eve, "alice", "session of eve");
    world.server.tamper = Some(Box::new(|mut stanza| {
        if stanza.attr("from").is_some_and(|from| from.starts_with("bob@")) {
            stanza.set_attr("from", "eve@south.example/x");
        }
        vec![stanza]
    }));
    world.say(bob, "alice", "in the name of eve");
    assert_eq!(world.received(alice), ["session of eve"]);
}

#[test]
fn devices_that_a_server_adds_or_leaves_out_are_noticed() {
    let (mut world, alice, bob) = World::alice_and_bob(29);
    world.say(bob, "alice", "session");
    let left_out = |notice: &Notice| matches!(notice, Notice::NotAllAddressed { .. });
    assert!(!has_notice(&world, alice, left_out));
    address_others(&mut world);
    world.say(bob, "alice", "shown, but");
    assert_eq!(world.received(alice), ["session", "shown, but"]);
    assert!(has_notice(&world, alice, left_out));
}

/// The next messages have keys for a device of alice's that their sender did not mean.
pub(super) fn address_others(world: &mut World) {
    world.server.tamper = Some(Box::new(|mut stanza| {
        for encrypted in stanza.children_mut().filter(|child| child.name() == "encrypted") {
            for header in encrypted.children_mut().filter(|child| child.name() == "header") {
                for keys in header.children_mut().filter(|child| child.attr("jid") == Some("alice@north.example")) {
                    let other = keys.children().next().cloned().unwrap();
                    keys.push(other.with_attr("rid", "4711"));
                }
            }
        }
        vec![stanza]
    }));
}

/// Bob writes, and what he wrote leaves an hour later.
pub(super) fn write_now_and_send_later(world: &mut World, bob: usize) {
    world.command_only(bob, crate::Command::GoOffline).unwrap();
    world.settle();
    world.command(bob, crate::Command::Say { who: "alice".into(), text: "an hour old".into() }).unwrap();
    world.advance(std::time::Duration::from_secs(3600));
    world.command(bob, crate::Command::GoOnline).unwrap();
}

#[test]
fn a_wrong_clock_is_noticed() {
    let (mut world, alice, bob) = World::alice_and_bob(28);
    world.say(bob, "alice", "session");
    write_now_and_send_later(&mut world, bob);
    assert_eq!(world.received(alice), ["session", "an hour old"]);
    assert!(has_notice(&world, alice, |notice| matches!(notice, Notice::OddTime { .. })));
}

/// Carol's first message reaches alice in the name of somebody else.
pub(super) fn carol_speaks_as(seed: u64, name: &'static str, fault: Fault) -> (World, usize) {
    let (mut world, alice, _) = World::alice_and_bob(seed);
    let carol = world.join("carol", "south.example");
    world.server.tamper = Some(Box::new(move |mut stanza| {
        if stanza.attr("from").is_some_and(|from| from.starts_with("carol@")) {
            stanza.set_attr("from", name);
        }
        vec![stanza]
    }));
    world.people[alice].survives = true;
    world.people[alice].backend.inject(fault);
    world.say(carol, "alice@north.example", "in another's name");
    (world, alice)
}

#[test]
fn a_message_that_is_not_what_its_envelope_says_is_told_once_that_is_saved() {
    let misaddressed = |notice: &Notice| matches!(notice, Notice::Misaddressed { .. });
    let (mut world, alice) = carol_speaks_as(201, "bob@south.example/x", Fault::ReadOnly);
    assert!(!has_notice(&world, alice, misaddressed), "the server will deliver it again");
    world.people[alice].backend.inject(Fault::None);
    world.advance(Duration::from_secs(600));
    let count = world.people[alice].events.iter().filter(|e| matches!(e, Event::Notice(n) if misaddressed(n))).count();
    assert_eq!(count, 1);
    assert!(world.received(alice).is_empty());
}

#[test]
fn strangers_cause_no_notices() {
    let (world, alice) = carol_speaks_as(202, "mallory@south.example/x", Fault::None);
    assert!(!has_notice(&world, alice, |_| true));
}

fn has_notice(world: &World, person: usize, wanted: impl Fn(&Notice) -> bool) -> bool {
    world.people[person].events.iter().any(|event| matches!(event, Event::Notice(notice) if wanted(notice)))
}
