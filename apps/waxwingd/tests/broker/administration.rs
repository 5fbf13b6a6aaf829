//! The administration socket and its verbs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use net::testing::DnsResponder;

use crate::person::{Person, Way, message};
use crate::scratch::Scratch;

fn said(scratch: &Scratch, arguments: &[&str]) -> String {
    let output = scratch.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(scratch: &Scratch, arguments: &[&str]) -> String {
    let output = scratch.run(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("text")
}

#[tokio::test]
async fn an_account_is_listed_reset_and_closed() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&["--domain", "north.example"]);
    assert!(said(&scratch, &["account", "list"]).contains("no account yet"));
    let way = Way::of_link(broker.text("/invite/link"));
    let mut alice = Person::register(&way, "alice", "correct horse battery staple").await;
    assert_eq!(said(&scratch, &["account", "list"]), "alice@north.example  (connected)\n");

    let reset = said(&scratch, &["account", "reset", "alice", "--json"]);
    let reset: serde_json::Value = serde_json::from_str(&reset).expect("JSON");
    let password = reset["password"]["password"].as_str().expect("a password");
    alice.ended().await;
    assert!(!Person::can_sign_in(&way, "alice", "correct horse battery staple").await);
    assert!(Person::can_sign_in(&way, "alice", password).await);

    let unasked = refused(&scratch, &["account", "delete", "alice"]);
    assert!(unasked.contains("--yes"), "{unasked}");
    said(&scratch, &["account", "delete", "alice@north.example", "--yes"]);
    assert!(!Person::can_sign_in(&way, "alice", password).await);
    assert!(said(&scratch, &["account", "list"]).contains("no account yet"));
    for nobody in ["alice", "carol", "alice@south.example", "no name"] {
        assert!(refused(&scratch, &["account", "reset", nobody]).contains("no such account"), "{nobody}");
    }
}

#[tokio::test]
async fn the_operator_gives_names_also_those_that_look_official() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&["--domain", "north.example"]);
    let way = Way::of_link(broker.text("/invite/link"));
    let added = said(&scratch, &["account", "add", "admin", "--admin", "--json"]);
    let added: serde_json::Value = serde_json::from_str(&added).expect("JSON");
    assert_eq!((&added["kind"], &added["added"]["address"]), (&"added".into(), &"admin@north.example".into()));
    let password = added["added"]["password"].as_str().expect("a password");
    assert!(Person::can_sign_in(&way, "admin", password).await);
    let unasked = refused(&scratch, &["account", "add", "support"]);
    assert!(unasked.contains("kept for whoever runs this server") && unasked.contains("--admin"), "{unasked}");
    assert!(said(&scratch, &["account", "add", "carol"]).starts_with("carol@north.example is open."));
    assert!(refused(&scratch, &["account", "add", "carol"]).contains("taken"));
    assert!(refused(&scratch, &["account", "add", "no name"]).contains("cannot be used"));
    assert_eq!(said(&scratch, &["account", "list"]), "admin@north.example\ncarol@north.example\n");
    said(&scratch, &["account", "remove", "carol", "--yes"]);
    broker.terminate();
}

#[tokio::test]
async fn invitations_are_listed_with_who_came_and_taken_back() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&["--domain", "north.example"]);
    let link = broker.text("/invite/link").to_owned();
    let id = link.split("preauth=").nth(1).expect("a token")[..6].to_owned();
    let listed = said(&scratch, &["invite", "list"]);
    assert!(listed.starts_with(&format!("{id}  until ")) && listed.ends_with("open\n"), "{listed}");
    drop(Person::register(&Way::of_link(&link), "alice", "correct horse battery staple").await);
    assert!(said(&scratch, &["invite", "list"]).ends_with("used by alice@north.example\n"));
    assert!(refused(&scratch, &["invite", "revoke", &id]).contains("may have been used"));

    let made = said(&scratch, &["invite", "--json", "--days", "1", "--name", "bob"]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let link = made["invite"]["link"].as_str().expect("a link").to_owned();
    let listed = said(&scratch, &["invite", "list"]);
    assert!(listed.contains("keeps bob@north.example"), "{listed}");
    assert!(said(&scratch, &["invite", "revoke", &link]).contains("opens no account"));
    assert!(!said(&scratch, &["invite", "list"]).contains("bob"));
    assert!(said(&scratch, &["invite", "--name", "bob"]).contains("xmpp:"), "the name is free again");
    assert!(refused(&scratch, &["invite", "--days", "0"]).contains("1 to 365 days"));
    assert!(refused(&scratch, &["invite", "revoke", "zzz"]).contains("waxwingd invite list"));

    said(&scratch, &["account", "delete", "alice", "--yes"]);
    assert!(!said(&scratch, &["invite", "list"]).contains("alice"), "nothing remains of a closed account");
    broker.terminate();
}

