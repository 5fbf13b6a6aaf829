//! The broker's end of a client stream.

use std::sync::Arc;

use bytes::Bytes;

use super::event::{ResponderConfig, ResponderEvent};
use super::features;
use crate::jid::Jid;
use crate::ns;
use crate::sasl::server::{AwaitClientFinal, ServerExchange};
use crate::sasl::{ChannelBindings, Mechanism, Offer};
use crate::stanza::{Kind, StanzaError};
use crate::stream::ack::{self, Handled, Unacked, parse_h};
use crate::stream::header::Header;
use crate::stream::wire::{Incoming, Wire};
use crate::stream::{Misbehaviour, Seed, StreamCondition, StreamError, TlsFacts, Transport};
use crate::xml::{Element, Frame, StreamHeader};

/// How much has been negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A plain connection: only STARTTLS.
    Plain,
    /// TLS is up: only a login or a registration.
    Secure,
    /// Logged in: only resource binding.
    Authenticated,
}

#[derive(Debug)]
pub(super) enum State {
    AwaitHeader(Stage),
    /// The features of the stage are sent.
    Negotiate(Stage),
    /// `<proceed/>` is sent: not one byte may come before the handshake.
    AwaitTls,
    /// `<auth/>` came without its first message.
    AwaitInitialResponse(Mechanism),
    /// **Question** to the caller: credentials.
    AwaitCredentials(Box<ServerExchange>),
    AwaitProof(Box<AwaitClientFinal>),
    /// **Question** to the caller: the answer to a registration IQ.
    AwaitPreAuthReply,
    /// **Question** to the caller: the resource.
    AwaitResource {
        iq_id: String,
    },
    /// Stanzas flow.
    Session,
}

/// The broker's end of a client stream: checks, logs in, binds, then carries stanzas.
///
/// See [`ResponderEvent`] for what it asks and reports.
#[derive(Debug)]
pub struct Responder {
    pub(super) config: Arc<ResponderConfig>,
    pub(super) wire: Wire,
    pub(super) tls: Option<Box<TlsFacts>>,
    pub(super) state: State,
    /// Which of the configured domains the client asked for.
    domain: Option<usize>,
    pub(super) failed_logins: u8,
    pub(super) username: Option<String>,
    jid: Option<Jid>,
    /// Present once acknowledgements are enabled.
    unacked: Option<Unacked<()>>,
    handled: Handled,
}

impl Responder {
    /// Begins a stream on a connection that a client opened.
    #[must_use]
    pub fn new(config: Arc<ResponderConfig>, transport: Transport, seed: Seed) -> Responder {
        let (stage, tls) = match transport {
            Transport::Plain => (Stage::Plain, None),
            Transport::Tls(facts) => (Stage::Secure, Some(Box::new(facts))),
        };
        Responder {
            wire: Wire::responder(ns::CLIENT, config.pre_auth_limits, seed, config.domains.first()),
            config,
            tls,
            state: State::AwaitHeader(stage),
            domain: None,
            failed_logins: 0,
            username: None,
            jid: None,
            unacked: None,
            handled: Handled::default(),
        }
    }

