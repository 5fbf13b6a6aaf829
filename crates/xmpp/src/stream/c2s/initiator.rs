//! The client's end of a client stream.

use bytes::Bytes;

use super::event::{InitiatorConfig, InitiatorEvent, Purpose};
use super::features::Features;
use crate::jid::Jid;
use crate::ns;
use crate::sasl::client::{AwaitServerFinal, ClientExchange};
use crate::sasl::select::Selection;
use crate::sasl::{Credential, ScramKeys};
use crate::stanza::{Kind, StanzaError};
use crate::stream::ack::{Handled, Unacked, parse_h};
use crate::stream::header::Header;
use crate::stream::wire::{Incoming, Wire};
use crate::stream::{Misbehaviour, Seed, StreamCondition, StreamError, TlsFacts, Transport};
use crate::xml::{Element, Frame, StreamHeader};

/// How much has been negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Plain,
    Secure,
    Authenticated,
}

#[derive(Debug)]
pub(super) enum State {
    AwaitHeader(Stage),
    AwaitFeatures(Stage),
    AwaitProceed,
    AwaitTls,
    /// The caller registers, or tries another password.
    BeforeLogin,
    AwaitChallenge {
        exchange: Box<ClientExchange>,
        selection: Selection,
    },
    AwaitProof(Box<AwaitServerFinal>),
    /// The server has proved itself in a challenge of its own; `<success/>` is still to come.
    AwaitSuccess(Box<ScramKeys>),
    AwaitBind {
        iq_id: String,
    },
    AwaitSession {
        iq_id: String,
    },
    AwaitEnabled,
    Session,
}

/// The client's end of a client stream: TLS, login, binding, then stanzas that are kept until they are acknowledged.
///
/// See [`InitiatorEvent`] for what it reports.
#[derive(Debug)]
pub struct Initiator {
    pub(super) config: InitiatorConfig,
    pub(super) wire: Wire,
    pub(super) tls: Option<TlsFacts>,
    pub(super) state: State,
    pub(super) features: Features,
    /// What to log in with; forgotten once it has served.
    pub(super) login: Option<(String, Credential)>,
    /// The other form of the password has not been tried.
    pub(super) tries_other_form: bool,
    jid: Option<Jid>,
    /// Whether the server acknowledges.
    acks: bool,
    unacked: Unacked<Option<u64>>,
    handled: Handled,
}

impl Initiator {
    /// Begins a stream on a connection to the server; its first bytes wait in `poll_output`.
    #[must_use]
    pub fn new(mut config: InitiatorConfig, transport: Transport, seed: Seed) -> Initiator {
        let (stage, tls) = match transport {
            Transport::Plain => (Stage::Plain, None),
            Transport::Tls(facts) => (Stage::Secure, Some(facts)),
        };
        let login = match std::mem::replace(&mut config.purpose, Purpose::Register) {
            Purpose::Login { username, credential } => Some((username, credential)),
            Purpose::Register => None,
        };
        let mut initiator = Initiator {
            wire: Wire::initiator(ns::CLIENT, config.limits, seed),
            config,
            tls,
            state: State::AwaitHeader(stage),
            features: Features::default(),
            login,
            tries_other_form: true,
            jid: None,
            acks: false,
            unacked: Unacked::new(),
            handled: Handled::default(),
        };
        initiator.open(stage);
        initiator
    }

