//! How long a message is on its way: from one broker to another, and from `waxwing say` to the acknowledgement.
//!
//! Paced, not a closed loop: nothing queues, so what is seen is the way itself and not the load.

use std::time::{Duration, Instant};

use waxwing_tests::lab::Lab;
use waxwing_tests::person::Person;
use waxwing_tests::raw::{RawClient, Server, SignIn};

use crate::load;
use crate::servers::{self, Kind, PASSWORD};

/// One message after another has arrived, and this much later.
const PAUSE: Duration = Duration::from_millis(25);

/// Measures, and writes two tables.
pub(crate) async fn measure(kinds: &[Kind], count: usize) -> String {
    let mut out = format!(
        "Arrival over two brokers, {count} messages of 1.15 KiB, one at a time:\n\n| servers | p50 | p99 |\n|---|---|---|\n"
    );
    for kind in kinds.iter().filter(|kind| **kind != Kind::Relay) {
        eprintln!("latency: two of {}", kind.title());
        out += &row(kind.title(), over_two(*kind, count).await);
    }
    out += "\nFrom the start of `waxwing say` to its end, at which the broker has acknowledged:\n\n| | p50 | p99 |\n|---|---|---|\n";
    eprintln!("latency: waxwing say");
    let (cold, warm) = say(count / 10).await;
    out += &row("by itself: opens the profile, signs in", cold);
    out += &row("beside `waxwing inbox --follow`", warm);
    out
}

fn row(title: &str, mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| {
        times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    format!("| {title} | {:.1} ms | {:.1} ms |\n", at(50).as_secs_f64() * 1e3, at(99).as_secs_f64() * 1e3)
}

async fn available(server: &Server, name: &str) -> RawClient {
    let how = SignIn { acks: false, ..SignIn::default() };
    let mut client = RawClient::login_as(server, name, PASSWORD, &how).await;
    client.send("<presence/>").await;
    client.expect("the own presence", |s| s.name() == "presence").await;
    client
}

async fn over_two(kind: Kind, count: usize) -> Vec<Duration> {
    let lab = Lab::new("latency", &["north", "south"]);
    let north = servers::start_in(&lab, kind, "north", 1).await;
    let south = servers::start_in(&lab, kind, "south", 1).await;
    let mut sender = available(&north.1, "u0").await;
    let mut receiver = available(&south.1, "u0").await;
    let stanza = load::stanza(receiver.jid().bare().as_str());
    let stanza = std::str::from_utf8(&stanza).expect("a stanza is text");
    let mut times = Vec::with_capacity(count);
    for round in 0..count + 5 {
        let start = Instant::now();
        sender.send(stanza).await;
        receiver.expect("the message", |s| s.name() == "message").await;
        if round >= 5 {
            times.push(start.elapsed()); // the first ones wait for the connection between the servers
        }
        tokio::time::sleep(PAUSE).await;
    }
    times
}

/// `waxwing say`, as a process of its own each time.
async fn say(count: usize) -> (Vec<Duration>, Vec<Duration>) {
    let lab = Lab::new("latency", &["bench"]);
    let (_broker, server) = servers::start_in(&lab, Kind::Waxwingd, "bench", 0).await;
    let (alice, bob) = (Person::new(lab.dir(), "alice"), Person::new(lab.dir(), "bob"));
    for person in [&alice, &bob] {
        person.register(&server).await;
        person.login(&server, &lab.ca_file(), &[]).await;
    }
    alice.say("bob@bench.example", "the first one fetches keys").await;
    let mut cold = Vec::new();
    for _ in 0..count {
        cold.push(timed(&alice).await);
    }
    let _following = alice.follow();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut warm = Vec::new();
    for _ in 0..count {
        warm.push(timed(&alice).await);
    }
    (cold, warm)
}

async fn timed(alice: &Person) -> Duration {
    let start = Instant::now();
    alice.ok(&["say", "bob@bench.example", "hello"]).await;
    start.elapsed()
}
