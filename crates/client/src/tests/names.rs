//! C25: whoever writes first may call themselves what they like. A short name still means a contact, or nobody.

use crate::command::{Command, Reply};
use crate::error::{CommandError, Failure};
use crate::event::{Contact, Event, MessageState, Relation};
use crate::testing::World;

const BOB: &str = "bob@south.example";
const FALSE_BOB: &str = "bob@north.example";

/// Alice knows bob; somebody of the same name at another server wrote to her.
fn scene(seed: u64) -> (World, usize, usize, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(seed);
    let false_bob = world.join("bob", "north.example");
    world.say(false_bob, "alice@north.example", "it is me, bob");
    (world, alice, bob, false_bob)
}

fn request(world: &mut World, person: usize) -> Contact {
    let Ok(Reply::Contacts(mut requests)) = world.command_only(person, Command::Requests) else { panic!("no list") };
    requests.remove(0)
}

fn say(who: &str) -> Command {
    Command::Say { who: who.into(), text: "a secret".into() }
}

#[test]
fn c25_a_short_name_reaches_the_contact_and_never_who_borrowed_it() {
    let (mut world, alice, bob, false_bob) = scene(700);
    world.say(alice, "bob", "for bob");
    assert_eq!((world.received(bob), world.received(false_bob).len()), (vec!["for bob".to_owned()], 0));
    assert_eq!(world.contact(alice, FALSE_BOB).unwrap().relation, Relation::Request);
}

#[test]
fn c25_a_short_name_accepts_nobody() {
    let (mut world, alice, _, _) = scene(701);
    world.command(alice, Command::Remove { who: "bob".into() }).unwrap();
    for command in [
        say("bob"),
        Command::Accept { who: "bob".into() },
        Command::Verify { who: "bob".into(), proof: crate::command::Proof::NumberShown },
        Command::Rename { who: "bob".into(), name: "Bob".into() },
        Command::Number { who: "bob".into() },
    ] {
        assert!(matches!(world.command(alice, command), Err(CommandError::NameOfRequest)));
    }
    assert_eq!(world.contact(alice, FALSE_BOB).unwrap().relation, Relation::Request);
    assert!(matches!(world.command(alice, say("rob")), Err(CommandError::UnknownContact)));
}

#[test]
fn c25_who_resembles_a_contact_is_marked_where_they_wait_and_where_they_are_accepted() {
    let (mut world, alice, _, _) = scene(702);
    let resembled = request(&mut world, alice).resembles.expect("marked");
    assert_eq!((resembled.name.as_str(), resembled.address.as_str()), ("bob", BOB));
    let told = |event: &Event| matches!(event, Event::Request(contact) if contact.resembles.is_some());
    assert!(world.people[alice].events.iter().any(told));
    match world.command(alice, Command::Accept { who: FALSE_BOB.into() }) {
        Ok(Reply::Contact(contact)) => assert!(contact.resembles.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn c25_writing_to_somebody_by_address_marks_them_as_well() {
    let (mut world, alice, _, _) = scene(703);
    world.people[alice].events.clear();
    world.say(alice, FALSE_BOB, "are you bob?");
    let marked = |event: &Event| matches!(event, Event::Contact(contact) if contact.resembles.is_some());
    assert!(world.people[alice].events.iter().any(marked));
}

#[test]
fn c25_names_that_only_look_like_a_contacts_are_marked() {
    let (mut world, alice, _) = World::alice_and_bob(704);
    world.command(alice, Command::Rename { who: "bob".into(), name: "Paul".into() }).unwrap();
    for (name, is_marked) in [("pau1", true), ("bob", true), ("paula", false)] {
        let other = world.join(name, "west.example");
        world.say(other, "alice@north.example", "hello");
        let contact = world.contact(alice, &format!("{name}@west.example")).unwrap();
        assert_eq!(contact.resembles.is_some(), is_marked, "{name}");
    }
}

#[test]
fn c25_an_ambiguous_name_lists_those_whom_it_may_mean() {
    let (mut world, alice, _, _) = scene(705);
    world.command(alice, Command::Accept { who: FALSE_BOB.into() }).unwrap();
    let Err(CommandError::AmbiguousName(candidates)) = world.command(alice, say("bob")) else {
        panic!("not ambiguous")
    };
    let addresses: Vec<&str> = candidates.addresses().iter().map(xmpp::jid::BareJid::as_str).collect();
    assert_eq!(addresses, [FALSE_BOB, BOB]);
    assert!(!format!("{candidates:?}").contains("bob"));
    world.say(alice, BOB, "an address is not ambiguous");
}

#[test]
fn whoever_cannot_be_reached_is_what_they_were_before() {
    let (mut world, alice, _, false_bob) = scene(706);
    let failed = MessageState::Undeliverable(Failure::NotSecure);
    world.server.register("carol@north.example", "no app of hers was ever here");
    world.say(alice, "carol@north.example", "psst");
    assert!(world.contact(alice, "carol@north.example").is_none());
    // A request whose keys are gone stays one.
    world.kill(false_bob);
    for version in xep::omemo::Version::STRONGEST_FIRST {
        world.server.hide(FALSE_BOB, version);
    }
    let id = world.say(alice, FALSE_BOB, "psst");
    assert_eq!(world.state(alice, FALSE_BOB, &id), failed);
    assert_eq!(world.contact(alice, FALSE_BOB).unwrap().relation, Relation::Request);
}

#[test]
fn who_is_a_contact_otherwise_stays_one_when_writing_fails() {
    let (mut world, alice, _) = World::alice_and_bob(707);
    world.server.register("carol@north.example", "no app of hers was ever here");
    world.command_only(alice, Command::GoOffline).unwrap();
    world.settle();
    world.command(alice, say("carol@north.example")).unwrap();
    world.command(alice, Command::Rename { who: "carol".into(), name: "Carla".into() }).unwrap();
    world.command(alice, Command::GoOnline).unwrap();
    assert_eq!(world.contact(alice, "carol@north.example").unwrap().name, "Carla");
    // What fails long after it was said stays where somebody finds it.
    world.command_only(alice, Command::GoOffline).unwrap();
    world.settle();
    world.server.register("dora@north.example", "no app of hers was ever here");
    world.command(alice, say("dora@north.example")).unwrap();
    world.advance(std::time::Duration::from_secs(3600));
    world.command(alice, Command::GoOnline).unwrap();
    assert!(world.contact(alice, "dora@north.example").is_some());
}