#[test]
fn programs_are_told_in_json_also_what_went_wrong() {
    let scratch = Scratch::new();
    for (arguments, code, word) in
        [(&["status", "--json"][..], 1, "not_running"), (&["invite", "--json", "--days", "soon"], 2, "usage")]
    {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((&told["version"], &told["kind"], &told["error"]), (&1.into(), &"error".into(), &word.into()));
        assert!(told["text"].as_str().is_some_and(|text| text.len() > 10), "{told}");
    }
}

#[tokio::test]
async fn peers_are_added_listed_and_removed_while_the_broker_runs() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let (first, second) = (Scratch::new(), Scratch::new());
    for scratch in [&first, &second] {
        scratch.write_settings();
        scratch.add_settings(&format!("[federation]\ndns = \"{}\"\n", dns.address()));
    }
    let (north, south) = (first.up(&["--domain", "north.example"]), second.up(&["--domain", "south.example"]));
    assert!(said(&first, &["peer", "list"]).contains("No other broker"));
    said(&first, &["peer", "add", south.text("/peer_link")]);
    said(&second, &["peer", "add", north.text("/peer_link")]);
    assert!(said(&first, &["peer", "list"]).starts_with("south.example  at 127.0.0.1:"));
    // DNS knows nothing, so not everything is good
    let doctor = String::from_utf8(first.run(&["doctor", "south.example"]).stdout).expect("text");
    assert!(doctor.contains("each side accepts the other"), "{doctor}");

    let mut alice =
        Person::register(&Way::of_link(north.text("/invite/link")), "alice", "correct horse battery staple").await;
    let mut bob =
        Person::register(&Way::of_link(south.text("/invite/link")), "bob", "battery staple correct horse").await;
    bob.be_available().await;
    alice.send(&message("bob@south.example", "hello south")).await;
    bob.receive_body("hello south").await;

    let own = refused(&first, &["peer", "add", north.text("/peer_link")]);
    assert!(own.contains("link of this broker"), "{own}");
    let wrong = refused(&first, &["peer", "add", "xmpp:south.example"]);
    assert!(wrong.contains("not a peer link"), "{wrong}");
    said(&first, &["peer", "remove", "south.example"]);
    assert!(said(&first, &["peer", "list"]).contains("No other broker"));
    assert!(refused(&first, &["peer", "remove", "south.example"]).contains("no such peer"));
}

#[test]
fn verbs_without_a_broker_say_so_and_doctor_looks_all_the_same() {
    let scratch = Scratch::new();
    for verb in [&["status"][..], &["invite"], &["ca", "export"], &["peer", "list"]] {
        let words = refused(&scratch, verb);
        assert!(words.contains("no broker is running") && words.contains("waxwingd up"), "{words}");
    }
    scratch.write_settings();
    let stopped = said(&scratch, &["doctor"]);
    assert!(stopped.contains("does not exist yet and can be made"), "{stopped}");
    let broker = scratch.up(&[]);
    let running = said(&scratch, &["doctor"]);
    for check in [
        "ports",
        "clock",
        "descriptors",
        "core dumps",
        "certificate names",
        "certificate authority",
        "certificate expiry",
        "data directory",
        "disk space",
        "key file",
        "database",
        "store",
        "history",
        "DNS",
        "registration",
        "federation",
    ] {
        assert!(running.contains(&format!("good     {check}: ")), "{check}: {running}");
    }
    assert!(said(&scratch, &["ca", "export"]).starts_with("-----BEGIN CERTIFICATE-----"));
    let status: serde_json::Value = serde_json::from_str(&said(&scratch, &["status", "--json"])).expect("JSON");
    assert_eq!(status["status"]["peer_link"], broker.ready["peer_link"]);
    assert_eq!((&status["version"], &status["kind"]), (&1.into(), &"status".into()));
}

#[test]
fn the_socket_is_the_owners_and_takes_bad_requests_calmly() {
    let scratch = Scratch::new();
    scratch.write_settings();
    let broker = scratch.up(&[]);
    let path = scratch.data().join("admin.sock");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let ask = |stream: &mut BufReader<UnixStream>, line: &[u8]| {
        stream.get_mut().write_all(line).expect("written");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("answered");
        answer
    };
    let mut stream = BufReader::new(UnixStream::connect(&path).expect("it listens"));
    assert!(ask(&mut stream, b"nonsense\n").starts_with("{\"v\":1,\"error\":"));
    assert!(ask(&mut stream, b"{\"v\":2,\"do\":\"status\"}\n").contains("another version"));
    assert!(ask(&mut stream, b"{\"v\":1,\"do\":\"destroy\"}\n").contains("does not know"));
    assert!(ask(&mut stream, b"{\"v\":1,\"do\":\"status\"}\n").starts_with("{\"v\":1,\"ok\":{\"status\":"));
    let mut long = vec![b' '; 17_000];
    long.push(b'\n');
    assert!(ask(&mut stream, &long).contains("too long"));
    broker.terminate();
    assert!(!path.exists());
}
