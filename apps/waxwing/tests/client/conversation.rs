//! Joining, writing, reading, files, strangers.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use waxwing::cli::Exit;

use crate::harness::{Person, broker};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_join_by_link_and_converse() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let link = alice.link().await;
    let bob = Person::new();
    let ran = bob.run(&["join", &link, "--name", "bob"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.contains("Your address is bob@north.example."), "{}", ran.out);
    assert!(ran.out.contains("alice@north.example invited you and is your first contact."), "{}", ran.out);

    let ran = bob.run(&["say", "alice", "hello alice"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "Sent.\n"), "{ran:?}");
    let ran = alice.run(&["inbox"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.ends_with("bob: hello alice\n"), "{ran:?}");
    assert_eq!(alice.run(&["inbox"]).await.out, "Nothing new.\n");

    let ran = alice.run(&["say", "bob", "hello bob"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert_eq!(bob.read().await, ["hello bob"]);

    let history = alice.run(&["history", "bob"]).await;
    assert_eq!(history.out.lines().count(), 2, "{history:?}");
    assert!(history.out.contains("bob: hello alice") && history.out.contains("you: hello bob"), "{history:?}");
    let contacts = alice.json(&["contacts"]).await;
    assert_eq!(contacts[0]["contact"]["address"], "bob@north.example");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_privately_and_once() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    let content: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let path = bob.home.0.join("photo of us.jpg");
    std::fs::write(&path, &content).expect("written");
    let ran = bob.run(&["send", "alice", path.to_str().expect("text")]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");

    let objects = alice.json(&["inbox"]).await;
    let saved: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "file_saved").collect();
    assert_eq!(saved.len(), 1, "{objects:?}");
    let arrived = saved[0]["path"].as_str().expect("a path");
    assert!(arrived.ends_with("/files/photo of us.jpg"), "{arrived}");
    assert_eq!(std::fs::read(arrived).expect("there"), content);
    let mode = std::fs::metadata(arrived).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = alice.json(&["inbox", "--all"]).await;
    assert!(again.iter().all(|object| object["kind"] != "file_saved"), "fetched once: {again:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_waits_in_the_requests() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let mallory = Person::joined(&server, "mallory").await;
    let ran = mallory.run(&["say", "alice@north.example", "buy this"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");

    let ran = alice.run(&["inbox"]).await;
    assert_eq!(ran.out, "Nothing new.\n", "{ran:?}");
    assert!(ran.err.contains("waxwing inbox --requests"), "{ran:?}");
    assert!(alice.run(&[]).await.out.contains("waxwing inbox --requests"));
    let ran = alice.run(&["inbox", "--requests"]).await;
    assert!(ran.out.contains("buy this"), "{ran:?}");
    assert!(ran.err.contains("waxwing contacts accept mallory@north.example"), "{ran:?}");
    assert!(alice.json(&["contacts"]).await.is_empty());

    assert_eq!(alice.run(&["contacts", "accept", "mallory@north.example"]).await.exit, Exit::Ok);
    assert_eq!(alice.json(&["contacts"]).await[0]["contact"]["relation"], "accepted");
    assert_eq!(alice.run(&["contacts", "rename", "mallory", "Molly"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["say", "Molly", "no"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["contacts", "block", "Molly"]).await.exit, Exit::Ok);
    assert_eq!(mallory.run(&["say", "alice@north.example", "and this"]).await.exit, Exit::Ok);
    let ran = alice.run(&["inbox", "--requests"]).await;
    assert!(!ran.out.contains("and this"), "{ran:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c25_who_borrows_a_contacts_name_is_marked_and_a_short_name_is_never_theirs() {
    let north = broker("north.example").await;
    let alice = Person::joined(&north, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["say", "alice", "hello"]).await.exit, Exit::Ok);
    let other = Person::joined(&north, "b0b").await;
    assert_eq!(other.run(&["say", "alice@north.example", "my new account"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    let warning = "looks like that of bob (bob@north.example)";
    let ran = alice.run(&["inbox", "--requests"]).await;
    assert!(ran.out.contains("b0b@north.example: my new account"), "{ran:?}");
    assert!(ran.err.contains(warning), "{ran:?}");
    let objects = alice.json(&["inbox", "--requests"]).await;
    let contact = objects.iter().find(|object| object["kind"] == "contact").expect("who asks");
    assert!(contact["contact"]["warnings"][0].as_str().is_some_and(|text| text.contains(warning)), "{contact}");
    let ran = alice.run(&["say", "b0b", "hello"]).await;
    assert!(ran.exit == Exit::Usage && ran.err.contains("whole address"), "{ran:?}");
    let ran = alice.run(&["contacts", "accept", "b0b@north.example"]).await;
    assert!(ran.exit == Exit::Ok && ran.err.contains(warning), "{ran:?}");
    assert_eq!(alice.run(&["contacts", "rename", "b0b", "bob"]).await.exit, Exit::Ok);
    let ran = alice.run(&["say", "bob", "which one?"]).await;
    assert_eq!(ran.exit, Exit::Usage, "{ran:?}");
    assert!(ran.err.contains("They are: b0b@north.example, bob@north.example."), "{ran:?}");
    north.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_verify_each_other_by_number() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["say", "alice", "hello"]).await.exit, Exit::Ok);
    assert_eq!(alice.read().await, ["hello"]);
    assert_eq!(alice.run(&["say", "bob", "hello"]).await.exit, Exit::Ok);
    let digits = |objects: Vec<Value>| objects[0]["number"]["digits"].as_str().expect("digits").to_owned();
    let (at_alice, at_bob) =
        (digits(alice.json(&["verify", "bob"]).await), digits(bob.json(&["verify", "alice"]).await));
    assert_eq!(at_alice, at_bob);
    let wrong = at_bob.replace(['0', '1'], "7");
    assert_eq!(alice.run(&["verify", "bob", &wrong]).await.exit, Exit::Changed);
    assert_eq!(alice.run(&["verify", "bob", &at_bob]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["verify", "alice", "--number-matches"]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["say", "alice", "and now verified"]).await.exit, Exit::Ok);
    let ran = alice.run(&["inbox"]).await;
    assert!(ran.out.ends_with("[verified] bob: and now verified\n"), "{ran:?}");
    let history = alice.run(&["history", "bob"]).await;
    assert_eq!(history.out.matches("[verified]").count(), 1, "the mark is that of its time: {history:?}");
    for (person, other) in [(&alice, "bob"), (&bob, "alice")] {
        let contacts = person.json(&["contacts"]).await;
        assert_eq!(contacts[0]["contact"]["identity"], "verified", "{other}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_tried_again_and_taken_back() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["outbox"]).await.out, "Nothing is waiting to be sent.\n");
    server.stop().await;
    let ran = bob.run(&["say", "alice", "for later", "--wait", "0"]).await;
    assert_eq!(ran.exit, Exit::NotYetSent, "{ran:?}");
    let queued = bob.json(&["outbox"]).await;
    assert_eq!(queued.len(), 1, "{queued:?}");
    assert_eq!(queued[0]["queued"]["text"], "for later");
    let listed = bob.run(&["outbox"]).await;
    let id = listed.out.split_whitespace().next().expect("a line").to_owned();
    assert_eq!(id.len(), 8, "{listed:?}");
    let ran = bob.run(&["retry", "all", "--wait", "0"]).await;
    assert_eq!(ran.exit, Exit::NotYetSent, "{ran:?}");
    assert_eq!(bob.run(&["retry", "ffffffff", "--wait", "0"]).await.exit, Exit::Usage, "no such message");
    assert_eq!(bob.run(&["cancel", &id]).await.exit, Exit::Ok);
    assert_eq!(bob.run(&["outbox"]).await.out, "Nothing is waiting to be sent.\n");
    assert_eq!(bob.run(&["cancel", &id]).await.exit, Exit::Usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_xml_cannot_carry_is_said_once_and_arrives_as_something_else() {
    use std::os::unix::ffi::OsStringExt as _;
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    let ran = bob.run(&["say", "alice", "\u{1b}[31mred\u{7}"]).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "Sent.\n"), "{ran:?}");
    assert_eq!(ran.err.matches("cannot be sent").count(), 1, "{ran:?}");
    assert_eq!(alice.read().await, ["\u{fffd}[31mred\u{fffd}"]);
    // Half a surrogate pair and a control character: a name that other systems can give a file.
    let name = std::ffi::OsString::from_vec(b"odd\xed\xa0\x80\x1bname.txt".to_vec());
    let path = bob.home.0.join(name);
    std::fs::write(&path, b"content").expect("written");
    let words =
        ["waxwing".into(), "--home".into(), bob.home.0.clone().into(), "send".into(), "alice".into(), path.into()];
    let ran = bob.run_words(words.to_vec()).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "Sent.\n"), "{ran:?}");
    assert!(ran.err.contains("cannot be sent"), "{ran:?}");
    let objects = alice.json(&["inbox"]).await;
    let saved = objects.iter().find(|object| object["kind"] == "file_saved").expect("a file arrived");
    assert_eq!(std::fs::read(saved["path"].as_str().expect("a path")).expect("there"), b"content");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_for_which_there_is_no_room_is_failed_until_there_is() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    let path = bob.home.0.join("photo.jpg");
    std::fs::write(&path, b"content").expect("written");
    assert_eq!(bob.run(&["send", "alice", path.to_str().expect("text")]).await.exit, Exit::Ok);
    let occupied = alice.home.0.join("occupied");
    std::fs::write(&occupied, b"").expect("written");
    let nowhere = occupied.join("files");
    assert_eq!(alice.run(&["config", "set", "files", nowhere.to_str().expect("text")]).await.exit, Exit::Ok);
    for _ in 0..2 {
        let ran = alice.run(&["inbox"]).await;
        assert_eq!(ran.exit, Exit::Failed, "{ran:?}");
        assert!(ran.err.contains("could not be saved") && !ran.out.contains("saved as"), "{ran:?}");
    }
    let history = alice.run(&["history", "bob"]).await;
    assert!(history.out.contains("Not here: "), "{history:?}");
    let history = alice.json(&["history", "bob"]).await;
    assert_eq!(history[0]["message"]["file"]["state"], "failed", "{history:?}");
    assert_eq!(history[0]["message"]["file"]["reason"]["kind"], "disk", "{history:?}");
    assert_eq!(alice.run(&["config", "unset", "files"]).await.exit, Exit::Ok);
    let ran = alice.run(&["inbox"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.contains("saved as"), "{ran:?}");
    assert_eq!(std::fs::read(alice.home.0.join("files/photo.jpg")).expect("there"), b"content");
    let history = alice.json(&["history", "bob"]).await;
    assert_eq!(history[0]["message"]["file"]["state"], "complete", "{history:?}");
    assert_eq!(alice.run(&["inbox"]).await.out, "Nothing new.\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_see_presence_is_the_users_decision() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    for (verb, sees) in [("grant", true), ("revoke", false)] {
        let ran = alice.run(&["contacts", verb, "bob"]).await;
        assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
        assert!(ran.out.contains("see when you are online"), "{ran:?}");
        assert_eq!(alice.json(&["contacts"]).await[0]["contact"]["sees_presence"], sees);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_once_whether_contacts_may_see_that_messages_arrived() {
    let server = broker("north.example").await;
    let alice = Person::joined(&server, "alice").await;
    let bob = Person::new();
    assert_eq!(bob.run(&["join", &alice.link().await, "--name", "bob"]).await.exit, Exit::Ok);
    let carol = Person::joined(&server, "carol").await;
    let ran = bob.at_terminal(&["add", &carol.link().await], "yes\n").await;
    assert!(
        ran.err.contains("May your contacts see") && ran.out.contains("can see that their messages arrive"),
        "{ran:?}"
    );
    let ran = bob.at_terminal(&["add", &carol.link().await], "no\n").await;
    assert!(!ran.err.contains("May your contacts see"), "asked once: {ran:?}");

    let state_of = async |text: &str| {
        assert_eq!(alice.run(&["say", "bob", text]).await.exit, Exit::Ok);
        assert_eq!(bob.run(&["inbox"]).await.exit, Exit::Ok);
        assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
        let history = alice.json(&["history", "bob"]).await;
        let found = history.iter().find(|one| one["message"]["text"] == text).expect("the message");
        found["message"]["state"].clone()
    };
    assert_eq!(alice.run(&["inbox"]).await.exit, Exit::Ok);
    assert_eq!(state_of("did it arrive?").await, "delivered");
    assert!(alice.run(&["history", "bob"]).await.out.contains("did it arrive?  (arrived)"));
    let ran = bob.run(&["contacts", "receipts", "alice", "off"]).await;
    assert!(ran.exit == Exit::Ok && ran.out.contains("alice cannot see whether"), "{ran:?}");
    assert_eq!(state_of("and this?").await, "sent");
    let ran = bob.run(&["contacts", "receipts", "off"]).await;
    assert!(ran.exit == Exit::Ok && ran.out.contains("Your contacts cannot see"), "{ran:?}");
    assert_eq!(bob.run(&["contacts", "receipts", "alice", "perhaps"]).await.exit, Exit::Usage);
    server.stop().await;
}
