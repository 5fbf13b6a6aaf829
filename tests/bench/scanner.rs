//! What reading one stanza costs, without a network: the scanner beside `rxml`, which is as strict.

use std::time::Instant;

use rxml::Parse;
use xmpp::xml::{Limits, StreamScanner, Token};

const HEADER: &[u8] =
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.org'>";

/// An OMEMO message of exactly 1066 bytes.
fn stanza() -> String {
    let text = |payload: &str| {
        format!(
            "<message to='bob@south.example/phone' id='8d1c5b1c-0f2e' type='chat'><encrypted \
             xmlns='eu.siacs.conversations.axolotl'><header sid='27183'><key rid='31415'>{}</key><key rid='12321'>{}</key>\
             <iv>AAECAwQFBgcICQoL</iv></header><payload>{payload}</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' \
             namespace='eu.siacs.conversations.axolotl' name='OMEMO'/><store xmlns='urn:xmpp:hints'/><origin-id \
             xmlns='urn:xmpp:sid:0' id='8d1c5b1c-0f2e'/></message>",
            "B".repeat(120),
            "C".repeat(120),
        )
    };
    let rest = 1066 - text("").len();
    text(&"A".repeat(rest))
}

/// Returns lines for the table's foot.
pub(crate) fn measure() -> String {
    let stanza = stanza();
    let ours = best_of(|| {
        let mut scanner = StreamScanner::new(Limits::CLIENT);
        scanner.push(HEADER);
        scanner.poll().expect("the header is XML");
        per_item(200_000, || {
            scanner.push(stanza.as_bytes());
            assert!(matches!(scanner.poll(), Ok(Some(Token::Frame(_)))));
        })
    });
    let stamped = best_of(|| {
        let mut scanner = StreamScanner::new(Limits::CLIENT);
        scanner.push(HEADER);
        scanner.poll().expect("the header is XML");
        per_item(200_000, || {
            scanner.push(stanza.as_bytes());
            let Ok(Some(Token::Frame(frame))) = scanner.poll() else { panic!("the stanza is XML") };
            assert!(!frame.splice().set_attr("from", "alice@north.example/laptop").finish().is_empty());
        })
    });
    let theirs = best_of(|| {
        let mut parser = rxml::Parser::new();
        let mut input = HEADER;
        while let Ok(Some(_)) = parser.parse(&mut input, false) {}
        per_item(20_000, || {
            let mut input = stanza.as_bytes();
            while let Ok(Some(_)) = parser.parse(&mut input, false) {}
            assert!(input.is_empty());
        })
    });
    format!(
        "Scanner, {} bytes, one core, best of 5: scan {ours:.0} ns, scan and stamp `from` {stamped:.0} ns; rxml, events only, {theirs:.0} ns.",
        stanza.len()
    )
}

fn best_of(mut run: impl FnMut() -> f64) -> f64 {
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn per_item(count: u32, mut item: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        item();
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}
