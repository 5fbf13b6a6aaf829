//! What could not be delivered for now is kept, tried again and given up in the end; what can never be sent fails with its
//! reason; and nothing that a user types can get in the way.

use std::time::Duration;

use bytes::Bytes;
use store::block_on;
use xmpp::stanza::{Condition, ErrorType, StanzaError};
use xmpp::stream::StreamCondition;

use crate::command::{Command, Queued, Reply};
use crate::error::{CommandError, Failure};
use crate::event::{Event, MessageId, MessageState};
use crate::tables::{self, MessageRow, OutboxRow};
use crate::testing::World;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn outbox(world: &mut World, person: usize) -> Vec<Queued> {
    match world.command(person, Command::Outbox).unwrap() {
        Reply::Outbox(queued) => queued,
        other => panic!("{other:?}"),
    }
}

/// How often messages of alice have left.
fn sent_count(world: &World) -> usize {
    let of_alice = |m: &&xmpp::xml::Element| m.attr("from").is_some_and(|from| from.starts_with("alice@"));
    world.server.messages.iter().filter(of_alice).count()
}

#[test]
fn a_server_that_is_away_for_two_days_gets_the_message() {
    let (mut world, alice, bob) = World::alice_and_bob(400);
    world.say(alice, "bob", "hi");
    world.server.bouncing.insert("bob@south.example".into(), Condition::RemoteServerTimeout);
    let id = world.say(alice, "bob", "patience");
    let delayed = MessageState::Delayed(Failure::ServerTimeout);
    assert_eq!(world.state(alice, "bob", &id), delayed);
    assert!(world.people[alice].events.iter().any(|event| matches!(event,
        Event::MessageState { id: of, state, .. } if *of == id && *state == delayed)));
    let before = sent_count(&world);
    world.advance(Duration::from_secs(4 * 60));
    assert_eq!(sent_count(&world) - before, 2, "after one minute, and after two more");
    world.advance(DAY);
    let tries = sent_count(&world) - before;
    assert!((25..35).contains(&tries), "hourly in the end: {tries}");
    // Also over a restart, at which it is tried at once.
    world.kill(alice);
    world.advance(DAY);
    let before = sent_count(&world);
    world.restart(alice);
    assert_eq!(sent_count(&world) - before, 1);
    assert_eq!(world.state(alice, "bob", &id), delayed);
    world.server.bouncing.clear();
    world.advance(HOUR);
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert_eq!(world.received(bob), ["hi", "patience"]);
    assert_eq!(outbox(&mut world, alice), []);
}

#[test]
fn after_three_days_it_is_given_up_and_can_be_tried_again_by_hand() {
    let (mut world, alice, bob) = World::alice_and_bob(401);
    world.say(alice, "bob", "hi");
    world.server.bouncing.insert("bob@south.example".into(), Condition::RemoteServerTimeout);
    let id = world.say(alice, "bob", "patience");
    world.advance(3 * DAY - HOUR);
    assert_eq!(world.state(alice, "bob", &id), MessageState::Delayed(Failure::ServerTimeout));
    world.advance(2 * HOUR);
    assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(Failure::Expired));
    world.server.bouncing.clear();
    let again = Command::RetryMessage { id: id.as_str().to_owned() };
    world.command(alice, again).unwrap();
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert_eq!(world.received(bob), ["hi", "patience"]);
}

#[test]
fn every_answer_that_says_wait_keeps_the_message() {
    for (condition, error_type) in [
        (Condition::RecipientUnavailable, ErrorType::Wait),
        (Condition::PolicyViolation, ErrorType::Wait),
        (Condition::RemoteServerTimeout, ErrorType::Cancel),
        (Condition::InternalServerError, ErrorType::Cancel),
    ] {
        let (mut world, alice, _) = World::alice_and_bob(402);
        let id = world.say(alice, "bob", "patience");
        let error = StanzaError::new(condition).with_type(error_type);
        let mut bounce = xmpp::xml::Element::new("message", xmpp::ns::CLIENT)
            .with_attr("type", "error")
            .with_attr("id", id.as_str())
            .with_attr("from", "bob@south.example");
        bounce.push(error.to_element(xmpp::ns::CLIENT));
        world.server.inject(alice, &bounce);
        world.settle();
        assert!(matches!(world.state(alice, "bob", &id), MessageState::Delayed(_)), "{condition:?}");
    }
}

