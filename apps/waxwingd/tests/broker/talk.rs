//! Signing in, messages on one broker and between two.

use waxwingd::{Server, Settings};
use xep::policy::E2eePolicy;

use crate::person::{Person, Way, message};

/// Settings of a fast broker that carries readable messages.
pub(crate) fn settings(domain: &str) -> Settings {
    let mut settings = Settings::in_memory();
    settings.domain = Some(domain.to_owned());
    settings.policy = E2eePolicy::Off;
    settings.scram_iterations = 4096;
    settings
}

pub(crate) async fn register(server: &Server, name: &str) -> Person {
    let invite = server.invite().await.expect("an invitation");
    Person::register(&Way::of_link(&invite.link), name, "correct horse battery staple").await
}

#[tokio::test]
async fn two_people_register_by_invite_and_exchange_messages() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let (mut alice, mut bob) = (register(&server, "alice").await, register(&server, "bob").await);
    assert_eq!(alice.jid().bare_str(), "alice@north.example");
    bob.be_available().await;
    alice.be_available().await;
    alice.send_acknowledged(&message("bob@north.example", "good morning")).await;
    let heard = bob.receive_body("good morning").await;
    assert_eq!(heard.attr("from"), Some(alice.jid().as_str()));
    bob.send(&message("alice@north.example", "to you too")).await;
    alice.receive_body("to you too").await;
    server.stop().await;
    alice.ended().await;
    bob.ended().await;
}

#[tokio::test]
async fn an_invitation_makes_one_account_and_starttls_is_as_good_as_direct_tls() {
    let server = Server::start(settings("north.example")).await.expect("starts");
    let invite = server.invite().await.expect("an invitation");
    let port = server.addresses().client.port();
    let way = Way::of_link(&invite.link).by_starttls(port);
    let alice = Person::register(&way, "alice", "correct horse battery staple").await;
    drop(alice);
    assert!(Person::can_sign_in(&way, "alice", "correct horse battery staple").await);
    assert!(!Person::can_sign_in(&way, "alice", "wrong horse").await);
    assert!(!Person::can_sign_in(&way, "nobody", "correct horse battery staple").await);
    let used_up = broker::invites::lookup(server.broker().core(), way.token.as_deref().expect("a token")).await;
    assert!(used_up.expect("the store answers").is_none());
    server.stop().await;
}

#[tokio::test]
async fn two_brokers_that_know_each_other_by_link_federate() {
    let north = Server::start(settings("north.example")).await.expect("starts");
    let south = Server::start(settings("south.example")).await.expect("starts");
    assert_eq!(north.add_peer(&south.peer_link()).await.as_deref(), Ok("south.example"));
    assert_eq!(south.add_peer(&north.peer_link()).await.as_deref(), Ok("north.example"));
    let (mut alice, mut bob) = (register(&north, "alice").await, register(&south, "bob").await);
    bob.be_available().await;
    alice.be_available().await;
    alice.send_acknowledged(&message("bob@south.example", "over the border")).await;
    let heard = bob.receive_body("over the border").await;
    assert_eq!(heard.attr("from"), Some(alice.jid().as_str()));
    bob.send(&message("alice@north.example", "and back")).await;
    alice.receive_body("and back").await;
    north.stop().await;
    south.stop().await;
}

#[tokio::test]
async fn a_broker_that_nobody_introduced_is_not_reached() {
    let north = Server::start(settings("north.example")).await.expect("starts");
    let mut alice = register(&north, "alice").await;
    alice.be_available().await;
    let mut quiet = settings("quiet.example");
    quiet.federation.is_enabled = false;
    let quiet = Server::start(quiet).await.expect("starts");
    let mut bob = register(&quiet, "bob").await;
    bob.be_available().await;
    bob.send(&message("alice@north.example", "hello?")).await;
    let error = bob.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    assert_eq!(error.attr("from"), Some("alice@north.example"));
    let condition = error.child("error", xmpp::ns::CLIENT).expect("an error");
    assert!(condition.child("remote-server-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas").is_some());
    north.stop().await;
    quiet.stop().await;
}
