//! Every rule of a client stream, broken once: the right condition, and the end.

use super::*;
use crate::stream::{Misbehaviour, StreamCondition, StreamError};
use crate::xml::{Limits, XmlError};

/// Sends `text` on a fresh direct TLS connection and returns the answer.
fn answer_to(text: &str) -> (String, Option<Ending>) {
    let mut script = Script::new(Transport::Tls(facts()));
    let answer = script.say(text);
    (answer, script.ending().cloned())
}

#[track_caller]
fn refused(text: &str, condition: &str, error: StreamError) {
    let (answer, ending) = answer_to(text);
    assert!(answer.starts_with("<?xml version='1.0'?><stream:stream xmlns='jabber:client'"), "{answer}");
    assert!(answer.contains(" from='example.org' id='"), "{answer}");
    assert!(answer.contains(&format!("<stream:error><{condition} xmlns=")), "{answer}");
    assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
    assert_eq!(ending, Some(Ending::Failed(error)));
}

#[test]
fn headers_that_are_none() {
    let header = |from: &str, to: &str| HEADER.replace(from, to);
    let broke = |rule| StreamError::PeerMisbehaved(rule);
    refused("GET / HTTP/1.1\r\n\r\n", "not-well-formed", XmlError::Malformed.into());
    refused("<html xmlns='http://www.w3.org/1999/xhtml'>", "bad-format", broke(Misbehaviour::NotAStream));
    refused(&header("jabber:client", "jabber:server"), "invalid-namespace", broke(Misbehaviour::WrongNamespace));
    refused(&header("etherx", "other"), "invalid-namespace", broke(Misbehaviour::WrongNamespace));
    refused(&header(" version='1.0'>", ">"), "unsupported-version", broke(Misbehaviour::Version));
    refused(&header("version='1.0'>", "version='0.9'>"), "unsupported-version", broke(Misbehaviour::Version));
    refused(&header("to='example.org'", ""), "improper-addressing", broke(Misbehaviour::Addressing));
    refused(&header("to='example.org'", "to='@'"), "improper-addressing", broke(Misbehaviour::Addressing));
    refused(&header("example.org", "example.com"), "host-unknown", broke(Misbehaviour::UnknownHost));
}

#[test]
fn a_second_domain_and_its_spelling() {
    let (answer, ending) = answer_to(&HEADER.replace("example.org", "EXAMPLE.net"));
    assert!(answer.contains("from='example.net'") && ending.is_none(), "{answer}");
}

#[test]
fn xml_that_xmpp_forbids() {
    for (text, condition, error) in [
        ("<message><body></message>", "not-well-formed", XmlError::Malformed),
        ("<!-- hello --><message/>", "restricted-xml", XmlError::Restricted),
        ("<x:message/>", "bad-namespace-prefix", XmlError::UndeclaredPrefix),
        ("words", "bad-format", XmlError::StrayText),
    ] {
        let mut script = Script::in_session();
        let answer = script.say(text);
        assert!(answer.starts_with(&format!("<stream:error><{condition} ")), "{text}: {answer}");
        assert_eq!(script.ending(), Some(&Ending::Failed(error.into())), "{text}");
    }
}

#[test]
fn a_stanza_before_the_login() {
    for early in ["<message/>", "<iq type='set' id='1'><query xmlns='jabber:iq:register'/></iq>", "<presence/>"] {
        refused(
            &format!("{HEADER}{early}"),
            "not-authorized",
            StreamError::PeerMisbehaved(Misbehaviour::NotAuthenticated),
        );
    }
}

#[test]
fn sizes_before_and_after_the_login() {
    let long = |bytes: usize| format!("<message><body>{}</body></message>", "x".repeat(bytes));
    let early = format!("{HEADER}{}", long(10_000));
    refused(&early, "policy-violation", XmlError::TooLarge.into());
    let mut script = Script::in_session();
    script.say(&long(200_000));
    assert_eq!(bodies(&script.events)[0].len(), 200_000);
    assert!(script.say(&long(262_144)).contains("<policy-violation"));
}

#[test]
fn an_endless_element_is_not_collected() {
    let mut script = Script::new(Transport::Tls(facts()));
    script.say(HEADER);
    script.say("<message><body>");
    let mut sent = 0;
    while script.ending().is_none() {
        script.say(&"x".repeat(1000));
        sent += 1000;
        assert!(sent < 3 * Limits::PRE_AUTH.stanza_bytes, "still reading");
    }
    assert_eq!(script.ending(), Some(&Ending::Failed(XmlError::TooLarge.into())));
}

#[test]
fn sasl_failures_by_the_book() {
    let auth = |mechanism: &str, text: &str| {
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{text}</auth>")
    };
    for (element, condition) in [
        (auth("PLAIN", "AGFsaWNlAHNlY3JldA=="), "invalid-mechanism"),
        (auth("", ""), "invalid-mechanism"),
        (auth("SCRAM-SHA-256", "not base64!"), "incorrect-encoding"),
        (auth("SCRAM-SHA-256", "biws"), "malformed-request"),
        (auth("SCRAM-SHA-256", "="), "malformed-request"),
        (auth("SCRAM-SHA-256", "bixhPWJvYixuPWFsaWNlLHI9YWJj"), "invalid-authzid"),
        (auth("SCRAM-SHA-256", "eSwsbj1hbGljZSxyPWFiYw=="), "not-authorized"),
    ] {
        let (answer, ending) = answer_to(&format!("{HEADER}{element}"));
        let failure = format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>");
        assert!(answer.ends_with(&failure), "{element}: {answer}");
        assert_eq!(ending, None);
    }
}

