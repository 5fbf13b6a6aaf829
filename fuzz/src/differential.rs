//! The scanner against `rxml`: on any input both see the same elements, or neither does.
//!
//! The scanner's fast way is ours and `rxml` is not, so a disagreement means that a server and a client could be made to
//! read one stream in two ways (stanza smuggling). Inputs are real stanzas, mutated; everything follows from the seed.

use rxml::Parse;
use xmpp::xml::{Element, Limits, Node, StreamScanner, Token};

use crate::rng::Rng;

const HEADER: &[u8] =
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    /// Refused, or waiting for more: a wait that never ends is cut by a limit.
    NotClosed,
}

/// Runs both parsers over `stanza` inside a stream and compares.
///
/// # Panics
///
/// When they disagree; the message shows the input.
pub fn compare(stanza: &[u8], rng: &mut Rng) {
    let stream = [HEADER, stanza, b"</stream:stream>"].concat();
    let ours = scan(&stream, rng);
    let theirs = oracle(&stream);
    // Between stanzas only white space itself may stand; rxml, which reads documents and not streams, cannot tell it
    // from white space made of references or of an empty CDATA section.
    let disguised = contains(stanza, b"<![CDATA[") || contains(stanza, b"&#");
    let stricter = disguised && ours.1 == End::NotClosed && theirs.0.starts_with(&ours.0);
    assert!(
        ours == theirs || stricter,
        "scanner and rxml disagree on {:?}:\n{ours:?}\n{theirs:?}",
        String::from_utf8_lossy(stanza)
    );
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

/// Mutates the seed stanzas `iterations` times and compares each.
///
/// # Panics
///
/// When the parsers disagree.
pub fn run(seed: u64, iterations: u64) {
    let mut rng = Rng::new(seed);
    for _ in 0..iterations {
        let mut input = SEEDS[rng.below(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..=rng.below(4) {
            mutate(&mut input, &mut rng);
        }
        compare(&input, &mut rng);
    }
}

fn scan(stream: &[u8], rng: &mut Rng) -> (Vec<Element>, End) {
    let mut scanner = StreamScanner::new(Limits::CLIENT);
    let mut elements = Vec::new();
    let cut = rng.below(stream.len());
    for part in [&stream[..cut], &stream[cut..]] {
        scanner.push(part);
        loop {
            match scanner.poll() {
                Ok(Some(Token::Frame(frame))) => elements.push(sorted(&frame.to_element())),
                Ok(Some(Token::Open(_))) => {}
                Ok(Some(Token::Close)) => return (elements, End::Closed),
                Ok(None) => break,
                Err(_) => return (elements, End::NotClosed),
            }
        }
    }
    (elements, End::NotClosed)
}

fn oracle(stream: &[u8]) -> (Vec<Element>, End) {
    let mut parser = rxml::Parser::new();
    let mut input = stream;
    let mut open: Vec<Element> = Vec::new();
    let mut elements = Vec::new();
    loop {
        match parser.parse(&mut input, false) {
            Ok(Some(rxml::Event::StartElement(_, (ns, name), attrs))) => {
                let mut element = Element::new(name.to_string(), ns.to_string());
                for ((ns, name), value) in attrs {
                    element.set_attr(attr_name(ns.as_str(), &name), value);
                }
                open.push(element);
            }
            Ok(Some(rxml::Event::EndElement(_))) => {
                let Some(element) = open.pop() else { return (elements, End::NotClosed) };
                match open.len() {
                    0 => return (elements, End::Closed),
                    1 => elements.push(sorted(&element)),
                    _ => open.last_mut().into_iter().for_each(|parent| parent.push(element.clone())),
                }
            }
            Ok(Some(rxml::Event::Text(_, text))) => match open.as_mut_slice() {
                [_] | [] if text.bytes().all(|b| b.is_ascii_whitespace()) => {}
                [_] | [] => return (elements, End::NotClosed),
                [.., current] => current.push_text(&text),
            },
            Ok(Some(rxml::Event::XmlDeclaration(..))) => {}
            Ok(None) | Err(_) => return (elements, End::NotClosed),
        }
    }
}

fn attr_name(ns: &str, name: &str) -> String {
    match ns {
        "" => name.to_owned(),
        xmpp::ns::XML => format!("xml:{name}"),
        other => format!("{{{other}}}{name}"),
    }
}

/// Puts attributes in order, because `rxml` does not keep theirs.
fn sorted(element: &Element) -> Element {
    let mut attrs: Vec<_> = element.attrs().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    attrs.sort();
    let mut out = Element::new(element.name().to_owned(), element.ns().to_owned());
    for (name, value) in attrs {
        out.set_attr(name, value);
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => out.push(sorted(child)),
            Node::Text(text) => out.push_text(text),
        }
    }
    out
}

fn mutate(input: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(input.len() + 1);
    match rng.below(7) {
        0 if at < input.len() => input[at] = rng.byte(),
        1 if at < input.len() => input[at] ^= 1 << rng.below(8),
        2 => input.insert(at, rng.byte()),
        3 => {
            let end = (at + rng.below(12)).min(input.len());
            input.drain(at..end);
        }
        4 => {
            let end = (at + rng.below(40)).min(input.len());
            let copy = input[at..end].to_vec();
            let to = rng.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        _ => {
            let token = TOKENS[rng.below(TOKENS.len())];
            input.splice(at..at, token.iter().copied());
        }
    }
}

const TOKENS: &[&[u8]] = &[
    b"<",
    b">",
    b"/>",
    b"</",
    b"&",
    b";",
    b"&amp;",
    b"&lt;",
    b"&gt;",
    b"&quot;",
    b"&apos;",
    b"&#65;",
    b"&#x0;",
    b"&#xD;",
    b"&x;",
    b"'",
    b"\"",
    b"=",
    b" ",
    b"\n",
    b"\r",
    b"\t",
    b"\r\n",
    b"]]>",
    b"<![CDATA[",
    b"<![CDATA[]]>",
    b"<!--",
    b"-->",
    b"<?x?>",
    b"<!DOCTYPE a>",
    b"xmlns=''",
    b" xmlns='u'",
    b" xmlns:a='u'",
    b"a:",
    b"xml:",
    b" xml:lang='de'",
    b" xmlns:xml='x'",
    b" xmlns='http://www.w3.org/2000/xmlns/'",
    b"stream:",
    b"</stream:stream>",
    b"\xef\xbf\xbf",
    b"\xef\xbf\xbd",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\x00",
    b"\x7f",
    b"\xc2\x85",
    b"<a/>",
    b"<a>",
    b"</a>",
    b" a='1'",
    b" a=\"1\"",
    b" \xc3\xa9='1'",
    b":",
    b"-",
    b".",
    b"1",
];

/// Stanzas as they are seen on the wire.
pub const SEEDS: &[&str] = &[
    "<message from='a@example.org/x' to='b@example.com' type='chat' id='m1'><body>Hello &amp; good \"morning\"</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message to='bob@south.example' id='8d1c' type='chat'><encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='27183'><key rid='31415' prekey='true'>MwohBZ2qVQ==</key><key rid='12321'>MwohBdmP</key><iv>Ykl0QQ==</iv></header><payload>aGVsbG8=</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/><store xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='8d1c'/></message>",
    "<iq type=\"get\" id=\"d1\" to=\"example.org\"><query xmlns=\"http://jabber.org/protocol/disco#info\"/></iq>",
    "<presence xml:lang='en'><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:omemo:2:devices'><item id='current'><devices xmlns='urn:xmpp:omemo:2'><device id='1' label='l\u{e9}'/><device id='2'/></devices></item></publish></pubsub></iq>",
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
    "<a><b x='1'> <c/> t </b>\n<b xmlns='u'><c xmlns=''/></b></a> <r xmlns='urn:xmpp:sm:3'/>",
];
