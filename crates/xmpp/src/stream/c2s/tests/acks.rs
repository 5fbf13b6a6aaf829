//! XEP-0198 on both ends.

use super::*;
use crate::stream::{AckError, Misbehaviour, StreamError};

fn connected() -> Pair {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.run();
    pair.log = Log::default();
    pair
}

#[test]
fn the_outbox_forgets_only_what_was_handled() {
    let mut pair = connected();
    for id in 1..=3 {
        assert!(pair.client.send(&message("x"), Some(id)));
    }
    pair.run();
    assert_eq!(pair.log.client, [] as [&str; 0], "received is not handled");
    assert_eq!(pair.client.unacked().0, 3);
    pair.server.handled(2);
    pair.run();
    assert_eq!(pair.log.client, [] as [&str; 0], "the answer covers what was asked about");
    pair.server.handled(1);
    pair.run();
    assert_eq!(pair.log.client, ["acknowledged [1, 2, 3]"]);
    assert_eq!(pair.client.unacked(), (0, 0));
}

#[test]
fn what_was_not_acknowledged_is_kept_on_both_ends() {
    let mut pair = connected();
    pair.client.send(&message("from client"), Some(9));
    pair.server.send(&message("from server"));
    pair.run();
    pair.client.handle_eof();
    pair.server.handle_eof();
    pair.run();
    assert_eq!(pair.ended, (Some(Ending::Lost), Some(Ending::Lost)));
    // what is sent into a dead stream is not lost either
    assert!(pair.server.send(&message("too late")));
    let left: Vec<_> = pair
        .server
        .take_unacked()
        .iter()
        .map(|frame| frame.root().child("body", "jabber:client").unwrap().text().into_owned())
        .collect();
    assert_eq!(left, ["from server", "too late"]);
    let left = pair.client.take_unacked();
    assert!(matches!(&left[..], [(Some(9), _)]));
    assert!(pair.server.take_unacked().is_empty());
}

#[test]
fn the_broker_asks_when_enough_is_open() {
    let mut pair = connected();
    for _ in 0..8 {
        pair.server.send(&message("x"));
    }
    pair.run();
    assert_eq!(pair.server.unacked().0, 8);
    pair.client.handled(8);
    pair.run();
    assert_eq!(pair.server.unacked(), (0, 0));
    // fewer are asked about by the caller's timer
    pair.server.send(&message("y"));
    pair.run().client.handled(1);
    pair.run();
    assert_eq!(pair.server.unacked().0, 1);
    pair.server.request_ack();
    pair.run();
    assert_eq!(pair.server.unacked().0, 0);
}

#[test]
fn a_closing_client_says_what_it_has() {
    let mut pair = connected();
    pair.server.send(&message("x"));
    pair.run().client.handled(1);
    pair.client.close();
    pair.run();
    assert_eq!(pair.server.unacked().0, 0);
    assert_eq!(pair.ended.1, Some(Ending::Closed));
}

#[test]
fn acknowledging_what_was_never_sent_ends_the_stream() {
    let mut script = Script::in_session();
    assert_eq!(script.say("<enable xmlns='urn:xmpp:sm:3'/>"), "<enabled xmlns='urn:xmpp:sm:3'/>");
    script.server.send(&message("x"));
    script.say("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(script.server.unacked().0, 0);
    let answer = script.say("<a xmlns='urn:xmpp:sm:3' h='10'/>");
    assert!(answer.contains("<undefined-condition"), "{answer}");
    assert!(answer.contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='1'/>"), "{answer}");
    let error = AckError::HandledTooMany { h: 10, sent: 1 };
    assert_eq!(script.ending(), Some(&Ending::Failed(StreamError::PeerMisbehaved(Misbehaviour::Ack(error)))));
}

#[test]
fn nonsense_instead_of_a_count_ends_the_stream() {
    let mut script = Script::in_session();
    script.say("<enable xmlns='urn:xmpp:sm:3'/>");
    assert!(script.say("<a xmlns='urn:xmpp:sm:3' h='-1'/>").contains("<invalid-xml"));
}

#[test]
fn enabling_twice_ends_the_stream() {
    let mut script = Script::in_session();
    script.say("<enable xmlns='urn:xmpp:sm:3'/>");
    assert!(script.say("<enable xmlns='urn:xmpp:sm:3'/>").contains("<policy-violation"));
}

#[test]
fn resumption_is_refused_and_the_stream_goes_on() {
    let mut script = Script::in_session();
    let answer = script.say("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>");
    assert!(answer.contains("<failed") && answer.contains("<feature-not-implemented"), "{answer}");
    script.say("<message><body>still here</body></message>");
    assert_eq!(bodies(&script.events), ["still here"]);
}

#[test]
fn acknowledgements_before_they_are_enabled_end_the_stream() {
    for element in ["<r xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='0'/>"] {
        assert!(Script::in_session().say(element).contains("<unsupported-stanza-type"));
    }
}

#[test]
fn one_turn_is_one_write() {
    let mut script = Script::in_session();
    script.say("<enable xmlns='urn:xmpp:sm:3'/>");
    for _ in 0..8 {
        script.server.send(&message("x"));
    }
    script.server.handled(0);
    let all = script.say("<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(all.matches("<message").count(), 8);
    assert_eq!(all.matches("<a ").count(), 1);
    assert_eq!(all.matches("<r ").count(), 1);
    assert_eq!(script.server.poll_output(), None);
}

#[test]
fn a_server_that_acknowledges_too_much_is_left() {
    let mut pair = connected();
    pair.client.handle_bytes(b"<a xmlns='urn:xmpp:sm:3' h='1'/>");
    pair.run();
    assert!(matches!(pair.ended.0, Some(Ending::Failed(StreamError::PeerMisbehaved(Misbehaviour::Ack(_))))));
}
