//! Both ends of client streams against each other, and hand-written peers against each end.

mod acks;
mod errors;
mod login;
mod security;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::jid::Jid;
use crate::sasl::{Credential, Hash, ScramVerifier};
use crate::stream::{Ending, Seed, TlsFacts, TlsVersion, Transport};
use crate::xml::{Element, Frame};

const PASSWORD: &str = "correct horse";

fn facts() -> TlsFacts {
    TlsFacts {
        version: TlsVersion::Tls13,
        exporter: Some([7; 32]),
        server_end_point: Some(vec![9; 32]),
        peer_certificate: None,
    }
}

fn config() -> ResponderConfig {
    ResponderConfig { iterations: 4096, ..ResponderConfig::new(vec!["example.org".into(), "example.net".into()]) }
}

fn responder(transport: Transport) -> Responder {
    Responder::new(Arc::new(config()), transport, Seed::new([1; 32]))
}

fn client_config() -> InitiatorConfig {
    let credential = Credential::password(PASSWORD);
    let mut config = InitiatorConfig::new("example.org", Purpose::Login { username: "alice".into(), credential });
    config.resource = Some("phone".into());
    config
}

fn message(body: &str) -> Frame {
    let body = Element::new("body", crate::ns::CLIENT).with_text(body);
    Frame::from_element(&Element::new("message", crate::ns::CLIENT).with_child(body), crate::ns::CLIENT)
}

/// What both ends reported, in short.
#[derive(Debug, Default)]
struct Log {
    client: Vec<String>,
    server: Vec<String>,
}

/// A broker with one account, a client, and the network between them, which cuts the bytes where it likes.
struct Pair {
    server: Responder,
    client: Initiator,
    log: Log,
    verifiers: BTreeMap<Hash, ScramVerifier>,
    random: u64,
    /// What the network does to the bytes towards the client.
    to_client: fn(String) -> String,
    /// What the client sends in front of each header after its login.
    space: &'static str,
    /// The connection that the client believes to have, if another than the server has.
    client_facts: TlsFacts,
    ended: (Option<Ending>, Option<Ending>),
    /// The form of the password that the server took.
    taken: Option<crate::sasl::PasswordForm>,
}

impl Pair {
    fn new(transport: Transport) -> Pair {
        Pair::with(responder(transport.clone()), client_config(), transport)
    }

    fn with(server: Responder, config: InitiatorConfig, transport: Transport) -> Pair {
        let verifier = |hash| ScramVerifier::derive(hash, PASSWORD, b"sixteen bytes !!", 4096).unwrap();
        Pair {
            server,
            client: Initiator::new(config, transport, Seed::new([2; 32])),
            log: Log::default(),
            verifiers: Hash::ALL.into_iter().map(|hash| (hash, verifier(hash))).collect(),
            random: 1,
            to_client: |bytes| bytes,
            space: "",
            taken: None,
            client_facts: facts(),
            ended: (None, None),
        }
    }