#[test]
fn an_aborted_login() {
    let mut script = Script::new(Transport::Tls(facts()));
    script.say(HEADER);
    script.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'/>");
    assert!(script.say("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").contains("<aborted/>"));
}

#[test]
fn sasl_out_of_order() {
    let early = format!("{HEADER}<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>biws</response>");
    refused(&early, "unsupported-stanza-type", StreamError::PeerMisbehaved(Misbehaviour::UnexpectedElement));
}

#[test]
fn tls_twice() {
    let twice = format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let (answer, _) = answer_to(&twice);
    assert!(answer.contains("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><stream:error>"), "{answer}");
}

#[test]
fn a_stanza_in_somebody_elses_name() {
    for from in ["bob@example.org", "alice@example.org/tablet", "alice@example.com", "example.org", "@"] {
        let mut script = Script::in_session();
        let answer = script.say(&format!("<message from='{from}'/>"));
        assert!(answer.contains("<invalid-from"), "{from}: {answer}");
    }
    for from in ["alice@example.org", "alice@example.org/phone", "ALICE@example.ORG/phone"] {
        let mut script = Script::in_session();
        assert_eq!(script.say(&format!("<message from='{from}'/>")), "", "{from}");
        assert!(matches!(script.events[..], [ResponderEvent::Stanza(_)]));
    }
}

#[test]
fn elements_that_nobody_knows() {
    for element in [
        "<message xmlns='jabber:server'/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
        "<unknown/>",
    ] {
        assert!(Script::in_session().say(element).contains("<unsupported-stanza-type"), "{element}");
    }
}

#[test]
fn another_domain_after_tls() {
    let mut script = Script::new(Transport::Plain);
    script.say(HEADER);
    script.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    script.server.handle_tls(facts());
    assert!(script.say(&HEADER.replace("example.org", "example.net")).contains("<host-unknown"));
}

#[test]
fn x17_a_truncated_stream_is_not_a_closed_one() {
    let mut script = Script::in_session();
    script.say("<message><body>cut of");
    script.server.handle_eof();
    script.say("");
    assert_eq!(script.ending(), Some(&Ending::Lost));
    assert!(bodies(&script.events).is_empty());
    let mut script = Script::in_session();
    script.say("<message/></stream:stream>");
    assert_eq!(script.ending(), Some(&Ending::Closed));
}

#[test]
fn the_callers_reasons() {
    let mut script = Script::in_session();
    script.server.fail(StreamCondition::Conflict);
    assert!(script.say("").contains("<conflict "));
    assert_eq!(script.ending(), Some(&Ending::Failed(StreamError::Requested(StreamCondition::Conflict))));
    // nothing is read any more, nothing more is said
    assert_eq!(script.say("<message/></stream:stream>"), "");
}

#[test]
fn answers_to_nothing_do_nothing() {
    let mut server = responder(Transport::Plain);
    server.provide_credentials(None, [0; 16]);
    server.handle_tls(facts());
    server.bound(&Jid::parse("alice@example.org/x").unwrap());
    server.handled(3);
    server.request_ack();
    assert!(!server.send(&message("x")));
    assert_eq!((server.poll_output(), server.unacked()), (None, (0, 0)));
    assert!(server.poll_event().is_none());
}

#[test]
fn whitespace_between_stanzas_is_nothing() {
    let mut script = Script::in_session();
    assert_eq!(script.say(" \n\t <message><body>x</body></message> "), "");
    assert_eq!(bodies(&script.events), ["x"]);
    script.server.keep_alive();
    assert_eq!(script.say(""), " ");
}

#[test]
fn flooding_while_a_question_is_open_ends_the_stream() {
    let mut script = Script::new(Transport::Tls(facts()));
    script.say(HEADER);
    script.say(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiYw==</auth>",
    );
    let stanza_bytes = crate::xml::Limits::PRE_AUTH.stanza_bytes;
    for _ in 0..4 {
        script.say(&" ".repeat(stanza_bytes));
    }
    assert_eq!(script.ending(), None);
    script.say(" ");
    assert_eq!(script.ending(), Some(&Ending::Failed(XmlError::TooLarge.into())));
}

/// A whole session of a client, as bytes to damage.
fn recorded() -> Vec<u8> {
    let auth =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiYw==</auth>";
    let response = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdzLHI9YWJjLHA9QUFBQQ==</response>";
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
    format!("{HEADER}{auth}{response}{bind}<enable xmlns='urn:xmpp:sm:3'/><r xmlns='urn:xmpp:sm:3'/></stream:stream>")
        .into_bytes()
}

#[test]
fn damaged_streams_end_or_wait_but_never_panic() {
    let bytes = recorded();
    let mut random: u64 = 7;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let mut ended = 0;
    for _ in 0..1500 {
        let mut damaged = bytes.clone();
        for _ in 0..=below(3) {
            let at = below(damaged.len());
            match below(3) {
                0 => damaged[at] = below(256) as u8,
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, b"<>/'&= "[below(7)]),
            }
        }
        let mut script = Script::new(Transport::Tls(facts()));
        for part in damaged.chunks(1 + below(200)) {
            script.server.handle_bytes(part);
            while let Some(event) = script.server.poll_event() {
                match &event {
                    ResponderEvent::Authenticate { .. } => script.server.provide_credentials(None, [1; 16]),
                    ResponderEvent::Authenticated { .. } => panic!("nobody can log in like this"),
                    _ => {}
                }
                script.events.push(event);
            }
        }
        ended += usize::from(script.ending().is_some());
    }
    assert!(ended > 500, "{ended}");
}

#[test]
fn a_waiting_stream_is_small() {
    assert!(size_of::<Responder>() <= 500, "{} bytes", size_of::<Responder>());
}
