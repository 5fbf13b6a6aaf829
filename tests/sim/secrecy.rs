//! What can be read where: nothing of what people say, neither by the brokers nor on any disk.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::world::link::Kind;
use crate::world::{NORTH, SOUTH, World};
use waxwing_tests::words::find;

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
fn brokers_see_no_words_and_no_files() {
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

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics while logging").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that brokers and engines log, down to the finest level, and how everything prints that they hand out.
#[test]
fn b03_logs_and_debug_output_name_nobody_and_nothing() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let mut printed = String::new();
    tracing::subscriber::with_default(subscriber, || {
        let mut world = conversation();
        let links = [world.links_of(Kind::Client), world.links_of(Kind::Server)].concat();
        for link in links {
            world.cut(link);
        }
        world.restart_site(NORTH);
        world.advance(std::time::Duration::from_secs(600));
        for person in &world.people {
            printed += &format!("{:?} {:?} {:?} {:?}", person.engine, person.events, person.requests, person.saved);
        }
        for site in &world.sites {
            printed += &format!("{:?}", site.broker);
        }
        tracing::trace!("the control: lighthouse-keeper");
    });
    let logged = log.0.lock().expect("nobody panics while logging").clone();
    assert!(find(&logged, "lighthouse-keeper").is_some(), "the search finds what was logged");
    assert!(printed.len() > 1000, "something was printed");
    let addresses = ["alice@", "bob@south", "north.example", "south.example"];
    for word in words().into_iter().chain(addresses) {
        assert_eq!(find(&logged, word), None, "the log names {word}");
        assert_eq!(find(printed.as_bytes(), word), None, "what is printed names {word}");
    }
}
