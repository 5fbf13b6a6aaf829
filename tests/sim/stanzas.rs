//! Stanzas as text, and back.

use xmpp::xml::{Element, Limits, StreamScanner, Token};

/// Cuts bytes of a stream of the namespace `ns` into stanzas; nothing when they are anything else, such as the beginning of a stream.
pub(crate) fn parse(bytes: &[u8], ns: &str) -> Option<Vec<Element>> {
    let mut scanner = StreamScanner::new(Limits::SERVER);
    let header = format!("<stream:stream xmlns='{ns}' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    scanner.push(header.as_bytes());
    scanner.push(bytes);
    let mut stanzas = Vec::new();
    loop {
        match scanner.poll() {
            Ok(Some(Token::Open(_))) => {}
            Ok(Some(Token::Frame(frame))) => stanzas.push(frame.to_element()),
            Ok(Some(Token::Close)) | Err(_) => return None,
            Ok(None) => return (!scanner.has_buffered()).then_some(stanzas),
        }
    }
}

/// Writes stanzas as they stand in a stream of the namespace `ns`.
pub(crate) fn write<'a>(stanzas: impl IntoIterator<Item = &'a Element>, ns: &str) -> bytes::Bytes {
    stanzas.into_iter().map(|stanza| stanza.to_xml(ns)).collect::<String>().into()
}
