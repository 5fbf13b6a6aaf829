//! The sending end of a server stream.

use std::collections::{BTreeSet, VecDeque};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::dialback::{self, Dialback, DialbackVerdict, DialbackVerify};
use super::event::{InitiatorConfig, InitiatorEvent};
use crate::ns;
use crate::stanza::Condition;
use crate::stream::ack::{Unacked, parse_h};
use crate::stream::c2s::Features;
use crate::stream::header::Header;
use crate::stream::wire::{Incoming, Wire};
use crate::stream::{Misbehaviour, Seed, StreamCondition, StreamError, TlsFacts, Transport};
use crate::xml::{Frame, StreamHeader};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitHeader,
    AwaitFeatures,
    AwaitProceed,
    AwaitTls,
    /// TLS is up; the caller is about to be asked.
    AskCertificate,
    /// **Question** to the caller: the certificate.
    AwaitCertificate,
    AwaitExternal,
    /// Dialback and stanzas.
    Open,
}

/// Stanzas that are sent before an acknowledgement is asked for; the end of a turn asks in any case.
const ACK_REQUEST_EVERY: u32 = 32;

/// Whether the peer acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acks {
    /// It does not, or was not asked yet.
    Off,
    /// `<enable/>` is sent; stanzas wait for the answer.
    Asked,
    On,
}

/// The sending end of a server stream.
///
/// See [`InitiatorEvent`] for what it asks and reports.
#[derive(Debug)]
pub struct Initiator {
    config: InitiatorConfig,
    wire: Wire,
    secure: bool,
    has_certificate: bool,
    authenticated: bool,
    state: State,
    stream_id: String,
    features: Features,
    /// Local and remote domain, accepted by the peer.
    pairs: BTreeSet<(String, String)>,
    /// Dialback keys without an answer.
    asked: BTreeSet<(String, String)>,
    /// Verifications without an answer: from, to, id.
    verifying: BTreeSet<(String, String, String)>,
    acks: Acks,
    unacked: Unacked<()>,
    /// Accepted pairs that the caller has not heard of, because it is not settled whether the peer acknowledges.
    unreported: VecDeque<(String, String)>,
}

impl Initiator {
    /// Begins a stream on a connection to the other server; its first bytes wait in `poll_output`.
    #[must_use]
    pub fn new(config: InitiatorConfig, transport: Transport, seed: Seed) -> Initiator {
        let (secure, has_certificate) = match &transport {
            Transport::Plain => (false, false),
            Transport::Tls(facts) => (true, facts.peer_certificate.is_some()),
        };
        let mut initiator = Initiator {
            wire: Wire::initiator(ns::SERVER, config.limits, seed),
            config,
            secure,
            has_certificate,
            authenticated: false,
            state: State::AwaitHeader,
            stream_id: String::new(),
            features: Features::default(),
            pairs: BTreeSet::new(),
            asked: BTreeSet::new(),
            verifying: BTreeSet::new(),
            acks: Acks::Off,
            unacked: Unacked::new(),
            unreported: VecDeque::new(),
        };
        if initiator.secure {
            initiator.state = State::AskCertificate;
        } else {
            initiator.open();
        }
        initiator
    }

