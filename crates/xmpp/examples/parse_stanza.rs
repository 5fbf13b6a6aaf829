//! Cuts a stream into stanzas, reads one, and answers it.

use waxwing_xmpp::stanza::{Condition, StanzaError, reply_error};
use waxwing_xmpp::xml::{Limits, StreamScanner, Token};
use waxwing_xmpp::{jid::Jid, ns};

const STREAM: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>\
    <message from='alice@example.org/phone' to='bob@example.org' type='chat' id='m1'>\
    <body>one &lt; two</body></message></stream:stream>";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scanner = StreamScanner::new(Limits::CLIENT);
    for piece in STREAM.chunks(7) {
        scanner.push(piece); // the network cuts where it likes
        while let Some(token) = scanner.poll()? {
            match token {
                Token::Open(header) => println!("stream to {:?}", header.element.attr("to")),
                Token::Close => println!("closed"),
                Token::Frame(frame) => {
                    let from = Jid::parse(&frame.attr("from").unwrap_or_default())?;
                    let body = frame.root().child("body", ns::CLIENT).map(|body| body.text().into_owned());
                    println!("{} from {}: {body:?}", frame.name(), from.as_str());
                    let gone = StanzaError::new(Condition::ServiceUnavailable);
                    println!("{}", reply_error(&frame.to_element(), &gone).to_xml(ns::CLIENT));
                }
            }
        }
    }
    Ok(())
}
