//! What was acknowledged survives `kill -9` of the broker at any moment.

use std::time::Duration;

use super::world;
use crate::testing::World;

fn message(id: u64) -> String {
    format!("<message to='bob@north.example' type='chat' id='{id}'><body>x</body></message>")
}

fn send(world: &mut World, client: usize, id: u64) {
    world.client(client).send_numbered(&message(id), Some(id));
    world.settle();
}

fn read_after_restart(world: &mut World) -> Vec<u64> {
    world.crash("north.example");
    let bob = world.connect("bob@north.example", "after");
    world.send(bob, "<presence/>");
    let got = world.take(bob);
    got.iter().filter(|s| s.name() == "message").filter_map(|s| s.attr("id")?.parse().ok()).collect()
}

#[test]
fn an_offline_message_is_on_disk_before_it_is_acknowledged() {
    let mut world = world(1);
    let alice = world.online("alice@north.example", "desk");
    send(&mut world, alice, 1);
    assert_eq!(world.client(alice).acknowledged, [1]);
    assert_eq!(read_after_restart(&mut world), [1]);
}

/// The receiver is connected and silent: the sender waits for the grace and no longer, because then it is on disk.
#[test]
fn a_live_message_is_acknowledged_when_its_receiver_has_it_or_the_disk() {
    let mut world = world(2);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    send(&mut world, alice, 1);
    assert_eq!(world.client(alice).acknowledged, [1], "bob has acknowledged it");
    world.freeze(bob);
    send(&mut world, alice, 2);
    assert_eq!(world.client(alice).acknowledged, [1], "bob might never get it");
    world.advance(Duration::from_millis(60));
    assert_eq!(world.client(alice).acknowledged, [1, 2]);
    assert_eq!(read_after_restart(&mut world), [2], "what bob had acknowledged is not kept");
}

#[test]
fn a_row_that_was_written_for_the_sender_goes_when_the_receiver_acknowledges() {
    let mut world = world(3);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    world.advance(Duration::from_millis(60));
    world.thaw(bob);
    assert_eq!(world.take(bob).iter().filter(|s| s.name() == "message").count(), 1);
    assert_eq!(read_after_restart(&mut world), [0u64; 0]);
}

#[test]
fn an_unacknowledged_message_may_be_lost_and_the_sender_knows() {
    let mut world = world(4);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    let kept = read_after_restart(&mut world);
    assert!(kept.is_empty() && world.client(alice).acknowledged.is_empty());
}

/// The receiver dies after the row was written: the row is the message now, and it is there once.
#[test]
fn a_receiver_that_dies_after_the_grace_finds_the_message_once() {
    let mut world = world(5);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    world.advance(Duration::from_millis(60));
    world.cut(bob);
    assert_eq!(read_after_restart(&mut world), [1]);
}

#[test]
fn a_receiver_that_dies_within_the_grace_settles_the_message_by_its_death() {
    let mut world = world(6);
    let alice = world.online("alice@north.example", "desk");
    let bob = world.online("bob@north.example", "phone");
    world.freeze(bob);
    send(&mut world, alice, 1);
    world.cut(bob);
    assert_eq!(world.client(alice).acknowledged, [1], "it is in the offline store");
    assert_eq!(read_after_restart(&mut world), [1]);
}

/// Every prefix of a conversation, with a receiver that stops listening somewhere: what alice was told is safe, is.
#[test]
fn whatever_was_acknowledged_was_received_or_is_kept() {
    for kill_at in 0..8u64 {
        for deaf_at in 0..=kill_at {
            let mut world = world(100 + kill_at * 10 + deaf_at);
            let alice = world.online("alice@north.example", "desk");
            let bob = world.online("bob@north.example", "phone");
            for id in 0..kill_at {
                if id == deaf_at {
                    world.freeze(bob);
                }
                send(&mut world, alice, id);
                if id % 3 == 2 {
                    world.advance(Duration::from_millis(30));
                }
            }
            let told = world.client(alice).acknowledged.clone();
            let mut had: Vec<u64> = world.take(bob).iter().filter_map(|s| s.attr("id")?.parse().ok()).collect();
            had.extend(read_after_restart(&mut world));
            for id in told {
                assert!(had.contains(&id), "killed at {kill_at}, deaf at {deaf_at}: {id} was acknowledged and is lost");
            }
        }
    }
}
