//! A client that dies, or hangs, while its session lingers at the broker: what is written to it meanwhile is not lost.

use std::process::Command;
use std::time::Duration;

use waxwing_tests::lab::Lab;
use waxwing_tests::person::Person;
use waxwing_tests::process::Process;
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "the signal is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_a_session_that_hangs_and_is_killed_arrive_once() {
    let lab = Lab::new("lost", &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Required, Vouched::ByLab).await;
    let server = ours.server();
    let (alice, bob) = (Person::new(lab.dir(), "alice"), Person::new(lab.dir(), "bob"));
    for person in [&alice, &bob] {
        person.register(&server).await;
        person.login(&server, &lab.ca_file(), &[]).await;
    }
    alice.say("bob@waxwing.example", "hello").await;
    bob.wait_for_message("hello", true).await;
    bob.ok(&["contacts", "accept", "alice@waxwing.example"]).await;

    let mut following = bob.follow();
    alice.say("bob", "you are there").await;
    following.wait_for_text("you are there", Duration::from_secs(40));
    // The process no longer reads, and its connection stays open: the broker takes it for alive.
    signal(&following, "-STOP");
    alice.say("bob", "are you still there?").await;
    alice.say("bob", "hello?").await;
    following.kill();

    let objects = bob.json(&["inbox"]).await;
    let texts: Vec<&str> = objects.iter().filter_map(|object| object["message"]["text"].as_str()).collect();
    assert_eq!(texts, ["are you still there?", "hello?"], "{objects:?}");
    bob.say("alice", "I am back").await;
    alice.wait_for_message("I am back", false).await;
    ours.broker.stop().await;
}
