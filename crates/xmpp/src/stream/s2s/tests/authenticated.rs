//! SASL EXTERNAL, STARTTLS and direct TLS.

use super::*;

#[test]
fn a_certificate_is_enough() {
    for transport in [plain, direct] {
        for random in 0..20 {
            let mut link = Link::new(transport, by_certificate());
            link.random = random;
            link.run();
            assert!(link.authorized(), "{:?}", link.north_log);
            assert!(link.south_log.contains_authenticated("north.example"), "{:?}", link.south_log);
            assert!(link.north.send(&message("alice@north.example/x", "bob@south.example")));
            assert!(link.north.send(&message("north.example", "bob@rooms.south.example")));
            link.run();
            assert_eq!(link.stanzas(), 2);
        }
    }
}

trait Authenticated {
    fn contains_authenticated(&self, domain: &str) -> bool;
}

impl Authenticated for Vec<ResponderEvent> {
    fn contains_authenticated(&self, proved: &str) -> bool {
        self.iter().any(|event| matches!(event, ResponderEvent::Authenticated { domain } if domain == proved))
    }
}

#[test]
fn no_certificate_and_no_dialback_is_no_stream() {
    let mut link = Link::new(plain, by_certificate());
    link.north_shows = None;
    link.run();
    assert!(!link.authorized() && !link.north.send(&message("a@north.example", "b@south.example")));
    assert!(matches!(link.north_log.last(), Some(InitiatorEvent::Refused { .. })), "{:?}", link.north_log);
}

#[test]
fn a_server_without_the_right_certificate_gets_nothing() {
    for shown in [None, Some("mallory.example")] {
        let mut link = Link::new(plain, by_certificate());
        link.south_shows = shown;
        link.run();
        assert_eq!(link.north_ended(), Some(&failed(Misbehaviour::Certificate)));
        assert!(link.stanzas() == 0 && !link.authorized());
    }
}

#[test]
fn closing() {
    let mut link = Link::new(direct, by_certificate());
    link.run().north.close();
    link.run();
    assert_eq!((link.north_ended(), link.south_ended()), (Some(&Ending::Closed), Some(&Ending::Closed)));
}

#[test]
fn x09_a_stripped_starttls_offer_ends_the_stream() {
    let mut north = Initiator::new(by_dialback(), Transport::Plain, Seed::new([1; 32]));
    north.handle_bytes(
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
        xmlns:db='jabber:server:dialback' from='south.example' id='x' version='1.0'><stream:features>\
        <dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
    );
    assert_eq!(north.poll_event(), Some(InitiatorEvent::Ended(failed(Misbehaviour::TlsNotOffered))));
    let said = String::from_utf8(north.poll_output().unwrap().to_vec()).unwrap();
    assert!(!said.contains("db:result"), "{said}");
}

#[test]
fn x09_bytes_in_front_of_the_handshake_end_the_stream() {
    let mut south = Responder::new(config(), Transport::Plain, Seed::new([2; 32]));
    let header = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
        xmlns:db='jabber:server:dialback' from='north.example' to='south.example' version='1.0'>";
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    south.handle_bytes(format!("{header}{starttls}<message from='a@north.example' to='b@south.example'/>").as_bytes());
    assert!(
        matches!(south.poll_event(), Some(ResponderEvent::Ended(ending)) if ending == failed(Misbehaviour::BytesBeforeTls))
    );
}

#[test]
fn an_authorization_identity_must_be_the_proved_domain() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let answer = |text: &str| {
        let mut south = super::spoofing::Script::new(Some("north.example"));
        south.say(super::spoofing::HEADER);
        south.say(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{text}</auth>"))
    };
    assert!(answer("=").contains("<success"));
    assert!(answer("").contains("<success"));
    assert!(answer(&STANDARD.encode("NORTH.example")).contains("<success"));
    assert!(answer(&STANDARD.encode("mallory.example")).contains("<invalid-authzid/>"));
    assert!(answer(&STANDARD.encode("bob@north.example")).contains("<invalid-authzid/>"));
    assert!(answer("?").contains("<incorrect-encoding/>"));
}
