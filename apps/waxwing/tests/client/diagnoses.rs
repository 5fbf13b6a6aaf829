//! What is said to be wrong is what is wrong.

use serde_json::json;
use waxwing::cli::Exit;

use crate::harness::{Person, broker};

/// Signs in to an account from another profile.
async fn login(server: &waxwingd::Server, address: &str, password: &str, ca: bool) -> (Person, crate::harness::Ran) {
    let person = Person::new();
    let (file, ca_file) = (person.home.0.join("password"), person.home.0.join("ca.pem"));
    std::fs::write(&file, password).expect("written");
    std::fs::write(&ca_file, &server.facts().ca_pem).expect("written");
    let host = server.addresses().client.to_string();
    let (file, ca_file) = (file.display().to_string(), ca_file.display().to_string());
    let mut line = vec!["login", address, "--password-file", &file, "--host", &host];
    if ca {
        line.extend(["--ca-file", &ca_file]);
    }
    let ran = person.run(&line).await;
    (person, ran)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_reset_and_an_account_that_is_gone_are_no_typing_mistakes() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let file = alice.home.0.join("new");
    std::fs::write(&file, "a walnut lantern on a hill\n").expect("written");
    let line = ["account", "password", "--password-file", file.to_str().expect("text")];
    assert_eq!(alice.run(&line).await.exit, Exit::Ok);
    let (elsewhere, ran) = login(&server, "alice@north.example", "a walnut lantern on a hill", true).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(elsewhere.run(&["account", "password", "--generate"]).await.exit, Exit::Ok);
    let ran = alice.run(&["status"]).await;
    assert!(
        ran.exit == Exit::NoAccount && ran.out.contains("let this account in before and does not any more"),
        "{ran:?}"
    );
    assert!(ran.out.contains("waxwing login ADDRESS"), "{ran:?}");
    let ran = elsewhere.run(&["account", "delete", "--yes"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    let ran = alice.run(&["inbox"]).await;
    assert!(ran.exit == Exit::NoAccount && ran.err.contains("or the account was deleted"), "{ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_said_to_be_that() {
    let server = broker("north.example").await;
    let _alice = Person::joined(&server, "alice").await;
    let (_, ran) = login(&server, "alice@north.example", "a walnut lantern on a hill", false).await;
    assert!(ran.exit == Exit::NoAccount && ran.err.contains("The server's certificate is not trusted"), "{ran:?}");
    assert!(ran.err.contains("--ca-file FILE"), "{ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_data_beside_a_used_key_is_no_new_profile() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    std::fs::rename(alice.home.0.join("data"), alice.home.0.join("elsewhere")).expect("moved");
    for _ in 0..2 {
        let ran = alice.run(&["inbox"]).await;
        assert!(ran.exit == Exit::Failed && ran.err.contains("Is a disk not mounted?"), "{ran:?}");
    }
    std::fs::remove_dir_all(alice.home.0.join("data")).expect("removed");
    std::fs::rename(alice.home.0.join("elsewhere"), alice.home.0.join("data")).expect("moved back");
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_cannot_be_read_is_said_to_be_that() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let key_file = alice.home.0.join("keys/wxkeys.cbor");
    let kept = std::fs::read(&key_file).expect("there");
    std::fs::write(&key_file, b"no key").expect("written");
    let ran = alice.run(&["inbox"]).await;
    assert!(ran.exit == Exit::Failed && ran.err.contains("the key file is damaged, or is not a key file"), "{ran:?}");
    std::fs::remove_file(&key_file).expect("removed");
    let ran = alice.run(&["inbox"]).await;
    assert!(ran.exit == Exit::Failed && ran.err.contains("the key file is not there"), "{ran:?}");
    std::fs::write(&key_file, kept).expect("written");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_command_line_are_json_for_programs() {
    let nobody = Person::new();
    for line in [&["--json", "dance"][..], &["say", "bob", "--json"], &["inbox", "--folow", "--json"]] {
        let ran = nobody.run(line).await;
        assert!(ran.exit == Exit::Usage && ran.err.is_empty(), "{line:?}: {ran:?}");
        let object = ran.object();
        assert_eq!(
            (&object["version"], &object["kind"], &object["error"]),
            (&json!(1), &json!("error"), &json!("usage"))
        );
        assert!(object["text"].as_str().is_some_and(|text| text.contains("Usage: waxwing")), "{object}");
    }
    let ran = nobody.run(&["say", "bob", "--", "--json", "x", "y"]).await;
    assert!(ran.exit == Exit::Usage && ran.out.is_empty(), "behind -- it is a word: {ran:?}");
}

/// Every object of every verb has the shape that `docs/using-waxwing.md` promises for both programs.
#[tokio::test(flavor = "multi_thread")]
async fn every_object_has_its_version_its_kind_and_times_in_utc() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["say", "alice", "hello"]).await.exit, Exit::Ok);
    let mut kinds = std::collections::BTreeSet::new();
    for line in [
        &[][..],
        &["inbox"],
        &["say", "bob", "hello"],
        &["history", "bob"],
        &["contacts"],
        &["verify", "bob"],
        &["devices"],
        &["outbox"],
        &["notices"],
        &["status"],
        &["invite"],
        &["config"],
        &["config", "get", "wait"],
        &["contacts", "rename", "bob", "Robert"],
        &["say", "nobody", "hello"],
        &["dance"],
    ] {
        let ran = alice.run(&line.iter().copied().chain(["--json"]).collect::<Vec<_>>()).await;
        for object in ran.objects() {
            assert_eq!(object["version"], 1, "{line:?}: {object}");
            kinds.insert(object["kind"].as_str().expect("a kind").to_owned());
            check_times(&object);
        }
    }
    let documented = include_str!("../../../../docs/using-waxwing.md");
    for kind in &kinds {
        assert!(documented.contains(&format!("`{kind}`")), "{kind} is not documented");
    }
    assert!(kinds.len() >= 10, "{kinds:?}");
    server.stop().await;
}

fn check_times(value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                let is_time = ["_at", "_until", "_after"].iter().any(|end| name.ends_with(end));
                if let (true, Some(text)) = (is_time, field.as_str()) {
                    let is_iso = text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
                    assert!(is_iso, "{name}: {text}");
                }
                check_times(field);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(check_times),
        _ => {}
    }
}
