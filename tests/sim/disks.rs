//! Machines that die at every point where something is written, and disks that take nothing more.

use std::time::Duration;

use client::event::MessageState;
use client::{Command, CommandError};
use store::backend::memory::Fault;

use crate::record::ratchets::Ratchets;
use crate::world::{NORTH, SOUTH, World};

fn assert_no_key_was_used_twice(world: &World) {
    let mut ratchets = Ratchets::default();
    ratchets.watch(world.record.said_by_people());
    assert!(ratchets.count() > 0);
}

/// Bob writes to Alice while the power of one machine fails after `after` commits. Returns whether it came to that.
fn strike(
    after_commits: u64,
    seed: u64,
    victim: impl Fn(&World, usize, usize) -> store::backend::memory::MemoryBackend,
) -> bool {
    let (mut world, alice, bob) = World::alice_and_bob(50);
    world.say(bob, "alice", "before");
    world.say(alice, "bob", "before");
    let disk = victim(&world, alice, bob);
    disk.inject(Fault::PowerCut { after_commits, seed });
    let mut saved = Vec::new();
    for text in ["one", "two", "three"] {
        if world.people[bob].engine.is_some() && world.say_only(bob, "alice", text).is_some() {
            saved.push(text);
        }
        world.settle();
    }
    let struck = !disk.is_powered();
    disk.inject(Fault::None);
    for site in [NORTH, SOUTH] {
        if world.sites[site].broker.is_none() {
            world.start_site(site);
        }
    }
    for person in [alice, bob] {
        if world.people[person].engine.is_none() {
            world.start_person(person);
        }
    }
    world.advance(Duration::from_secs(600));
    world.say(bob, "alice", "after");
    let texts = world.received(alice);
    for text in ["one", "two", "three"] {
        let count = texts.iter().filter(|shown| *shown == text).count();
        assert!(count <= 1, "{text} is shown {count} times (cut after {after_commits} commits)");
        assert!(count == 1 || !saved.contains(&text), "{text} is lost (cut after {after_commits} commits)");
    }
    assert_eq!(texts.last().map(String::as_str), Some("after"));
    assert_no_key_was_used_twice(&world);
    struck
}

fn strike_everywhere(victim: impl Fn(&World, usize, usize) -> store::backend::memory::MemoryBackend + Copy) {
    let mut after = 0;
    while strike(after, 0, victim) {
        strike(after, 1, victim);
        after += 1;
    }
    assert!(after > 2, "the power fails too rarely to mean anything: {after}");
}

#[test]
fn c04_the_senders_machine_dies_at_each_write_point() {
    strike_everywhere(|world, _, bob| world.people[bob].disk.clone());
}

#[test]
fn c04_the_receivers_machine_dies_at_each_write_point() {
    strike_everywhere(|world, alice, _| world.people[alice].disk.clone());
}

/// Alice is away, so that her broker writes what comes.
#[test]
fn c04_the_brokers_machine_dies_at_each_write_point() {
    for seed in [0, 1] {
        for after_commits in 0..4 {
            let (mut world, alice, _) = World::alice_and_bob(51);
            let carol = world.join("carol", NORTH);
            world.befriend(carol, alice);
            world.say(carol, "alice", "before");
            world.kill_person(alice);
            world.settle();
            world.sites[NORTH].disk.inject(Fault::PowerCut { after_commits, seed });
            for text in ["one", "two", "three"] {
                world.say(carol, "alice", text);
            }
            if world.sites[NORTH].broker.is_none() {
                world.start_site(NORTH);
            }
            world.sites[NORTH].disk.inject(Fault::None);
            world.advance(Duration::from_secs(600));
            world.start_person(alice);
            world.settle();
            assert_eq!(world.received(alice), ["before", "one", "two", "three"]);
            assert_no_key_was_used_twice(&world);
        }
    }
}

