//! Several processes with one profile, and processes that are killed.

use std::process::Stdio;

use tokio::process::{Child, Command};
use waxwing::api::{Answer, Request};
use waxwing::cli::Exit;
use waxwing::runtime::Home;
use waxwing::socket::Client;

use crate::harness::{Person, broker};
use crate::way::{Way, until};

fn process(person: &Person, line: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_waxwing"))
        .args(["--home", person.home_text()])
        .args(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

/// Asks the engine of a running process.
async fn ask(person: &Person, request: Request) -> Option<Answer> {
    let mut client = Client::connect(&Home::at(&person.home.0).socket()).await.ok()?;
    client.ask(&request).await.ok()
}

async fn is_online(person: &Person) -> bool {
    matches!(ask(person, Request::Status).await, Some(Answer::Status { status }) if status.account == "online")
}

/// Alice behind a way that can be held up, and Bob, who have written to each other.
async fn acquainted(server: &waxwingd::Server) -> (Person, Person, Way) {
    let way = Way::to(server).await;
    let link = server.invite().await.expect("an invitation").link;
    let alice = Person::new();
    assert_eq!(alice.run(&["join", &way.over(&link), "--name", "alice"]).await.exit, Exit::Ok);
    let bob = Person::joined(server, "bob").await;
    assert_eq!(bob.run(&["add", &alice.link().await]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["say", "bob", "first"]).await.exit, Exit::Ok);
    assert_eq!(bob.read().await, ["first"]);
    (alice, bob, way)
}

#[tokio::test(flavor = "multi_thread")]
async fn further_processes_use_the_engine_of_the_first() {
    let server = broker("north.example").await;
    let (alice, bob, _way) = acquainted(&server).await;
    let mut following = process(&alice, &["inbox", "--follow", "--json"]);
    until("alice follows", || is_online(&alice)).await;
    let said = process(&alice, &["say", "bob", "over the socket"]).wait_with_output().await.expect("it ends");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(server.broker().core().session_count(), 1, "one session serves the whole profile");
    assert_eq!(bob.read().await, ["over the socket"]);
    let listed = alice.json(&["contacts"]).await;
    assert_eq!(listed[0]["contact"]["name"], "bob");
    following.kill().await.expect("killed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_shown_where_the_user_is_and_told_in_utc() {
    let server = broker("north.example").await;
    let (_alice, bob, _way) = acquainted(&server).await;
    let minute = |zone: &'static str| {
        let mut history = Command::new(env!("CARGO_BIN_EXE_waxwing"));
        history.args(["--home", bob.home_text(), "history", "alice"]).env("TZ", zone).stdin(Stdio::null());
        async move {
            let shown = String::from_utf8(history.output().await.expect("it ends").stdout).expect("text");
            let clock = shown.get(11..16).expect("date and minute").to_owned();
            let (hours, minutes) = clock.split_once(':').expect("a clock");
            hours.parse::<u32>().expect("hours") * 60 + minutes.parse::<u32>().expect("minutes")
        }
    };
    let (utc, india) = (minute("UTC0").await, minute("IST-5:30").await);
    assert_eq!((india + 24 * 60 - utc) % (24 * 60), 5 * 60 + 30);
    let told = bob.json(&["history", "alice"]).await;
    let stamp = told[0]["message"]["written_at"].as_str().expect("a time").to_owned();
    let minutes: Vec<u32> = stamp[11..16].split(':').map(|part| part.parse().expect("a number")).collect();
    assert!(stamp.ends_with('Z') && minutes[0] * 60 + minutes[1] == utc, "{stamp}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c04_a_message_survives_kill_9_and_arrives_once() {
    let server = broker("north.example").await;
    let (alice, bob, way) = acquainted(&server).await;

    // killed before the network has answered anything
    way.hold(true);
    let mut say = process(&alice, &["say", "bob", "second", "--wait", "60"]);
    until("the message is saved", || async {
        matches!(ask(&alice, Request::Status).await, Some(Answer::Status { status })
            if status.waiting_count + status.queued_count == 1)
    })
    .await;
    say.kill().await.expect("killed");
    way.hold(false);
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    assert_eq!(bob.read().await, ["second"]);

    // killed when the broker has it, and its confirmation is still on the way; another process waits for that
    let mut following = process(&alice, &["inbox", "--follow"]);
    until("alice follows", || is_online(&alice)).await;
    // a first message, so that everything about bob is known when the way is held up
    assert_eq!(alice.run(&["say", "bob", "warm"]).await.exit, Exit::Ok);
    assert_eq!(bob.read().await, ["warm"]);
    way.hold(true);
    let say = process(&alice, &["say", "bob", "third", "--wait", "60"]);
    until("bob has it", || async { bob.run(&["inbox"]).await.out.contains("third") }).await;
    following.kill().await.expect("killed");
    way.hold(false);
    let said = say.wait_with_output().await.expect("it ends");
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert_eq!(bob.read().await, [""; 0], "no repeat is shown");
    let history = bob.run(&["history", "alice"]).await;
    assert_eq!(history.out.matches("third").count(), 1, "{history:?}");
    server.stop().await;
}
