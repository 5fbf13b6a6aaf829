//! The main job: two people on two brokers, messages and a picture in both directions, online or not.

use client::event::MessageState;

use crate::dice::for_seeds;
use crate::world::World;

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
