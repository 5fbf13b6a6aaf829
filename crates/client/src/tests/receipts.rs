//! Delivery receipts (XEP-0184): given only where the user agreed, believed only from whom they concern.

use xep::omemo::{NS_OMEMO2, Version};
use xep::receipts;
use xmpp::xml::Element;

use crate::command::{Command, Decision, InboxSide};
use crate::event::{Event, MessageId, MessageState};
use crate::testing::{Ghost, World};

const ALICE: &str = "alice@north.example";
const BOB: &str = "bob@south.example";

/// Alice and bob have talked both ways, so that nothing is owed.
fn talked(seed: u64) -> (World, usize, usize) {
    let (mut world, alice, bob) = World::alice_and_bob(seed);
    world.say(alice, "bob", "hi");
    world.say(bob, "alice", "hi alice");
    world.say(alice, "bob", "how are you?");
    (world, alice, bob)
}

/// As [`talked`], with apps of the older kind.
fn talked_in_legacy(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed);
    let bob = world.join("bob", "south.example");
    world.server.hide(BOB, Version::Omemo2);
    let alice = world.join("alice", "north.example");
    world.server.hide(ALICE, Version::Omemo2);
    world.say(alice, BOB, "hi");
    world.command(bob, Command::Accept { who: ALICE.into() }).unwrap();
    world.say(bob, ALICE, "hi alice");
    world.say(alice, BOB, "how are you?");
    (world, alice, bob)
}

fn agree(world: &mut World, person: usize, who: Option<&str>, on: bool) {
    world.command(person, Command::Receipts { who: who.map(str::to_owned), on }).unwrap();
}

/// How many stanzas have gone to somebody.
fn count_to(world: &World, address: &str) -> usize {
    world.server.messages.iter().filter(|m| m.attr("to") == Some(address)).count()
}

/// How many of them say something: an empty message says that a session works.
fn count_said_to(world: &World, address: &str) -> usize {
    let said = |m: &&Element| m.child("encrypted", NS_OMEMO2).is_some_and(|e| e.child("payload", NS_OMEMO2).is_some());
    world.server.messages.iter().filter(|m| m.attr("to") == Some(address)).filter(said).count()
}

/// The ids that receipts in clear to somebody name.
fn clear_receipts_to(world: &World, address: &str) -> Vec<String> {
    let to = world.server.messages.iter().filter(|m| m.attr("to") == Some(address));
    to.filter_map(|m| Some(m.child("received", receipts::NS)?.attr("id")?.to_owned())).collect()
}

fn states(world: &World, person: usize, wanted: &MessageId) -> Vec<MessageState> {
    let of = |event: &Event| match event {
        Event::MessageState { id, state, .. } if id == wanted => Some(state.clone()),
        _ => None,
    };
    world.people[person].events.iter().filter_map(of).collect()
}

fn clear_receipt(from: &str, id: &str) -> Element {
    Element::new("message", xmpp::ns::CLIENT)
        .with_attr("type", "chat")
        .with_attr("from", format!("{from}/phone"))
        .with_attr("id", "forged")
        .with_child(receipts::received(id))
}

#[test]
fn receipts_are_off_until_the_user_agrees() {
    for legacy in [false, true] {
        let (mut world, alice, bob) = if legacy { talked_in_legacy(900) } else { talked(900) };
        assert_eq!(world.contact(alice, BOB).unwrap().receipts, None);
        let before = count_to(&world, BOB);
        let id = world.say(bob, ALICE, "did it arrive?");
        assert_eq!(world.state(bob, ALICE, &id), MessageState::AtBroker);
        assert_eq!(count_to(&world, BOB), before, "nothing leaves");
    }
}

#[test]
fn receipts_are_given_once_the_user_agrees_and_shown() {
    for legacy in [false, true] {
        let (mut world, alice, bob) = if legacy { talked_in_legacy(901) } else { talked(901) };
        agree(&mut world, alice, None, true);
        assert_eq!(world.contact(alice, BOB).unwrap().receipts, Some(true));
        let before = count_to(&world, BOB);
        let id = world.say(bob, ALICE, "did it arrive?");
        assert_eq!(world.state(bob, ALICE, &id), MessageState::Delivered);
        assert_eq!(states(&world, bob, &id).last(), Some(&MessageState::Delivered));
        assert_eq!(count_to(&world, BOB), before + 1, "one receipt");
        let in_clear = if legacy { vec![id.as_str().to_owned()] } else { Vec::new() };
        assert_eq!(clear_receipts_to(&world, BOB), in_clear);
        assert_eq!(world.texts(bob, InboxSide::Contacts).last().unwrap(), "how are you?", "it is no message");
    }
}

