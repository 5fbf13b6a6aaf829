//! People who do not know each other, and people who do not want to.

use client::Command;
use client::command::InboxSide;
use client::event::Relation;

use crate::world::{NORTH, Party, SOUTH, World};

/// Mallory knows Alice's address and nothing else. Returns them, on two brokers.
fn stranger(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed);
    let alice = world.join("alice", NORTH);
    let mallory = world.join("mallory", SOUTH);
    (world, alice, mallory)
}

fn write_to(world: &mut World, from: usize, address: &str, text: &str) {
    world.command(from, Command::Say { who: address.to_owned(), text: text.to_owned() });
}

/// How many stanzas Alice's program has sent to anybody at Mallory's broker, or asked of them.
fn sent_to_strangers(world: &World, person: usize) -> usize {
    let said = world.record.crossings.iter().filter(|crossing| crossing.from == Party::Person(person));
    let stanzas =
        said.flat_map(|crossing| crate::stanzas::parse(&crossing.bytes, xmpp::ns::CLIENT).unwrap_or_default());
    stanzas.filter(|stanza| stanza.attr("to").is_some_and(|to| to.contains("mallory"))).count()
}

#[test]
fn a_strangers_message_lies_in_the_requests_and_nothing_goes_back() {
    let (mut world, alice, mallory) = stranger(60);
    write_to(&mut world, mallory, "alice@north.example", "you do not know me");
    assert!(world.received(alice).is_empty());
    assert_eq!(world.texts(alice, InboxSide::Requests), ["you do not know me"]);
    let contact = world.contact(alice, "mallory@south.example").expect("a request");
    assert_eq!(contact.relation, Relation::Request);
    let answered = world.record.crossings.iter().any(|crossing| {
        crossing.from == Party::Person(alice)
            && crate::stanzas::parse(&crossing.bytes, xmpp::ns::CLIENT)
                .unwrap_or_default()
                .iter()
                .any(|stanza| stanza.name() == "message" && stanza.attr("to").is_some_and(|to| to.contains("mallory")))
    });
    assert!(!answered, "a stranger gets no receipt and no other sign of life");
}

#[test]
fn a_stranger_who_is_accepted_is_a_contact() {
    let (mut world, alice, mallory) = stranger(61);
    write_to(&mut world, mallory, "alice@north.example", "I am the plumber");
    world.command(alice, Command::Accept { who: "mallory@south.example".to_owned() });
    assert_eq!(world.received(alice), ["I am the plumber"]);
    world.say(alice, "mallory", "come at noon");
    assert_eq!(world.texts(mallory, InboxSide::Contacts), ["come at noon"]);
}

#[test]
fn a_stranger_who_is_blocked_is_not_heard_again() {
    let (mut world, alice, mallory) = stranger(62);
    write_to(&mut world, mallory, "alice@north.example", "buy this");
    world.command(alice, Command::Block { who: "mallory@south.example".to_owned() });
    let before = sent_to_strangers(&world, alice);
    write_to(&mut world, mallory, "alice@north.example", "buy it now");
    assert!(world.received(alice).is_empty());
    assert!(!world.texts(alice, InboxSide::Requests).contains(&"buy it now".to_owned()));
    assert_eq!(sent_to_strangers(&world, alice), before, "nothing goes back");
}
