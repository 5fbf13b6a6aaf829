//! Cutting a stream of bytes into its header, its top-level elements and its end.

use std::borrow::Cow;

use bytes::BytesMut;
use rxml::{Parse, WithOptions};

use super::element::{Element, Name};
use super::error::XmlError;
use super::frame::Frame;
use super::limits::Limits;

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

/// Cuts a stream into [`Token`]s, whatever the sizes of the pieces it arrives in.
#[derive(Debug)]
pub struct StreamScanner {
    limits: Limits,
    parser: rxml::Parser,
    buffer: BytesMut,
    open: Vec<Element>,
    content_ns: Option<Name>,
    header_bytes: Vec<u8>,
    /// Bytes of the top-level element so far.
    element_bytes: usize,
    element_count: usize,
    closed: bool,
}

impl StreamScanner {
    /// Makes a scanner for a new stream.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            parser: new_parser(&limits),
            buffer: BytesMut::new(),
            open: Vec::new(),
            content_ns: None,
            header_bytes: Vec::new(),
            element_bytes: 0,
            element_count: 0,
            closed: false,
        }
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
        let buffer = std::mem::take(&mut self.buffer);
        *self = Self { buffer, ..Self::new(self.limits) };
    }

    /// Tells whether bytes wait that no token has covered.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        !self.buffer.is_empty() || self.open.len() > 1
    }

    /// Returns the next token, or nothing until more bytes arrive.
    ///
    /// # Errors
    ///
    /// [`XmlError`] when the peer broke the rules; the scanner is of no further use then.
    pub fn poll(&mut self) -> Result<Option<Token>, XmlError> {
        loop {
            if self.closed {
                return Ok(None);
            }
            let mut input: &[u8] = &self.buffer;
            let before = input.len();
            let event = self.parser.parse(&mut input, false);
            let used = before - input.len();
            let taken = self.buffer.split_to(used);
            if self.open.is_empty() {
                self.header_bytes.extend_from_slice(&taken);
            }
            if self.open.len() > 1 {
                self.element_bytes += used;
            }
            if self.element_bytes > self.limits.stanza_bytes
                || self.buffer.len() > self.limits.stanza_bytes.max(65_536) * 4
            {
                return Err(XmlError::TooLarge);
            }
            let event = match event {
                Ok(Some(event)) => event,
                Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return Ok(None),
                Err(rxml::error::EndOrError::Error(error)) => return Err(classify(&error)),
            };
            if let Some(token) = self.take(event)? {
                return Ok(Some(token));
            }
        }
    }

    fn take(&mut self, event: rxml::Event) -> Result<Option<Token>, XmlError> {
        match event {
            rxml::Event::XmlDeclaration(..) => Ok(None),
            rxml::Event::StartElement(_, (ns, name), attrs) => self.start(ns.to_string(), name.to_string(), attrs),
            rxml::Event::EndElement(_) => self.end(),
            rxml::Event::Text(_, text) => self.text(&text),
        }
    }

    fn start(&mut self, ns: String, name: String, attrs: rxml::AttrMap) -> Result<Option<Token>, XmlError> {
        if attrs.len() > self.limits.attributes || name.len() > self.limits.name_bytes {
            return Err(XmlError::TooLarge);
        }
        let mut element = Element::new(name, ns);
        for ((ns, name), value) in attrs {
            let key = match ns.as_str() {
                "" => name.to_string(),
                crate::ns::XML => format!("xml:{name}"),
                other => format!("{{{other}}}{name}"),
            };
            element.set_attr(key, value);
        }
        if self.open.is_empty() {
            self.open.push(element.clone());
            let content_ns = declared_default(&std::mem::take(&mut self.header_bytes));
            self.content_ns = Some(content_ns.clone());
            return Ok(Some(Token::Open(StreamHeader { element, content_ns })));
        }
        self.element_count += 1;
        if self.open.len() > self.limits.depth || self.element_count > self.limits.children {
            return Err(XmlError::TooLarge);
        }
        self.open.push(element);
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<Token>, XmlError> {
        let Some(element) = self.open.pop() else { return Err(XmlError::Malformed) };
        match self.open.len() {
            0 => {
                self.closed = true;
                Ok(Some(Token::Close))
            }
            1 => {
                self.element_bytes = 0;
                self.element_count = 0;
                let ns = self.content_ns.clone().unwrap_or_default();
                Ok(Some(Token::Frame(Frame::from_owned(element, ns))))
            }
            _ => {
                if let Some(parent) = self.open.last_mut() {
                    parent.push(element);
                }
                Ok(None)
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<Option<Token>, XmlError> {
        match self.open.len() {
            0 | 1 if text.bytes().all(|b| b.is_ascii_whitespace()) => {}
            0 | 1 => return Err(XmlError::StrayText),
            _ => {
                if let Some(current) = self.open.last_mut() {
                    current.push_text(text);
                }
            }
        }
        Ok(None)
    }
}

/// Finds the default namespace that a well-formed tag declares; `rxml` keeps declarations to itself.
fn declared_default(tag: &[u8]) -> Name {
    let tag = String::from_utf8_lossy(tag);
    let value = tag.split_ascii_whitespace().find_map(|part| {
        let value = part.strip_prefix("xmlns=")?;
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        value.get(1..)?.split(quote).next()
    });
    match value {
        Some(crate::ns::CLIENT) => Cow::Borrowed(crate::ns::CLIENT),
        Some(crate::ns::SERVER) => Cow::Borrowed(crate::ns::SERVER),
        Some(other) => Cow::Owned(other.to_owned()),
        None => Cow::Borrowed(""),
    }
}

fn new_parser(limits: &Limits) -> rxml::Parser {
    let options = rxml::Options { max_token_length: limits.stanza_bytes.max(8192), ..rxml::Options::default() };
    rxml::Parser::with_options(options)
}

fn classify(error: &rxml::Error) -> XmlError {
    match error {
        rxml::Error::RestrictedXml(_) => XmlError::Restricted,
        rxml::Error::UndeclaredNamespacePrefix(..) => XmlError::UndeclaredPrefix,
        _ => XmlError::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";

    #[test]
    fn cuts_a_stream_at_every_split() {
        let mut all = HEADER.to_vec();
        all.extend_from_slice(
            b"<message to='a@b'><body>x &amp; y</body></message> <r xmlns='urn:xmpp:sm:3'/></stream:stream>",
        );
        for at in 0..all.len() {
            let mut scanner = StreamScanner::new(Limits::CLIENT);
            let mut seen = Vec::new();
            for part in [&all[..at], &all[at..]] {
                scanner.push(part);
                while let Some(token) = scanner.poll().unwrap() {
                    seen.push(match token {
                        Token::Open(h) => format!("open {} {}", h.content_ns, h.element.attr("to").unwrap()),
                        Token::Frame(f) => String::from_utf8(f.bytes().to_vec()).unwrap(),
                        Token::Close => "close".into(),
                    });
                }
            }
            assert_eq!(
                seen,
                [
                    "open jabber:client example.org",
                    "<message to=\"a@b\"><body>x &amp; y</body></message>",
                    "<r xmlns=\"urn:xmpp:sm:3\"/>",
                    "close"
                ]
            );
        }
    }
}
