//! Cutting a stream of bytes into its header, its top-level elements and its end.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};

use super::element::{Element, Name};
use super::error::XmlError;
use super::fast::{self, FastScan};
use super::frame::Frame;
use super::limits::Limits;
use super::slow::{SlowScan, Step};

/// The opening tag of a stream (RFC 6120 §4.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// The tag itself, without content.
    pub element: Element,
    /// The default namespace that it declares: the content namespace of the stream (RFC 6120 §4.8.2).
    pub content_ns: Name,
}

/// What the scanner found next.
#[derive(Debug, Clone)]
pub enum Token {
    /// The stream opened.
    Open(StreamHeader),
    /// A complete top-level element.
    Frame(Frame),
    /// The stream's closing tag. Nothing may follow.
    Close,
}

/// How much larger than its bytes a tree is, about.
const TREE_FACTOR: usize = 4;

/// Cuts a stream into [`Token`]s, whatever the sizes of the pieces it arrives in.
///
/// An idle scanner holds next to no memory: buffers exist only while an element is incomplete.
pub struct StreamScanner {
    limits: Limits,
    buffer: BytesMut,
    /// The opening tag as it came, once it came.
    header: Option<Box<Header>>,
    /// White space in front of the next header says nothing.
    skips_space: bool,
    state: State,
    /// Bytes that the slow way has taken in of an element that is not complete.
    taken_in: usize,
}

/// What later elements need of the opening tag.
struct Header {
    tag: Vec<u8>,
    content_ns: Name,
}

enum State {
    /// Between top-level elements, or before the header.
    Idle,
    Fast(Box<FastScan>),
    Slow(Box<SlowScan>),
    Closed,
}