#[test]
fn device_lists_that_cannot_be_had_for_now_keep_the_message_as_well() {
    for condition in [Condition::RemoteServerTimeout, Condition::ResourceConstraint, Condition::InternalServerError] {
        let (mut world, alice, bob) = World::alice_and_bob(403);
        world.advance(25 * HOUR);
        world.server.failing.insert("bob@south.example".into(), condition);
        let id = world.say(alice, "bob", "patience");
        assert_eq!(world.state(alice, "bob", &id), MessageState::Delayed(Failure::ServerTimeout), "{condition:?}");
        world.advance(4 * DAY);
        assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(Failure::Expired));
        world.server.failing.clear();
        world.command(alice, Command::RetryMessage { id: id.as_str().to_owned() }).unwrap();
        assert_eq!(world.received(bob), ["patience"]);
    }
}

#[test]
fn the_greeting_to_whoever_invited_survives_a_server_that_is_away() {
    let mut world = World::new(404);
    let alice = world.join("alice", "north.example");
    let bob = world.join("bob", "south.example");
    let link = world.invite_of(alice);
    world.server.bouncing.insert("alice@north.example".into(), Condition::RemoteServerTimeout);
    world.command(bob, Command::Add { link, name: None }).unwrap();
    assert!(world.contact(alice, "bob@south.example").is_none());
    assert_eq!(outbox(&mut world, bob).len(), 1);
    world.server.bouncing.clear();
    world.advance(HOUR);
    assert_eq!(world.contact(alice, "bob@south.example").unwrap().relation, crate::event::Relation::Accepted);
}

#[test]
fn a_message_that_carried_the_greeting_carries_it_again() {
    let mut world = World::new(405);
    let alice = world.join("alice", "north.example");
    let bob = world.join("bob", "south.example");
    let link = world.invite_of(alice);
    world.command(bob, Command::GoOffline).unwrap();
    world.command(bob, Command::Add { link, name: None }).unwrap();
    let greeting = outbox(&mut world, bob).remove(0).message;
    world.command(bob, Command::CancelMessage { id: greeting.as_str().to_owned() }).unwrap();
    world.server.bouncing.insert("alice@north.example".into(), Condition::RemoteServerTimeout);
    world.say(bob, "alice", "it is me");
    world.restart(bob);
    world.server.bouncing.clear();
    world.advance(HOUR);
    assert_eq!(world.received(alice), ["it is me"], "of a contact, not in the requests");
}

#[test]
fn what_waits_is_listed_and_can_be_taken_back() {
    let (mut world, alice, bob) = World::alice_and_bob(406);
    world.say(alice, "bob", "hi");
    world.server.bouncing.insert("bob@south.example".into(), Condition::RemoteServerTimeout);
    let (first, second) = (world.say(alice, "bob", "first"), world.say(alice, "bob", "second"));
    let queued = outbox(&mut world, alice);
    assert_eq!(queued.iter().map(|q| q.message.clone()).collect::<Vec<_>>(), [first.clone(), second.clone()]);
    let one = &queued[0];
    assert_eq!(one.state, MessageState::Delayed(Failure::ServerTimeout));
    assert!(one.tried_at.is_some() && one.next_at > one.tried_at);
    assert_eq!(one.kept_until, one.tried_at.map(|at| at + 3 * DAY));
    let cancel = |id: &str| Command::CancelMessage { id: id.to_owned() };
    world.command(alice, cancel(&first.as_str()[..8])).unwrap();
    assert_eq!(world.state(alice, "bob", &first), MessageState::Undeliverable(Failure::Cancelled));
    for nothing in [first.as_str(), "", "abc", &second.as_str()[..3]] {
        assert!(world.command(alice, cancel(nothing)).is_err(), "{nothing}");
    }
    world.server.bouncing.clear();
    let Reply::Outbox(left) = world.command(alice, Command::RetryAll).unwrap() else { panic!() };
    drop(left);
    assert_eq!(world.received(bob), ["hi", "second"]);
    assert!(matches!(world.command(alice, cancel(second.as_str())), Err(CommandError::NotApplicable)));
}

