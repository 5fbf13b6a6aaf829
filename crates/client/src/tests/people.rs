//! Strangers, requests, blocking, numbers and trust.

use crate::command::{Command, InboxSide, Proof, Reply};
use crate::error::{CommandError, Failure};
use crate::event::{Event, MessageState, PersonTrust, Relation};
use crate::testing::World;

/// Carol writes to alice without an invitation.
fn stranger(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed);
    let alice = world.join("alice", "north.example");
    let carol = world.join("carol", "south.example");
    world.say(carol, "alice@north.example", "hello, you do not know me");
    (world, alice, carol)
}

#[test]
fn a_strangers_message_lies_in_the_requests_and_nothing_goes_back() {
    let (mut world, alice, carol) = stranger(50);
    assert_eq!(world.texts(alice, InboxSide::Requests), ["hello, you do not know me"]);
    assert!(world.received(alice).is_empty());
    assert!(world.people[alice].events.iter().any(|event| matches!(event, Event::Request(_))));
    let answered = world.server.messages.iter().any(|m| m.attr("to") == Some("carol@south.example"));
    assert!(!answered, "no acknowledgement, no receipt, no empty message");
    world.command(alice, Command::Accept { who: "carol@south.example".into() }).unwrap();
    assert_eq!(world.received(alice), ["hello, you do not know me"]);
    world.say(alice, "carol", "now I do");
    assert_eq!(world.received(carol), ["now I do"]);
}

#[test]
fn disco_and_ping_of_strangers_are_not_answered() {
    let (mut world, alice, _) = stranger(51);
    for (from, expected) in [("carol@south.example/r", "error"), ("north.example", "result")] {
        for child in [xep::disco::Info::query(None), xmpp::xml::Element::new("ping", xep::ping::NS)] {
            let mut iq = xmpp::stanza::iq("get", "probe", None, child);
            iq.set_attr("from", from);
            world.server.inject(alice, &iq);
            world.settle();
            assert_eq!(world.server.answers.last().and_then(|iq| iq.attr("type")), Some(expected), "{from}");
        }
    }
}

#[test]
fn blocked_people_are_not_heard_and_not_written_to() {
    let (mut world, alice, carol) = stranger(52);
    world.command(alice, Command::Block { who: "carol@south.example".into() }).unwrap();
    world.say(carol, "alice", "listen!");
    assert!(world.texts(alice, InboxSide::Requests).is_empty());
    let id = world.say(alice, "carol@south.example", "no");
    assert_eq!(world.state(alice, "carol@south.example", &id), MessageState::Undeliverable(Failure::Blocked));
    assert_eq!(world.contact(alice, "carol@south.example").unwrap().relation, Relation::Blocked);
}

#[test]
fn removed_people_are_forgotten_with_what_was_said() {
    let (mut world, alice, bob) = World::alice_and_bob(53);
    world.say(bob, "alice", "to be forgotten");
    world.command(alice, Command::Remove { who: "bob".into() }).unwrap();
    assert!(world.contact(alice, "bob@south.example").is_none());
    assert!(matches!(
        world.command(alice, Command::History { who: "bob".into(), before: None, limit: 10 }),
        Err(CommandError::UnknownContact)
    ));
}

#[test]
fn a_file_that_waits_for_a_removed_person_is_forgotten_too() {
    let (mut world, alice, _) = World::alice_and_bob(59);
    let rows = |world: &World| world.people[alice].backend.raw_rows().len();
    world.command(alice, Command::GoOffline).unwrap();
    let bytes = vec![7u8; 3 * 1024 * 1024].into();
    let before = rows(&world);
    let send = Command::SendFile { who: "bob".into(), name: "photo.jpg".into(), media_type: None, bytes };
    world.command(alice, send).unwrap();
    assert!(rows(&world) >= before + 3, "the file waits in pieces");
    world.command(alice, Command::Remove { who: "bob".into() }).unwrap();
    assert!(rows(&world) <= before);
}

