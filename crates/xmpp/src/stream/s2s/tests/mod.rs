//! Both ends of server streams against each other, and hand-written peers against each end.

mod acks;
mod authenticated;
mod dialback_flow;
mod spoofing;

use std::sync::Arc;

use super::*;
use crate::ns;
use crate::stream::{
    DomainCheck, Ending, Misbehaviour, PeerCertificate, Seed, StreamError, TlsFacts, TlsVersion, Transport,
};
use crate::xml::{Element, Frame};
use zeroize::Zeroizing;

const SECRET: &[u8] = b"d14lb4ck43v3r";

/// A connection on which the peer showed a certificate for `domain`, or none.
fn facts(domain: Option<&'static str>) -> TlsFacts {
    TlsFacts {
        version: TlsVersion::Tls13,
        exporter: Some([7; 32]),
        server_end_point: None,
        peer_certificate: domain.map(|domain| PeerCertificate {
            verified_domain_check: DomainCheck::new(move |asked| asked == domain),
            chain: vec![vec![0x30]],
            spki_sha256: [3; 32],
        }),
    }
}

fn config() -> Arc<ResponderConfig> {
    Arc::new(ResponderConfig::new(vec!["south.example".into(), "rooms.south.example".into()]))
}

fn message(from: &str, to: &str) -> Frame {
    let element = Element::new("message", ns::SERVER).with_attr("from", from).with_attr("to", to);
    Frame::from_element(&element, ns::SERVER)
}

/// A connection from north to south.
struct Link {
    north: Initiator,
    south: Responder,
    north_shows: Option<&'static str>,
    south_shows: Option<&'static str>,
    /// South's answer to a dialback key.
    verdict: DialbackVerdict,
    north_log: Vec<InitiatorEvent>,
    south_log: Vec<ResponderEvent>,
    random: u64,
}

impl Link {
    fn new(transport: fn(Option<&'static str>) -> Transport, config_north: InitiatorConfig) -> Link {
        let (north_shows, south_shows) = (Some("north.example"), Some("south.example"));
        Link {
            north: Initiator::new(config_north, transport(south_shows), Seed::new([1; 32])),
            south: Responder::new(config(), transport(north_shows), Seed::new([2; 32])),
            north_shows,
            south_shows,
            verdict: DialbackVerdict::Valid,
            north_log: Vec::new(),
            south_log: Vec::new(),
            random: 1,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % bound.max(1)
    }

    fn run(&mut self) -> &mut Link {
        loop {
            let mut moved = self.north_events() | self.south_events();
            if let Some(bytes) = self.north.poll_output() {
                moved = true;
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (part, more) = rest.split_at(self.below(rest.len()) + 1);
                    self.south.handle_bytes(part);
                    self.south_events();
                    rest = more;
                }
            }
            if let Some(bytes) = self.south.poll_output() {
                moved = true;
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (part, more) = rest.split_at(self.below(rest.len()) + 1);
                    self.north.handle_bytes(part);
                    self.north_events();
                    rest = more;
                }
            }
            if !moved {
                return self;
            }
        }
    }

    fn north_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.north.poll_event() {
            moved = true;
            match &event {
                InitiatorEvent::StartTls => self.north.handle_tls(facts(self.south_shows)),
                InitiatorEvent::VerifyCertificate { domain } => {
                    self.north.certificate_verified(self.south_shows == Some(domain.as_str()));
                }
                _ => {}
            }
            self.north_log.push(event);
        }
        moved
    }

    fn south_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.south.poll_event() {
            moved = true;
            match &event {
                ResponderEvent::StartTls => {
                    let proceed = self.south.poll_output().unwrap();
                    self.north.handle_bytes(&proceed);
                    self.north_events();
                    self.south.handle_tls(facts(self.north_shows));
                }
                ResponderEvent::VerifyCertificate { domain } => {
                    self.south.certificate_verified(self.north_shows == Some(domain.as_str()));
                }
                ResponderEvent::DialbackKey(claim) => {
                    let verdict = self.verdict;
                    self.south.dialback_result(&claim.clone(), verdict);
                }
                ResponderEvent::DialbackVerify(request) => {
                    let verdict = dialback::is_ours(SECRET, request);
                    self.south.dialback_verified(&request.clone(), verdict);
                }
                _ => {}
            }
            self.south_log.push(event);
        }
        moved
    }

    fn authorized(&self) -> bool {
        self.north.is_authorized("north.example", "south.example")
    }

    fn stanzas(&self) -> usize {
        self.south_log.iter().filter(|event| matches!(event, ResponderEvent::Stanza(_))).count()
    }

    fn north_ended(&self) -> Option<&Ending> {
        self.north_log.iter().find_map(|event| match event {
            InitiatorEvent::Ended(ending) => Some(ending),
            _ => None,
        })
    }

    fn south_ended(&self) -> Option<&Ending> {
        self.south_log.iter().find_map(|event| match event {
            ResponderEvent::Ended(ending) => Some(ending),
            _ => None,
        })
    }
}

fn plain(_: Option<&'static str>) -> Transport {
    Transport::Plain
}

fn direct(shown: Option<&'static str>) -> Transport {
    Transport::Tls(facts(shown))
}

fn by_certificate() -> InitiatorConfig {
    InitiatorConfig::new("north.example", "south.example")
}

fn by_dialback() -> InitiatorConfig {
    InitiatorConfig { external: false, dialback_secret: Some(Zeroizing::new(SECRET.to_vec())), ..by_certificate() }
}

fn failed(rule: Misbehaviour) -> Ending {
    Ending::Failed(StreamError::PeerMisbehaved(rule))
}
