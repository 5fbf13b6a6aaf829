//! The main job: two people on two brokers, messages and a picture in both directions, online or not.

use std::time::Duration;

use bytes::Bytes;
use client::Command;
use client::command::InboxSide;
use client::event::{FileState, MessageState, PersonTrust, Relation};

use crate::dice::for_seeds;
use crate::hostile::hiding;
use crate::world::{NORTH, SOUTH, World};

#[test]
fn two_people_on_two_brokers_write_to_each_other() {
    for_seeds(3, |seed| {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        let first = world.say(bob, "alice", "hello from the south");
        assert_eq!(world.received(alice), ["hello from the south"]);
        assert_eq!(world.state(bob, "alice", &first), MessageState::AtBroker);
        let second = world.say(alice, "bob", "hello from the north");
        assert_eq!(world.received(bob), ["hello from the north"]);
        assert_eq!(world.state(alice, "bob", &second), MessageState::AtBroker);
        for text in ["one", "two", "three"] {
            world.say(alice, "bob", text);
            world.say(bob, "alice", text);
        }
        assert_eq!(world.received(bob), ["hello from the north", "one", "two", "three"]);
        assert_eq!(world.received(alice), ["hello from the south", "one", "two", "three"]);
    });
}

/// The link shows whose it is, and the one who made it learns who came by it.
#[test]
fn a_link_makes_contacts_of_both() {
    let (mut world, alice, bob) = World::alice_and_bob(10);
    let host = world.contact(bob, "alice@north.example").expect("a contact");
    assert_eq!((host.relation, host.trust), (Relation::Accepted, PersonTrust::Verified));
    let guest = world.contact(alice, "bob@south.example").expect("a contact");
    assert_eq!((guest.relation, guest.trust), (Relation::Accepted, PersonTrust::Tofu));
}

#[test]
fn messages_wait_for_those_who_are_away() {
    for_seeds(3, |seed| {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        world.kill_person(alice);
        world.settle();
        for text in ["one", "two", "three"] {
            let id = world.say(bob, "alice", text);
            assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
        }
        world.restart_site(NORTH);
        world.restart_site(SOUTH);
        world.advance(Duration::from_secs(3 * 86_400));
        world.start_person(alice);
        world.settle();
        assert_eq!(world.received(alice), ["one", "two", "three"]);
    });
}

#[test]
fn pictures_go_both_ways_between_brokers() {
    let (mut world, alice, bob) = World::alice_and_bob(11);
    let picture: Bytes = (0..300_000u32).map(|n| (n % 251) as u8).collect::<Vec<u8>>().into();
    for (from, to, to_name, from_name) in [(bob, alice, "alice", "bob"), (alice, bob, "bob", "alice")] {
        let message = world.send_file(from, to_name, "../../photo.jpg", picture.clone());
        assert_eq!(world.received(to), ["file photo.jpg"]);
        world.fetch_file(to, from_name, &message);
        let saved = world.people[to].saved.last().expect("it was saved");
        assert_eq!((saved.name.as_str(), &saved.bytes), ("photo.jpg", &picture));
        let told = world.people[from].events.iter().any(|event| {
            matches!(event, client::Event::FileProgress { message: about, state: FileState::Complete, .. } if *about == message)
        });
        assert!(told, "the sender is told that it is there");
    }
}

/// Neither has a session with the other, and both begin one at the same moment.
#[test]
fn two_who_write_at_the_same_moment_understand_each_other() {
    for_seeds(3, |seed| {
        let mut world = World::new(seed);
        let alice = world.join("alice", NORTH);
        let bob = world.join("bob", SOUTH);
        let links = [world.invite(alice), world.invite(bob)];
        for (person, link) in [(alice, &links[1]), (bob, &links[0])] {
            world.command_only(person, Command::Add { link: link.clone(), name: None }).expect("a link");
        }
        world.say_only(alice, "bob", "first").expect("it is saved");
        world.say_only(bob, "alice", "first").expect("it is saved");
        world.settle();
        for round in ["second", "third"] {
            world.say(alice, "bob", round);
            world.say(bob, "alice", round);
        }
        assert_eq!(world.received(alice), ["first", "second", "third"]);
        assert_eq!(world.received(bob), ["first", "second", "third"]);
    });
}

/// The other side's list of devices, or what belongs to them, is not there yet when the first message is written.
#[test]
fn keys_that_appear_late_are_found() {
    for node in ["urn:xmpp:omemo:2:bundles", ""] {
        let mut world = World::new(12);
        let alice = world.join("alice", NORTH);
        let bob = world.join("bob", SOUTH);
        world.tamper = hiding(node);
        let say = Command::Say { who: "bob@south.example".to_owned(), text: "are you there".to_owned() };
        world.command(alice, say);
        assert!(world.tampered_count > 0);
        world.tamper = None;
        world.advance(Duration::from_secs(3600));
        world.say(alice, "bob@south.example", "and now");
        let got = world.texts(bob, InboxSide::Requests);
        assert_eq!(got.last().map(String::as_str), Some("and now"), "hidden: {node}");
    }
}