#[test]
fn both_see_the_same_number_and_verify_by_it() {
    let (mut world, alice, bob) = World::alice_and_bob(54);
    world.say(alice, "bob", "hi");
    world.say(bob, "alice", "hi");
    let number = |world: &mut World, person, who: &str| match world.command(person, Command::Number { who: who.into() })
    {
        Ok(Reply::Number(number)) => number.digits,
        other => panic!("{other:?}"),
    };
    let (ours, theirs) = (number(&mut world, alice, "bob"), number(&mut world, bob, "alice"));
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 71);
    let wrong = Proof::Number(ours.replace('1', "2"));
    let verify = |proof| Command::Verify { who: "bob".into(), proof };
    assert!(matches!(world.command(alice, verify(wrong)), Err(CommandError::DoesNotMatch)));
    world.command(alice, verify(Proof::Number(ours))).unwrap();
    assert_eq!(world.contact(alice, "bob@south.example").unwrap().trust, PersonTrust::Verified);
    world.say(alice, "bob", "verified");
    assert!(world.inbox(alice, InboxSide::Contacts).last().unwrap().verified);
}

#[test]
fn a_link_with_other_keys_than_are_found_stops_sending() {
    let (mut world, _, bob) = World::alice_and_bob(55);
    let dave = world.join("dave", "north.example");
    let link = world.invite_of(bob);
    // The link promises bob's keys, but somebody in between shows others: eve's.
    let eve = world.join("eve", "south.example");
    let forged = world.server.nodes("eve@south.example").clone();
    world.kill(bob);
    *world.server.nodes("bob@south.example") = forged;
    let _ = eve;
    world.command(dave, Command::Add { link, name: None }).unwrap();
    assert_eq!(world.contact(dave, "bob@south.example").unwrap().trust, PersonTrust::Changed);
    let id = world.say(dave, "bob", "to whom?");
    assert_eq!(world.state(dave, "bob", &id), MessageState::Undeliverable(Failure::Changed));
}

#[test]
fn a_new_device_of_a_verified_person_waits_for_the_user() {
    let (mut world, alice, bob) = World::alice_and_bob(56);
    world.say(alice, "bob", "hi");
    world.say(bob, "alice", "hi");
    let Ok(Reply::Number(number)) = world.command(alice, Command::Number { who: "bob".into() }) else { panic!() };
    world.command(alice, Command::Verify { who: "bob".into(), proof: Proof::Number(number.digits) }).unwrap();
    world.kill(bob);
    world.start(bob, crate::engine::Origin::Copied).unwrap();
    world.command(bob, Command::GoOnline).unwrap();
    world.advance(std::time::Duration::from_secs(25 * 60 * 60));
    let id = world.say(alice, "bob", "to the new device?");
    assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(Failure::Changed));
    assert_eq!(world.contact(alice, "bob@south.example").unwrap().undecided_devices_count, 1);
    world.command(alice, Command::AcceptChange { who: "bob".into() }).unwrap();
    world.command(alice, Command::Retry { who: "bob".into(), message: id.clone() }).unwrap();
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
}

#[test]
fn names_may_be_short_addresses_or_links() {
    let (mut world, alice, bob) = World::alice_and_bob(57);
    let link = world.invite_of(bob);
    for who in ["bob", "BOB", "bob@south.example", link.as_str()] {
        world.say(alice, who, "found");
    }
    assert_eq!(world.received(bob).len(), 4);
    world.command(alice, Command::Rename { who: "bob".into(), name: "Robert".into() }).unwrap();
    world.say(alice, "robert", "found");
    assert_eq!(world.received(bob).len(), 5);
    let say = |who: &str| Command::Say { who: who.into(), text: "?".into() };
    for nobody in ["nobody", "south.example"] {
        assert!(matches!(world.command(alice, say(nobody)), Err(CommandError::UnknownContact)), "{nobody}");
    }
    assert!(matches!(world.command(alice, say("alice@north.example")), Err(CommandError::IsYourself)));
    let unknown =
        world.command(alice, Command::Verify { who: "carol@south.example".into(), proof: Proof::NumberShown });
    assert!(matches!(unknown, Err(CommandError::UnknownAddress)), "an address is no name");
}