/// The store was put back to an older state: its keys may have been used since, so the device makes itself new ones.
#[test]
fn c04_a_store_that_was_put_back_becomes_a_new_device() {
    let (mut world, alice, bob) = World::alice_and_bob(52);
    world.say(alice, "bob", "hello");
    let old = world.people[bob].disk.raw_rows();
    for text in ["one", "two", "three"] {
        world.say(bob, "alice", text);
        world.kill_person(bob);
        world.start_person(bob);
        world.settle();
    }
    world.kill_person(bob);
    world.people[bob].disk = put_back(&old);
    world.start_person(bob);
    world.settle();
    world.say(bob, "alice", "from the new device");
    assert_eq!(world.received(alice), ["one", "two", "three", "from the new device"]);
    world.say(alice, "bob", "so it is you");
    assert_eq!(world.received(bob), ["hello", "so it is you"]);
    assert_no_key_was_used_twice(&world);
}

/// The whole profile was put back, store and key file: nothing on that machine knows, and still no key is used twice.
#[test]
fn c23_a_profile_that_was_put_back_as_a_whole_becomes_a_new_device() {
    for starts in [1, 6] {
        let (mut world, alice, bob) = World::alice_and_bob(56);
        world.say(alice, "bob", "hello");
        world.say(bob, "alice", "hello");
        let old = world.people[bob].snapshot();
        for number in 0..starts {
            world.kill_person(bob);
            world.start_person(bob);
            world.settle();
            world.say(bob, "alice", &format!("{number}"));
        }
        world.kill_person(bob);
        world.people[bob].put_back(old);
        world.start_person(bob);
        world.settle();
        for text in ["one", "two", "three"] {
            world.say(bob, "alice", text);
        }
        assert_eq!(world.received(alice).last_chunk(), Some(&["one", "two", "three"].map(str::to_owned)));
        world.say(alice, "bob", "so it is you");
        assert_eq!(world.received(bob).last().map(String::as_str), Some("so it is you"));
        assert_no_key_was_used_twice(&world);
    }
}

/// Makes a disk that holds these rows and nothing else.
fn put_back(rows: &[store::backend::Row]) -> store::backend::memory::MemoryBackend {
    use store::backend::{Backend, Batch, Change};
    let disk = store::backend::memory::MemoryBackend::new();
    let changes =
        rows.iter().map(|row| Change::Put(store::backend::Row { key: row.key.clone(), value: row.value.clone() }));
    store::block_on(disk.commit(Batch { changes: changes.collect(), ..Batch::default() }))
        .expect("an empty disk takes rows");
    disk
}

#[test]
fn a_person_whose_disk_takes_nothing_is_told_and_loses_nothing() {
    for fault in [Fault::DiskFull, Fault::ReadOnly] {
        let (mut world, alice, bob) = World::alice_and_bob(53);
        world.say(alice, "bob", "before");
        world.people[bob].disk.inject(fault);
        let said = Command::Say { who: "alice".to_owned(), text: "no room".to_owned() };
        let refused = world.command_only(bob, said);
        assert!(matches!(refused, Err(CommandError::Store(_))), "{refused:?}");
        // it comes again and again until it can be saved, so the world does not settle meanwhile
        world.say_only(alice, "bob", "there is no room for this").expect("her disk is sound");
        world.advance(Duration::from_secs(300));
        world.people[bob].disk.inject(Fault::None);
        world.advance(Duration::from_secs(600));
        assert_eq!(world.received(bob), ["before", "there is no room for this"]);
        assert!(world.received(alice).is_empty());
    }
}

#[test]
fn a_broker_whose_disk_takes_nothing_refuses_and_acknowledges_nothing_that_is_lost() {
    for fault in [Fault::DiskFull, Fault::ReadOnly] {
        let (mut world, alice, bob) = World::alice_and_bob(54);
        world.say(bob, "alice", "before");
        world.kill_person(alice);
        world.settle();
        world.sites[NORTH].disk.inject(fault);
        let id = world.say(bob, "alice", "nowhere to keep this");
        let state = world.state(bob, "alice", &id);
        assert!(matches!(state, MessageState::Delayed(_)), "it was refused for now: {state:?}");
        world.sites[NORTH].disk.inject(Fault::None);
        world.advance(Duration::from_secs(600));
        world.start_person(alice);
        world.settle();
        assert_eq!(world.received(alice), ["before", "nowhere to keep this"]);
        assert_eq!(world.state(bob, "alice", &id), MessageState::AtBroker);
    }
}
