//! What the user must know is shown by every command until they have seen it.

use std::path::Path;

use serde_json::{Value, json};
use waxwing::cli::Exit;

use crate::harness::{Person, broker};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("named");
        if path.is_file() {
            std::fs::copy(&path, to.join(name)).expect("copied");
        }
    }
}

fn notices(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| object["kind"] == "notice").collect()
}

/// Alice's disk was put back from a backup while nobody looked.
async fn put_back(alice: &Person) {
    let (data, backup) = (alice.home.0.join("data"), alice.home.0.join("backup"));
    copy(&data, &backup);
    for _ in 0..4 {
        assert_eq!(alice.run(&["contacts"]).await.exit, Exit::Ok);
    }
    std::fs::remove_dir_all(&data).expect("gone");
    copy(&backup, &data);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_shows_what_must_be_known_until_somebody_has_seen_it() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    put_back(&alice).await;
    for line in [&["contacts"][..], &["status"], &["inbox"], &[], &["invite"], &["config"]] {
        let ran = alice.run(line).await;
        let shown = ran.err.contains("! Your account: What lies on this disk is a copy");
        assert_eq!(shown, line != ["config"], "{line:?}: {ran:?}"); // settings are no business of the profile
    }
    let objects = alice.json(&["contacts"]).await;
    let told = notices(&objects);
    assert_eq!((told.len(), &told[0]["notice"]["notice"]), (1, &json!("device_renewed")), "{objects:?}");
    assert_eq!(told[0]["notice"]["count"], 1);

    let ran = alice.at_terminal(&["contacts"], "").await;
    assert!(ran.err.contains("is a copy"), "{ran:?}");
    for line in [&["contacts"][..], &["inbox"]] {
        let ran = alice.at_terminal(line, "").await;
        assert!(!ran.err.contains("is a copy"), "it was seen: {ran:?}");
    }
    assert_eq!(alice.run(&["notices"]).await.out, "There is nothing that you have not seen.\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_say_that_they_have_taken_care() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    put_back(&alice).await;
    for line in [&["notices"][..], &["notices", "--seen"]] {
        let objects = alice.json(line).await;
        assert_eq!(notices(&objects).len(), 1, "{line:?}: {objects:?}");
    }
    assert!(alice.json(&["notices"]).await.is_empty());
    server.stop().await;
}