#[test]
fn an_invitation_is_good_for_one_person() {
    let (mut world, alice, bob) = World::alice_and_bob(58);
    let link = world.invite_of(alice);
    let (carol, dave) = (world.join("carol", "south.example"), world.join("dave", "south.example"));
    for person in [carol, dave] {
        world.command(person, Command::Add { link: link.clone(), name: None }).unwrap();
        world.say(person, "alice", "invited");
    }
    assert_eq!(world.contact(alice, "carol@south.example").unwrap().relation, Relation::Accepted);
    assert_eq!(world.contact(alice, "dave@south.example").unwrap().relation, Relation::Request);
    assert_eq!(world.received(bob), Vec::<String>::new());
}

#[test]
fn presence_is_shown_only_to_those_whom_the_user_lets_and_each_is_asked_about_once() {
    let (mut world, alice, carol) = stranger(440);
    let asks = |world: &mut World| {
        let presence = xmpp::xml::Element::new("presence", xmpp::ns::CLIENT)
            .with_attr("from", "carol@south.example")
            .with_attr("type", "subscribe");
        world.server.inject(alice, &presence);
        world.settle();
    };
    let answers = |world: &World| -> Vec<String> {
        let to_carol = |p: &&xmpp::xml::Element| p.attr("to") == Some("carol@south.example");
        let presences = world.server.presences.iter().filter(to_carol);
        presences.filter_map(|p| p.attr("type").map(str::to_owned)).collect()
    };
    asks(&mut world);
    let carol_as = |world: &mut World| world.contact(alice, "carol@south.example").unwrap();
    assert!(carol_as(&mut world).asks_presence);
    let Ok(Reply::Contact(accepted)) = world.command(alice, Command::Accept { who: "carol@south.example".into() })
    else {
        panic!()
    };
    assert!(accepted.asks_presence, "whoever is accepted still waits for this answer, and the program asks for it");
    assert_eq!(answers(&world), [""; 0], "nothing is shown before the user has said so");
    world.command(alice, Command::RevokePresence { who: "carol".into() }).unwrap();
    assert_eq!(answers(&world), ["unsubscribed"]);
    assert!(!carol_as(&mut world).asks_presence && !carol_as(&mut world).sees_presence);
    world.command(alice, Command::GrantPresence { who: "carol".into() }).unwrap();
    assert!(carol_as(&mut world).sees_presence);
    // Her app asks again: the answer stands, and nobody is asked twice.
    asks(&mut world);
    assert!(!carol_as(&mut world).asks_presence);
    assert_eq!(answers(&world), ["unsubscribed", "subscribed", "subscribed"]);
    world.command(alice, Command::RevokePresence { who: "carol".into() }).unwrap();
    asks(&mut world);
    assert!(carol_as(&mut world).asks_presence, "taken back, it is a question again");
    let _ = carol;
}

/// The types of what the server was told about carol's sight of alice's presence.
fn told_of_carol(world: &World) -> Vec<String> {
    let to_carol = |p: &&xmpp::xml::Element| p.attr("to") == Some("carol@south.example");
    world.server.presences.iter().filter(to_carol).filter_map(|p| p.attr("type").map(str::to_owned)).collect()
}

