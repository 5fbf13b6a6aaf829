//! One XML document in memory: what a decrypted envelope is, and what a test writes.
//!
//! The stream's own scanner reads it, with its limits and its refusals (no DTD, comment, processing instruction or
//! foreign entity), so that nothing inside an envelope is parsed by laxer rules than what is outside.

use xmpp::xml::{Element, Limits, StreamScanner, Token};

use crate::Malformed;

/// Reads exactly one element; white space may surround it.
///
/// # Errors
///
/// [`Malformed`] when the bytes are no such element, or exceed `max_bytes` or the limits of streams.
pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Element, Malformed> {
    if bytes.len() > max_bytes {
        return Err(Malformed("the document is too large"));
    }
    let mut scanner = StreamScanner::new(Limits::with_stanza_bytes(max_bytes));
    scanner.push(b"<d>");
    match scanner.poll() {
        Ok(Some(Token::Open(_))) => {}
        _ => return Err(Malformed("not well-formed")),
    }
    scanner.push(bytes);
    let frame = match scanner.poll() {
        Ok(Some(Token::Frame(frame))) => frame,
        _ => return Err(Malformed("not one well-formed element")),
    };
    // The frame must have been all: neither a second element, nor an end that closes our own <d>, nor half a tag.
    if !matches!(scanner.poll(), Ok(None)) {
        return Err(Malformed("more than one element"));
    }
    scanner.push(b"</d>");
    match scanner.poll() {
        Ok(Some(Token::Close)) if !scanner.has_buffered() => Ok(frame.to_element()),
        _ => Err(Malformed("more than one element")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_element_whatever_its_prefixes() {
        let plain = parse(b"<a xmlns='urn:x' k='v'><b>t</b></a>", 1000).unwrap();
        let prefixed = parse(b" <p:a xmlns:p='urn:x' k='v'><p:b>t</p:b></p:a>\n", 1000).unwrap();
        assert_eq!(plain, prefixed);
    }

    #[test]
    fn refuses_everything_else() {
        for bad in [
            "",
            " ",
            "text",
            "<a>",
            "<a/><b/>",
            "<a/>text",
            "<a/></d>",
            "<a/></d><d>",
            "</d>",
            "<a/><",
            "<?xml version='1.0'?><a/>",
            "<!-- c --><a/>",
            "<a><!-- c --></a>",
            "<!DOCTYPE a><a/>",
            "<a>&bogus;</a>",
            "<p:a/>",
            "<a>\u{1}</a>",
        ] {
            assert!(parse(bad.as_bytes(), 1000).is_err(), "{bad}");
        }
        assert!(parse(b"<a>\xff</a>", 1000).is_err());
        assert!(parse(b"<a>0123456789</a>", 10).is_err());
    }
}
