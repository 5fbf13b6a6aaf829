use std::sync::Arc;

use super::*;
use crate::Day;
use crate::backend::memory::MemoryBackend;
use crate::testing::{block_on, open};

const HOUR: i64 = 60 * MINUTE;
/// Some day in 2027.
const NOW: i64 = 20_800 * DAY;

fn at(boot: u8, up_ms: i64, wall_ms: i64) -> ClockReading {
    ClockReading { wall_ms, boot: [boot; 16], up_ms: u64::try_from(up_ms).unwrap() }
}

fn guard(backend: &MemoryBackend) -> ClockGuard {
    ClockGuard::new(open(Arc::new(backend.clone())))
}

fn believes(guard: &ClockGuard, reading: ClockReading) -> bool {
    block_on(guard.look(reading)).unwrap() == ClockVerdict::Believed
}

#[test]
fn a_clock_that_starts_in_1970_is_doubted_and_dates_nothing() {
    let backend = MemoryBackend::new();
    assert!(believes(&guard(&backend), at(1, 0, NOW)));
    let after = guard(&backend);
    assert!(!believes(&after, at(2, 0, HOUR)));
    assert_eq!(block_on(after.time_ms(at(2, HOUR, 2 * HOUR))), Ok(NOW + HOUR), "dated by what was believed last");
    // The time service has found it.
    assert!(believes(&after, at(2, 2 * HOUR, NOW + 5 * HOUR)));
    assert_eq!(block_on(after.time_ms(at(2, 2 * HOUR, NOW + 5 * HOUR))), Ok(NOW + 5 * HOUR));
}

#[test]
fn a_year_ahead_is_doubted_until_it_has_run_for_a_day_added_up_over_restarts() {
    let backend = MemoryBackend::new();
    assert!(believes(&guard(&backend), at(1, 0, NOW)));
    let ahead = NOW + 365 * DAY;
    for hours in [0, 10, 23] {
        // The program starts anew each time, the machine does not.
        assert!(!believes(&guard(&backend), at(2, hours * HOUR, ahead + hours * HOUR)), "{hours}");
    }
    let running = guard(&backend);
    let doubted = block_on(running.look(at(2, 23 * HOUR, ahead + 23 * HOUR))).unwrap();
    assert_eq!(doubted, ClockVerdict::Doubted { ahead_ms: 365 * DAY, steady_ms: 23 * 60 * 60 * 1000 });
    assert!(believes(&running, at(2, 24 * HOUR, ahead + 24 * HOUR)));
    assert!(believes(&guard(&backend), at(3, 0, ahead + 25 * HOUR)));
}

#[test]
fn a_doubted_clock_that_is_set_again_begins_anew() {
    let backend = MemoryBackend::new();
    let guard = guard(&backend);
    assert!(believes(&guard, at(1, 0, NOW)));
    assert!(!believes(&guard, at(1, 0, NOW + 100 * DAY)));
    assert!(!believes(&guard, at(1, 23 * HOUR, NOW + 100 * DAY + 23 * HOUR)));
    assert!(!believes(&guard, at(1, 23 * HOUR, NOW + 900 * DAY)));
    assert!(!believes(&guard, at(1, 46 * HOUR, NOW + 900 * DAY + 23 * HOUR)));
    assert!(believes(&guard, at(1, 47 * HOUR, NOW + 900 * DAY + 24 * HOUR)));
}

/// Each start in 1970, for months: never believed, because it never moves on.
#[test]
fn a_clock_that_begins_anew_with_each_boot_adds_nothing_up() {
    let backend = MemoryBackend::new();
    assert!(believes(&guard(&backend), at(1, 0, NOW)));
    for boot in 2..60 {
        let running = guard(&backend);
        assert!(!believes(&running, at(boot, 0, 0)));
        assert!(!believes(&running, at(boot, 20 * HOUR, 20 * HOUR)));
    }
}

/// A machine that is off for days, or whose program runs for moments: its clock is right, and is soon believed.
#[test]
fn a_right_clock_after_a_long_pause_is_believed_after_a_day_of_running() {
    let backend = MemoryBackend::new();
    assert!(believes(&guard(&backend), at(1, 0, NOW)));
    assert!(believes(&guard(&backend), at(1, 9 * DAY, NOW + 9 * DAY)), "the machine has run all the time");
    assert!(!believes(&guard(&backend), at(2, 8 * HOUR, NOW + 30 * DAY)));
    assert!(!believes(&guard(&backend), at(3, 9 * HOUR, NOW + 33 * DAY)));
    assert!(!believes(&guard(&backend), at(4, 10 * HOUR, NOW + 36 * DAY)));
    assert!(believes(&guard(&backend), at(5, 11 * HOUR, NOW + 39 * DAY)));
}

#[test]
fn whoever_runs_the_machine_may_accept_it() {
    let backend = MemoryBackend::new();
    let first = guard(&backend);
    assert!(believes(&first, at(1, 0, NOW)));
    assert!(!believes(&first, at(1, 0, NOW + 10 * DAY)));
    block_on(first.accept(at(1, 0, NOW + 10 * DAY))).unwrap();
    assert!(believes(&first, at(1, HOUR, NOW + 10 * DAY + HOUR)));
    assert!(believes(&guard(&backend), at(2, 0, NOW + 10 * DAY + 2 * HOUR)));
}

#[test]
fn a_store_older_than_this_rule_knows_the_time_by_its_newest_day() {
    let backend = MemoryBackend::new();
    let store = open(Arc::new(backend.clone()));
    let mut transaction = store.transaction();
    transaction.put_expiring(Table::new("offline"), b"alice", 1, Day(20_800), b"words");
    block_on(transaction.commit()).unwrap();
    assert!(!believes(&guard(&backend), at(1, 0, HOUR)));
    let other = MemoryBackend::new();
    assert!(believes(&guard(&other), at(1, 0, HOUR)), "nothing at all is known");
}

#[test]
fn an_hour_back_and_the_end_of_time_are_no_trouble() {
    let backend = MemoryBackend::new();
    let guard = guard(&backend);
    assert!(believes(&guard, at(1, 0, NOW)));
    assert!(believes(&guard, at(1, HOUR, NOW)));
    for wall in [i64::MIN, i64::MAX] {
        assert!(!believes(&guard, at(1, HOUR, wall)));
    }
}
