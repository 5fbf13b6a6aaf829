//! XEP-0198 on server streams.

use super::spoofing::{HEADER, Script};
use super::*;
use crate::stream::AckError;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3'/>";
const STANZA: &str = "<message from='a@north.example' to='b@south.example'/>";

fn hello() -> Frame {
    message("a@north.example", "b@south.example")
}

fn connected(config: InitiatorConfig) -> Link {
    let mut link = Link::new(direct, config);
    link.run();
    assert!(link.authorized() && link.north.has_acks(), "{:?}", link.north_log);
    link.north_log.clear();
    link
}

#[test]
fn a_stanza_is_kept_until_the_other_server_has_handled_it() {
    for config in [by_certificate(), by_dialback()] {
        let mut link = connected(config);
        for _ in 0..3 {
            assert!(link.north.send(&hello()));
        }
        link.run();
        assert_eq!((link.stanzas(), link.north.unacked().0), (3, 3), "received is not handled");
        link.south.handled(2);
        link.run();
        assert_eq!(link.north_log, [], "the answer covers what was asked about");
        link.south.handled(1);
        link.run();
        assert_eq!(link.north_log, [InitiatorEvent::Acknowledged(3)]);
        assert_eq!(link.north.unacked(), (0, 0));
    }
}

#[test]
fn what_was_not_handled_is_there_after_the_end() {
    let mut link = connected(by_certificate());
    link.north.send(&message("first@north.example", "b@south.example"));
    link.run().south.handled(1);
    link.run();
    link.north.send(&message("second@north.example", "b@south.example"));
    link.run();
    link.north.handle_eof();
    link.run();
    assert_eq!(link.north_ended(), Some(&Ending::Lost));
    let left: Vec<_> = link.north.take_unacked().iter().map(|frame| frame.attr("from").unwrap().into_owned()).collect();
    assert_eq!(left, ["second@north.example"]);
    assert!(link.north.take_unacked().is_empty());
    assert!(!link.north.send(&hello()), "what is sent into a dead stream stays with the caller");
}

#[test]
fn a_peer_that_reads_slowly_is_asked_before_the_end() {
    let mut link = connected(by_certificate());
    for _ in 0..70 {
        link.north.send(&hello());
    }
    let said = String::from_utf8(link.north.poll_output().unwrap().to_vec()).unwrap();
    assert_eq!(said.matches("<r ").count(), 3, "two on the way and one at the end");
    assert!(said.ends_with("<r xmlns='urn:xmpp:sm:3'/>"));
    assert_eq!(link.north.poll_output(), None);
}

#[test]
fn a_closing_peer_says_what_it_has() {
    let mut link = connected(by_certificate());
    link.north.send(&hello());
    link.north.send(&hello());
    link.run().south.handled(1);
    link.south.close();
    link.run();
    assert!(link.north_log.contains(&InitiatorEvent::Acknowledged(1)), "{:?}", link.north_log);
    assert_eq!(link.north_ended(), Some(&Ending::Closed));
    assert_eq!(link.north.take_unacked().len(), 1);
}

/// North on direct TLS, with a hand-written south that has taken its certificate.
struct North {
    stream: Initiator,
    events: Vec<InitiatorEvent>,
}

