//! Our client with its account at another server: two people, from empty accounts, encrypted from the first word.

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::person::Person;
use waxwing_tests::raw::Server;

/// Both sign in; a first message lies among the requests, is accepted and answered.
async fn converse(lab: &Lab, server: &Server, more: &[&str]) -> (Person, Person) {
    let (alice, bob) = (Person::new(lab.dir(), "alice"), Person::new(lab.dir(), "bob"));
    for person in [&alice, &bob] {
        person.register(server).await;
        person.login(server, &lab.ca_file(), more).await;
    }
    let (to_alice, to_bob) = (format!("alice@{}", server.domain), format!("bob@{}", server.domain));
    alice.say(&to_bob, "the first word").await;
    bob.wait_for_message("the first word", true).await;
    bob.ok(&["contacts", "accept", &to_alice]).await;
    bob.say("alice", "and back").await;
    alice.wait_for_message("and back", false).await;
    alice.say("bob", "a third").await;
    bob.wait_for_message("a third", false).await;
    (alice, bob)
}

/// Alice sends a file through the server's upload service.
async fn send_file(lab: &Lab, alice: &Person, bob: &Person) {
    let photo: Vec<u8> = (0..100_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let path = lab.dir().join("photo.jpg");
    std::fs::write(&path, &photo).expect("a scratch file can be written");
    alice.ok(&["send", "bob", path.to_str().expect("scratch paths are text")]).await;
    let objects = bob.json(&["inbox"]).await;
    let saved = objects.iter().find(|object| object["kind"] == "file_saved");
    let saved = saved.unwrap_or_else(|| panic!("no file arrived: {objects:?}"))["path"].as_str().expect("a path");
    assert!(std::fs::read(saved).expect("the file is there") == photo, "the file is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn prosody_is_the_home_server_of_our_client() {
    let lab = Lab::new("home-prosody", &["prosody"]);
    let _prosody = Prosody::start(&lab, "prosody");
    let host = lab.host("prosody");
    let server = Server::new(host.at(5222), &host.domain, &lab.ca_file());
    let (alice, bob) = converse(&lab, &server, &[]).await;
    send_file(&lab, &alice, &bob).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ejabberd_is_the_home_server_of_our_client() {
    let lab = Lab::new("home-ejabberd", &["ejabberd"]);
    let _ejabberd = Ejabberd::start(&lab, "ejabberd");
    let host = lab.host("ejabberd");
    let server = Server::new(host.at(5222), &host.domain, &lab.ca_file()).without_binding();
    // The packaged ejabberd offers channel binding and refuses every type: the user is told, and decides.
    let carol = Person::new(lab.dir(), "carol");
    carol.register(&server).await;
    let refused = carol.try_login(&server, &lab.ca_file(), &[]).await;
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains("--danger-no-binding"), "{refused:?}");
    let (alice, bob) = converse(&lab, &server, &["--danger-no-binding"]).await;
    send_file(&lab, &alice, &bob).await;
}
