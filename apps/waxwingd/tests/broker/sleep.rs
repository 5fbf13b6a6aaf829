//! What a connection costs while nothing happens on it.

use crate::person::{Person, Way};
use crate::scratch::Scratch;

/// Connections that are signed in; enough that the first ones' share of what the program needs anyway is small.
const SESSIONS: usize = 150;

/// The promise is 30 KiB (the benchmark measures it); this guards against a large buffer or future per connection.
const KIB_MAX: usize = 30;

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has some");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
async fn a_sleeping_session_is_small() {
    let scratch = Scratch::new();
    scratch.write_settings();
    scratch.add_settings("[limits]\npre_auth_per_network = 0\nsessions_per_account = 1000\n");
    let broker = scratch.up(&[]);
    let way = Way::of_link(broker.text("/invite/link"));
    let mut people = vec![Person::register(&way, "alice", "correct horse battery staple").await];
    for _ in 0..20 {
        people.push(Person::sign_in(&way, "alice", "correct horse battery staple").await);
    }
    let before = resident(broker.pid());
    for _ in 0..SESSIONS {
        people.push(Person::sign_in(&way, "alice", "correct horse battery staple").await);
    }
    let each = resident(broker.pid()).saturating_sub(before) / SESSIONS;
    assert!(each <= KIB_MAX, "{each} KiB");
}