    /// Takes bytes from the connection, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::AwaitTls) && !bytes.is_empty() {
            self.wire.fail(Misbehaviour::BytesBeforeTls.into());
            return;
        }
        self.wire.push(bytes);
    }

    /// TLS is up, after [`InitiatorEvent::StartTls`]. Whoever did the handshake has checked the server's certificate
    /// for the domain, or by the pin of an invite.
    pub fn handle_tls(&mut self, facts: TlsFacts) {
        if matches!(self.state, State::AwaitTls) {
            self.tls = Some(facts);
            self.wire.restart();
            self.open(Stage::Secure);
        }
    }

    /// The connection ended.
    pub fn handle_eof(&mut self) {
        self.wire.lost();
    }

    /// Returns what happened next; `None` until there are more bytes.
    pub fn poll_event(&mut self) -> Option<InitiatorEvent> {
        loop {
            if let Some(ending) = self.wire.take_ending() {
                return Some(InitiatorEvent::Ended(ending));
            }
            if matches!(self.state, State::AwaitTls) {
                return None;
            }
            let outcome = match self.wire.poll() {
                Some(Incoming::Header(header)) => self.handle_header(&header),
                Some(Incoming::Frame(frame)) => self.handle_frame(frame),
                None => return self.wire.take_ending().map(InitiatorEvent::Ended),
            };
            match outcome {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                Err(error) => self.wire.fail(error),
            }
        }
    }

    /// Everything to write now, in one piece. Call it once, after the events and commands of a turn: it ends with a
    /// request for acknowledgement where stanzas were sent.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if let Some(h) = self.handled.take_answer() {
            self.wire.write(&format!("<a xmlns='{}' h='{h}'/>", ns::SM));
        }
        if self.unacked.unrequested() > 0 {
            self.request_ack();
        }
        self.wire.take_output()
    }

    /// The features that the server offered last.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The bound address.
    #[must_use]
    pub fn jid(&self) -> Option<&Jid> {
        self.jid.as_ref()
    }

    /// Sends a stanza. `id` is the caller's name for it in [`InitiatorEvent::Acknowledged`]. Before
    /// [`InitiatorEvent::Ready`] nothing is taken; returns whether it was.
    pub fn send(&mut self, frame: &Frame, id: Option<u64>) -> bool {
        if !matches!(self.state, State::Session) || !self.wire.is_open() {
            return false;
        }
        self.wire.write_frame(frame);
        if self.acks {
            self.unacked.push(id, frame.clone());
        }
        true
    }

    /// Sends an IQ about registration before the login; later, a stanza without an id of the caller.
    pub fn send_element(&mut self, element: &Element) -> bool {
        if matches!(self.state, State::BeforeLogin) {
            self.wire.write_element(element);
            return true;
        }
        self.send(&Frame::from_element(element, ns::CLIENT), None)
    }

    /// Says that `count` more received stanzas are safe with the caller, in the order in which they came.
    pub fn handled(&mut self, count: u32) {
        self.handled.handle(count);
    }

    /// Asks the server to acknowledge, where anything is unacknowledged; for the caller's timer.
    pub fn request_ack(&mut self) {
        if self.unacked.len() > 0 {
            self.unacked.requested();
            self.wire.write("<r xmlns='urn:xmpp:sm:3'/>");
        }
    }

    /// The number and the size in bytes of the stanzas that the server has not acknowledged.
    #[must_use]
    pub fn unacked(&self) -> (usize, usize) {
        (self.unacked.len(), self.unacked.bytes())
    }

    /// Takes what the server has not acknowledged, oldest first: after the end of the stream it is sent again.
    pub fn take_unacked(&mut self) -> Vec<(Option<u64>, Frame)> {
        self.unacked.take()
    }

    /// Writes a space, so that the connection does not look dead (RFC 6120 §4.6.1).
    pub fn keep_alive(&mut self) {
        self.wire.write(" ");
    }

    /// Closes the stream, after telling the server what has been handled (XEP-0198 §4).
    pub fn close(&mut self) {
        if self.acks {
            self.wire.write(&format!("<a xmlns='{}' h='{}'/>", ns::SM, self.handled.h()));
        }
        self.wire.close();
    }

    /// Ends the stream with an error, for a reason that only the caller knows.
    pub fn fail(&mut self, condition: StreamCondition) {
        self.wire.fail(StreamError::Requested(condition));
    }

    pub(super) fn open(&mut self, stage: Stage) {
        self.state = State::AwaitHeader(stage);
        // `from` would tell the network who we are before TLS, and is not needed after it
        self.wire.send_header(None, Some(&self.config.domain));
    }

    fn handle_header(&mut self, header: &StreamHeader) -> Result<Option<InitiatorEvent>, StreamError> {
        let State::AwaitHeader(stage) = self.state else { return Err(Misbehaviour::UnexpectedElement.into()) };
        let header = Header::parse(header, ns::CLIENT)?;
        if header.from.is_some_and(|from| from != self.config.domain) {
            return Err(Misbehaviour::UnknownHost.into());
        }
        self.state = State::AwaitFeatures(stage);
        Ok(None)
    }

    fn handle_frame(&mut self, frame: Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        match &self.state {
            State::Session => self.handle_in_session(frame),
            State::AwaitFeatures(stage) => {
                let stage = *stage;
                self.handle_features(stage, &frame)
            }
            State::AwaitProceed => self.handle_proceed(&frame),
            State::BeforeLogin if frame.is("iq", ns::CLIENT) => Ok(Some(InitiatorEvent::PreAuthIq(frame.to_element()))),
            State::AwaitChallenge { .. } | State::AwaitProof(_) | State::AwaitSuccess(_) => self.handle_sasl(&frame),
            State::AwaitBind { .. } => self.handle_bind_answer(&frame),
            State::AwaitSession { iq_id } => {
                answer_to(iq_id, &frame)?;
                self.enable_acks()
            }
            State::AwaitEnabled => self.handle_enabled(&frame),
            State::AwaitHeader(_) | State::AwaitTls | State::BeforeLogin => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }

    fn handle_features(&mut self, stage: Stage, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        if !frame.is("features", ns::STREAM) {
            return Err(Misbehaviour::UnexpectedElement.into());
        }
        self.features = Features::new(frame.to_element());
        match stage {
            Stage::Plain if self.features.starttls() => {
                self.wire.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
                self.state = State::AwaitProceed;
                Ok(None)
            }
            Stage::Plain => Err(Misbehaviour::TlsNotOffered.into()),
            Stage::Secure => {
                self.state = State::BeforeLogin;
                match self.login.is_some() {
                    true => Ok(self.start_login()),
                    false => Ok(Some(InitiatorEvent::ReadyToRegister)),
                }
            }
            Stage::Authenticated => self.bind(),
        }
    }

    fn handle_proceed(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        if !frame.is("proceed", ns::TLS) {
            return Err(Misbehaviour::TlsRefused.into());
        }
        if self.wire.has_buffered() {
            return Err(Misbehaviour::BytesBeforeTls.into());
        }
        self.state = State::AwaitTls;
        Ok(Some(InitiatorEvent::StartTls))
    }

    fn bind(&mut self) -> Result<Option<InitiatorEvent>, StreamError> {
        if self.features.get("bind", ns::BIND).is_none() {
            return Err(Misbehaviour::FeatureMissing.into());
        }
        let mut bind = Element::new("bind", ns::BIND);
        if let Some(resource) = &self.config.resource {
            bind.push(Element::new("resource", ns::BIND).with_text(resource));
        }
        let iq_id = self.wire.entropy.token();
        self.wire.write_element(&crate::stanza::iq("set", &iq_id, None, bind));
        self.state = State::AwaitBind { iq_id };
        Ok(None)
    }

    fn handle_bind_answer(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        let State::AwaitBind { iq_id } = &self.state else { return Err(Misbehaviour::BadAnswer.into()) };
        let answer = answer_to(iq_id, frame)?;
        if answer.attr("type") == Some("error") {
            let error = StanzaError::of_stanza(&answer);
            self.wire.close();
            return Ok(Some(InitiatorEvent::BindFailed(error)));
        }
        let address = answer.child("bind", ns::BIND).and_then(|bind| bind.child_text("jid", ns::BIND));
        let jid = address.and_then(|address| Jid::parse(address.trim()).ok()).filter(|jid| !jid.is_bare());
        self.jid = Some(jid.ok_or(Misbehaviour::BadAnswer)?);
        if self.features.needs_session() {
            let iq_id = self.wire.entropy.token();
            self.wire.write_element(&crate::stanza::iq("set", &iq_id, None, Element::new("session", ns::SESSION)));
            self.state = State::AwaitSession { iq_id };
            return Ok(None);
        }
        self.enable_acks()
    }

    fn enable_acks(&mut self) -> Result<Option<InitiatorEvent>, StreamError> {
        if self.config.use_acks && self.features.acks() {
            self.wire.write("<enable xmlns='urn:xmpp:sm:3'/>");
            self.state = State::AwaitEnabled;
            return Ok(None);
        }
        self.ready()
    }

    fn handle_enabled(&mut self, frame: &Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        if frame.is("enabled", ns::SM) || frame.is("failed", ns::SM) {
            self.acks = frame.name() == "enabled";
            if self.acks {
                self.handled.enable();
            }
            return self.ready();
        }
        // a server may deliver before it answers; those stanzas are not counted (XEP-0198 §4)
        match Kind::of(frame.name(), frame.ns()) {
            Some(_) => {
                self.handled.received_one();
                Ok(Some(InitiatorEvent::Stanza(frame.clone())))
            }
            None => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }

    fn ready(&mut self) -> Result<Option<InitiatorEvent>, StreamError> {
        self.state = State::Session;
        let jid = self.jid.clone().ok_or(Misbehaviour::BadAnswer)?;
        Ok(Some(InitiatorEvent::Ready { jid, acks: self.acks }))
    }

    fn handle_in_session(&mut self, frame: Frame) -> Result<Option<InitiatorEvent>, StreamError> {
        if frame.ns() == ns::CLIENT && Kind::of(frame.name(), frame.ns()).is_some() {
            self.handled.received_one();
            return Ok(Some(InitiatorEvent::Stanza(frame)));
        }
        match (frame.ns(), frame.name()) {
            (ns::SM, "r") if self.acks => {
                self.handled.asked();
                Ok(None)
            }
            (ns::SM, "a") if self.acks => {
                let ids: Vec<u64> = self.unacked.acknowledge(parse_h(&frame)?)?.into_iter().flatten().collect();
                Ok((!ids.is_empty()).then_some(InitiatorEvent::Acknowledged(ids)))
            }
            // features may be announced again at any time and mean nothing new to us
            (ns::STREAM, "features") => Ok(None),
            _ => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }
}

/// The answer to our own request: from the server itself, with our id.
fn answer_to(iq_id: &str, frame: &Frame) -> Result<Element, StreamError> {
    let is_answer = matches!(frame.attr("type").as_deref(), Some("result" | "error"));
    if frame.is("iq", ns::CLIENT) && is_answer && frame.attr("id").as_deref() == Some(iq_id) {
        Ok(frame.to_element())
    } else {
        Err(Misbehaviour::BadAnswer.into())
    }
}