#[test]
fn whoever_is_removed_or_blocked_sees_no_presence_any_more() {
    for (seed, offline) in [(441, false), (442, true)] {
        for is_removed in [false, true] {
            let (mut world, alice, _) = stranger(seed);
            let who = || "carol@south.example".to_owned();
            world.command(alice, Command::Accept { who: who() }).unwrap();
            world.command(alice, Command::GrantPresence { who: who() }).unwrap();
            if offline {
                world.command(alice, Command::GoOffline).unwrap();
            }
            let command = if is_removed { Command::Remove { who: who() } } else { Command::Block { who: who() } };
            world.command(alice, command).unwrap();
            assert!(!world.contact(alice, "carol@south.example").is_some_and(|carol| carol.sees_presence));
            if offline {
                assert_eq!(told_of_carol(&world), ["subscribed"]);
            }
            for _ in 0..2 {
                world.restart(alice); // the second time there is nothing left to tell
                assert_eq!(told_of_carol(&world), ["subscribed", "unsubscribed"], "{offline} {is_removed}");
            }
            if is_removed {
                let revoked = world.command(alice, Command::RevokePresence { who: who() });
                assert!(matches!(revoked, Ok(Reply::Nothing)), "any address may be revoked");
                assert_eq!(told_of_carol(&world), ["subscribed", "unsubscribed", "unsubscribed"]);
            }
        }
    }
}

#[test]
fn whoever_never_saw_presence_is_not_told_that_they_are_removed_or_blocked() {
    let (mut world, alice, _) = stranger(443);
    world.command(alice, Command::Block { who: "carol@south.example".into() }).unwrap();
    world.command(alice, Command::Remove { who: "carol@south.example".into() }).unwrap();
    assert_eq!(told_of_carol(&world), [""; 0]);
    let own = world.command(alice, Command::RevokePresence { who: "alice@north.example".into() });
    assert!(matches!(own, Err(CommandError::IsYourself)));
}

#[test]
fn a_later_grant_is_not_taken_back_by_what_was_withdrawn_before() {
    let (mut world, alice, _) = stranger(444);
    let who = || "carol@south.example".to_owned();
    world.command(alice, Command::Accept { who: who() }).unwrap();
    world.command(alice, Command::GrantPresence { who: who() }).unwrap();
    // The server is told, and the connection breaks before it has answered.
    world.command_only(alice, Command::Block { who: who() }).unwrap();
    world.cut(alice);
    world.command(alice, Command::Accept { who: who() }).unwrap();
    world.command(alice, Command::GoOnline).unwrap();
    world.command(alice, Command::GrantPresence { who: who() }).unwrap();
    world.restart(alice);
    assert_eq!(told_of_carol(&world).last().map(String::as_str), Some("subscribed"));
}

/// Bob still has the token, and tells it once more: with a message, and the way other apps do.
#[test]
fn a_used_invitation_does_not_readmit_whom_the_user_has_removed() {
    let mut world = World::new(445);
    let alice = world.join("alice", "north.example");
    let bob = world.join("bob", "south.example");
    let link = world.invite_of(alice);
    world.command(bob, Command::Add { link: link.clone(), name: None }).unwrap();
    world.say(bob, "alice", "here I am");
    let relation = |world: &mut World| world.contact(alice, "bob@south.example").map(|bob| bob.relation);
    world.command(bob, Command::Add { link: link.clone(), name: None }).unwrap();
    assert_eq!(relation(&mut world), Some(Relation::Accepted), "telling it twice does no harm");
    world.command(alice, Command::Remove { who: "bob".into() }).unwrap();
    assert_eq!(relation(&mut world), None);
    world.command(bob, Command::Add { link: link.clone(), name: None }).unwrap();
    world.say(bob, "alice", "me again");
    assert_ne!(relation(&mut world), Some(Relation::Accepted));
    let token = xep::uri::Link::parse(&link).unwrap().preauth.unwrap();
    let presence = xmpp::xml::Element::new("presence", xmpp::ns::CLIENT)
        .with_attr("from", "bob@south.example")
        .with_attr("type", "subscribe")
        .with_child(xep::invites::preauth(&token));
    world.server.inject(alice, &presence);
    world.settle();
    assert_eq!(relation(&mut world), Some(Relation::Request));
    assert!(world.received(alice).is_empty());
}