impl std::fmt::Debug for StreamScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamScanner").field("buffered_bytes", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl StreamScanner {
    /// Makes a scanner for a new stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), header: None, skips_space: false, state: State::Idle, taken_in: 0 }
    }

    /// Takes bytes from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Changes the bounds, for example once the peer has signed in.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Forgets the stream: a new header follows (after TLS or SASL, RFC 6120 §4.3.3). Buffered bytes are kept.
    pub fn restart(&mut self) {
        self.header = None;
        self.skips_space = false;
        self.state = State::Idle;
    }

    /// As [`StreamScanner::restart`], and forgets white space in front of the new header, whenever it arrives.
    pub fn restart_behind_space(&mut self) {
        self.restart();
        self.skips_space = true;
    }

    /// Tells whether bytes wait that no token has covered.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty() || matches!(self.state, State::Slow(_))
    }

    /// Returns how much memory is held for bytes that no token has covered, by capacity. A tree in the making counts with
    /// several times its bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        if !self.has_buffered() {
            return 0;
        }
        self.buffer.capacity().saturating_add(self.taken_in.saturating_mul(TREE_FACTOR))
    }

    /// Forgets white space that waits between elements.
    pub fn drop_space(&mut self) {
        if matches!(self.state, State::Idle) {
            let space = self.buffer.iter().take_while(|b| b.is_ascii_whitespace()).count();
            self.buffer.advance(space);
        }
    }

    /// Returns the next token, or nothing until more bytes arrive.
    ///
    /// # Errors
    ///
    /// [`XmlError`] when the peer broke the rules; the scanner is of no further use then.
    pub fn poll(&mut self) -> Result<Option<Token>, XmlError> {
        if matches!(self.state, State::Closed) {
            self.buffer = BytesMut::new();
            return Ok(None);
        }
        if self.header.is_none() {
            return self.poll_header();
        }
        loop {
            match &mut self.state {
                State::Idle => {
                    if !self.skip_between()? {
                        return Ok(None);
                    }
                    match self.buffer.get(..2) {
                        None => return Ok(None),
                        Some(b"</") => return self.poll_close(),
                        Some(b"<!" | b"<?") => return Err(XmlError::Restricted),
                        Some(_) => {
                            // Nearly all elements arrive whole: only one that does not is worth an allocation.
                            let mut scan = FastScan::default();
                            let step = scan.run(&self.buffer, &self.limits)?;
                            if matches!(step, fast::Step::Incomplete) {
                                self.state = State::Fast(Box::new(scan));
                            }
                            if let Some(outcome) = self.after_fast(step)? {
                                return Ok(outcome);
                            }
                        }
                    }
                }
                State::Fast(scan) => {
                    let step = scan.run(&self.buffer, &self.limits)?;
                    if let Some(outcome) = self.after_fast(step)? {
                        return Ok(outcome);
                    }
                }
                State::Slow(scan) => {
                    let mut input: &[u8] = &self.buffer;
                    let before = input.len();
                    let step = scan.run(&mut input, &self.limits)?;
                    let used = before - input.len();
                    self.buffer.advance(used);
                    self.taken_in = self.taken_in.saturating_add(used);
                    let Step::Complete(element) = step else { return Ok(None) };
                    self.state = State::Idle;
                    self.taken_in = 0;
                    let frame = Frame::from_owned(element, self.content_ns());
                    // Written anew it can be longer than it came, and whoever gets it has bounds too.
                    let is_bounded = frame.len() <= self.limits.stanza_bytes;
                    return if is_bounded { Ok(Some(Token::Frame(frame))) } else { Err(XmlError::TooLarge) };
                }
                State::Closed => return Ok(None),
            }
        }
    }

    /// Takes what a fast scan came to; nothing when the slow way goes on.
    fn after_fast(&mut self, step: fast::Step) -> Result<Option<Option<Token>>, XmlError> {
        match step {
            fast::Step::Incomplete => Ok(Some(None)),
            fast::Step::Complete(len, tape) => {
                let bytes = self.buffer.split_to(len).freeze();
                self.state = State::Idle;
                Ok(Some(Some(Token::Frame(Frame::from_tape(bytes, tape, self.content_ns())))))
            }
            fast::Step::Slow => {
                let tag = self.header.as_ref().map_or(&[][..], |h| &h.tag);
                self.state = State::Slow(Box::new(SlowScan::inside(tag, &self.limits)?.0));
                Ok(None)
            }
        }
    }

    fn content_ns(&self) -> Name {
        self.header.as_ref().map(|h| h.content_ns.clone()).unwrap_or_default()
    }

    /// Skips white space between elements (keep-alives, RFC 6120 §4.6.1); tells whether something else follows.
    fn skip_between(&mut self) -> Result<bool, XmlError> {
        let space = self.buffer.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.buffer.advance(space);
        match self.buffer.first() {
            None => {
                self.buffer = BytesMut::new();
                Ok(false)
            }
            Some(b'<') => Ok(true),
            Some(_) => Err(XmlError::StrayText),
        }
    }

    fn poll_header(&mut self) -> Result<Option<Token>, XmlError> {
        if self.skips_space {
            self.drop_space();
        }
        let Some(end) = opening_tag_end(&self.buffer) else {
            // What cannot be the start of a header must not wait for more bytes.
            let odd = self.buffer.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b != b'<');
            return match (odd, self.buffer.len() > self.limits.stanza_bytes) {
                (true, _) => Err(XmlError::Malformed),
                (_, true) => Err(XmlError::TooLarge),
                _ => Ok(None),
            };
        };
        if end > self.limits.stanza_bytes {
            return Err(XmlError::TooLarge);
        }
        let raw = self.buffer.split_to(end);
        let (_, element) = SlowScan::inside(&raw, &self.limits)?;
        let tag_start = raw.windows(2).position(|w| matches!(w, [b'<', second] if *second != b'?')).unwrap_or(0);
        let tag = raw.get(tag_start..).unwrap_or_default().to_vec();
        if tag.ends_with(b"/>") {
            return Err(XmlError::Malformed);
        }
        let content_ns = declared_default(&tag, &self.limits)?;
        self.header = Some(Box::new(Header { tag, content_ns: content_ns.clone() }));
        Ok(Some(Token::Open(StreamHeader { element, content_ns })))
    }

    fn poll_close(&mut self) -> Result<Option<Token>, XmlError> {
        let Some(end) = memchr::memchr(b'>', &self.buffer) else {
            let too_large = self.buffer.len() > self.limits.name_bytes + 64;
            return if too_large { Err(XmlError::TooLarge) } else { Ok(None) };
        };
        let tag = self.header.as_ref().map_or(&[][..], |h| &h.tag);
        let closing = self.buffer.get(2..end).unwrap_or_default().trim_ascii_end();
        if closing != raw_name(tag) {
            return Err(XmlError::Malformed);
        }
        self.state = State::Closed;
        self.buffer = BytesMut::new();
        Ok(Some(Token::Close))
    }
}

/// Finds the end of the first tag after an optional XML declaration, quotes respected.
fn opening_tag_end(buf: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut quote = None;
    let mut in_declaration = false;
    let mut previous = 0;
    while let Some(&byte) = buf.get(at) {
        at += 1;
        match (quote, byte) {
            (Some(q), b) if q == b => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'?') if previous == b'<' => in_declaration = true,
            (None, b'>') if in_declaration => in_declaration = false,
            (None, b'>') => return Some(at),
            (None, _) => {}
        }
        previous = byte;
    }
    None
}

/// The name of a tag as it is written, with its prefix.
fn raw_name(tag: &[u8]) -> &[u8] {
    let name = tag.strip_prefix(b"<").unwrap_or(tag);
    let len = name.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/')).unwrap_or(name.len());
    name.get(..len).unwrap_or_default()
}

/// Finds the default namespace that the stream's opening tag declares.
///
/// `rxml` keeps declarations to itself, so it is asked which namespace a child without prefix is in; reading the tag a
/// second way could come to another answer.
fn declared_default(tag: &[u8], limits: &Limits) -> Result<Name, XmlError> {
    let (mut scan, _) = SlowScan::inside(tag, limits)?;
    let Step::Complete(child) = scan.run(&mut b"<a/>".as_slice(), limits)? else { return Err(XmlError::Malformed) };
    Ok(match child.ns() {
        crate::ns::CLIENT => Cow::Borrowed(crate::ns::CLIENT),
        crate::ns::SERVER => Cow::Borrowed(crate::ns::SERVER),
        other => Cow::Owned(other.to_owned()),
    })
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
