//! What the client costs: processor time of a first message, of each further one, and of opening a long conversation.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waxwing_tests::lab::Lab;
use waxwing_tests::person::Person;

use crate::measure;
use crate::servers::{self, Kind};

/// Measures with a conversation of `count` messages.
pub(crate) async fn measure(count: usize) -> String {
    let lab = Lab::new("client", &["bench"]);
    let (_broker, server) = servers::start_in(&lab, Kind::Waxwingd, "bench", 0).await;
    let (alice, bob) = (Person::new(lab.dir(), "alice"), Person::new(lab.dir(), "bob"));
    for person in [&alice, &bob] {
        person.register(&server).await;
        person.login(&server, &lab.ca_file(), &[]).await;
    }
    eprintln!("client: the first message");
    let before = measure::children_seconds();
    alice.ok(&["say", "bob@bench.example", "hello"]).await;
    let first_ms = (measure::children_seconds() - before) * 1e3;

    eprintln!("client: {count} further messages");
    let following = alice.follow();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = measure::cpu_seconds(following.id());
    let socket = alice.home().join("data/socket");
    tokio::task::block_in_place(|| say(&socket, count));
    let further_us = (measure::cpu_seconds(following.id()) - before) * 1e6 / count as f64;
    let resident_mib = measure::resident_kib(following.id()) as f64 / 1024.0;
    drop(following);

    eprintln!("client: opening");
    let (before, start) = (measure::children_seconds(), Instant::now());
    alice.ok(&["history", "bob@bench.example", "--limit", "50"]).await;
    let (opened_ms, wall_ms) = ((measure::children_seconds() - before) * 1e3, start.elapsed().as_secs_f64() * 1e3);
    format!(
        "The client's processor time, with its database on the disk:\n\n| | |\n|---|---|\n\
         | `waxwing say`, the first message to somebody: start, sign-in, keys, session | {first_ms:.0} ms |\n\
         | each further message of a running engine, until it is acknowledged | {further_us:.0} µs |\n\
         | `waxwing history` with {count} messages in the profile, the newest 50 | {opened_ms:.0} ms, {wall_ms:.0} ms on the clock |\n\
         | memory of the engine after that | {resident_mib:.1} MiB |\n"
    )
}

/// Says `count` messages over the local interface, and waits until the last is acknowledged.
fn say(socket: &std::path::Path, count: usize) {
    let mut to = UnixStream::connect(socket).expect("the engine listens");
    let mut from = BufReader::new(to.try_clone().expect("a socket can be copied"));
    let mut call = |id: usize, method: &str, params: Value| {
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        to.write_all(format!("{line}\n").as_bytes()).expect("the engine reads");
        let mut answer = String::new();
        from.read_line(&mut answer).expect("the engine answers");
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    };
    call(0, "hello", json!({"version": 1}));
    for n in 1..=count {
        call(
            n,
            "say",
            json!({"who": "bob@bench.example", "text": format!("message {n}, of the length that people write")}),
        );
    }
    let is_waiting =
        |status: &Value| status["queued_count"].as_u64() != Some(0) || status["waiting_count"].as_u64() != Some(0);
    let start = Instant::now();
    while is_waiting(&call(count + 1, "status", json!({}))) {
        assert!(start.elapsed() < Duration::from_secs(600), "not everything is acknowledged");
        std::thread::sleep(Duration::from_millis(100));
    }
}
