//! The receiving end of a server stream.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::dialback::{Dialback, DialbackKey, DialbackVerdict, DialbackVerify, KEY_MAX};
use super::event::{ResponderConfig, ResponderEvent};
use crate::jid::Jid;
use crate::ns;
use crate::sasl::SaslCondition;
use crate::stanza::{Condition, Kind};
use crate::stream::ack::{self, AckError, Handled, parse_h};
use crate::stream::header::Header;
use crate::stream::wire::{Incoming, Wire};
use crate::stream::{Misbehaviour, Seed, StreamCondition, StreamError, TlsFacts, Transport};
use crate::xml::{Frame, StreamHeader};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitHeader,
    /// A plain connection: only STARTTLS.
    AwaitStartTls,
    AwaitTls,
    /// **Question** to the caller: the certificate.
    AwaitCertificate,
    /// EXTERNAL, dialback, and stanzas of what is proved.
    Open,
}

/// The receiving end of a server stream.
///
/// See [`ResponderEvent`] for what it asks and reports.
#[derive(Debug)]
pub struct Responder {
    config: Arc<ResponderConfig>,
    wire: Wire,
    secure: bool,
    has_certificate: bool,
    state: State,
    stream_id: String,
    /// The domain that the header claims.
    claimed: Option<String>,
    /// The domain in the header's `to`.
    local: Option<String>,
    /// Whether the certificate proves the claimed domain.
    verified: bool,
    /// The domain proved by EXTERNAL.
    authenticated: Option<String>,
    /// Remote and local domain, proved by dialback.
    pairs: BTreeSet<(String, String)>,
    /// Dialback claims that the caller has not answered.
    asked: BTreeSet<(String, String)>,
    /// The peer has switched acknowledgements on.
    acks: bool,
    handled: Handled,
}

impl Responder {
    /// Begins a stream on a connection that another server opened.
    #[must_use]
    pub fn new(config: Arc<ResponderConfig>, transport: Transport, seed: Seed) -> Responder {
        let (secure, has_certificate) = match &transport {
            Transport::Plain => (false, false),
            Transport::Tls(facts) => (true, facts.peer_certificate.is_some()),
        };
        Responder {
            wire: Wire::responder(ns::SERVER, config.pre_auth_limits, seed, config.domains.first()),
            config,
            secure,
            has_certificate,
            state: State::AwaitHeader,
            stream_id: String::new(),
            claimed: None,
            local: None,
            verified: false,
            authenticated: None,
            pairs: BTreeSet::new(),
            asked: BTreeSet::new(),
            acks: false,
            handled: Handled::default(),
        }
    }