    /// A number below `bound`, by a linear congruential generator: tests repeat exactly.
    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % bound.max(1)
    }

    /// Runs both ends until nothing moves.
    fn run(&mut self) -> &mut Pair {
        loop {
            let mut moved = self.client_events();
            if let Some(bytes) = self.client.poll_output() {
                moved = true;
                let is_logged_in = self.log.server.iter().any(|line| line == "authenticated alice");
                let space = if is_logged_in && bytes.starts_with(b"<?xml") { self.space } else { "" };
                let bytes = [space.as_bytes(), &bytes].concat();
                self.deliver(&bytes, |pair, part| {
                    pair.server.handle_bytes(part);
                    pair.server_events();
                });
            }
            moved |= self.server_events();
            if let Some(bytes) = self.server.poll_output() {
                moved = true;
                let text = (self.to_client)(String::from_utf8(bytes.to_vec()).unwrap());
                self.deliver(text.as_bytes(), |pair, part| {
                    pair.client.handle_bytes(part);
                    pair.client_events();
                });
            }
            if !moved {
                return self;
            }
        }
    }

    fn deliver(&mut self, mut bytes: &[u8], handle: impl Fn(&mut Pair, &[u8])) {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(self.below(bytes.len()) + 1);
            handle(self, part);
            bytes = rest;
        }
    }

    fn server_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.server.poll_event() {
            moved = true;
            let line = match event {
                ResponderEvent::StartTls => {
                    // TLS starts when the answer is out, which is before the next byte comes in
                    let proceed = self.server.poll_output().unwrap();
                    self.client.handle_bytes(&proceed);
                    self.client_events();
                    self.server.handle_tls(facts());
                    "starttls".into()
                }
                ResponderEvent::Authenticate { username, mechanism } => {
                    let known = self.verifiers.get(&mechanism.hash).filter(|_| username == "alice");
                    self.server.provide_credentials(known.cloned(), [5; 16]);
                    format!("authenticate {username} {}", mechanism.name())
                }
                ResponderEvent::Authenticated { username, client_key } => {
                    assert_eq!(client_key.as_bytes().len(), client_key.hash().len_bytes());
                    format!("authenticated {username}")
                }
                ResponderEvent::LoginFailed { username, condition } => {
                    format!("login failed {} {}", username.unwrap_or_default(), condition.name())
                }
                ResponderEvent::PreAuthIq(iq) => {
                    self.server.send_element(&crate::stanza::reply_result(&iq, None));
                    "pre-auth iq".into()
                }
                ResponderEvent::Bind { resource } => {
                    let resource = resource.unwrap_or("made-up".into());
                    let jid = Jid::from_parts(Some("alice"), "example.org", Some(&resource)).unwrap();
                    self.server.bound(&jid);
                    format!("bind {resource}")
                }
                ResponderEvent::AcksEnabled => "acks".into(),
                ResponderEvent::Stanza(frame) => {
                    format!("stanza {}", frame.root().children().map(|c| c.text().into_owned()).collect::<String>())
                }
                ResponderEvent::Ended(ending) => {
                    self.ended.1 = Some(ending.clone());
                    format!("ended {ending:?}")
                }
            };
            self.log.server.push(line);
        }
        moved
    }

    fn client_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.client.poll_event() {
            moved = true;
            let line = match event {
                InitiatorEvent::StartTls => {
                    self.client.handle_tls(self.client_facts.clone());
                    "starttls".into()
                }
                InitiatorEvent::ReadyToRegister => "ready to register".into(),
                InitiatorEvent::PreAuthIq(iq) => format!("pre-auth {}", iq.attr("type").unwrap()),
                InitiatorEvent::Authenticated { keys, form } => {
                    self.taken = Some(form);
                    format!("authenticated {}", keys.hash().name())
                }
                InitiatorEvent::LoginFailed(error) => format!("login failed {error}"),
                InitiatorEvent::BindFailed(error) => format!("bind failed {}", error.unwrap()),
                InitiatorEvent::Ready { jid, acks } => format!("ready {} {acks}", jid.as_str()),
                InitiatorEvent::Acknowledged(ids) => format!("acknowledged {ids:?}"),
                InitiatorEvent::Stanza(frame) => {
                    format!("stanza {}", frame.root().children().map(|c| c.text().into_owned()).collect::<String>())
                }
                InitiatorEvent::Ended(ending) => {
                    self.ended.0 = Some(ending.clone());
                    format!("ended {ending:?}")
                }
            };
            self.log.client.push(line);
        }
        moved
    }
}

/// A peer written by hand: sends text to a responder and returns all that comes back.
struct Script {
    server: Responder,
    events: Vec<ResponderEvent>,
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";

impl Script {
    fn new(transport: Transport) -> Script {
        Script { server: responder(transport), events: Vec::new() }
    }

    fn say(&mut self, text: &str) -> String {
        self.server.handle_bytes(text.as_bytes());
        while let Some(event) = self.server.poll_event() {
            self.events.push(event);
        }
        let out = self.server.poll_output().unwrap_or_default();
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn ending(&self) -> Option<&Ending> {
        self.events.iter().find_map(|event| match event {
            ResponderEvent::Ended(ending) => Some(ending),
            _ => None,
        })
    }

    /// A stream on which alice has logged in and bound `phone`.
    fn in_session() -> Script {
        let mut pair = Pair::new(Transport::Tls(facts()));
        pair.to_client = |bytes| bytes.replace("<sm xmlns='urn:xmpp:sm:3'/>", "");
        pair.run();
        assert_eq!(pair.log.client.last().unwrap(), "ready alice@example.org/phone false");
        Script { server: pair.server, events: Vec::new() }
    }
}

/// The bodies of the stanzas among the events.
fn bodies(events: &[ResponderEvent]) -> Vec<String> {
    let stanza = |event: &ResponderEvent| match event {
        ResponderEvent::Stanza(frame) => Some(frame.root().children().map(|child| child.text().into_owned()).collect()),
        _ => None,
    };
    events.iter().filter_map(stanza).collect()
}