impl North {
    fn authenticated(features: &str) -> North {
        let stream = Initiator::new(by_certificate(), direct(Some("south.example")), Seed::new([1; 32]));
        let mut north = North { stream, events: Vec::new() };
        north.hear("");
        let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
            xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
            from='south.example' id='x' version='1.0'>";
        let external =
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
        north.hear(&format!("{header}<stream:features>{external}</stream:features>"));
        north.hear("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        north.said();
        north.events.clear();
        north.hear(&format!("{header}<stream:features>{features}</stream:features>"));
        north
    }

    fn with_acks() -> North {
        let mut north = North::authenticated("<sm xmlns='urn:xmpp:sm:3'/>");
        assert_eq!((north.said().as_str(), north.authorized()), (ENABLE, false), "the answer is awaited");
        assert!(!north.stream.send(&hello()));
        north.hear(ENABLED);
        assert!(north.authorized() && north.stream.has_acks());
        north
    }

    fn hear(&mut self, text: &str) {
        self.stream.handle_bytes(text.as_bytes());
        while let Some(event) = self.stream.poll_event() {
            if matches!(event, InitiatorEvent::VerifyCertificate { .. }) {
                self.stream.certificate_verified(true);
            }
            self.events.push(event);
        }
    }

    fn said(&mut self) -> String {
        String::from_utf8(self.stream.poll_output().unwrap_or_default().to_vec()).unwrap()
    }

    fn authorized(&self) -> bool {
        self.events.iter().any(|event| matches!(event, InitiatorEvent::Authorized { .. }))
    }
}

#[test]
fn a_peer_without_acknowledgements_gets_stanzas_at_once() {
    let mut north = North::authenticated("<dialback xmlns='urn:xmpp:features:dialback'/>");
    assert!(north.authorized() && !north.stream.has_acks());
    assert!(north.stream.send(&hello()));
    assert!(!north.said().contains("urn:xmpp:sm:3"));
    assert_eq!(north.stream.unacked(), (0, 0));
    assert!(north.stream.take_unacked().is_empty());
}

#[test]
fn a_peer_that_will_not_acknowledge_after_all_is_one_without() {
    let mut north = North::authenticated("<sm xmlns='urn:xmpp:sm:3'/>");
    north.hear(
        "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    );
    assert!(north.authorized() && !north.stream.has_acks() && north.stream.send(&hello()));
    assert_eq!(north.stream.unacked(), (0, 0));
}

#[test]
fn a_peer_that_acknowledges_too_much_or_nonsense_is_left() {
    for (h, error) in [("2", AckError::HandledTooMany { h: 2, sent: 1 }), ("-1", AckError::NotANumber)] {
        let mut north = North::with_acks();
        assert!(north.stream.send(&hello()));
        north.said();
        north.hear(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
        assert_eq!(north.events.last(), Some(&InitiatorEvent::Ended(failed(Misbehaviour::Ack(error)))));
        assert_eq!(north.stream.take_unacked().len(), 1, "nothing was acknowledged");
    }
}

#[test]
fn a_peer_that_asks_hears_that_nothing_came() {
    let mut north = North::with_acks();
    north.hear("<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(north.said(), "<a xmlns='urn:xmpp:sm:3' h='0'/>");
}

#[test]
fn acknowledgements_are_offered_and_begin_with_a_proof() {
    let mut script = Script::new(None);
    assert!(script.say(HEADER).contains("<sm xmlns='urn:xmpp:sm:3'/>"));
    assert!(script.say(ENABLE).contains("<unexpected-request "), "nothing is proved");
    script.say("<db:result from='north.example' to='south.example'>key</db:result>");
    let Some(ResponderEvent::DialbackKey(claim)) = script.events.pop() else { panic!("{:?}", script.events) };
    assert!(script.say(ENABLE).contains("<unexpected-request "), "a claim is no proof");
    script.south.dialback_result(&claim, DialbackVerdict::Valid);
    assert!(script.say(ENABLE).ends_with(ENABLED));
    assert!(matches!(script.events[..], [ResponderEvent::AcksEnabled]));
}

#[test]
fn what_came_before_enabling_is_not_counted() {
    let mut script = Script::authenticated();
    script.say(STANZA);
    assert_eq!(script.say(ENABLE), ENABLED);
    script.say(STANZA);
    script.south.handled(1);
    assert_eq!(script.say("<r xmlns='urn:xmpp:sm:3'/>"), "", "that was the first one");
    script.south.handled(1);
    assert_eq!(script.say(""), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
}

#[test]
fn enabling_twice_or_counting_what_was_never_sent_ends_the_stream() {
    let end = |text: &str, rule: Misbehaviour| {
        let mut script = Script::authenticated();
        script.say(ENABLE);
        script.say(text);
        assert_eq!(script.ended(), Some(&failed(rule)), "{text}");
    };
    end(ENABLE, Misbehaviour::AcksTwice);
    end("<a xmlns='urn:xmpp:sm:3' h='1'/>", Misbehaviour::Ack(AckError::HandledTooMany { h: 1, sent: 0 }));
    end("<a xmlns='urn:xmpp:sm:3'/>", Misbehaviour::Ack(AckError::NotANumber));
    let mut script = Script::authenticated();
    script.say(ENABLE);
    assert_eq!(script.say("<a xmlns='urn:xmpp:sm:3' h='0'/>"), "");
    assert!(script.say("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>").contains("<feature-not-implemented "));
    assert!(script.ended().is_none());
}