    /// Takes bytes from the connection, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        if matches!(self.state, State::AwaitTls) && !bytes.is_empty() {
            self.wire.fail(Misbehaviour::BytesBeforeTls.into());
            return;
        }
        self.wire.push(bytes);
    }

    /// TLS is up, after [`ResponderEvent::StartTls`].
    pub fn handle_tls(&mut self, facts: TlsFacts) {
        if matches!(self.state, State::AwaitTls) {
            self.tls = Some(Box::new(facts));
            self.wire.restart();
            self.state = State::AwaitHeader(Stage::Secure);
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
            if self.is_waiting_for_caller() {
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
            self.wire.write(&format!("<a xmlns='{}' h='{h}'/>", ns::SM));
        }
        let unrequested = self.unacked.as_ref().map_or(0, Unacked::unrequested);
        if unrequested >= self.config.ack_request_every {
            self.request_ack();
        }
        self.wire.take_output()
    }

    /// Answers [`ResponderEvent::PreAuthIq`]; later, sends a stanza.
    pub fn send_element(&mut self, element: &Element) {
        if matches!(self.state, State::AwaitPreAuthReply) {
            self.wire.write_element(element);
            self.state = State::Negotiate(Stage::Secure);
        } else {
            self.send(&Frame::from_element(element, ns::CLIENT));
        }
    }

    /// Sends a stanza. With acknowledgements on, the stream keeps it until the client has it, also when the stream is
    /// already over: see [`Responder::take_unacked`]. Returns whether it was taken.
    pub fn send(&mut self, frame: &Frame) -> bool {
        if !matches!(self.state, State::Session) {
            return false;
        }
        let taken = match &mut self.unacked {
            Some(unacked) => {
                unacked.push((), frame.clone());
                true
            }
            None => self.wire.is_open(),
        };
        self.wire.write_frame(frame);
        taken
    }

    /// Says that the caller has taken responsibility for `count` more stanzas, in the order in which they came.
    pub fn handled(&mut self, count: u32) {
        self.handled.handle(count);
    }

    /// Asks the client to acknowledge, where anything is unacknowledged; for the caller's timer.
    pub fn request_ack(&mut self) {
        if let Some(unacked) = self.unacked.as_mut().filter(|unacked| unacked.len() > 0) {
            unacked.requested();
            self.wire.write("<r xmlns='urn:xmpp:sm:3'/>");
        }
    }

    /// Returns how much memory is held for input that is not read to its end; nothing between two stanzas.
    #[must_use]
    pub fn held_input(&self) -> usize {
        self.wire.held_bytes()
    }

    /// The number and the size in bytes of the stanzas that the client has not acknowledged.
    #[must_use]
    pub fn unacked(&self) -> (usize, usize) {
        self.unacked.as_ref().map_or((0, 0), |unacked| (unacked.len(), unacked.bytes()))
    }

    /// Takes what the client has not acknowledged, oldest first: at the end of the stream this goes to other resources
    /// or to the offline store (XEP-0198 §4).
    pub fn take_unacked(&mut self) -> Vec<Frame> {
        let queue = self.unacked.as_mut().map(Unacked::take).unwrap_or_default();
        queue.into_iter().map(|((), frame)| frame).collect()
    }

    /// Writes a space, so that the connection does not look dead (RFC 6120 §4.6.1).
    pub fn keep_alive(&mut self) {
        self.wire.write(" ");
    }

    /// Closes the stream; `Ended` follows when the client has closed its side.
    pub fn close(&mut self) {
        self.wire.close();
    }

    /// Ends the stream with an error, for a reason that only the caller knows.
    pub fn fail(&mut self, condition: StreamCondition) {
        self.wire.fail(StreamError::Requested(condition));
    }

    /// The domain that the client asked for, once its header is here.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.and_then(|index| self.config.domains.get(index)).map(String::as_str)
    }

    /// The bound address.
    #[must_use]
    pub fn jid(&self) -> Option<&Jid> {
        self.jid.as_ref()
    }

    /// Answers [`ResponderEvent::Bind`].
    pub fn bound(&mut self, jid: &Jid) {
        let State::AwaitResource { iq_id } = &self.state else { return };
        let address = Element::new("jid", ns::BIND).with_text(jid.as_str());
        let result = Element::new("iq", ns::CLIENT)
            .with_attr("type", "result")
            .with_attr("id", iq_id.as_str())
            .with_child(Element::new("bind", ns::BIND).with_child(address));
        self.wire.write_element(&result);
        self.jid = Some(jid.clone());
        self.state = State::Session;
    }

    /// Answers [`ResponderEvent::Bind`] with a refusal; the client may ask again.
    pub fn bind_refused(&mut self, error: &StanzaError) {
        let State::AwaitResource { iq_id } = &self.state else { return };
        let refusal = Element::new("iq", ns::CLIENT)
            .with_attr("type", "error")
            .with_attr("id", iq_id.as_str())
            .with_child(error.to_element(ns::CLIENT));
        self.wire.write_element(&refusal);
        self.state = State::Negotiate(Stage::Authenticated);
    }

    fn is_waiting_for_caller(&self) -> bool {
        matches!(
            self.state,
            State::AwaitTls | State::AwaitCredentials(_) | State::AwaitPreAuthReply | State::AwaitResource { .. }
        )
    }

    pub(super) fn bindings(&self) -> ChannelBindings {
        self.tls.as_ref().map(|tls| tls.bindings()).unwrap_or_default()
    }

    pub(super) fn tls_version(&self) -> Option<crate::sasl::TlsVersion> {
        self.tls.as_ref().map(|tls| tls.version)
    }

    /// What this connection offers; always the same, so it is computed and not kept.
    pub(super) fn offer(&self) -> Offer {
        Offer::for_connection(&self.config.hashes, &self.bindings())
    }

    fn send_header(&mut self) {
        if let Some(domain) = self.domain.and_then(|index| self.config.domains.get(index)) {
            self.wire.respond_as(domain);
        }
        self.wire.send_header(None, None);
    }

    fn handle_header(&mut self, header: &StreamHeader) -> Result<Option<ResponderEvent>, StreamError> {
        let State::AwaitHeader(stage) = self.state else { return Err(Misbehaviour::UnexpectedElement.into()) };
        let checked = Header::parse(header, ns::CLIENT).and_then(|header| {
            let to = header.to.ok_or(Misbehaviour::Addressing)?;
            let index = self.config.domains.iter().position(|domain| *domain == to);
            index.ok_or(Misbehaviour::UnknownHost)
        });
        let checked = match checked {
            Ok(index) if self.domain.is_some_and(|before| before != index) => Err(Misbehaviour::HostChanged),
            other => other,
        };
        if let Ok(index) = checked {
            self.domain = Some(index);
        }
        self.send_header();
        checked?;
        match stage {
            Stage::Plain => self.wire.write(features::PLAIN),
            Stage::Secure => {
                let features = features::login(&self.config, &self.offer());
                self.wire.write(&features);
            }
            Stage::Authenticated => {
                let features = features::session(&self.config);
                self.wire.write(&features);
            }
        }
        self.state = State::Negotiate(stage);
        Ok(None)
    }

    fn handle_frame(&mut self, frame: Frame) -> Result<Option<ResponderEvent>, StreamError> {
        match &self.state {
            State::Session => self.handle_in_session(frame),
            State::Negotiate(Stage::Plain) => self.handle_on_plain(&frame),
            State::Negotiate(Stage::Secure) | State::AwaitInitialResponse(_) | State::AwaitProof(_) => {
                self.handle_before_login(&frame)
            }
            State::Negotiate(Stage::Authenticated) => self.handle_before_bind(&frame),
            State::AwaitHeader(_)
            | State::AwaitTls
            | State::AwaitCredentials(_)
            | State::AwaitPreAuthReply
            | State::AwaitResource { .. } => Err(Misbehaviour::UnexpectedElement.into()),
        }
    }

    fn handle_on_plain(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        if frame.is("starttls", ns::TLS) {
            self.wire.drop_space();
            if self.wire.has_buffered() {
                return Err(Misbehaviour::BytesBeforeTls.into());
            }
            self.wire.write("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            self.state = State::AwaitTls;
            return Ok(Some(ResponderEvent::StartTls));
        }
        if frame.is("auth", ns::SASL) {
            return Ok(Some(self.refuse_login(crate::sasl::SaslCondition::EncryptionRequired, Stage::Plain)));
        }
        Err(Misbehaviour::NotAuthenticated.into())
    }

    fn handle_before_bind(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        if frame.ns() == ns::SM {
            // XEP-0198 §3: not before a resource is bound
            self.write_ack_failure(frame)?;
            return Ok(None);
        }
        let is_request = frame.is("iq", ns::CLIENT) && frame.attr("type").as_deref() == Some("set");
        let bind = frame.root().child("bind", ns::BIND).filter(|_| is_request);
        let (Some(bind), Some(iq_id)) = (bind, frame.attr("id")) else {
            return Err(Misbehaviour::NotAuthenticated.into());
        };
        let resource = bind.child("resource", ns::BIND).map(|resource| resource.text().into_owned());
        self.state = State::AwaitResource { iq_id: iq_id.into_owned() };
        Ok(Some(ResponderEvent::Bind { resource: resource.filter(|resource| !resource.is_empty()) }))
    }

    fn handle_in_session(&mut self, frame: Frame) -> Result<Option<ResponderEvent>, StreamError> {
        let Some(kind) = Kind::of(frame.name(), frame.ns()).filter(|_| frame.ns() == ns::CLIENT) else {
            return if frame.ns() == ns::SM {
                self.handle_ack_element(&frame)
            } else {
                Err(Misbehaviour::UnexpectedElement.into())
            };
        };
        if frame.attr("from").is_some_and(|from| !self.is_own_address(&from)) {
            return Err(Misbehaviour::ForeignFrom.into());
        }
        if kind == Kind::Iq && self.unacked.is_none() && self.answer_session_request(&frame) {
            return Ok(None);
        }
        self.handled.received_one();
        Ok(Some(ResponderEvent::Stanza(frame)))
    }

    /// RFC 6120 §8.1.2.1: the bound address or its bare form.
    fn is_own_address(&self, from: &str) -> bool {
        let Some(jid) = &self.jid else { return false };
        let is_own = |text: &str| text == jid.as_str() || text == jid.bare_str();
        is_own(from) || Jid::parse(from).is_ok_and(|parsed| is_own(parsed.as_str()))
    }

    /// RFC 3921 §3: a formality that old clients wait for.
    fn answer_session_request(&mut self, frame: &Frame) -> bool {
        if frame.root().child("session", ns::SESSION).is_none() || frame.attr("type").as_deref() != Some("set") {
            return false;
        }
        let result = crate::stanza::reply_result(&frame.to_element(), None);
        self.wire.write_element(&result);
        true
    }

    fn handle_ack_element(&mut self, frame: &Frame) -> Result<Option<ResponderEvent>, StreamError> {
        match (frame.name(), &mut self.unacked) {
            ("enable", None) => {
                self.wire.write("<enabled xmlns='urn:xmpp:sm:3'/>");
                self.unacked = Some(Unacked::new());
                self.handled.enable();
                return Ok(Some(ResponderEvent::AcksEnabled));
            }
            ("enable", Some(_)) => return Err(Misbehaviour::AcksTwice.into()),
            ("r", Some(_)) => self.handled.asked(),
            ("a", Some(unacked)) => {
                unacked.acknowledge(parse_h(frame)?)?;
            }
            _ => self.write_ack_failure(frame)?,
        }
        Ok(None)
    }

    fn write_ack_failure(&mut self, frame: &Frame) -> Result<(), StreamError> {
        self.wire.write_element(&ack::failed(frame)?);
        Ok(())
    }
}
