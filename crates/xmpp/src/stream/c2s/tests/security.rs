//! Attack rows X09, X10 and X11 on whole streams.

use super::*;
use crate::sasl::select::SelectError;
use crate::stream::{Misbehaviour, StreamError};

fn failed(rule: Misbehaviour) -> Option<Ending> {
    Some(Ending::Failed(StreamError::PeerMisbehaved(rule)))
}

/// What a man in the middle does to what the server says; returns what became of it.
fn attacked(transport: Transport, attack: fn(String) -> String) -> Pair {
    let mut pair = Pair::new(transport);
    pair.to_client = attack;
    pair.run();
    pair
}

#[test]
fn x09_a_stripped_starttls_offer_ends_the_clients_stream() {
    let pair = attacked(Transport::Plain, |bytes| {
        bytes.replace("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>", "")
    });
    assert_eq!(pair.ended.0, failed(Misbehaviour::TlsNotOffered));
    assert!(!pair.log.server.iter().any(|line| line.starts_with("authenticate")));
}

#[test]
fn x09_a_login_offer_on_a_plain_connection_is_not_taken() {
    let pair = attacked(Transport::Plain, |bytes| {
        bytes.replace(
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>",
        )
    });
    assert_eq!(pair.ended.0, failed(Misbehaviour::TlsNotOffered));
}

