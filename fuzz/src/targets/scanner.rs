//! The scanner of streams, against itself in pieces and against `rxml` (attack rows X13 and X14).

use rxml::{Parse, WithOptions};
use xmpp::xml::{Element, Frame, Limits, Node, StreamScanner, Token, XmlError, escape_attr};

use crate::differential;
use crate::rng::Rng;

/// How reading a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    Failed(XmlError),
}

/// Reads a stream, whole and in pieces, and compares with what `rxml` says of the same bytes.
///
/// # Panics
///
/// When pieces matter, when the two disagree, or when a frame's own bytes do not say what the frame says.
pub fn scanner(data: &[u8]) {
    let (frames, namespace, end) = scan(data, data.len().max(1));
    let step = 1 + data.len() % 13;
    let (in_pieces, _, end_in_pieces) = scan(data, step);
    assert_eq!(elements(&frames), elements(&in_pieces), "in pieces of {step}");
    let agree = match (end, end_in_pieces) {
        // inside an element that is not complete yet, an error may be noticed at once or when the rest has come
        (End::Failed(_), End::Open) | (End::Open, End::Failed(_)) => true,
        // which of several faults is noticed first may depend on the pieces
        (End::Failed(_), End::Failed(_)) => true,
        (one, other) => one == other,
    };
    assert!(agree, "whole {end:?}, in pieces of {step} {end_in_pieces:?}");

    let (theirs, their_end) = oracle(data);
    let ours: Vec<String> = frames.iter().map(|frame| tree(&frame.to_element())).collect();
    let theirs: Vec<String> = theirs.iter().map(tree).collect();
    assert_eq!(theirs.get(..ours.len()), Some(ours.as_slice()), "not what rxml reads");
    match end {
        End::Closed | End::Open => assert_eq!(theirs.len(), ours.len(), "rxml reads more"),
        End::Failed(XmlError::TooLarge | XmlError::StrayText) => {}
        // a header that closes itself is well-formed, and no stream
        End::Failed(_) if their_end == End::Closed && theirs.is_empty() => {}
        // what cannot become right any more may be refused before rxml, which waits for the end of a token, says so
        End::Failed(error) => assert_ne!(their_end, End::Closed, "we say {error:?}"),
    }
    if end == End::Closed {
        assert_eq!(their_end, End::Closed);
    }
    for frame in &frames {
        says_the_same(frame, &namespace);
    }
}

/// Reads stanzas inside a stream as it should be ([`differential`]).
///
/// # Panics
///
/// When scanner and `rxml` disagree.
pub fn stanzas(data: &[u8]) {
    differential::compare(data, &mut Rng::new(data.len() as u64));
}

/// Stanzas as they are seen on the wire.
#[must_use]
pub fn stanza_seeds() -> Vec<Vec<u8>> {
    differential::SEEDS.iter().map(|stanza| stanza.as_bytes().to_vec()).collect()
}

fn elements(frames: &[Frame]) -> Vec<Element> {
    frames.iter().map(Frame::to_element).collect()
}

/// Writes an element down in a form of its own, without regard to the order of attributes, which `rxml` does not keep.
fn tree(element: &Element) -> String {
    let mut attributes: Vec<_> = element.attrs().collect();
    attributes.sort_unstable();
    let mut out = format!("{:?} {:?} {attributes:?} [", element.ns(), element.name());
    for node in element.nodes() {
        match node {
            Node::Element(child) => out.push_str(&tree(child)),
            Node::Text(text) => out.push_str(&format!("{text:?}")),
        }
    }
    out.push(']');
    out
}

fn scan(data: &[u8], step: usize) -> (Vec<Frame>, String, End) {
    let mut scanner = StreamScanner::new(Limits::PRE_AUTH);
    let (mut frames, mut namespace) = (Vec::new(), String::new());
    for part in data.chunks(step) {
        scanner.push(part);
        loop {
            match scanner.poll() {
                Ok(None) => break,
                Ok(Some(Token::Open(header))) => namespace = header.content_ns.into_owned(),
                Ok(Some(Token::Frame(frame))) => frames.push(frame),
                Ok(Some(Token::Close)) => return (frames, namespace, End::Closed),
                Err(error) => return (frames, namespace, End::Failed(error)),
            }
        }
    }
    (frames, namespace, End::Open)
}

/// A frame's bytes, put into another stream of the same namespace, must be read as the same element: brokers copy them.
fn says_the_same(frame: &Frame, namespace: &str) {
    let mut stream = b"<s xmlns=\"".to_vec();
    let mut escaped = String::new();
    escape_attr(&mut escaped, namespace);
    stream.extend_from_slice(escaped.as_bytes());
    stream.extend_from_slice(b"\">");
    stream.extend_from_slice(frame.bytes());
    let mut scanner = StreamScanner::new(Limits::with_stanza_bytes(1_000_000));
    scanner.push(&stream);
    assert!(matches!(scanner.poll(), Ok(Some(Token::Open(_)))));
    match scanner.poll() {
        Ok(Some(Token::Frame(again))) => assert_eq!(again.to_element(), frame.to_element()),
        other => panic!("a frame's bytes are no frame: {other:?}"),
    }
}

/// Reads the same with `rxml` alone, without limits.
fn oracle(data: &[u8]) -> (Vec<Element>, End) {
    let options = rxml::Options { max_token_length: 1_000_000, ..rxml::Options::default() };
    let mut parser = rxml::Parser::with_options(options);
    let mut input = data;
    let (mut frames, mut open) = (Vec::new(), Vec::<Element>::new());
    loop {
        match parser.parse(&mut input, false) {
            Ok(Some(rxml::Event::StartElement(_, (ns, name), attributes))) => {
                let mut element = Element::new(name.to_string(), ns.to_string());
                for ((ns, name), value) in attributes {
                    let key = match ns.as_str() {
                        "" => name.to_string(),
                        xmpp::ns::XML => format!("xml:{name}"),
                        other => format!("{{{other}}}{name}"),
                    };
                    element.set_attr(key, value);
                }
                open.push(element);
            }
            Ok(Some(rxml::Event::EndElement(_))) => {
                let Some(element) = open.pop() else { return (frames, End::Closed) };
                match open.len() {
                    0 => return (frames, End::Closed),
                    1 => frames.push(element),
                    _ => open.last_mut().into_iter().for_each(|parent| parent.push(element.clone())),
                }
            }
            Ok(Some(rxml::Event::Text(_, text))) => {
                if let Some(current) = open.last_mut() {
                    current.push_text(&text);
                }
            }
            Ok(Some(rxml::Event::XmlDeclaration(..))) => {}
            Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return (frames, End::Open),
            Err(rxml::error::EndOrError::Error(_)) => return (frames, End::Failed(XmlError::Malformed)),
        }
    }
}