#[test]
fn what_is_said_for_one_contact_comes_before_what_is_said_for_all() {
    let (mut world, alice, bob) = talked(902);
    agree(&mut world, alice, Some("bob"), true);
    let id = world.say(bob, "alice", "one");
    assert_eq!(world.state(bob, "alice", &id), MessageState::Delivered);
    agree(&mut world, alice, None, false);
    let id = world.say(bob, "alice", "two");
    assert_eq!(world.state(bob, "alice", &id), MessageState::Delivered);
    agree(&mut world, alice, None, true);
    agree(&mut world, alice, Some("bob"), false);
    let id = world.say(bob, "alice", "three");
    assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
    world.restart(alice);
    let id = world.say(bob, "alice", "four");
    assert_eq!(world.contact(alice, BOB).unwrap().receipts, Some(false), "and it is kept");
    assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
}

#[test]
fn what_came_before_the_own_device_was_checked_gets_its_receipt_after() {
    let (mut world, alice, bob) = talked(903);
    agree(&mut world, alice, None, true);
    world.command(alice, Command::GoOffline).unwrap();
    let ids: Vec<MessageId> = ["one", "two"].map(|text| world.say(bob, "alice", text)).into();
    let device = world.device_ids(ALICE)[0];
    world.server.mute_nodes.push(Version::Omemo2.bundle_node(device));
    let before = count_to(&world, BOB);
    world.command(alice, Command::GoOnline).unwrap();
    assert_eq!(world.texts(alice, InboxSide::Contacts).last().unwrap(), "two", "they are here");
    assert_eq!(count_to(&world, BOB), before, "and no ratchet has moved for them");
    world.command(alice, Command::GoOffline).unwrap();
    world.server.mute_nodes.clear();
    world.command(alice, Command::GoOnline).unwrap();
    for id in &ids {
        assert_eq!(world.state(bob, "alice", id), MessageState::Delivered);
    }
}

#[test]
fn requests_blocked_people_and_held_words_get_no_receipt() {
    let (mut world, alice, _) = talked(904);
    agree(&mut world, alice, None, true);
    let carol = world.join("carol", "south.example");
    let id = world.say(carol, ALICE, "you do not know me");
    assert_eq!(count_to(&world, "carol@south.example"), 0);
    world.command(alice, Command::Accept { who: "carol@south.example".into() }).unwrap();
    assert_eq!(world.state(carol, ALICE, &id), MessageState::AtBroker, "it arrived before that");
    world.command(alice, Command::Block { who: "carol@south.example".into() }).unwrap();
    let before = count_to(&world, "carol@south.example");
    world.say(carol, ALICE, "listen");
    assert_eq!(count_to(&world, "carol@south.example"), before);

    let mut ghost = Ghost::new(&world, 904);
    let before = count_said_to(&world, BOB);
    let body = Element::new("body", xmpp::ns::CLIENT).with_text("held");
    ghost.say_content(&mut world, alice, BOB, ALICE, vec![body, receipts::request()]);
    assert_eq!(world.contact(alice, BOB).unwrap().held_count, 1);
    let device = ghost.id();
    let (who, fingerprint, decision) = (Some("bob".to_owned()), None, Decision::Agree);
    world.command(alice, Command::Devices { who: who.clone(), to_show: true }).unwrap();
    world.command(alice, Command::DecideDevice { who, device, fingerprint, decision }).unwrap();
    assert!(world.received(alice).contains(&"held".to_owned()));
    assert_eq!(count_said_to(&world, BOB), before, "not when it was held, and not when it was shown");
}

#[test]
fn a_message_that_comes_again_gets_no_second_receipt() {
    for legacy in [false, true] {
        let (mut world, alice, bob) = if legacy { talked_in_legacy(905) } else { talked(905) };
        agree(&mut world, alice, None, true);
        world.say(bob, ALICE, "once");
        let mut again = world.server.messages.iter().rfind(|m| m.attr("to") == Some(ALICE)).unwrap().clone();
        let before = count_to(&world, BOB);
        again.set_attr("from", format!("{BOB}/phone"));
        world.server.inject(alice, &again);
        again.set_attr("type", "groupchat");
        world.server.inject(alice, &again);
        world.settle();
        assert_eq!(count_to(&world, BOB), before);
    }
}

