//! The main job: two people, two servers, messages and a file in both directions, online or not.

use bytes::Bytes;

use crate::command::{Command, InboxSide, Reply};
use crate::event::{MessageState, PersonTrust, Relation};
use crate::testing::World;

#[test]
fn two_people_on_two_servers_write_to_each_other() {
    let (mut world, alice, bob) = World::alice_and_bob(1);
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
}

#[test]
fn an_invite_link_makes_contacts_of_both_and_proves_the_inviter() {
    let (mut world, alice, bob) = World::alice_and_bob(2);
    let of_alice = world.contact(bob, "alice@north.example").unwrap();
    assert_eq!((of_alice.relation, of_alice.trust), (Relation::Accepted, PersonTrust::Verified));
    let of_bob = world.contact(alice, "bob@south.example").unwrap();
    assert_eq!((of_bob.relation, of_bob.trust), (Relation::Accepted, PersonTrust::Tofu));
    assert!(world.texts(alice, InboxSide::Requests).is_empty());
}

#[test]
fn messages_wait_for_those_who_are_away() {
    let (mut world, alice, bob) = World::alice_and_bob(3);
    world.say(bob, "alice", "before");
    world.kill(alice);
    let ids: Vec<_> = ["one", "two"].map(|text| world.say(bob, "alice", text)).into();
    for id in &ids {
        assert_eq!(world.state(bob, "alice", id), MessageState::AtBroker);
    }
    world.restart(alice);
    assert_eq!(world.received(alice), ["before", "one", "two"]);
}

#[test]
fn what_is_written_offline_is_sent_when_the_connection_is_back() {
    let (mut world, alice, bob) = World::alice_and_bob(4);
    world.say(alice, "bob", "session");
    world.command(bob, Command::GoOffline).unwrap();
    let id = world.say(bob, "alice", "written offline");
    assert_eq!(world.state(bob, "alice", &id), MessageState::Waiting);
    world.restart(bob);
    assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
    assert_eq!(world.received(alice), ["written offline"]);
}

#[test]
fn a_file_travels_encrypted_and_arrives_whole() {
    let (mut world, alice, bob) = World::alice_and_bob(5);
    world.say(bob, "alice", "hi");
    let bytes: Bytes = (0..200_000u32).map(|n| n as u8).collect::<Vec<u8>>().into();
    let command = Command::SendFile {
        who: "alice".into(),
        name: "../photo.jpg".into(),
        media_type: Some("image/jpeg".into()),
        bytes: bytes.clone(),
    };
    let Reply::Saved { message, .. } = world.command(bob, command).unwrap() else { panic!() };
    assert_eq!(world.state(bob, "alice", &message), MessageState::AtBroker);
    assert_eq!(world.received(alice), ["hi", "file photo.jpg"]);
    let uploaded: Vec<_> = world.server.uploads.values().collect();
    assert_eq!(uploaded.len(), 1);
    assert!(!uploaded[0].windows(64).any(|window| window == &bytes[..64]));
    let fetch = Command::Fetch { who: "bob".into(), message: message.clone() };
    let Reply::Accepted(request) = world.command(alice, fetch).unwrap() else { panic!() };
    assert_eq!(world.outcome(alice, request), Some(Ok(crate::command::Outcome::Fetched { message })));
    assert_eq!(world.people[alice].saved[0].bytes, bytes);
    assert_eq!(world.people[alice].saved[0].name, "photo.jpg");
}

#[test]
fn a_server_without_acknowledgements_is_asked_by_ping() {
    let (mut world, alice, bob) = World::alice_and_bob(6);
    world.server.acks = false;
    world.restart(bob);
    let id = world.say(bob, "alice", "counted by ping");
    assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
    assert_eq!(world.received(alice), ["counted by ping"]);
}

#[test]
fn the_example_echoes() {
    crate::echo_bot_example::main();
    let (mut world, alice, bob) = World::alice_and_bob(7);
    let say = Command::Say { who: "bob".into(), text: "is anybody there?".into() };
    world.command_only(alice, say).unwrap();
    world.settle_leaving_events(bob);
    world.echo(bob);
    assert_eq!(world.received(alice), ["is anybody there?"]);
}
