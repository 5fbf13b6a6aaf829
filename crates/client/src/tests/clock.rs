//! A wall clock that is wrong erases and renews nothing (B10).

use std::time::Duration;

use crypto::omemo::Omemo2;

use crate::Command;
use crate::command::Reply;
use crate::testing::World;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const HOUR: Duration = Duration::from_secs(60 * 60);

fn ahead_ms(world: &mut World, person: usize) -> Option<i64> {
    match world.command_only(person, Command::Status) {
        Ok(Reply::Status(status)) => status.clock_ahead_ms,
        other => panic!("a status, and not {other:?}"),
    }
}

fn signed_prekey(world: &mut World, person: usize) -> u32 {
    world.engine(person).device.as_ref().unwrap().bundle::<Omemo2>().signed_prekey.id
}

#[test]
fn b10_a_wrong_clock_erases_and_renews_no_key() {
    let (mut world, alice, bob) = World::alice_and_bob(120);
    world.say(alice, "bob", "before");
    world.say(bob, "alice", "before");
    let published = signed_prekey(&mut world, bob);
    let ids = world.device_ids("bob@south.example");
    for days in [400, -15_000] {
        for person in [alice, bob] {
            world.kill(person);
        }
        world.clock.set_wrong_by(days * DAY_MILLIS);
        for person in [alice, bob] {
            world.restart(person);
        }
        assert_eq!(ahead_ms(&mut world, bob), Some(days * DAY_MILLIS));
        world.advance(HOUR);
        world.say(alice, "bob", &format!("{days} days off"));
        world.say(bob, "alice", &format!("{days} days off"));
        assert_eq!(signed_prekey(&mut world, bob), published);
    }
    for person in [alice, bob] {
        world.kill(person);
    }
    world.clock.set_wrong_by(0);
    for person in [alice, bob] {
        world.restart(person);
    }
    assert_eq!(ahead_ms(&mut world, bob), None, "it is right again");
    for person in [alice, bob] {
        let mut received = world.received(person);
        received.sort();
        assert_eq!(received, ["-15000 days off", "400 days off", "before"]);
        assert!(world.notices(person).iter().all(|kept| !matches!(kept.notice, crate::event::Notice::DeviceRenewed)));
    }
    assert_eq!((signed_prekey(&mut world, bob), world.device_ids("bob@south.example")), (published, ids));
}

#[test]
fn b10_a_clock_that_has_run_for_a_day_or_is_accepted_is_believed() {
    for accepted in [false, true] {
        let (mut world, _, bob) = World::alice_and_bob(121);
        let published = signed_prekey(&mut world, bob);
        world.clock.set_wrong_by(40 * DAY_MILLIS);
        world.restart(bob);
        assert!(ahead_ms(&mut world, bob).is_some());
        if accepted {
            world.command(bob, Command::AcceptClock).unwrap();
        } else {
            world.advance(25 * HOUR);
        }
        assert_eq!(ahead_ms(&mut world, bob), None);
        world.restart(bob);
        assert_ne!(signed_prekey(&mut world, bob), published, "it was due");
    }
}
