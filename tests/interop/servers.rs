//! That the peers themselves start and take a login of our stream machine; everything else builds on it.

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::raw::{RawClient, Server};

async fn two_people_talk(server: &Server) {
    let mut alice = RawClient::register(server, "alice", "a long enough password", None).await;
    let mut bob = RawClient::register(server, "bob", "another long password", None).await;
    bob.send("<presence/>").await;
    bob.expect("his own presence", |s| s.name() == "presence").await;
    let to = bob.jid().bare();
    alice.send(&format!("<message to='{}' type='chat' id='m1'><body>hello</body></message>", to.as_str())).await;
    let got = bob.expect("the message", |s| s.name() == "message").await;
    assert_eq!(got.attr("from"), Some(alice.jid().as_str()));
    drop(alice);
    let mut again = RawClient::login(server, "alice", "a long enough password").await;
    let answer = again.ask("<iq type='get' id='r1'><query xmlns='jabber:iq:roster'/></iq>").await;
    assert_eq!(answer.attr("type"), Some("result"));
}

#[tokio::test]
async fn our_stream_machine_signs_in_on_prosody() {
    let lab = Lab::new("prosody", &["prosody"]);
    let _prosody = Prosody::start(&lab, "prosody");
    let host = lab.host("prosody");
    two_people_talk(&Server::new(host.at(5222), &host.domain, &lab.ca_file())).await;
}

#[tokio::test]
async fn our_stream_machine_signs_in_on_ejabberd() {
    let lab = Lab::new("ejabberd", &["ejabberd"]);
    let _ejabberd = Ejabberd::start(&lab, "ejabberd");
    let host = lab.host("ejabberd");
    // The packaged ejabberd offers -PLUS under TLS 1.3 and knows only a binding type that TLS 1.3 does not have.
    two_people_talk(&Server::new(host.at(5222), &host.domain, &lab.ca_file()).without_binding()).await;
}