#[test]
fn what_is_encrypted_and_not_sent_can_be_taken_back_too() {
    let (mut world, alice, bob) = World::alice_and_bob(407);
    world.say(alice, "bob", "hi");
    world.server.acknowledges = false;
    let id = world.say(alice, "bob", "queued");
    assert_eq!(world.state(alice, "bob", &id), MessageState::Queued);
    assert_eq!(outbox(&mut world, alice).len(), 1);
    world.command(alice, Command::CancelMessage { id: id.as_str().to_owned() }).unwrap();
    world.server.acknowledges = true;
    let before = sent_count(&world);
    world.restart(alice);
    assert_eq!(sent_count(&world), before, "it is not sent again");
    assert_eq!(world.state(alice, "bob", &id), MessageState::Undeliverable(Failure::Cancelled));
    world.say(alice, "bob", "goes");
    assert_eq!(world.received(bob).last().map(String::as_str), Some("goes"));
}

/// Ends alice's connection over messages with this id, as a server that cannot take them.
fn end_over(world: &mut World, id: MessageId, condition: StreamCondition) {
    world.server.ends_over = Some((id.as_str().to_owned(), condition));
}

#[test]
fn a_message_that_ends_every_connection_fails_and_the_others_go() {
    for condition in [StreamCondition::NotWellFormed, StreamCondition::PolicyViolation, StreamCondition::InvalidXml] {
        let (mut world, alice, bob) = World::alice_and_bob(408);
        world.say(alice, "bob", "hi");
        world.server.acknowledges = false;
        let ids: Vec<MessageId> = ["before", "poison", "after"].map(|text| world.say(alice, "bob", text)).into();
        world.server.acknowledges = true;
        end_over(&mut world, ids[1].clone(), condition);
        // Also where each verb is a process of its own.
        for _ in 0..4 {
            world.restart(alice);
        }
        world.advance(Duration::from_secs(10));
        assert_eq!(world.state(alice, "bob", &ids[1]), MessageState::Undeliverable(Failure::EndsConnection));
        for good in [&ids[0], &ids[2]] {
            assert_eq!(world.state(alice, "bob", good), MessageState::AtBroker, "{condition:?}");
        }
        assert_eq!(outbox(&mut world, alice), []);
        assert!(world.engine(alice).is_settled(), "no verb waits for it");
        let _ = bob;
    }
}

#[test]
fn a_server_that_goes_down_blames_no_message() {
    let (mut world, alice, bob) = World::alice_and_bob(409);
    world.say(alice, "bob", "hi");
    let id = world.say(alice, "bob", "goes");
    world.server.acknowledges = false;
    let late = world.say(alice, "bob", "late");
    world.server.acknowledges = true;
    end_over(&mut world, late.clone(), StreamCondition::SystemShutdown);
    for _ in 0..4 {
        world.restart(alice);
    }
    world.server.ends_over = None;
    world.advance(Duration::from_secs(300));
    assert_eq!(world.state(alice, "bob", &late), MessageState::AtBroker);
    assert_eq!(world.state(alice, "bob", &id), MessageState::AtBroker);
    assert!(world.received(bob).contains(&"late".to_owned()));
}

