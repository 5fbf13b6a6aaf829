//! A wall clock that is wrong destroys nothing (B10).

use std::time::Duration;

use store::ClockVerdict;
use xmpp::time::Timestamp;

use super::world;
use crate::testing::{World, run};
use crate::{invites, offline, upload};

const NORTH: &str = "north.example";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn write(world: &mut World, alice: usize, id: &str) {
    let xml = format!("<message to='bob@north.example' type='chat' id='{id}'><body>words {id}</body></message>");
    world.send(alice, &xml);
}

fn expire(world: &World) {
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    run(offline::expire(&core)).unwrap();
    run(upload::forget_expired(&core)).unwrap();
    run(invites::forget_expired(&core)).unwrap();
}

fn is_doubted(world: &World) -> bool {
    let core = std::sync::Arc::clone(world.broker(NORTH).core());
    run(core.look_at_clock()).unwrap() != ClockVerdict::Believed
}

fn bob_reads(world: &mut World) -> Vec<String> {
    let bob = world.connect("bob@north.example", "phone");
    world.send(bob, "<presence/>");
    let got = world.take(bob);
    got.iter().filter(|s| s.name() == "message").filter_map(|s| s.attr("id").map(str::to_owned)).collect()
}

/// A machine without a battery: it was right, starts in 1970, and is set right again.
#[test]
fn b10_a_broker_that_starts_in_1970_destroys_no_acknowledged_message() {
    let mut world = world(90);
    let right = world.now();
    let alice = world.online("alice@north.example", "desk");
    write(&mut world, alice, "before");
    for wrong in [Timestamp::from_millis(0), right + 3650 * DAY] {
        world.set_wall_clock(wrong);
        assert!(is_doubted(&world));
        write(&mut world, alice, "meanwhile");
        expire(&world);
    }
    world.set_wall_clock(right);
    assert!(!is_doubted(&world));
    expire(&world);
    assert_eq!(bob_reads(&mut world), ["before", "meanwhile", "meanwhile"]);
}

/// What is doubted is believed after a day of running, or when the operator says so; then things expire again.
#[test]
fn b10_a_clock_that_has_run_for_a_day_or_is_accepted_is_believed() {
    for accepted in [false, true] {
        let mut world = world(91);
        let right = world.now();
        let alice = world.online("alice@north.example", "desk");
        write(&mut world, alice, "old");
        assert!(!is_doubted(&world));
        world.set_wall_clock(right + 400 * DAY);
        expire(&world);
        if accepted {
            let core = std::sync::Arc::clone(world.broker(NORTH).core());
            run(core.accept_clock()).unwrap();
        } else {
            for hour in 0..24 {
                assert!(is_doubted(&world), "after {hour} hours");
                world.advance(Duration::from_secs(3600));
            }
        }
        assert!(!is_doubted(&world));
        expire(&world);
        assert!(bob_reads(&mut world).is_empty(), "more than thirty days old");
    }
}
