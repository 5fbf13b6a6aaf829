//! Our broker and another server: people of both see each other and talk, whoever calls whom.

use waxwing_tests::lab::Lab;
use waxwing_tests::peers::ejabberd::Ejabberd;
use waxwing_tests::peers::prosody::Prosody;
use waxwing_tests::raw::{RawClient, Server};
use xep::policy::E2eePolicy;

use crate::ours::{Ours, Vouched};

const PASSWORD: &str = "a long enough password";

/// A person who is online and hears of changes to her contacts.
async fn person(server: &Server, name: &str) -> RawClient {
    let mut client = RawClient::register(server, name, PASSWORD, None).await;
    client.ask("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
    client.send("<presence/>").await;
    let own = client.jid().clone();
    client.expect("the own presence", |s| s.name() == "presence" && s.attr("from") == Some(own.as_str())).await;
    client
}

/// `one` asks to see `other`, who agrees; then `one` sees `other`.
async fn subscribe(one: &mut RawClient, other: &mut RawClient) {
    let (here, there) = (one.jid().bare(), other.jid().bare());
    one.send(&format!("<presence to='{}' type='subscribe'/>", there.as_str())).await;
    let is_from = |stanza: &xmpp::xml::Element, from: &str, kind: Option<&str>| {
        stanza.name() == "presence" && stanza.attr("from") == Some(from) && stanza.attr("type") == kind
    };
    other.expect("the request", |s| is_from(s, here.as_str(), Some("subscribe"))).await;
    other.send(&format!("<presence to='{}' type='subscribed'/>", here.as_str())).await;
    one.expect("the approval", |s| is_from(s, there.as_str(), Some("subscribed"))).await;
    let full = other.jid().clone();
    one.expect("the presence", |s| is_from(s, full.as_str(), None)).await;
}

/// `one` writes to the account of `other`.
async fn write(one: &mut RawClient, other: &mut RawClient, text: &str) {
    let to = other.jid().bare();
    one.send(&format!("<message to='{}' type='chat' id='{text}'><body>{text}</body></message>", to.as_str())).await;
    let got = other.expect("the message", |s| s.name() == "message" && s.attr("id") == Some(text)).await;
    assert_eq!(got.attr("from"), Some(one.jid().as_str()));
    assert_eq!(got.child("body", "jabber:client").map(xmpp::xml::Element::text).as_deref(), Some(text));
}

/// `one` publishes something for everybody, and `other` reads it.
async fn publish(one: &mut RawClient, other: &mut RawClient) {
    let node = "eu.siacs.conversations.axolotl.devicelist";
    let published = one
        .ask(&format!(
            "<iq type='set' id='publish'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>\
             <item id='current'><list xmlns='eu.siacs.conversations.axolotl'><device id='7'/></list></item></publish>\
             <publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
             <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
             <field var='pubsub#access_model'><value>open</value></field></x></publish-options></pubsub></iq>"
        ))
        .await;
    assert_eq!(published.attr("type"), Some("result"));
    let read = format!(
        "<iq type='get' id='read' to='{}'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'/></pubsub></iq>",
        one.jid().bare().as_str()
    );
    let answer = other.ask(&read).await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", answer.to_xml("jabber:client"));
    assert!(answer.to_xml("jabber:client").contains("device id=\"7\""));
}

/// A message to nobody comes back over the border.
async fn bounce(one: &mut RawClient, domain: &str) {
    one.send(&format!("<message to='nobody@{domain}' type='chat' id='bounce'><body>?</body></message>")).await;
    let error = one.expect("the refusal", |s| s.name() == "message" && s.attr("id") == Some("bounce")).await;
    assert_eq!(error.attr("type"), Some("error"));
}

/// `caller` is the one whose server opens the first connection.
async fn meet(caller: &Server, called: &Server) {
    let mut alice = person(caller, "alice").await;
    let mut bob = person(called, "bob").await;
    subscribe(&mut alice, &mut bob).await;
    subscribe(&mut bob, &mut alice).await;
    write(&mut alice, &mut bob, "there").await;
    write(&mut bob, &mut alice, "back").await;
    publish(&mut alice, &mut bob).await;
    publish(&mut bob, &mut alice).await;
    bounce(&mut alice, &called.domain).await;
    bounce(&mut bob, &caller.domain).await;
    bob.send("<presence type='unavailable'/>").await;
    let gone = bob.jid().clone();
    alice.expect("his going", |s| s.attr("from") == Some(gone.as_str()) && s.attr("type") == Some("unavailable")).await;
}

/// Who opens the first connection.
#[derive(Clone, Copy)]
enum First {
    Ours,
    Theirs,
}

async fn with_prosody(first: First, vouched: Vouched) -> String {
    let lab = Lab::new("federation-prosody", &["waxwing", "prosody"]);
    let prosody = match vouched {
        Vouched::ByLab => Prosody::start(&lab, "prosody"),
        Vouched::ByItself => Prosody::start_with_dialback(&lab, "prosody"),
    };
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Off, vouched).await;
    let host = lab.host("prosody");
    let theirs = Server::new(host.at(5222), &host.domain, &lab.ca_file());
    match first {
        First::Ours => meet(&ours.server(), &theirs).await,
        First::Theirs => meet(&theirs, &ours.server()).await,
    }
    drop(prosody);
    let log = std::fs::read_to_string(host.dir.join("prosody.log")).expect("Prosody writes a log");
    ours.broker.stop().await;
    log
}