#[test]
fn control_characters_are_replaced_before_anything_is_saved_and_arrive() {
    let (mut world, alice, bob) = World::alice_and_bob(410);
    let said = |world: &mut World, text: &str| match world
        .command(alice, Command::Say { who: "bob".into(), text: text.into() })
    {
        Ok(Reply::Saved { replaced, .. }) => replaced,
        other => panic!("{other:?}"),
    };
    assert!(!said(&mut world, "tab\tand\nline\r\nends"));
    assert!(said(&mut world, "\u{1b}[31mred\u{7}\0\u{ffff}\u{85}"));
    let shown = "\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}\u{fffd}";
    assert_eq!(world.received(bob), ["tab\tand\nline\r\nends", shown]);
    let Ok(Reply::Messages(own)) =
        world.command(alice, Command::History { who: "bob".into(), before: None, limit: 10 })
    else {
        panic!()
    };
    assert!(own.iter().any(|m| m.content == crate::event::Content::Text(shown.to_owned())), "saved as it was sent");
}

#[test]
fn file_names_that_xml_cannot_carry_arrive_as_others() {
    let (mut world, alice, bob) = World::alice_and_bob(411);
    world.say(alice, "bob", "hi");
    for (name, replaced, arrives) in
        [("a\u{ffff}b\u{1b}.txt", true, "file a\u{fffd}b\u{fffd}.txt"), ("plain.txt", false, "file plain.txt")]
    {
        let bytes = Bytes::from_static(b"content");
        let send = Command::SendFile { who: "bob".into(), name: name.into(), media_type: None, bytes };
        let Reply::Saved { message, replaced: said, .. } = world.command(alice, send).unwrap() else { panic!() };
        assert_eq!(said, replaced);
        assert_eq!(world.state(alice, "bob", &message), MessageState::AtBroker);
        assert_eq!(world.received(bob).last().map(String::as_str), Some(arrives));
    }
}

/// Writes into the store what an earlier version saved.
fn change_message(world: &mut World, person: usize, id: &MessageId, change: impl Fn(&mut MessageRow)) {
    let who = xmpp::jid::BareJid::parse("bob@south.example").unwrap();
    let engine = world.engine(person);
    block_on(async {
        let mut row = engine.message_by_id(&who, true, id.as_str()).await.unwrap().unwrap();
        change(&mut row);
        let mut tx = engine.store.transaction();
        engine.put_message(&mut tx, &who, &row).unwrap();
        tx.commit().await.unwrap();
    });
}

#[test]
fn poison_that_an_earlier_version_stored_is_sent_made_harmless_or_fails() {
    let (mut world, alice, bob) = World::alice_and_bob(412);
    world.say(alice, "bob", "hi");
    world.command(alice, Command::GoOffline).unwrap();
    let send = |name: &str| Command::SendFile {
        who: "bob".into(),
        name: name.into(),
        media_type: None,
        bytes: Bytes::from_static(b"x"),
    };
    let words = world.say(alice, "bob", "words");
    let Reply::Saved { message: named, .. } = world.command(alice, send("named.txt")).unwrap() else { panic!() };
    let Reply::Saved { message: broken, .. } = world.command(alice, send("broken.txt")).unwrap() else { panic!() };
    change_message(&mut world, alice, &words, |row| row.text = "bell\u{7}".into());
    change_message(&mut world, alice, &named, |row| row.file.as_mut().unwrap().name = "n\u{ffff}\u{1b}.txt".into());
    change_message(&mut world, alice, &broken, |row| row.file.as_mut().unwrap().offer = "<file-sharing>".into());
    // And a stanza that nobody can read, first in the queue.
    let engine = world.engine(alice);
    block_on(async {
        let own = engine.own_or_bad().unwrap();
        let owner = tables::owner(&own, &[]);
        let row = OutboxRow {
            account: own.as_str().into(),
            stanza: "<message>\u{1}</message>".into(),
            ..OutboxRow::default()
        };
        let mut tx = engine.store.transaction();
        tables::save(&mut tx, &tables::OUTBOX.seq(&owner, 1_000_000), &row);
        tx.commit().await.unwrap();
    });
    world.restart(alice);
    assert_eq!(world.received(bob), ["hi", "bell\u{fffd}", "file n.txt"]);
    assert_eq!(world.state(alice, "bob", &broken), MessageState::Undeliverable(Failure::FileGone));
    assert_eq!(outbox(&mut world, alice), []);
    assert!(world.engine(alice).is_settled());
}
