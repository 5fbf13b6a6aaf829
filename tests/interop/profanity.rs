//! profanity, the packaged one, at a terminal: signed in on our broker under the policy `required`, and our client.
//!
//! OMEMO is switched on as its user would. It publishes its first list of devices only when the error about the missing
//! one carries the old number 404 (XEP-0086).

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::terminal::Terminal;
use waxwing_tests::person::Person;
use waxwing_tests::raw::{RawClient, Server};
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

const PASSWORD: &str = "a long enough password";

/// Starts profanity with an empty home, signs in and makes the keys.
fn profanity(lab: &Lab, server: &Server, name: &str) -> Terminal {
    let home = lab.dir().join(format!("profanity-{name}"));
    std::fs::create_dir_all(&home).expect("a scratch directory can be made");
    let place = |part: &str| home.join(part).display().to_string();
    let environment = [
        ("HOME", place("")),
        ("XDG_CONFIG_HOME", place("config")),
        ("XDG_DATA_HOME", place("data")),
        ("LC_ALL", "C.UTF-8".to_owned()),
    ];
    let terminal = Terminal::start(home.join("tmux"), &environment, "profanity");
    terminal.wait_for("Type '/help'");
    let (ip, port) = (server.address.ip(), server.address.port());
    terminal.type_line(&format!("/connect {name}@{} server {ip} port {port} tls trust", server.domain));
    terminal.wait_for("Enter password");
    terminal.type_line(PASSWORD);
    terminal.wait_for("logged in successfully");
    terminal.type_line("/omemo gen");
    terminal.wait_for("generated");
    terminal.type_line("/omemo trustmode blind");
    terminal
}

/// Writes in the open conversation. While profanity is still fetching keys it says that nobody could read the message; its
/// user does then what it advises.
fn write(terminal: &Terminal, text: &str) {
    for _ in 0..20 {
        terminal.type_line("/clear");
        terminal.type_line(text);
        let screen = terminal.wait_for_one_of(&[&format!(": {text}"), "cannot be decrypted for any recipient"]);
        if !screen.contains("cannot be decrypted") {
            return;
        }
        terminal.type_line("/omemo end");
        terminal.type_line("/omemo start");
    }
    panic!("profanity cannot encrypt:\n{}", terminal.screen());
}

#[tokio::test(flavor = "multi_thread")]
async fn profanity_and_our_client_talk() {
    let lab = Lab::new("profanity", &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Required, Vouched::ByLab).await;
    let server = ours.server();
    let alice = Person::new(lab.dir(), "alice");
    alice.register(&server).await;
    alice.login(&server, &lab.ca_file(), &[]).await;
    RawClient::register(&server, "bob", PASSWORD, None).await.close().await;
    let bob = tokio::task::block_in_place(|| profanity(&lab, &server, "bob"));

    alice.say("bob@waxwing.example", "hello, profanity").await;
    tokio::task::block_in_place(|| {
        bob.wait_for("alice@waxwing.example");
        bob.type_line("/msg alice@waxwing.example");
        bob.wait_for("hello, profanity");
        bob.type_line("/omemo start");
        write(&bob, "hello, waxwing");
    });
    alice.wait_for_message("hello, waxwing", false).await;
    for round in 0..2 {
        let text = format!("answer {round}");
        alice.say("bob", &text).await;
        tokio::task::block_in_place(|| {
            bob.wait_for(&text);
            write(&bob, &format!("and back {round}"));
        });
        alice.wait_for_message(&format!("and back {round}"), false).await;
    }
    ours.broker.stop().await;
}

/// Without OMEMO nothing of it passes, and its user is told why.
#[tokio::test(flavor = "multi_thread")]
async fn profanity_without_encryption_is_refused() {
    let lab = Lab::new("profanity-plain", &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Required, Vouched::ByLab).await;
    let server = ours.server();
    for name in ["alice", "bob"] {
        RawClient::register(&server, name, PASSWORD, None).await.close().await;
    }
    let bob = tokio::task::block_in_place(|| {
        let bob = profanity(&lab, &server, "bob");
        bob.type_line("/msg alice@waxwing.example in clear");
        bob.wait_for("This server carries only encrypted messages");
        bob
    });
    drop(bob);
    ours.broker.stop().await;
}
