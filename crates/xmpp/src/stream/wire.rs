//! What all stream machines share: the scanner, one output buffer, the end.

use bytes::Bytes;

use super::ack::AckError;
use super::entropy::{Entropy, Seed};
use super::error::{Ending, Misbehaviour, StreamCondition, StreamError};
use super::header::Outgoing;
use crate::ns;
use crate::stanza::Kind;
use crate::xml::{Element, Frame, Limits, StreamHeader, StreamScanner, Token, XmlError, escape_text};

/// Bytes that a peer may send while nobody reads, for example while a question to the caller is open. More than a peer
/// sends who waits for answers as RFC 6120 §6.4 says. Less where stanzas are small, as before the peer has proved who it
/// is: see [`unread_max`].
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// How many stanzas of the largest size may lie unread.
const MAX_UNREAD_STANZAS: usize = 4;

const fn unread_max(limits: &Limits) -> usize {
    let bytes = limits.stanza_bytes.saturating_mul(MAX_UNREAD_STANZAS);
    if bytes < MAX_UNREAD_BYTES { bytes } else { MAX_UNREAD_BYTES }
}

/// How far a stream is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// We have sent the closing tag and wait for the peer's.
    Closing,
    /// Nothing is read or written any more.
    Over,
}

/// What a machine gets to see of the peer's stream.
pub(super) enum Incoming {
    Header(StreamHeader),
    Frame(Frame),
}

/// One stream on one connection.
#[derive(Debug)]
pub(super) struct Wire {
    content_ns: &'static str,
    scanner: StreamScanner,
    /// Bytes pushed since the scanner was last asked.
    unread_bytes: usize,
    /// Most of them.
    unread_max: usize,
    out: Vec<u8>,
    pub(super) entropy: Entropy,
    header_sent: bool,
    /// The responding end names itself in every header, also in one that only carries an error (RFC 6120 §4.9.1.2).
    respond_as: Option<String>,
    phase: Phase,
    ending: Option<Ending>,
}

impl Wire {
    pub(super) fn initiator(content_ns: &'static str, limits: Limits, seed: Seed) -> Wire {
        Wire {
            content_ns,
            scanner: StreamScanner::new(limits),
            unread_bytes: 0,
            unread_max: unread_max(&limits),
            out: Vec::new(),
            entropy: Entropy::new(seed),
            header_sent: false,
            respond_as: None,
            phase: Phase::Open,
            ending: None,
        }
    }

    pub(super) fn responder(content_ns: &'static str, limits: Limits, seed: Seed, domain: Option<&String>) -> Wire {
        let respond_as = Some(domain.cloned().unwrap_or_default());
        Wire { respond_as, ..Wire::initiator(content_ns, limits, seed) }
    }

    /// The domain that the peer asked for.
    pub(super) fn respond_as(&mut self, domain: &str) {
        self.respond_as = Some(domain.to_owned());
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.phase == Phase::Over {
            return;
        }
        self.unread_bytes = self.unread_bytes.saturating_add(bytes.len());
        if self.unread_bytes > self.unread_max {
            self.fail(XmlError::TooLarge.into());
            return;
        }
        self.scanner.push(bytes);
    }

    /// The next token; the peer's closing tag, its stream error and XML errors are dealt with here.
    pub(super) fn poll(&mut self) -> Option<Incoming> {
        self.unread_bytes = 0;
        while self.phase != Phase::Over {
            match self.scanner.poll() {
                Ok(Some(Token::Open(header))) => return Some(Incoming::Header(header)),
                Ok(Some(Token::Frame(frame))) if frame.is("error", ns::STREAM) => {
                    let known = frame.root().children().find_map(|child| StreamCondition::parse(child.name()));
                    self.send_close();
                    self.end(Ending::PeerError(known.unwrap_or(StreamCondition::UndefinedCondition)));
                }
                Ok(Some(Token::Frame(frame))) if self.is_negotiation_after_close(&frame) => {}
                Ok(Some(Token::Frame(frame))) => return Some(Incoming::Frame(frame)),
                Ok(Some(Token::Close)) => {
                    self.send_close();
                    self.end(Ending::Closed);
                }
                Ok(None) => return None,
                Err(error) => self.fail(error.into()),
            }
        }
        None
    }

