//! slixmpp with slixmpp-omemo, signed in on our broker, and our client: both versions of OMEMO, from empty accounts.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use waxwing_tests::lab::Lab;
use waxwing_tests::peers::python;
use waxwing_tests::person::Person;
use waxwing_tests::raw::{RawClient, Server};
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

const PASSWORD: &str = "a long enough password";
const PATIENCE: Duration = Duration::from_secs(40);

/// Somebody on slixmpp; ends with the test.
struct Peer {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Signs in with an account that exists.
    async fn start(lab: &Lab, server: &Server, name: &str, versions: &str) -> Self {
        let mut command = Command::from(python::script("slixmpp_peer.py"));
        command.args(["--jid", &format!("{name}@{}", server.domain), "--password", PASSWORD]);
        command.args(["--host", &server.address.ip().to_string(), "--port", &server.address.port().to_string()]);
        command.arg("--ca").arg(lab.ca_file()).args(["--versions", versions]);
        let log = std::fs::File::create(lab.dir().join(format!("{name}.err"))).expect("a log can be made");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().expect("the Python environment has an interpreter");
        let stdin = child.stdin.take().expect("its input is ours");
        let lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let mut peer = Self { _child: child, stdin, lines };
        peer.expect("ready").await;
        peer
    }

    async fn tell(&mut self, command: Value) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.expect("the peer reads");
    }

    async fn say(&mut self, to: &str, text: &str) {
        self.tell(json!({"say": {"to": to, "text": text}})).await;
    }

    /// Returns the next event of a name; others are skipped.
    async fn expect(&mut self, event: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("slixmpp tells no {event:?} but {seen:?}"));
            let line = line.expect("its output is text").unwrap_or_else(|| panic!("slixmpp ended: {seen:?}"));
            let value: Value = serde_json::from_str(&line).expect("it prints JSON");
            if value["event"] == event {
                return value;
            }
            seen.push(value);
        }
    }

    /// Waits for a message, and checks what it says and by which version it came.
    async fn expect_message(&mut self, text: &str, version: &str) {
        let message = self.expect("message").await;
        assert_eq!((&message["text"], &message["version"]), (&json!(text), &json!(version)), "{message}");
    }
}

async fn lab(label: &str) -> (Lab, Ours) {
    let lab = Lab::new(label, &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Required, Vouched::ByLab).await;
    (lab, ours)
}

async fn account(server: &Server, name: &str) {
    RawClient::register(server, name, PASSWORD, None).await.close().await;
}

/// Both write and answer, several times, so that the ratchets turn.
async fn converse(versions: &str, expected: &str) {
    let (lab, ours) = lab("slixmpp").await;
    let server = ours.server();
    let alice = Person::new(lab.dir(), "alice");
    alice.register(&server).await;
    alice.login(&server, &lab.ca_file(), &[]).await;
    account(&server, "bob").await;
    let mut bob = Peer::start(&lab, &server, "bob", versions).await;
    let (to_alice, to_bob) = ("alice@waxwing.example", "bob@waxwing.example");
    alice.say(to_bob, "hello, slixmpp").await;
    bob.expect_message("hello, slixmpp", expected).await;
    for round in 0..3 {
        let text = format!("hello, waxwing {round} \u{1F426} <&>");
        bob.say(to_alice, &text).await;
        bob.expect("sent").await;
        alice.wait_for_message(&text, false).await;
        let text = format!("answer {round}");
        alice.say(to_bob, &text).await;
        bob.expect_message(&text, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_speaks_the_deployed_version_with_our_client() {
    converse("legacy", "legacy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_speaks_the_new_version_with_our_client() {
    converse("omemo2", "omemo2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_speaks_both_versions_with_our_client() {
    converse("both", "omemo2").await;
}

/// The peer writes first, to somebody who has never heard of him: the message lies among the requests.
#[tokio::test(flavor = "multi_thread")]
async fn slixmpp_writes_first() {
    let (lab, ours) = lab("slixmpp-first").await;
    let server = ours.server();
    let alice = Person::new(lab.dir(), "alice");
    alice.register(&server).await;
    alice.login(&server, &lab.ca_file(), &[]).await;
    account(&server, "bob").await;
    let mut bob = Peer::start(&lab, &server, "bob", "legacy").await;
    bob.say("alice@waxwing.example", "you do not know me").await;
    bob.expect("sent").await;
    alice.wait_for_message("you do not know me", true).await;
    alice.ok(&["contacts", "accept", "bob@waxwing.example"]).await;
    alice.say("bob", "now I do").await;
    bob.expect_message("now I do", "legacy").await;
}

/// Neither side has published anything when the other first tries.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_appear_late_heal() {
    let (lab, ours) = lab("slixmpp-late").await;
    let server = ours.server();
    let alice = Person::new(lab.dir(), "alice");
    alice.register(&server).await;
    account(&server, "bob").await;
    let (to_alice, to_bob) = ("alice@waxwing.example", "bob@waxwing.example");

    // Alice has an account and no device yet: the peer cannot write to her.
    let mut bob = Peer::start(&lab, &server, "bob", "both").await;
    bob.say(to_alice, "too early").await;
    bob.expect("failed").await;
    alice.login(&server, &lab.ca_file(), &[]).await;
    bob.say(to_alice, "now it works").await;
    bob.expect("sent").await;
    alice.wait_for_message("now it works", true).await;

    // Carol has an account and no device yet: Alice is told, and how to make a link for her.
    account(&server, "carol").await;
    let refused = alice.run(&["say", "carol@waxwing.example", "too early"]).await;
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.out.contains("waxwing invite"), "{refused:?}");
    let mut carol = Peer::start(&lab, &server, "carol", "legacy").await;
    alice.say("carol@waxwing.example", "now I can").await;
    carol.expect_message("now I can", "legacy").await;
    alice.say(to_bob, "and to you").await;
    bob.expect_message("and to you", "omemo2").await;
}

/// What is readable does not pass our broker, and its sender is told so.
#[tokio::test(flavor = "multi_thread")]
async fn readable_messages_of_slixmpp_are_refused() {
    let (lab, ours) = lab("slixmpp-plain").await;
    let server = ours.server();
    account(&server, "alice").await;
    account(&server, "bob").await;
    let mut alice = Peer::start(&lab, &server, "alice", "both").await;
    let mut bob = Peer::start(&lab, &server, "bob", "both").await;
    bob.tell(json!({"plain": {"to": "alice@waxwing.example", "text": "in clear"}})).await;
    let error = bob.expect("error").await;
    // slixmpp does not know the condition policy-violation of RFC 6120, but shows the text
    assert!(error["text"].as_str().is_some_and(|text| text.contains("Switch on OMEMO")), "{error}");
    bob.say("alice@waxwing.example", "sealed").await;
    // had the readable one passed, it would have come first, as `unencrypted`
    let first = alice.lines.next_line().await.expect("text").expect("alice hears something");
    assert!(first.contains("\"message\"") && first.contains("sealed"), "{first}");
}
