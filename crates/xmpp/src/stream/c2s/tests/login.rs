//! From the first byte to the first stanza.

use super::*;
use crate::sasl::PasswordForm;
use crate::sasl::SaslCondition;
use crate::stanza::{Condition, StanzaError};

const LOGGED_IN: [&str; 2] = ["authenticated SCRAM-SHA-256", "ready alice@example.org/phone true"];

#[test]
fn starttls_login_bind_at_random_cuts() {
    for seed in 0..40 {
        let mut pair = Pair::new(Transport::Plain);
        pair.random = seed;
        pair.run();
        assert_eq!(pair.log.client, ["starttls", LOGGED_IN[0], LOGGED_IN[1]], "seed {seed}");
        assert_eq!(
            pair.log.server,
            ["starttls", "authenticate alice SCRAM-SHA-256-PLUS", "authenticated alice", "bind phone", "acks"]
        );
        pair.client.send(&message("hello"), Some(1));
        pair.run();
        assert_eq!(pair.log.server.last().unwrap(), "stanza hello");
        assert_eq!(pair.server.jid().unwrap().as_str(), "alice@example.org/phone");
    }
}

#[test]
fn direct_tls_byte_by_byte() {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.random = 0;
    pair.run();
    assert_eq!(pair.log.client, LOGGED_IN);
    assert_eq!(pair.client.features().max_bytes(), Some(262_144));
    assert!(!pair.client.features().needs_session());
}

