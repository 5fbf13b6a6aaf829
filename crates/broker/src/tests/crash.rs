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

/// A small deterministic choice of numbers, so that a failing schedule can be run again from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Bob with up to three devices that freeze, die, come back and are replaced, while Alice writes and the broker is killed:
/// whatever she was told is safe, Bob has received on some device, or finds at his next sign-in.
#[test]
fn no_schedule_loses_an_acknowledged_message() {
    for seed in 0..25 {
        let mut dice = Dice(seed);
        let mut world = world(1000 + seed);
        let mut alice = world.online("alice@north.example", "desk");
        let mut bobs: Vec<usize> = Vec::new();
        let mut everybody: Vec<usize> = Vec::new();
        let mut told = Vec::new();
        let mut next_id = 0;
        for _ in 0..40 {
            match dice.roll(10) {
                0..=3 => {
                    next_id += 1;
                    let to = if dice.roll(4) == 0 { "bob@north.example/0" } else { "bob@north.example" };
                    let message = format!("<message to='{to}' type='chat' id='{next_id}'><body>x</body></message>");
                    world.client(alice).send_numbered(&message, Some(next_id));
                    world.settle();
                }
                4 | 5 => {
                    let resource = dice.roll(3).to_string();
                    let bob = world.connect("bob@north.example", &resource);
                    world.send(bob, "<presence/>");
                    bobs.push(bob);
                    everybody.push(bob);
                }
                6 if !bobs.is_empty() => {
                    let at = usize::try_from(dice.roll(bobs.len() as u64)).unwrap();
                    world.freeze(bobs[at]);
                }
                7 if !bobs.is_empty() => {
                    let at = usize::try_from(dice.roll(bobs.len() as u64)).unwrap();
                    let bob = bobs.swap_remove(at);
                    world.cut(bob);
                }
                8 => world.advance(Duration::from_millis(dice.roll(80))),
                9 if dice.roll(4) == 0 => {
                    told.extend(world.client(alice).acknowledged.clone());
                    world.crash("north.example");
                    bobs.clear();
                    alice = world.online("alice@north.example", "desk");
                }
                _ => {}
            }
        }
        told.extend(world.client(alice).acknowledged.clone());
        let mut had: Vec<u64> = Vec::new();
        for bob in everybody {
            had.extend(world.take(bob).iter().filter_map(|s| s.attr("id")?.parse::<u64>().ok()));
        }
        had.extend(read_after_restart(&mut world));
        for id in told {
            assert!(had.contains(&id), "seed {seed}: {id} was acknowledged and is lost");
        }
    }
}

/// One damaged byte costs its message and no other; nor does it cost a contact list more than its row.
#[test]
fn b11_a_damaged_row_hides_neither_a_queue_nor_a_roster() {
    let mut world = world(9);
    let alice = world.online("alice@north.example", "desk");
    send(&mut world, alice, 1);
    let before = world.stored_keys("north.example");
    send(&mut world, alice, 2);
    let made: Vec<_> = world.stored_keys("north.example").into_iter().filter(|key| !before.contains(key)).collect();
    send(&mut world, alice, 3);
    assert!(!made.is_empty());
    for key in &made {
        world.damage("north.example", key);
    }
    assert_eq!(read_after_restart(&mut world), [1, 3]);
    let aside = store::block_on(world.broker("north.example").store.aside()).unwrap();
    assert_eq!(aside, ["offline"], "it is kept and told");

    let bob = world.connect("bob@north.example", "desk");
    let item = |name: &str| {
        format!("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{name}@south.example'/></query></iq>")
    };
    world.send(bob, &item("carol"));
    let before = world.stored_keys("north.example");
    world.send(bob, &item("dave"));
    let made: Vec<_> = world.stored_keys("north.example").into_iter().filter(|key| !before.contains(key)).collect();
    for key in &made {
        world.damage("north.example", key);
    }
    world.crash("north.example");
    let bob = world.connect("bob@north.example", "later");
    world.send(bob, "<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = world.take(bob).iter().map(|stanza| stanza.to_xml("")).collect::<String>();
    assert!(roster.contains("carol@south.example") && !roster.contains("dave@south.example"), "{roster}");
}
