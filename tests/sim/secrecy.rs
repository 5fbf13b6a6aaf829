//! What can be read where: nothing of what people say, neither by the brokers nor on any disk.

use bytes::Bytes;

use crate::record::words::find;
use crate::world::{NORTH, SOUTH, World};

const BODIES: [&str; 3] = ["meet me at the lighthouse", "the lighthouse is closed", "then by the harbour wall"];
const FILE_NAME: &str = "holiday-snapshot.jpg";
const FILE_WORDS: &str = "pixels of a holiday snapshot";

/// A conversation with everything in it: both directions, somebody offline, a picture.
fn conversation() -> World {
    let (mut world, alice, bob) = World::alice_and_bob(7);
    world.say(bob, "alice", BODIES[0]);
    world.kill_person(alice);
    world.say(bob, "alice", BODIES[1]);
    let picture: Bytes = FILE_WORDS.repeat(3000).into();
    let message = world.send_file(bob, "alice", FILE_NAME, picture.clone());
    world.start_person(alice);
    world.settle();
    world.say(alice, "bob", BODIES[2]);
    world.fetch_file(alice, "bob", &message);
    assert_eq!(world.received(alice), [BODIES[0], BODIES[1], &format!("file {FILE_NAME}")]);
    assert_eq!(world.received(bob), [BODIES[2]]);
    assert_eq!(world.people[alice].saved[0].bytes, picture);
    world
}

fn words() -> Vec<&'static str> {
    let mut words = BODIES.to_vec();
    words.extend([FILE_NAME, FILE_WORDS]);
    words
}

#[test]
fn b02_brokers_see_no_words_and_no_files() {
    let world = conversation();
    let seen = world.record.everything();
    for word in words() {
        for bytes in &seen {
            assert_eq!(find(bytes, word), None, "the brokers can read what people say");
        }
    }
    // the control: what a broker does see is found by the same search
    assert!(seen.iter().any(|bytes| find(bytes, "bob@south.example").is_some()));
}

#[test]
fn b01_no_disk_of_a_broker_shows_words_files_or_addresses() {
    let (world, mut searched) = (conversation(), 0);
    for site in [NORTH, SOUTH] {
        for row in world.sites[site].disk.raw_rows() {
            for word in words().into_iter().chain(["alice@north", "bob@south", "south.example"]) {
                for bytes in [&row.key, &row.value] {
                    assert_eq!(find(bytes, word), None, "a disk can be read");
                    searched += bytes.len();
                }
            }
        }
    }
    assert!(searched > 100_000, "the disks hold something: {searched}");
}

#[test]
fn no_disk_of_a_person_shows_words_files_or_addresses() {
    let (world, mut searched) = (conversation(), 0);
    for person in &world.people {
        for row in person.disk.raw_rows() {
            for word in words().into_iter().chain(["alice@north", "bob@south", "south.example"]) {
                for bytes in [&row.key, &row.value] {
                    assert_eq!(find(bytes, word), None, "a disk can be read");
                    searched += bytes.len();
                }
            }
        }
    }
    assert!(searched > 100_000, "the disks hold something: {searched}");
}
