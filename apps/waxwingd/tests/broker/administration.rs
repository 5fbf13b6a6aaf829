//! The administration socket and its verbs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

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
    let mut alice = Person::register(&way, "alice", "correct horse").await;
    assert_eq!(said(&scratch, &["account", "list"]), "alice@north.example  (connected)\n");

    let reset = said(&scratch, &["account", "reset", "alice", "--json"]);
    let reset: serde_json::Value = serde_json::from_str(&reset).expect("JSON");
    let password = reset["password"]["password"].as_str().expect("a password");
    alice.ended().await;
    assert!(!Person::can_sign_in(&way, "alice", "correct horse").await);
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
async fn peers_are_added_listed_and_removed_while_the_broker_runs() {
    let (first, second) = (Scratch::new(), Scratch::new());
    first.write_settings();
    second.write_settings();
    let (north, south) = (first.up(&["--domain", "north.example"]), second.up(&["--domain", "south.example"]));
    assert!(said(&first, &["peer", "list"]).contains("No other broker"));
    said(&first, &["peer", "add", south.text("/peer_link")]);
    said(&second, &["peer", "add", north.text("/peer_link")]);
    assert!(said(&first, &["peer", "list"]).starts_with("south.example  at 127.0.0.1:"));
    assert!(said(&first, &["doctor", "south.example"]).contains("each side accepts the other"));

    let mut alice = Person::register(&Way::of_link(north.text("/invite/link")), "alice", "correct horse").await;
    let mut bob = Person::register(&Way::of_link(south.text("/invite/link")), "bob", "battery staple").await;
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
        assert!(words.contains("no broker runs") && words.contains("waxwingd up"), "{words}");
    }
    scratch.write_settings();
    let stopped = said(&scratch, &["doctor"]);
    assert!(stopped.contains("does not exist yet and can be made"), "{stopped}");
    let broker = scratch.up(&[]);
    let running = said(&scratch, &["doctor"]);
    for check in ["ports", "certificate", "clock", "store", "key file", "core dumps"] {
        assert!(running.contains(&format!("good     {check}: ")), "{check}: {running}");
    }
    assert!(said(&scratch, &["ca", "export"]).starts_with("-----BEGIN CERTIFICATE-----"));
    let status: serde_json::Value = serde_json::from_str(&said(&scratch, &["status", "--json"])).expect("JSON");
    assert_eq!(status["status"]["peer_link"], broker.ready["peer_link"]);
    assert_eq!(status["v"], 1);
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