#[test]
fn every_byte_on_its_own() {
    let mut script = Script::new(Transport::Plain);
    let mut answer = String::new();
    for byte in format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").chars() {
        answer.push_str(&script.say(&byte.to_string()));
    }
    assert!(answer.contains("<required/>") && answer.ends_with("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    assert!(!answer.contains("mechanisms"), "nothing but TLS on a plain connection: {answer}");
    assert!(matches!(script.events[..], [ResponderEvent::StartTls]));
}

#[test]
fn a_wrong_password_can_be_corrected() {
    let mut config = client_config();
    config.purpose = Purpose::Login { username: "alice".into(), credential: Credential::password("wrong") };
    let transport = Transport::Tls(facts());
    let mut pair = Pair::with(responder(transport.clone()), config, transport);
    pair.run();
    assert_eq!(pair.log.client, ["login failed the server refused the login: not-authorized"]);
    assert_eq!(pair.log.server.last().unwrap(), "login failed alice not-authorized");
    assert!(pair.client.login("alice", Credential::password(PASSWORD)).is_none());
    pair.run();
    assert_eq!(pair.log.client.last().unwrap(), LOGGED_IN[1]);
}

#[test]
fn the_third_failed_login_ends_the_stream() {
    let mut config = client_config();
    config.purpose = Purpose::Login { username: "mallory".into(), credential: Credential::password("guess") };
    let transport = Transport::Tls(facts());
    let mut pair = Pair::with(responder(transport.clone()), config, transport);
    pair.run();
    for _ in 0..2 {
        assert!(pair.client.login("mallory", Credential::password("guess")).is_none());
        pair.run();
    }
    let failures = pair.log.server.iter().filter(|line| *line == "login failed mallory not-authorized").count();
    assert_eq!(failures, 3);
    let broken = crate::stream::StreamError::PeerMisbehaved(crate::stream::Misbehaviour::TooManyLogins);
    assert_eq!(pair.ended.1, Some(Ending::Failed(broken)));
    assert_eq!(pair.ended.0, Some(Ending::PeerError(crate::stream::StreamCondition::PolicyViolation)));
}

#[test]
fn an_account_that_is_switched_off_is_refused_with_its_reason() {
    let mut script = Script::new(Transport::Tls(facts()));
    script.say(HEADER);
    script.say(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiYw==</auth>",
    );
    assert!(matches!(&script.events[..], [ResponderEvent::Authenticate { username, .. }] if username == "alice"));
    script.server.refuse_credentials(SaslCondition::AccountDisabled);
    assert!(script.say("").contains("<account-disabled/>"));
}

#[test]
fn a_client_without_initial_response_is_served() {
    let mut script = Script::new(Transport::Tls(facts()));
    script.say(HEADER);
    let challenge = script.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>");
    assert!(challenge.starts_with("<challenge"), "{challenge}");
    script.say("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>biwsbj1hbGljZSxyPWFiYw==</response>");
    assert!(matches!(&script.events[..], [ResponderEvent::Authenticate { username, .. }] if username == "alice"));
}

#[test]
fn registering_before_the_login() {
    let mut server_config = config();
    server_config.registration = Registration { in_band: true, by_token: true };
    let transport = Transport::Tls(facts());
    let server = Responder::new(Arc::new(server_config), transport.clone(), Seed::new([1; 32]));
    let mut pair = Pair::with(server, InitiatorConfig::new("example.org", Purpose::Register), transport);
    pair.run();
    assert_eq!(pair.log.client, ["ready to register"]);
    assert_eq!(pair.client.features().registration(), Registration { in_band: true, by_token: true });
    for child in [Element::new("preauth", "urn:xmpp:pars:0"), Element::new("query", "jabber:iq:register")] {
        pair.client.send_element(&crate::stanza::iq("set", "r1", None, child));
        pair.run();
        assert_eq!(pair.log.client.last().unwrap(), "pre-auth result");
    }
    assert!(pair.client.login("alice", Credential::password(PASSWORD)).is_none());
    pair.run();
    assert_eq!(pair.log.client.last().unwrap(), "ready alice@example.org/made-up true");
}

#[test]
fn a_refused_resource_may_be_asked_for_again() {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.to_client = |bytes| bytes.replace("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "<bind xmlns='x'/>");
    pair.run(); // the client stops for want of the feature; the server waits for a resource
    let mut script = Script { server: pair.server, events: Vec::new() };
    let ask =
        "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>";
    assert_eq!(pair.log.client.len(), 2);
    assert!(pair.log.client[1].contains("FeatureMissing"), "{:?}", pair.log.client);
    assert!(script.say(ask).is_empty(), "the stream is over");

    let mut script = logged_in();
    script.say(ask);
    script.server.bind_refused(&StanzaError::new(Condition::ResourceConstraint));
    let refusal = script.say("");
    assert!(refusal.contains("type=\"error\" id=\"b1\"") && refusal.contains("<resource-constraint"), "{refusal}");
    script.say(ask);
    let jid = Jid::parse("alice@example.org/x").unwrap();
    script.server.bound(&jid);
    assert!(script.say("").contains("<jid>alice@example.org/x</jid>"));
}

/// A stream on which alice has logged in and nothing is bound.
fn logged_in() -> Script {
    let transport = Transport::Tls(facts());
    let mut pair = Pair::new(transport);
    // the client never sees the features after the login
    pair.to_client = |bytes| match bytes.find("<bind") {
        Some(_) => String::new(),
        None => bytes,
    };
    pair.run();
    Script { server: pair.server, events: Vec::new() }
}

#[test]
fn a_resource_that_the_server_refuses_ends_the_clients_attempt() {
    let mut client = session_client(|_| {});
    client.handle_bytes(b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>");
    assert!(client.poll_event().is_none());
    let request = String::from_utf8(client.poll_output().unwrap().to_vec()).unwrap();
    let id = request.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
    let refusal = format!(
        "<iq type='error' id='{id}'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    client.handle_bytes(refusal.as_bytes());
    assert!(
        matches!(client.poll_event(), Some(InitiatorEvent::BindFailed(Some(error))) if error.condition == Condition::Conflict)
    );
}

#[test]
fn old_servers_get_their_session_request() {
    let mut client = session_client(|_| {});
    let features = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
        <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></stream:features>";
    let answer = |client: &mut Initiator, inner: &str| {
        let request = String::from_utf8(client.poll_output().unwrap().to_vec()).unwrap();
        let id = request.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
        client.handle_bytes(format!("<iq type='result' id='{id}'>{inner}</iq>").as_bytes());
        request
    };
    client.handle_bytes(features.as_bytes());
    assert!(client.poll_event().is_none());
    answer(&mut client, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@example.org/1</jid></bind>");
    assert!(client.poll_event().is_none());
    let request = answer(&mut client, "");
    assert!(request.contains("urn:ietf:params:xml:ns:xmpp-session"), "{request}");
    assert!(matches!(client.poll_event(), Some(InitiatorEvent::Ready { acks: false, .. })));
}

/// A client that has logged in and waits for the features of its session.
fn session_client(change: fn(&mut InitiatorConfig)) -> Initiator {
    let mut config = client_config();
    change(&mut config);
    let transport = Transport::Tls(facts());
    let mut pair = Pair::with(responder(transport.clone()), config, transport);
    pair.to_client = |bytes| match bytes.split_once("<stream:features><bind") {
        Some((header, _)) => header.to_owned(),
        None => bytes,
    };
    pair.run();
    assert_eq!(pair.log.client, ["authenticated SCRAM-SHA-256"]);
    pair.client
}

#[test]
fn old_clients_get_their_session() {
    let mut script = Script::in_session();
    let answer = script.say("<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
    assert!(answer.contains("type=\"result\"") && answer.contains("id=\"s1\""), "{answer}");
    assert!(script.events.is_empty());
}

#[test]
fn closing_from_either_side() {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.run().client.close();
    pair.run();
    assert_eq!(pair.ended, (Some(Ending::Closed), Some(Ending::Closed)));
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.run().server.close();
    pair.run();
    assert_eq!(pair.ended, (Some(Ending::Closed), Some(Ending::Closed)));
}

#[test]
fn stanzas_sent_before_the_closing_tag_arrive() {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.run().client.send(&message("last words"), None);
    pair.server.close();
    pair.run();
    assert!(pair.log.server.contains(&"stanza last words".to_owned()), "{:?}", pair.log.server);
}

/// go-xmpp sends a blank between the end of SASL and its next header, and other servers take it.
#[test]
fn white_space_between_login_and_the_next_header_is_forgotten() {
    for space in [" ", " \r\n\t "] {
        let mut pair = Pair::new(Transport::Plain);
        pair.space = space;
        pair.to_client = |bytes| bytes.replace("</success>", "</success> \n ");
        pair.run();
        assert_eq!(pair.log.client.last().unwrap(), "ready alice@example.org/phone true");
    }
    let mut pair = Pair::new(Transport::Plain);
    pair.space = " x ";
    pair.run();
    assert!(pair.ended.1.is_some(), "only white space");
}

/// An account whose verifier knows one form of the password only: the first try fails, the second does not, and the
/// caller learns which form to try first from now on.
#[test]
fn the_other_form_of_a_password_is_tried_once_more() {
    const LIGATURE: &str = "\u{fb01}sh and chips";
    let run = |password: &str, form: PasswordForm| {
        let mut config = client_config();
        let credential = Credential::password_in(form, password);
        config.purpose = Purpose::Login { username: "alice".into(), credential };
        let mut pair = Pair::with(responder(Transport::Tls(facts())), config, Transport::Tls(facts()));
        for (hash, verifier) in &mut pair.verifiers {
            *verifier = ScramVerifier::derive(*hash, LIGATURE, b"sixteen bytes !!", 4096).unwrap();
            verifier.keys = verifier.other.take().expect("it has another form"); // as it was made before there were two
        }
        pair.run();
        let tries = pair.log.server.iter().filter(|line| line.starts_with("authenticate ")).count();
        (tries, pair.log.client.iter().any(|line| line.starts_with("ready")), pair.taken)
    };
    assert_eq!(run(LIGATURE, PasswordForm::SaslPrep), (2, true, Some(PasswordForm::Opaque)));
    assert_eq!(run(LIGATURE, PasswordForm::Opaque), (1, true, Some(PasswordForm::Opaque)));
    assert_eq!(run("wrong", PasswordForm::SaslPrep), (1, false, None), "it has one form, so there is one try");
    assert_eq!(run("\u{fb01}sh", PasswordForm::SaslPrep), (2, false, None), "and never a third");
}