#[test]
fn x09_a_refused_starttls_ends_the_clients_stream() {
    let mut client = Initiator::new(client_config(), Transport::Plain, Seed::new([2; 32]));
    client.poll_output();
    let header = HEADER.replace("to=", "from=");
    client.handle_bytes(
        format!("{header}<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
            .as_bytes(),
    );
    assert!(client.poll_event().is_none());
    client.handle_bytes(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(
        matches!(client.poll_event(), Some(InitiatorEvent::Ended(ending)) if Some(&ending) == failed(Misbehaviour::TlsRefused).as_ref())
    );
}

#[test]
fn x09_bytes_in_front_of_the_clients_handshake_end_the_stream() {
    // in the same piece as <proceed/>, and in a piece of their own
    for injected in ["<stream:features/>", "<", " "] {
        let mut client = Initiator::new(client_config(), Transport::Plain, Seed::new([2; 32]));
        client.poll_output();
        let header = HEADER.replace("to=", "from=");
        let features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
        client.handle_bytes(format!("{header}{features}").as_bytes());
        assert!(client.poll_event().is_none());
        let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        if injected == "<" {
            client.handle_bytes(proceed.as_bytes());
            assert!(matches!(client.poll_event(), Some(InitiatorEvent::StartTls)));
            client.handle_bytes(injected.as_bytes());
        } else {
            client.handle_bytes(format!("{proceed}{injected}").as_bytes());
        }
        let ended = client.poll_event();
        assert!(
            matches!(&ended, Some(InitiatorEvent::Ended(ending)) if Some(ending) == failed(Misbehaviour::BytesBeforeTls).as_ref()),
            "{injected:?}: {ended:?}"
        );
    }
}

#[test]
fn x09_stanzas_in_front_of_the_servers_handshake_end_the_stream() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let mut script = Script::new(Transport::Plain);
    script.say(HEADER);
    let answer = script.say(&format!("{starttls}<message><body>injected</body></message>"));
    assert!(!answer.contains("<proceed") && answer.contains("<policy-violation"), "{answer}");
    assert_eq!(script.ending(), failed(Misbehaviour::BytesBeforeTls).as_ref());

    let mut script = Script::new(Transport::Plain);
    script.say(HEADER);
    assert!(script.say(starttls).contains("<proceed"));
    script.say("<message><body>injected</body></message>");
    assert_eq!(script.ending(), failed(Misbehaviour::BytesBeforeTls).as_ref());
    assert!(bodies(&script.events).is_empty());
}

/// go-sendxmpp sends two line feeds behind `<starttls/>`, in the same packet.
#[test]
fn white_space_behind_starttls_is_forgotten() {
    let mut script = Script::new(Transport::Plain);
    script.say(HEADER);
    assert!(script.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\n").contains("<proceed"));
    assert_eq!(script.ending(), None);
    let mut script = Script::new(Transport::Plain);
    script.say(HEADER);
    script.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n\n<");
    assert_eq!(script.ending(), failed(Misbehaviour::BytesBeforeTls).as_ref());
}

#[test]
fn x09_no_login_without_tls() {
    let mut script = Script::new(Transport::Plain);
    let auth =
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>biwsbj1hbGljZSxyPWFiYw==</auth>";
    let answer = script.say(&format!("{HEADER}{auth}"));
    assert!(answer.contains("<encryption-required/>"), "{answer}");
    assert!(!script.events.iter().any(|event| matches!(event, ResponderEvent::Authenticate { .. })));
    assert!(script.say("<message/>").contains("<not-authorized"));
}

#[test]
fn x10_edited_features_fail_the_login_every_time() {
    let attacks: [fn(String) -> String; 5] = [
        |bytes| bytes.replace("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", ""),
        |bytes| {
            bytes
                .replace("<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "")
                .replace("<mechanism>SCRAM-SHA-1-PLUS</mechanism>", "")
        },
        |bytes| bytes.replace("<channel-binding type='tls-exporter'/>", ""),
        |bytes| bytes.replace("tls-exporter", "tls-unique").replace("tls-server-end-point", "tls-other"),
        |bytes| match bytes.find("<mechanisms") {
            Some(_) => {
                let (start, _) = bytes.split_once("<mechanisms").unwrap();
                format!(
                    "{start}<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>"
                )
            }
            None => bytes,
        },
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let pair = attacked(Transport::Tls(facts()), attack);
        assert!(pair.log.client[0].starts_with("login failed"), "attack {number}: {:?}", pair.log.client);
        assert!(!pair.log.server.iter().any(|line| line.starts_with("authenticated")), "attack {number}");
    }
}

#[test]
fn x10_a_rogue_certificate_fails_the_login() {
    let mut pair = Pair::new(Transport::Plain);
    pair.client_facts = TlsFacts { exporter: Some([66; 32]), server_end_point: Some(vec![66; 32]), ..facts() };
    pair.run();
    assert_eq!(pair.log.client[1], "login failed the server refused the login: not-authorized");
    assert!(!pair.log.server.iter().any(|line| line.starts_with("authenticated")));
}

#[test]
fn x10_other_tls_versions_at_the_two_ends_fail_the_login() {
    let mut pair = Pair::new(Transport::Plain);
    pair.client_facts = TlsFacts { version: TlsVersion::Tls12, ..facts() };
    pair.run();
    assert_eq!(pair.log.client[1], "login failed the two ends see different TLS versions");
}

#[test]
fn x10_a_server_without_safe_mechanisms_gets_no_password() {
    let pair = attacked(Transport::Tls(facts()), |bytes| {
        let gone = bytes.replace("SCRAM-SHA-256", "PLAIN").replace("SCRAM-SHA-1", "LOGIN");
        gone.replace("<channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/>", "")
    });
    assert!(pair.log.client[0].starts_with("login failed"), "{:?}", pair.log.client);
    assert!(pair.log.server.iter().all(|line| !line.starts_with("authenticate")), "{:?}", pair.log.server);
}

/// Servers that offer -PLUS but list no types: each type is tried once, and there is no third try.
#[test]
fn x10_without_a_list_each_binding_is_tried_and_then_none() {
    let mut client = Initiator::new(client_config(), Transport::Tls(facts()), Seed::new([2; 32]));
    client.poll_output();
    let header = HEADER.replace("to=", "from=");
    let features = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>";
    client.handle_bytes(format!("{header}{features}").as_bytes());
    for binding in ["cD10bHMtZXhwb3J0ZXIs", "cD10bHMtc2VydmVyLWVuZC1wb2ludCws"] {
        assert!(client.poll_event().is_none());
        let auth = String::from_utf8(client.poll_output().unwrap().to_vec()).unwrap();
        assert!(auth.contains("mechanism='SCRAM-SHA-1-PLUS'") && auth.contains(binding), "{auth}");
        client.handle_bytes(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><malformed-request/></failure>");
    }
    let refused = client.poll_event();
    assert!(
        matches!(refused, Some(InitiatorEvent::LoginFailed(LoginError::Select(SelectError::EveryBindingRefused)))),
        "{refused:?}"
    );
}

#[test]
fn x11_a_server_that_is_content_too_early_is_not_ours() {
    let mut client = Initiator::new(client_config(), Transport::Tls(facts()), Seed::new([2; 32]));
    client.poll_output();
    let header = HEADER.replace("to=", "from=");
    let features = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
        <mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>";
    client.handle_bytes(format!("{header}{features}<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").as_bytes());
    let event = client.poll_event();
    assert!(
        matches!(
            event,
            Some(InitiatorEvent::LoginFailed(LoginError::Exchange(crate::sasl::ExchangeError::ServerUnproven)))
        ),
        "{event:?}"
    );
}

#[test]
fn x11_unknown_accounts_look_like_wrong_passwords() {
    let login = |username: &str, password: &str| {
        let mut config = client_config();
        config.purpose = Purpose::Login { username: username.into(), credential: Credential::password(password) };
        let transport = Transport::Tls(facts());
        let mut pair = Pair::with(responder(transport.clone()), config, transport);
        pair.run();
        pair.log.client
    };
    assert_eq!(login("alice", "wrong"), login("nobody", PASSWORD));
}

#[test]
fn a_server_of_another_domain_is_not_ours() {
    let pair = attacked(Transport::Tls(facts()), |bytes| bytes.replace("from='example.org'", "from='example.com'"));
    assert_eq!(pair.ended.0, failed(Misbehaviour::UnknownHost));
}

#[test]
fn debug_output_is_redacted() {
    let mut pair = Pair::new(Transport::Tls(facts()));
    pair.run();
    let printed = format!("{:?} {:?}", pair.client, Credential::password(PASSWORD));
    assert!(!printed.contains(PASSWORD) && !printed.contains("@example.org"), "{printed}");
}