async fn with_ejabberd(first: First, vouched: Vouched) -> String {
    let lab = Lab::new("federation-ejabberd", &["waxwing", "ejabberd"]);
    let ejabberd = Ejabberd::start(&lab, "ejabberd");
    let ours = Ours::start(&lab, "waxwing", E2eePolicy::Off, vouched).await;
    let host = lab.host("ejabberd");
    let theirs = Server::new(host.at(5222), &host.domain, &lab.ca_file()).without_binding();
    match first {
        First::Ours => meet(&ours.server(), &theirs).await,
        First::Theirs => meet(&theirs, &ours.server()).await,
    }
    drop(ejabberd);
    let log = std::fs::read_to_string(host.dir.join("ejabberd.log")).expect("ejabberd writes a log");
    ours.broker.stop().await;
    log
}

#[tokio::test]
async fn prosody_by_certificate_called_by_us() {
    let log = with_prosody(First::Ours, Vouched::ByLab).await;
    assert!(log.contains("Accepting SASL EXTERNAL identity from waxwing.example"), "{log}");
}

#[tokio::test]
async fn prosody_by_certificate_calling_us() {
    let log = with_prosody(First::Theirs, Vouched::ByLab).await;
    assert!(log.contains("SASL EXTERNAL with waxwing.example succeeded"), "{log}");
}

#[tokio::test]
async fn prosody_by_dialback_called_by_us() {
    let log = with_prosody(First::Ours, Vouched::ByItself).await;
    assert!(!log.contains("Accepting SASL EXTERNAL identity from waxwing.example"), "{log}");
    assert!(log.contains("dialback"), "{log}");
}

#[tokio::test]
async fn prosody_by_dialback_calling_us() {
    with_prosody(First::Theirs, Vouched::ByItself).await;
}

#[tokio::test]
async fn ejabberd_by_certificate_called_by_us() {
    let log = with_ejabberd(First::Ours, Vouched::ByLab).await;
    assert!(log.contains("Accepted inbound s2s EXTERNAL authentication"), "{log}");
}

#[tokio::test]
async fn ejabberd_by_certificate_calling_us() {
    let log = with_ejabberd(First::Theirs, Vouched::ByLab).await;
    assert!(log.contains("Accepted outbound s2s EXTERNAL authentication"), "{log}");
}

#[tokio::test]
async fn ejabberd_by_dialback_called_by_us() {
    let log = with_ejabberd(First::Ours, Vouched::ByItself).await;
    assert!(log.contains("Accepted inbound s2s dialback authentication"), "{log}");
}

#[tokio::test]
async fn ejabberd_by_dialback_calling_us() {
    with_ejabberd(First::Theirs, Vouched::ByItself).await;
}