    /// Takes bytes from the connection, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if self.state == State::AwaitTls && !bytes.is_empty() {
            self.wire.fail(Misbehaviour::BytesBeforeTls.into());
            return;
        }
        self.wire.push(bytes);
    }

    /// TLS is up, after [`InitiatorEvent::StartTls`].
    pub fn handle_tls(&mut self, facts: TlsFacts) {
        if self.state == State::AwaitTls {
            self.secure = true;
            self.has_certificate = facts.peer_certificate.is_some();
            self.wire.restart();
            self.state = State::AskCertificate;
        }
    }

    /// The connection ended.
    pub fn handle_eof(&mut self) {
        self.wire.lost();
    }

    /// Returns what happened next; `None` until there are more bytes or an answer.
    pub fn poll_event(&mut self) -> Option<InitiatorEvent> {
        loop {
            if let Some(ending) = self.wire.take_ending() {
                return Some(InitiatorEvent::Ended(ending));
            }
            match self.state {
                State::AskCertificate if self.has_certificate => {
                    self.state = State::AwaitCertificate;
                    return Some(InitiatorEvent::VerifyCertificate { domain: self.config.to.clone() });
                }
                State::AskCertificate => {
                    self.wire.fail(Misbehaviour::Certificate.into());
                    return self.wire.take_ending().map(InitiatorEvent::Ended);
                }
                State::AwaitTls | State::AwaitCertificate => return None,
                _ => {}
            }
            if self.acks != Acks::Asked
                && let Some((from, to)) = self.unreported.pop_front()
            {
                return Some(InitiatorEvent::Authorized { from, to });
            }
            let outcome = match self.wire.poll() {
                Some(Incoming::Header(header)) => self.handle_header(&header),
                Some(Incoming::Frame(frame)) => self.handle_frame(&frame),
                None => return self.wire.take_ending().map(InitiatorEvent::Ended),
            };
            match outcome {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(error) => self.wire.fail(error),
            }
        }
    }

    /// Everything to write now, in one piece. Call it once, after the events and stanzas of a turn: it ends with a request
    /// for acknowledgement where stanzas were sent.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if self.unacked.unrequested() > 0 {
            self.request_ack();
        }
        self.wire.take_output()
    }

    /// Returns how much memory is held for input that is not read to its end; nothing between two stanzas.
    #[must_use]
    pub fn held_input(&self) -> usize {
        self.wire.held_bytes()
    }

    /// Answers [`InitiatorEvent::VerifyCertificate`]; `false` ends the stream before anything is said on it.
    pub fn certificate_verified(&mut self, verified: bool) {
        if self.state != State::AwaitCertificate {
            return;
        }
        if verified {
            self.open();
        } else {
            self.wire.fail(Misbehaviour::Certificate.into());
        }
    }

    /// Sends a stanza of an authorized pair; returns whether it was taken. With acknowledgements on, the stream keeps it
    /// until the peer has it: see [`Initiator::take_unacked`].
    pub fn send(&mut self, frame: &Frame) -> bool {
        let may = !self.pairs.is_empty() && self.acks != Acks::Asked && self.wire.is_open();
        if !may {
            return false;
        }
        self.wire.write_frame(frame);
        if self.acks == Acks::On {
            self.unacked.push((), frame.clone());
            if self.unacked.unrequested() >= ACK_REQUEST_EVERY {
                self.request_ack(); // a peer that reads slowly has something to say before it is through
            }
        }
        true
    }

    /// Whether the peer acknowledges stanzas (XEP-0198); does not change after [`InitiatorEvent::Authorized`].
    #[must_use]
    pub fn has_acks(&self) -> bool {
        self.acks == Acks::On
    }

    /// The number and the size in bytes of the stanzas that the peer has not acknowledged. The caller bounds it by what it
    /// sends.
    #[must_use]
    pub fn unacked(&self) -> (usize, usize) {
        (self.unacked.len(), self.unacked.bytes())
    }

    /// Takes what the peer has not acknowledged, oldest first: after the end of the stream it is sent again or goes back.
    pub fn take_unacked(&mut self) -> Vec<Frame> {
        self.unacked.take().into_iter().map(|((), frame)| frame).collect()
    }

    fn request_ack(&mut self) {
        self.unacked.requested();
        self.wire.write("<r xmlns='urn:xmpp:sm:3'/>");
    }

    /// Whether stanzas may be sent from this local domain to this remote one.
    #[must_use]
    pub fn is_authorized(&self, from: &str, to: &str) -> bool {
        self.pairs.iter().any(|(local, remote)| local == from && remote == to)
    }

    /// Asks to send for a further pair of domains, by dialback. Returns whether that is possible on this stream.
    pub fn authorize(&mut self, from: &str, to: &str) -> bool {
        let Some(secret) = self.config.dialback_secret.as_ref().filter(|_| self.state == State::Open) else {
            return false;
        };
        if !self.asked.insert((from.to_owned(), to.to_owned())) {
            return true;
        }
        let claim = Dialback {
            is_verify: false,
            from: from.to_owned(),
            to: to.to_owned(),
            id: String::new(),
            verdict: None,
            key: dialback::key(secret, to, from, &self.stream_id),
        };
        self.wire.write(&claim.write());
        true
    }

    /// Asks the peer, as the server of `request.to`, whether it made this key. Returns whether that is possible now.
    pub fn verify(&mut self, request: &DialbackVerify) -> bool {
        if self.state != State::Open || !self.wire.is_open() {
            return false;
        }
        self.verifying.insert((request.from.clone(), request.to.clone(), request.id.clone()));
        let question = Dialback {
            is_verify: true,
            from: request.from.clone(),
            to: request.to.clone(),
            id: request.id.clone(),
            verdict: None,
            key: request.key.clone(),
        };
        self.wire.write(&question.write());
        true
    }

    /// The features that the peer offered last.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Writes a space, so that the connection does not look dead (RFC 6120 §4.6.1).
    pub fn keep_alive(&mut self) {
        self.wire.write(" ");
    }

    /// Closes the stream; `Ended` follows when the peer has closed its side.
    pub fn close(&mut self) {
        self.wire.close();
    }

    /// Ends the stream with an error, for a reason that only the caller knows.
    pub fn fail(&mut self, condition: StreamCondition) {
        self.wire.fail(StreamError::Requested(condition));
    }

    fn open(&mut self) {
        self.state = State::AwaitHeader;
        self.wire.send_header(Some(&self.config.from), Some(&self.config.to));
    }

    fn handle_header(&mut self, header: &StreamHeader) -> Result<Option<InitiatorEvent>, StreamError> {
        if self.state != State::AwaitHeader {
            return Err(Misbehaviour::UnexpectedElement.into());
        }
        let header = Header::parse(header, ns::SERVER)?;
        if header.from.is_some_and(|from| from != self.config.to) {
            return Err(Misbehaviour::UnknownHost.into());
        }
        self.stream_id = header.id.unwrap_or_default();
        self.state = State::AwaitFeatures;
        Ok(None)
    }

    fn handle_frame(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        match self.state {
            State::AwaitFeatures if frame.is("features", ns::STREAM) => {
                self.features = Features::new(frame.to_element());
                self.handle_features()
            }
            State::AwaitProceed if frame.is("proceed", ns::TLS) => {
                if self.wire.has_buffered() {
                    return Err(Misbehaviour::BytesBeforeTls.into());
                }
                self.state = State::AwaitTls;
                Ok(Some(InitiatorEvent::StartTls))
            }
            State::AwaitProceed => Err(Misbehaviour::TlsRefused.into()),
            State::AwaitExternal if frame.is("success", ns::SASL) => {
                self.authenticated = true;
                self.wire.restart_after_login();
                self.open();
                Ok(None)
            }
            State::AwaitExternal if frame.is("failure", ns::SASL) => Ok(self.opened()),
            State::Open if frame.ns() == ns::DIALBACK => self.handle_dialback(frame),
            State::Open if frame.ns() == ns::SM => self.handle_ack_element(frame),
            State::Open if frame.is("features", ns::STREAM) => Ok(None),
            _ => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }

    fn handle_features(&mut self) -> Result<Option<InitiatorEvent>, StreamError> {
        if !self.secure {
            if !self.features.starttls() {
                return Err(Misbehaviour::TlsNotOffered.into());
            }
            self.wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            self.state = State::AwaitProceed;
            return Ok(None);
        }
        let offers_external = self.features.offer().mechanisms.iter().any(|name| name == "EXTERNAL");
        if self.config.authenticate && self.config.external && offers_external && !self.authenticated {
            // XEP-0178 §3: name ourselves, because older servers rely on it
            self.wire.write(&format!(
                "<auth xmlns='{}' mechanism='EXTERNAL'>{}</auth>",
                ns::SASL,
                STANDARD.encode(&self.config.from)
            ));
            self.state = State::AwaitExternal;
            return Ok(None);
        }
        Ok(self.opened())
    }

    /// The negotiation is over. What follows is dialback, unless the certificate was enough.
    fn opened(&mut self) -> Option<InitiatorEvent> {
        self.state = State::Open;
        let (from, to) = (self.config.from.clone(), self.config.to.clone());
        if self.authenticated {
            self.authorized((from, to));
            return None;
        }
        if !self.config.authenticate {
            return Some(InitiatorEvent::Opened);
        }
        if self.authorize(&from, &to) {
            return Some(InitiatorEvent::Opened);
        }
        Some(InitiatorEvent::Refused { from, to, verdict: DialbackVerdict::Error(Condition::NotAuthorized) })
    }

    fn handle_dialback(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        let element = Dialback::parse(frame).ok_or(Misbehaviour::Addressing)?;
        let Some(verdict) = element.verdict else {
            return Err(Misbehaviour::UnexpectedElement.into()); // this stream goes one way
        };
        // addresses are swapped in an answer; an answer to nothing we asked is dropped (XEP-0220 §3.1)
        let (local, remote) = (element.to, element.from);
        if element.is_verify {
            let question = (local, remote, element.id);
            if !self.verifying.remove(&question) {
                return Ok(None);
            }
            let (from, to, id) = question;
            let request = DialbackVerify { from, to, id, key: String::new() };
            return Ok(Some(InitiatorEvent::DialbackVerified { request, verdict }));
        }
        let pair = (local, remote);
        if !self.asked.remove(&pair) {
            return Ok(None);
        }
        Ok(match verdict {
            DialbackVerdict::Valid => {
                self.authorized(pair);
                None
            }
            DialbackVerdict::Invalid | DialbackVerdict::Error(_) => {
                let (from, to) = pair;
                Some(InitiatorEvent::Refused { from, to, verdict })
            }
        })
    }

    /// The peer takes stanzas of this pair. The first one is the time to ask for acknowledgements (XEP-0198 §3).
    fn authorized(&mut self, pair: (String, String)) {
        if self.pairs.is_empty() && self.features.acks() {
            self.wire.write("<enable xmlns='urn:xmpp:sm:3'/>");
            self.acks = Acks::Asked;
        }
        self.pairs.insert(pair.clone());
        self.unreported.push_back(pair);
    }

    fn handle_ack_element(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        match (frame.name(), self.acks) {
            ("enabled", Acks::Asked) => self.acks = Acks::On,
            ("failed", Acks::Asked) => self.acks = Acks::Off,
            // no stanza comes this way, so none was handled
            ("r", Acks::On) => self.wire.write("<a xmlns='urn:xmpp:sm:3' h='0'/>"),
            ("a", Acks::On) => {
                let count = self.unacked.acknowledge(parse_h(frame)?)?.len();
                return Ok((count > 0).then_some(InitiatorEvent::Acknowledged(count)));
            }
            _ => return Err(Misbehaviour::UnexpectedElement.into()),
        }
        Ok(None)
    }
}
