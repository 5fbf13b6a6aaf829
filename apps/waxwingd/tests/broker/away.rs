//! Another server that is stopped, restarts, or is somebody else: what the sender is told (RFC 6120 §8.3.3.16, 8.3.3.17).
//! Only what waiting cannot mend is `remote-server-not-found`.

use net::testing::DnsResponder;
use waxwingd::settings::{Ports, Storage};
use waxwingd::{Server, Settings};

use crate::person::{Person, message};
use crate::scratch::Scratch;
use crate::talk::{register, settings};

/// Settings of a broker that can be started again as the same one, at the ports of `before`.
fn lasting(scratch: &Scratch, domain: &str, before: Option<&Server>) -> Settings {
    let mut settings = settings(domain);
    settings.storage = Storage::Directories { data: scratch.path().join("data"), keys: scratch.path().join("keys") };
    if let Some(server) = before {
        let at = server.addresses();
        settings.ports = Ports {
            client: at.client.port(),
            client_tls: at.client_tls.port(),
            server: at.server.port(),
            server_tls: at.server_tls.port(),
            https: at.https.port(),
        };
    }
    settings
}

/// Returns condition and type of the next error that a person gets.
async fn told(person: &mut Person) -> (String, String) {
    let stanza = person.receive("an error", |stanza| stanza.attr("type") == Some("error")).await;
    let error = stanza.child("error", xmpp::ns::CLIENT).expect("an error says why");
    let condition = error.children().find(|child| child.name() != "text").expect("an error has a condition");
    (condition.name().to_owned(), error.attr("type").expect("an error has a type").to_owned())
}

fn wait() -> (String, String) {
    ("remote-server-timeout".into(), "wait".into())
}

fn never() -> (String, String) {
    ("remote-server-not-found".into(), "cancel".into())
}

#[tokio::test]
async fn a_stopped_server_is_to_be_waited_for_and_a_restarted_one_is_reached() {
    let scratch = Scratch::new();
    let north = Server::start(settings("north.example")).await.expect("starts");
    let south = Server::start(lasting(&scratch, "south.example", None)).await.expect("starts");
    let again = lasting(&scratch, "south.example", Some(&south));
    north.add_peer(&south.peer_link()).await.expect("added");
    south.add_peer(&north.peer_link()).await.expect("added");
    let mut alice = register(&north, "alice").await;
    let mut bob = register(&south, "bob").await;
    bob.be_available().await;
    alice.be_available().await;
    // once with a connection that stood, once without any
    alice.send(&message("bob@south.example", "first")).await;
    bob.receive_body("first").await;
    south.stop().await;
    for body in ["while it is stopped", "and once more"] {
        alice.send(&message("bob@south.example", body)).await;
        assert_eq!(told(&mut alice).await, wait(), "{body}");
    }
    let south = Server::start(again).await.expect("starts again");
    alice.send_acknowledged(&message("bob@south.example", "after the restart")).await;
    south.stop().await;
    north.stop().await;
}

#[tokio::test]
async fn somebody_else_at_the_address_of_a_server_is_not_that_server() {
    let north = Server::start(settings("north.example")).await.expect("starts");
    let south = Server::start(settings("south.example")).await.expect("starts");
    let other = Server::start(settings("south.example")).await.expect("starts");
    let mut alice = register(&north, "alice").await;
    alice.be_available().await;
    let port = |server: &Server| server.addresses().server_tls.port().to_string();
    let starttls = |server: &Server| server.addresses().server.port().to_string();
    for at in [port(&other), starttls(&other)] {
        let link = south.peer_link().replace(&port(&south), &at);
        north.add_peer(&link).await.expect("added");
        alice.send(&message("bob@south.example", "is it you?")).await;
        assert_eq!(told(&mut alice).await, never());
    }
    for server in [north, south, other] {
        server.stop().await;
    }
}

#[tokio::test]
async fn a_name_that_dns_denies_is_not_found() {
    let dns = DnsResponder::start(([127, 0, 0, 1], 0).into()).expect("a free port");
    let mut settings = settings("north.example");
    settings.federation.dns = Some(dns.address());
    let north = Server::start(settings).await.expect("starts");
    let mut alice = register(&north, "alice").await;
    alice.be_available().await;
    alice.send(&message("bob@nowhere.example", "hello?")).await;
    assert_eq!(told(&mut alice).await, never());
    north.stop().await;
}