#[test]
fn words_encrypted_again_under_the_same_id_get_no_second_receipt() {
    let (mut world, alice, _) = talked(910);
    let mallory = "mallory@south.example";
    let mut theirs = Ghost::new(&world, 910);
    theirs.say(&mut world, alice, mallory, ALICE, "hello");
    world.command(alice, Command::Accept { who: mallory.into() }).unwrap();
    agree(&mut world, alice, None, true);
    let before = count_said_to(&world, mallory);
    let content = || vec![Element::new("body", xmpp::ns::CLIENT).with_text("again"), receipts::request()];
    theirs.say_content(&mut world, alice, mallory, ALICE, content());
    assert_eq!(count_said_to(&world, mallory), before + 1);
    theirs.repeat_id();
    theirs.say_content(&mut world, alice, mallory, ALICE, content());
    assert_eq!(count_said_to(&world, mallory), before + 1);
    let words = Element::new("body", xmpp::ns::CLIENT).with_text("quietly");
    theirs.say_content(&mut world, alice, mallory, ALICE, vec![words]);
    assert_eq!(count_said_to(&world, mallory), before + 1, "nobody asked");
}

#[test]
fn c14_receipts_in_clear_count_only_from_whom_got_the_message_in_the_older_encryption() {
    let (mut world, alice, bob) = talked_in_legacy(906);
    let carol = world.join("carol", "north.example");
    world.say(carol, ALICE, "hello");
    world.command(alice, Command::Accept { who: "carol@north.example".into() }).unwrap();
    let id = world.say(alice, BOB, "is it there?");
    let others = ["carol@north.example", "mallory@south.example", ALICE, "south.example"];
    for from in others {
        world.server.inject(alice, &clear_receipt(from, id.as_str()));
    }
    for unknown in ["unknown", ""] {
        world.server.inject(alice, &clear_receipt(BOB, unknown));
    }
    for kind in ["groupchat", "headline", "error"] {
        let mut odd = clear_receipt(BOB, id.as_str());
        odd.set_attr("type", kind);
        world.server.inject(alice, &odd);
    }
    world.settle();
    assert_eq!(world.state(alice, BOB, &id), MessageState::AtBroker);
    // What the threat model says: in clear, a broker can say it in bob's name.
    world.server.inject(alice, &clear_receipt(BOB, id.as_str()));
    world.server.inject(alice, &clear_receipt(BOB, id.as_str()));
    world.settle();
    assert_eq!(world.state(alice, BOB, &id), MessageState::Delivered);
    let delivered = states(&world, alice, &id).into_iter().filter(|state| *state == MessageState::Delivered).count();
    assert_eq!(delivered, 1, "and it is told once");
    assert!(!states(&world, bob, &id).contains(&MessageState::Delivered));
    let last = world.say(alice, BOB, "one more");
    world.command(alice, Command::Block { who: BOB.into() }).unwrap();
    world.server.inject(alice, &clear_receipt(BOB, last.as_str()));
    world.settle();
    assert_eq!(world.state(alice, BOB, &last), MessageState::AtBroker, "blocked people say nothing");
}

#[test]
fn c14_a_broker_cannot_say_in_clear_that_an_envelope_has_arrived() {
    let (mut world, alice, _) = talked(907);
    let id = world.say(alice, "bob", "is it there?");
    world.server.inject(alice, &clear_receipt(BOB, id.as_str()));
    world.settle();
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
}

#[test]
fn c14_receipts_of_others_in_envelopes_and_for_unknown_ids_change_nothing() {
    let (mut world, alice, bob) = talked(908);
    let id = world.say(alice, "bob", "is it there?");
    let incoming = world.say(bob, "alice", "what?");
    let mut ghost = Ghost::new(&world, 908);
    // A device that nobody knows, in bob's name.
    ghost.say_content(&mut world, alice, BOB, ALICE, vec![receipts::received(id.as_str())]);
    // Mallory, who is a contact, and knows the id.
    let mallory = "mallory@south.example";
    let mut theirs = Ghost::new(&world, 909);
    theirs.say(&mut world, alice, mallory, ALICE, "hello");
    theirs.say_content(&mut world, alice, mallory, ALICE, vec![receipts::received(id.as_str())]);
    world.command(alice, Command::Accept { who: mallory.into() }).unwrap();
    for named in [id.as_str(), incoming.as_str(), "unknown", ""] {
        theirs.say_content(&mut world, alice, mallory, ALICE, vec![receipts::received(named)]);
    }
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert_eq!(world.state(alice, "bob", &incoming), MessageState::Received);
}
