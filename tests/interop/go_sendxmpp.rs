//! go-sendxmpp: transport and upload. It has no OMEMO, so the policy is off.
//!
//! The packaged version (0.5.6 of 2022) knows no sign-in but PLAIN and DIGEST-MD5, which our broker does not offer. So its
//! account is on Prosody, and what it sends comes to us over the border.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use net::testing::SocksProxy;
use tokio::process::Command;
use waxwing_tests::lab::Lab;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::process::Process;
use waxwing_tests::raw::{RawClient, Server};
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

const PASSWORD: &str = "a long enough password";

/// The program with an account; it believes the laboratory's authorities and goes to files through a proxy that knows
/// the laboratory's names.
fn go_sendxmpp(lab: &Lab, server: &Server, name: &str, proxy: &SocksProxy) -> std::process::Command {
    let mut command = std::process::Command::new("go-sendxmpp");
    command.env("SSL_CERT_FILE", lab.ca_file()).env("HOME", lab.dir()).env("XDG_CONFIG_HOME", lab.dir());
    command.env("XDG_DATA_HOME", lab.dir()).env("HTTPS_PROXY", format!("socks5://{}", proxy.address()));
    command.args(["-u", &format!("{name}@{}", server.domain), "-p", PASSWORD, "-j", &server.address.to_string()]);
    command
}

/// Runs it to its end, and returns whether it succeeded and what it said.
async fn run(command: std::process::Command) -> (bool, String) {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(60), command.output()).await.expect("go-sendxmpp ends");
    let ran = ran.expect("go-sendxmpp is installed");
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn body_of_next(client: &mut RawClient) -> String {
    let message = client.expect("a message", |s| s.name() == "message" && s.child("body", s.ns()).is_some()).await;
    message.child("body", message.ns()).map(xmpp::xml::Element::text).unwrap_or_default().trim().to_owned()
}

fn write(path: &Path, content: &[u8]) -> String {
    std::fs::write(path, content).expect("a scratch file can be written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn go_sendxmpp_sends_listens_and_uploads() {
    let lab = Lab::new("go-sendxmpp", &["waxwing", "prosody"]);
    let _prosody = Prosody::start(&lab, "prosody");
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Off, Vouched::ByLab).await;
    let server = ours.server();
    let host = lab.host("prosody");
    let theirs = Server::new(host.at(5222), &host.domain, &lab.ca_file());
    let proxy = SocksProxy::start().expect("a loopback port is free");
    proxy.lead("upload.prosody.example", 5281, host.at(5281));
    let mut alice = RawClient::register(&server, "alice", PASSWORD, None).await;
    alice.send("<presence/>").await;
    RawClient::register(&theirs, "bob", PASSWORD, None).await.close().await;

    let mut send = go_sendxmpp(&lab, &theirs, "bob", &proxy);
    send.args(["-m", &write(&lab.dir().join("words"), b"hello from go"), "alice@waxwing.example"]);
    let (sent, said) = run(send).await;
    assert!(sent, "{said}");
    assert_eq!(body_of_next(&mut alice).await, "hello from go");

    let mut listen = go_sendxmpp(&lab, &theirs, "bob", &proxy);
    let listening = Process::start(listen.arg("-l"), &lab.dir().join("listen.out"));
    // it may still be signing in: then the message waits for it
    alice.send("<message to='bob@prosody.example' type='chat' id='1'><body>hello, listener</body></message>").await;
    listening.wait_for_text("hello, listener", Duration::from_secs(20));
    drop(listening);

    let mut upload = go_sendxmpp(&lab, &theirs, "bob", &proxy);
    let picture = write(&lab.dir().join("picture.png"), &b"bytes of a picture ".repeat(1000));
    upload.args(["-h", &picture, "alice@waxwing.example"]);
    let (sent, said) = run(upload).await;
    assert!(sent, "{said}");
    let link = body_of_next(&mut alice).await;
    assert!(link.starts_with("https://upload.prosody.example:5281/"), "{link}");
    ours.broker.stop().await;
}

/// The packaged version gets as far as our offer, over TLS, and finds no way that it knows. A newer one has SCRAM.
#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_go_sendxmpp_is_told_what_we_offer() {
    let lab = Lab::new("go-sendxmpp-ours", &["waxwing"]);
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Off, Vouched::ByLab).await;
    let server = ours.server();
    let proxy = SocksProxy::start().expect("a loopback port is free");
    RawClient::register(&server, "bob", PASSWORD, None).await.close().await;
    let mut send = go_sendxmpp(&lab, &server, "bob", &proxy);
    send.args(["-m", &write(&lab.dir().join("words"), b"hello"), "bob@waxwing.example"]);
    let (sent, said) = run(send).await;
    assert!(!sent && said.contains("SCRAM-SHA-256-PLUS"), "{said}");
    ours.broker.stop().await;
}