    /// Answers to what we no longer ask may still be on their way after we closed; stanzas and their acknowledgements
    /// count until the peer closes too (RFC 6120 §4.4).
    fn is_negotiation_after_close(&self, frame: &Frame) -> bool {
        self.phase == Phase::Closing && Kind::of(frame.name(), frame.ns()).is_none() && frame.ns() != ns::SM
    }

    /// Ends the stream because of what the peer did.
    pub(super) fn fail(&mut self, error: StreamError) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase == Phase::Open {
            self.send_header(None, None);
            self.write_error(&error);
            self.send_close();
        }
        self.end(Ending::Failed(error));
    }

    /// Closes the stream without an error and waits for the peer to do the same.
    pub(super) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.send_header(None, None);
            self.send_close();
            self.phase = Phase::Closing;
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        if self.phase != Phase::Over {
            self.end(Ending::Lost);
        }
    }

    fn end(&mut self, ending: Ending) {
        self.phase = Phase::Over;
        self.ending = Some(ending);
    }

    fn send_close(&mut self) {
        if self.phase == Phase::Open && self.header_sent {
            self.out.extend_from_slice(b"</stream:stream>");
        }
    }

    fn write_error(&mut self, error: &StreamError) {
        let condition = StreamCondition::from(error).as_str();
        let mut xml = format!("<stream:error><{condition} xmlns='{}'/>", ns::STREAM_ERRORS);
        if let StreamError::PeerMisbehaved(rule) = error {
            xml.push_str(&format!("<text xmlns='{}' xml:lang='en'>", ns::STREAM_ERRORS));
            escape_text(&mut xml, &rule.to_string());
            xml.push_str("</text>");
            if let Misbehaviour::Ack(AckError::HandledTooMany { h, sent }) = rule {
                // XEP-0198 §6
                xml.push_str(&format!("<handled-count-too-high xmlns='{}' h='{h}' send-count='{sent}'/>", ns::SM));
            }
        }
        xml.push_str("</stream:error>");
        self.out.extend_from_slice(xml.as_bytes());
    }

    /// Writes our header, unless it is out already. Returns the id that a responding one gives to the stream.
    pub(super) fn send_header(&mut self, from: Option<&str>, to: Option<&str>) -> Option<String> {
        if self.header_sent {
            return None;
        }
        self.header_sent = true;
        let id = self.respond_as.is_some().then(|| self.entropy.token());
        let from = from.or(self.respond_as.as_deref());
        let mut xml = String::new();
        Outgoing { content_ns: self.content_ns, from, to, id: id.as_deref() }.write(&mut xml);
        self.out.extend_from_slice(xml.as_bytes());
        id
    }

    /// A new stream on the same connection, after TLS (RFC 6120 §4.3.3).
    pub(super) fn restart(&mut self) {
        self.scanner.restart();
        self.header_sent = false;
    }

    /// A new stream after SASL. Some clients (go-xmpp) send a blank in front of its header; inside TLS nobody else can have
    /// put it there, and it says nothing.
    pub(super) fn restart_after_login(&mut self) {
        self.scanner.restart_behind_space();
        self.header_sent = false;
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.unread_max = unread_max(&limits);
        self.scanner.set_limits(limits);
    }

    /// Forgets white space behind `<starttls/>`, which RFC 6120 §5.3.3 forbids and go-sendxmpp sends: it says nothing, so
    /// nobody can have put it there to any effect.
    pub(super) fn drop_space(&mut self) {
        self.scanner.drop_space();
    }

    /// Memory that is held for bytes which belong to no element yet.
    pub(super) fn held_bytes(&self) -> usize {
        self.scanner.held_bytes()
    }

    /// Bytes that were read but belong to no element yet.
    pub(super) fn has_buffered(&self) -> bool {
        self.scanner.has_buffered()
    }

    pub(super) fn write(&mut self, xml: &str) {
        if self.phase == Phase::Open {
            self.out.extend_from_slice(xml.as_bytes());
        }
    }

    pub(super) fn write_element(&mut self, element: &Element) {
        self.write(&element.to_xml(self.content_ns));
    }

    pub(super) fn write_frame(&mut self, frame: &Frame) {
        if self.phase == Phase::Open {
            for piece in frame.pieces() {
                self.out.extend_from_slice(piece);
            }
        }
    }

    /// Everything to write, in one piece; the buffer itself is given away.
    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.out)))
    }

    pub(super) fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }

    /// Whether stanzas can still be written.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }
}