    /// Takes bytes from the connection, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.state == State::AwaitTls && !bytes.is_empty() {
            self.wire.fail(Misbehaviour::BytesBeforeTls.into());
            return;
        }
        self.wire.push(bytes);
    }

    /// TLS is up, after [`ResponderEvent::StartTls`].
    pub fn handle_tls(&mut self, facts: TlsFacts) {
        if self.state == State::AwaitTls {
            self.secure = true;
            self.has_certificate = facts.peer_certificate.is_some();
            self.wire.restart();
            self.state = State::AwaitHeader;
        }
    }

    /// The connection ended.
    pub fn handle_eof(&mut self) {
        self.wire.lost();
    }

    /// Returns what happened next; `None` until there are more bytes or an answer.
    pub fn poll_event(&mut self) -> Option<ResponderEvent> {
        loop {
            if let Some(ending) = self.wire.take_ending() {
                return Some(ResponderEvent::Ended(ending));
            }
            if matches!(self.state, State::AwaitTls | State::AwaitCertificate) {
                return None;
            }
            let outcome = match self.wire.poll() {
                Some(Incoming::Header(header)) => self.handle_header(&header),
                Some(Incoming::Frame(frame)) => self.handle_frame(frame),
                None => return self.wire.take_ending().map(ResponderEvent::Ended),
            };
            match outcome {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(error) => self.wire.fail(error),
            }
        }
    }

    /// Everything to write now, in one piece. Call it once, after the events of a turn.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if let Some(h) = self.handled.take_answer() {
            self.write_ack(h);
        }
        self.wire.take_output()
    }

    /// Returns how much memory is held for input that is not read to its end; nothing between two stanzas.
    #[must_use]
    pub fn held_input(&self) -> usize {
        self.wire.held_bytes()
    }

    /// Answers [`ResponderEvent::VerifyCertificate`].
    pub fn certificate_verified(&mut self, verified: bool) {
        if self.state == State::AwaitCertificate {
            self.verified = verified;
            self.write_features();
        }
    }

    /// Answers [`ResponderEvent::DialbackKey`]; answers to what was not asked are dropped.
    pub fn dialback_result(&mut self, claim: &DialbackKey, verdict: DialbackVerdict) {
        let pair = (claim.from.clone(), claim.to.clone());
        if claim.stream_id != self.stream_id || !self.asked.remove(&pair) {
            return;
        }
        self.write_result(&pair.0, &pair.1, verdict);
        match verdict {
            DialbackVerdict::Valid => {
                self.pairs.insert(pair);
                self.wire.set_limits(self.config.limits);
            }
            // XEP-0220 §2.2.1: with nothing proved there is no reason to keep the stream
            DialbackVerdict::Invalid if !self.has_proof() => self.wire.close(),
            DialbackVerdict::Invalid | DialbackVerdict::Error(_) => {}
        }
    }

    /// Answers [`ResponderEvent::DialbackVerify`].
    pub fn dialback_verified(&mut self, request: &DialbackVerify, verdict: DialbackVerdict) {
        let answer = Dialback {
            is_verify: true,
            from: request.to.clone(),
            to: request.from.clone(),
            id: request.id.clone(),
            verdict: Some(verdict),
            key: String::new(),
        };
        self.wire.write(&answer.write());
    }

    /// Whether stanzas from this domain to this local domain are accepted.
    #[must_use]
    pub fn accepts(&self, from: &str, to: &str) -> bool {
        self.authenticated.as_deref() == Some(from) && self.is_local(to)
            || self.pairs.iter().any(|(remote, local)| remote == from && local == to)
    }

    /// The domain that the peer's header claims; unproved.
    #[must_use]
    pub fn claimed_domain(&self) -> Option<&str> {
        self.claimed.as_deref()
    }

    /// The id of the stream.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Says that the caller has taken responsibility for `count` more stanzas, in the order in which they came.
    pub fn handled(&mut self, count: u32) {
        self.handled.handle(count);
    }

    /// Closes the stream, after telling the peer what has been handled (XEP-0198 §4); `Ended` follows when the peer has
    /// closed its side.
    pub fn close(&mut self) {
        if self.acks {
            self.write_ack(self.handled.h());
        }
        self.wire.close();
    }

    /// Ends the stream with an error, for a reason that only the caller knows.
    pub fn fail(&mut self, condition: StreamCondition) {
        self.wire.fail(StreamError::Requested(condition));
    }

    fn is_local(&self, domain: &str) -> bool {
        self.config.domains.iter().any(|local| local == domain)
    }

    fn send_header(&mut self) {
        if let Some(local) = &self.local {
            self.wire.respond_as(local);
        }
        self.stream_id = self.wire.send_header(None, self.claimed.as_deref()).unwrap_or_default();
    }

    fn handle_header(&mut self, header: &StreamHeader) -> Result<Option<ResponderEvent>, StreamError> {
        let checked = Header::parse(header, ns::SERVER).and_then(|header| {
            let to = header.to.ok_or(Misbehaviour::Addressing)?;
            let from = header.from.map(|from| super::dialback::domain(&from).ok_or(Misbehaviour::Addressing));
            if self.is_local(&to) { Ok((to, from.transpose()?)) } else { Err(Misbehaviour::UnknownHost) }
        });
        let checked = checked.and_then(|(to, from)| {
            // what was proved was proved for this claim
            let changed = self.authenticated.is_some() && from.is_some() && from != self.claimed;
            if changed { Err(Misbehaviour::HostChanged) } else { Ok((to, from)) }
        });
        if let Ok((to, from)) = &checked {
            self.local = Some(to.clone());
            self.claimed = from.clone().or(self.authenticated.clone());
        }
        self.send_header();
        checked?;
        if !self.secure {
            self.wire.write(
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
                 </stream:features>",
            );
            self.state = State::AwaitStartTls;
            return Ok(None);
        }
        if let (Some(domain), true, None) = (&self.claimed, self.has_certificate, &self.authenticated) {
            self.state = State::AwaitCertificate;
            return Ok(Some(ResponderEvent::VerifyCertificate { domain: domain.clone() }));
        }
        self.write_features();
        Ok(None)
    }

    /// EXTERNAL only for a certificate that is believed; dialback always, because each pair may be proved that way.
    fn write_features(&mut self) {
        let mut xml = String::from("<stream:features>");
        if self.verified && self.authenticated.is_none() {
            xml.push_str(
                "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
            );
        }
        xml.push_str("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        // there are no other features after dialback, so this is said before it can be used (XEP-0198 §3)
        xml.push_str("<sm xmlns='urn:xmpp:sm:3'/>");
        let limits = if self.authenticated.is_some() { self.config.limits } else { self.config.pre_auth_limits };
        xml.push_str(&crate::stream::limits_feature(limits, self.config.idle_seconds));
        xml.push_str("</stream:features>");
        self.wire.write(&xml);
        self.state = State::Open;
    }

    fn handle_frame(&mut self, frame: Frame) -> Result<Option<ResponderEvent>, StreamError> {
        match self.state {
            State::AwaitStartTls if frame.is("starttls", ns::TLS) => {
                self.wire.drop_space();
                if self.wire.has_buffered() {
                    return Err(Misbehaviour::BytesBeforeTls.into());
                }
                self.wire.write("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                self.state = State::AwaitTls;
                Ok(Some(ResponderEvent::StartTls))
            }
            State::AwaitStartTls => Err(Misbehaviour::NotAuthenticated.into()),
            State::Open => match frame.ns() {
                ns::SERVER => self.handle_stanza(frame).map(Some),
                ns::DIALBACK => self.handle_dialback(&frame),
                ns::SASL => self.handle_sasl(&frame),
                ns::SM => self.handle_ack_element(&frame),
                ns::TLS => {
                    self.wire.write("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                    Err(Misbehaviour::TlsTwice.into())
                }
                _ => Err(Misbehaviour::UnexpectedElement.into()),
            },
            State::AwaitHeader | State::AwaitTls | State::AwaitCertificate => {
                Err(Misbehaviour::UnexpectedElement.into())
            }
        }
    }

    /// Attack X08: both addresses are there, the sender's domain is proved for the receiver's.
    fn handle_stanza(&mut self, frame: Frame) -> Result<ResponderEvent, StreamError> {
        if Kind::of(frame.name(), frame.ns()).is_none() {
            return Err(Misbehaviour::UnexpectedElement.into());
        }
        if !self.has_proof() {
            return Err(Misbehaviour::NotAuthenticated.into());
        }
        let (from, to) = (frame.attr("from"), frame.attr("to"));
        let (Some(from), Some(to)) = (from, to) else { return Err(Misbehaviour::Addressing.into()) };
        if !self.accepts(domain_in(&from), domain_in(&to)) {
            // the short cut compares as written; an address may be written in more than one way
            let from = Jid::parse(&from).map_err(|_| Misbehaviour::Addressing)?;
            let to = Jid::parse(&to).map_err(|_| Misbehaviour::Addressing)?;
            if !self.is_local(to.domainpart()) {
                return Err(Misbehaviour::UnknownHost.into());
            }
            if !self.accepts(from.domainpart(), to.domainpart()) {
                return Err(Misbehaviour::ForeignFrom.into());
            }
        }
        self.handled.received_one();
        Ok(ResponderEvent::Stanza(frame))
    }

    /// Acknowledgements, once any domain is proved (XEP-0198 §3).
    fn handle_ack_element(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        match (frame.name(), self.acks) {
            ("enable", false) if self.has_proof() => {
                self.wire.write("<enabled xmlns='urn:xmpp:sm:3'/>");
                self.acks = true;
                self.handled.enable();
                return Ok(Some(ResponderEvent::AcksEnabled));
            }
            ("enable", true) => return Err(Misbehaviour::AcksTwice.into()),
            ("r", true) => self.handled.asked(),
            ("a", true) => match parse_h(frame)? {
                0 => {} // no stanza goes this way
                h => return Err(AckError::HandledTooMany { h, sent: 0 }.into()),
            },
            _ => self.wire.write_element(&ack::failed(frame)?),
        }
        Ok(None)
    }

    fn write_ack(&mut self, h: u32) {
        self.wire.write(&format!("<a xmlns='{}' h='{h}'/>", ns::SM));
    }

    fn has_proof(&self) -> bool {
        self.authenticated.is_some() || !self.pairs.is_empty()
    }

    fn handle_sasl(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        let Some(domain) = self.claimed.clone().filter(|_| self.verified && self.authenticated.is_none()) else {
            return self.refuse_external(SaslCondition::InvalidMechanism);
        };
        if !frame.is("auth", ns::SASL) {
            return Err(Misbehaviour::UnexpectedElement.into());
        }
        if frame.attr("mechanism").as_deref() != Some("EXTERNAL") {
            return self.refuse_external(SaslCondition::InvalidMechanism);
        }
        let text = frame.root().text();
        if !matches!(&*text, "" | "=") {
            let Some(authzid) = STANDARD.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
            else {
                return self.refuse_external(SaslCondition::IncorrectEncoding);
            };
            if super::dialback::domain(&authzid).as_deref() != Some(domain.as_str()) {
                return self.refuse_external(SaslCondition::InvalidAuthzid);
            }
        }
        self.wire.write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        self.wire.set_limits(self.config.limits);
        self.wire.restart_after_login();
        self.authenticated = Some(domain.clone());
        self.state = State::AwaitHeader;
        Ok(Some(ResponderEvent::Authenticated { domain }))
    }

    /// XEP-0178 §3: after a refusal dialback may still succeed, so the stream goes on.
    fn refuse_external(&mut self, condition: SaslCondition) -> Result<Option<ResponderEvent>, StreamError> {
        self.wire.write(&format!("<failure xmlns='{}'><{}/></failure>", ns::SASL, condition.name()));
        self.verified = false;
        Ok(None)
    }

    fn handle_dialback(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        let element = Dialback::parse(frame).filter(|element| element.verdict.is_none());
        let Some(Dialback { is_verify, from, to, id, key, .. }) = element else {
            return Err(Misbehaviour::Addressing.into());
        };
        if key.len() > KEY_MAX {
            return Err(Misbehaviour::LongKey.into());
        }
        if is_verify {
            let request = DialbackVerify { from, to, id, key };
            if !self.is_local(&request.to) {
                self.dialback_verified(&request, DialbackVerdict::Error(Condition::ItemNotFound));
                return Ok(None);
            }
            return Ok(Some(ResponderEvent::DialbackVerify(request)));
        }
        if !self.is_local(&to) {
            self.write_result(&from, &to, DialbackVerdict::Error(Condition::ItemNotFound));
            return Ok(None);
        }
        if self.accepts(&from, &to) {
            self.write_result(&from, &to, DialbackVerdict::Valid);
            return Ok(None);
        }
        if self.asked.len() + self.pairs.len() >= self.config.max_pairs {
            self.write_result(&from, &to, DialbackVerdict::Error(Condition::ResourceConstraint));
            return Ok(None);
        }
        if !self.asked.insert((from.clone(), to.clone())) {
            return Ok(None); // asked twice, answered once
        }
        let stream_id = self.stream_id.clone();
        Ok(Some(ResponderEvent::DialbackKey(DialbackKey { from, to, stream_id, key })))
    }

    fn write_result(&mut self, from: &str, to: &str, verdict: DialbackVerdict) {
        let answer = Dialback {
            is_verify: false,
            from: to.to_owned(),
            to: from.to_owned(),
            id: String::new(),
            verdict: Some(verdict),
            key: String::new(),
        };
        self.wire.write(&answer.write());
    }
}

/// The domain of an address as it is written.
fn domain_in(address: &str) -> &str {
    let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}
