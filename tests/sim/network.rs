//! A network that fails without anybody dying: partitions, dead lines, servers that are away.

use std::time::Duration;

use client::event::MessageState;

use crate::dice::for_seeds;
use crate::world::link::Kind;
use crate::world::{NORTH, Party, SOUTH, World};

#[test]
fn a_partition_between_brokers_delays_and_loses_nothing() {
    for_seeds(3, |seed| {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        world.say(bob, "alice", "before");
        world.part(Party::Site(NORTH), Party::Site(SOUTH));
        world.say(bob, "alice", "during");
        world.say(alice, "bob", "during, too");
        assert_eq!(world.received(alice), ["before"]);
        world.advance(Duration::from_secs(120));
        world.heal(Party::Site(NORTH), Party::Site(SOUTH));
        world.advance(Duration::from_secs(600));
        world.say(bob, "alice", "after");
        assert_eq!(world.received(alice), ["before", "during", "after"]);
        assert_eq!(world.received(bob), ["during, too"]);
    });
}

/// Nobody can be dialled: the message comes back, waits, and is tried again.
#[test]
fn a_broker_that_is_away_is_tried_again() {
    let (mut world, alice, bob) = World::alice_and_bob(4);
    world.kill_site(NORTH);
    world.settle();
    let id = world.say(bob, "alice", "when you are back");
    assert!(matches!(world.state(bob, "alice", &id), MessageState::Delayed(_)), "{:?}", world.state(bob, "alice", &id));
    world.start_site(NORTH);
    world.advance(Duration::from_secs(600));
    assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
    assert_eq!(world.received(alice), ["when you are back"]);
}

/// The line is dead and neither end knows: the broker believes that Alice is there.
#[test]
fn a_half_open_connection_loses_nothing() {
    for_seeds(3, |seed| {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        world.say(bob, "alice", "before");
        let line = world.link_of(alice).expect("she is online");
        world.fall_silent(line);
        let id = world.say(bob, "alice", "into the dead line");
        assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
        world.advance(Duration::from_secs(600));
        assert_ne!(world.link_of(alice), Some(line), "she has noticed");
        assert_eq!(world.received(alice), ["before", "into the dead line"]);
    });
}

/// As before, and her program is killed and comes back while the old session lingers.
#[test]
fn a_killed_client_whose_old_session_lingers_loses_nothing() {
    for_seeds(3, |seed| {
        let (mut world, alice, bob) = World::alice_and_bob(seed);
        world.say(bob, "alice", "before");
        let line = world.link_of(alice).expect("she is online");
        world.fall_silent(line);
        world.kill_person(alice);
        for text in ["one", "two", "three"] {
            world.say(bob, "alice", text);
        }
        world.start_person(alice);
        world.settle();
        assert_eq!(world.received(alice), ["before", "one", "two", "three"]);
        world.advance(Duration::from_secs(600));
        assert_eq!(world.received(alice), ["before", "one", "two", "three"], "once, also after the old session's end");
    });
}

#[test]
fn a_connection_between_brokers_that_breaks_is_replaced() {
    let (mut world, alice, bob) = World::alice_and_bob(5);
    for round in 0..4 {
        for link in world.links_of(Kind::Server) {
            world.cut(link);
        }
        world.settle(); // what is written before the cut is noticed may be lost: see `schedules`
        world.say(bob, "alice", &format!("round {round}"));
    }
    assert_eq!(world.received(alice), ["round 0", "round 1", "round 2", "round 3"]);
}

#[test]
fn both_ways_to_begin_tls_lead_in() {
    use crate::world::Tls;
    for tls in [Tls::Direct, Tls::Upgraded] {
        let mut world = World::new(6);
        world.tls = tls;
        let alice = world.join("alice", NORTH);
        let bob = world.join("bob", SOUTH);
        world.befriend(bob, alice);
        world.say(bob, "alice", "by either door");
        assert_eq!(world.received(alice), ["by either door"]);
    }
}
