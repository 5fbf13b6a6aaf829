use super::*;
use crate::xml::Element;

const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";

/// Scans a whole stream in pieces of `step` bytes and writes down what came.
fn scan(stream: &[u8], step: usize, limits: Limits) -> Result<Vec<String>, XmlError> {
    let mut scanner = StreamScanner::new(limits);
    let mut seen = Vec::new();
    for part in stream.chunks(step) {
        scanner.push(part);
        while let Some(token) = scanner.poll()? {
            seen.push(match token {
                Token::Open(h) => format!("open {} {}", h.content_ns, h.element.attr("to").unwrap_or_default()),
                Token::Frame(f) => f.to_element().to_xml("jabber:client"),
                Token::Close => "close".into(),
            });
        }
    }
    Ok(seen)
}

fn stream(body: &str) -> Vec<u8> {
    [HEADER, body.as_bytes(), b"</stream:stream>"].concat()
}

/// Scans one element and returns it; the result must not depend on the pieces.
fn one(body: &str) -> Result<Frame, XmlError> {
    let whole = scan(&stream(body), usize::MAX, Limits::CLIENT);
    for step in [1, 3, 7] {
        assert_eq!(scan(&stream(body), step, Limits::CLIENT), whole, "{body} in pieces of {step}");
    }
    let mut scanner = StreamScanner::new(Limits::CLIENT);
    scanner.push(&stream(body));
    scanner.poll()?;
    match scanner.poll()? {
        Some(Token::Frame(frame)) => Ok(frame),
        _ => Err(XmlError::Malformed),
    }
}

#[test]
fn cuts_a_stream_at_every_split() {
    let all = stream("<message to='a@b'><body>x &amp; y</body></message> <r xmlns='urn:xmpp:sm:3'/>");
    for step in 1..all.len() {
        let seen = scan(&all, step, Limits::CLIENT).unwrap();
        let message = "<message to=\"a@b\"><body>x &amp; y</body></message>";
        assert_eq!(seen, ["open jabber:client example.org", message, "<r xmlns=\"urn:xmpp:sm:3\"/>", "close"]);
    }
}

#[test]
fn fast_frames_read_like_trees() {
    let frame = one("<message from='a&apos;s' xml:lang=\"en\"><x xmlns='urn:x' k='v'><y/>t&lt;<z xmlns=''/>u</x><body>é</body></message>").unwrap();
    assert_eq!((frame.name(), frame.ns()), ("message", "jabber:client"));
    assert_eq!(frame.attr("from").as_deref(), Some("a's"));
    assert_eq!(frame.attr("xml:lang").as_deref(), Some("en"));
    let x = frame.root().child("x", "urn:x").unwrap();
    assert_eq!(x.text(), "t<u");
    assert_eq!(x.children().map(|c| (c.name(), c.ns())).collect::<Vec<_>>(), [("y", "urn:x"), ("z", "")]);
    assert_eq!(frame.root().child("body", "jabber:client").unwrap().text(), "é");
    assert_eq!(x.to_element().to_xml(""), "<x xmlns=\"urn:x\" k=\"v\"><y/>t&lt;<z xmlns=\"\"/>u</x>");
}

#[test]
fn what_is_not_canonical_is_understood_and_written_anew() {
    for (odd, canonical) in [
        (
            "<message><p:x xmlns:p='urn:p' p:a='1' b='2'/></message>",
            "<message><x xmlns=\"urn:p\" b=\"2\" xmlns:n1=\"urn:p\" n1:a=\"1\"/></message>",
        ),
        ("<message><![CDATA[<&>]]></message>", "<message>&lt;&amp;&gt;</message>"),
        ("<message>&#65;&#x42;\r\n</message >", "<message>AB\n</message>"),
        ("<message a = '1'></message>", "<message a=\"1\"/>"),
        ("<stream:features/>", "<features xmlns=\"http://etherx.jabber.org/streams\"/>"),
    ] {
        assert_eq!(std::str::from_utf8(one(odd).unwrap().bytes()).unwrap(), canonical, "{odd}");
    }
}

#[test]
fn x14_a_namespace_with_braces_injects_nothing() {
    let smuggling = "<message xmlns:c='u}a=\"\"&gt;&lt;body&gt;forged&lt;/body&gt;&lt;x b' c:k='v'/>";
    let frame = one(smuggling).unwrap();
    let written = String::from_utf8(frame.bytes().to_vec()).unwrap();
    assert_eq!(one(&written).unwrap().to_element(), frame.to_element());
    assert_eq!(frame.root().children().count(), 0);
}

#[test]
fn quotes_in_a_cdata_section_end_no_tag_however_it_is_cut() {
    let frame = one("<message><body><![CDATA[it's <b> ]]></body></message>").unwrap();
    assert_eq!(frame.root().child("body", "jabber:client").unwrap().text(), "it's <b> ");
}

#[test]
fn the_content_namespace_is_what_rxml_takes_it_for() {
    for declared in ["xmlns='a&amp;b'", "xmlns = 'a&#38;b'", "to=\"xmlns='c'\" xmlns='a&amp;b'"] {
        let mut scanner = StreamScanner::new(Limits::CLIENT);
        scanner.push(format!("<s:stream {declared} xmlns:s='u'><x/><y><![CDATA[]]></y>").as_bytes());
        assert!(matches!(scanner.poll(), Ok(Some(Token::Open(header))) if header.content_ns == "a&b"), "{declared}");
        for _ in ["by the fast way", "by the slow way"] {
            assert!(matches!(scanner.poll(), Ok(Some(Token::Frame(frame))) if frame.ns() == "a&b"), "{declared}");
        }
    }
}

/// An element holds the name of its namespace, and what was abbreviated is written out.
#[test]
fn x13_what_is_short_on_the_wire_is_not_long_in_memory() {
    let ns = "u".repeat(100_000);
    let children = "<x/>".repeat(4000);
    let prefixed = "<p:x/>".repeat(4000);
    let attributes: String = (0..60).map(|n| format!(" p:a{n}=''")).collect();
    let nearly = "u".repeat(1000);
    for bad in [
        format!("<iq><query xmlns='{ns}'>{children}</query></iq>"),
        format!("<iq xmlns:p='{ns}'>{prefixed}</iq>"),
        format!("<iq xmlns:p='{ns}' p:a=''/>"),
        format!("<iq xmlns:p='{nearly}'>{prefixed}</iq>"),
        format!("<iq xmlns:p='{nearly}'>{}</iq>", format!("<x{attributes}/>").repeat(10)),
        format!("<message><body><![CDATA[{}]]></body></message>", "<".repeat(100_000)),
    ] {
        assert_eq!(one(&bad).err(), Some(XmlError::TooLarge), "{}…", &bad[..60]);
    }
    let good = format!("<iq><query xmlns='{nearly}'>{children}</query></iq>");
    assert_eq!(one(&good).unwrap().len(), good.len());
    let frame = one("<iq xmlns:p='urn:p'><p:x/><p:x p:a=''/></iq>").unwrap();
    assert_eq!(frame.root().children().filter(|x| x.is("x", "urn:p")).count(), 2);
}

#[test]
fn x13_entities_doctypes_comments_and_instructions_are_refused() {
    for (bad, why) in [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><message/>", XmlError::Restricted),
        ("<message>&a;</message>", XmlError::Restricted),
        ("<message><!-- hidden --></message>", XmlError::Restricted),
        ("<message><?php x?></message>", XmlError::Restricted),
        ("<p:message/>", XmlError::UndeclaredPrefix),
        ("<message></iq>", XmlError::Malformed),
        ("<message a='1' a='2'/>", XmlError::Malformed),
        ("<message a='<'/>", XmlError::Malformed),
        ("<message a='1'b='2'/>", XmlError::Malformed),
        ("<message>\u{1}</message>", XmlError::Malformed),
        ("<message>\u{ffff}</message>", XmlError::Malformed),
        ("<message>]]></message>", XmlError::Malformed),
        ("<message>&#0;</message>", XmlError::Malformed),
        ("text<message/>", XmlError::StrayText),
    ] {
        assert_eq!(one(bad).err(), Some(why), "{bad}");
    }
}

#[test]
fn x14_bytes_that_are_no_utf8_are_refused() {
    for bad in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0"] {
        let all = [HEADER, b"<message><body>", bad, b"</body></message>"].concat();
        assert_eq!(scan(&all, usize::MAX, Limits::CLIENT), Err(XmlError::Malformed), "{bad:?}");
        assert_eq!(scan(&all, 1, Limits::CLIENT), Err(XmlError::Malformed), "{bad:?}");
    }
}

#[test]
fn x13_every_limit_holds_on_both_ways() {
    let limits = Limits::with_stanza_bytes(20_000);
    let deep = |n| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let attrs = |n: usize| format!("<a{}/>", (0..n).map(|i| format!(" a{i}='x'")).collect::<String>());
    let decls = |n: usize| format!("<a{}/>", (0..n).map(|i| format!(" xmlns:a{i}='x'")).collect::<String>());
    let many = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n));
    let name = |n: usize| format!("<{}/>", "n".repeat(n));
    let long = |n: usize| format!("<a>{}</a>", "x".repeat(n - 7));
    // The tail makes rxml read the element instead.
    let slowly = |fast: &str| fast.replacen("/>", "k='&#65;'/>", 1).replacen("k=", " k=", 1);
    for (good, bad) in [
        (deep(48), deep(49)),
        (attrs(64), attrs(65)),
        (decls(32), decls(33)),
        (many(4096), many(4097)),
        (name(256), name(257)),
        (long(20_000), long(20_001)),
        (slowly(&attrs(63)), slowly(&attrs(64))),
        (slowly(&name(256)), slowly(&name(257))),
        (deep(48).replace("</", "&#65;</"), deep(49).replace("</", "&#65;</")),
    ] {
        for step in [1, usize::MAX] {
            assert_eq!(scan(&stream(&good), step, limits).map(|s| s.len()), Ok(3), "{}", &good[..20.min(good.len())]);
            assert_eq!(scan(&stream(&bad), step, limits), Err(XmlError::TooLarge), "{}", &bad[..20.min(bad.len())]);
        }
    }
}

#[test]
fn an_endless_element_is_refused_before_it_fills_memory() {
    for start in ["<a b='", "<a>", "<a ", "<a><!", "<a>&#65;"] {
        let mut scanner = StreamScanner::new(Limits::PRE_AUTH);
        scanner.push(HEADER);
        scanner.push(start.as_bytes());
        let mut pushed = 0;
        let outcome = loop {
            match scanner.poll() {
                Ok(None) | Ok(Some(Token::Open(_))) => {}
                other => break other.map(|_| ()),
            }
            scanner.push(&[b'x'; 100]);
            pushed += 100;
            assert!(pushed < 20_000, "{start}");
        };
        assert!(outcome.is_err(), "{start}");
    }
}

#[test]
fn an_idle_scanner_holds_no_buffer() {
    let mut scanner = StreamScanner::new(Limits::CLIENT);
    scanner.push(HEADER);
    scanner.push(b"<message><body>x</body></message> ");
    while scanner.poll().unwrap().is_some() {}
    assert_eq!(scanner.buffer.capacity(), 0);
    assert!(!scanner.has_buffered());
}

#[test]
fn x17_a_stream_ends_only_by_its_own_tag() {
    assert_eq!(scan(&[HEADER, b"</stream>"].concat(), 1, Limits::CLIENT), Err(XmlError::Malformed));
    assert_eq!(scan(&[HEADER, b"</stream:stream >"].concat(), 1, Limits::CLIENT).map(|s| s.len()), Ok(2));
    assert_eq!(scan(&[HEADER, b"</stream:strea"].concat(), 1, Limits::CLIENT).map(|s| s.len()), Ok(1));
}

#[test]
fn splices_change_only_what_they_are_told() {
    let frame = one("<message from='evil@x' to='b@y' type=\"ch'at\"><body>a</body><x xmlns='urn:x'>&amp;</x><body>c</body></message>").unwrap();
    let extra = Element::new("delay", "urn:xmpp:delay").with_text("\r");
    let spliced = frame
        .splice()
        .set_attr("from", "a@x/'r")
        .remove_attr("to")
        .drop_children(|c| c.name() == "body")
        .append(&extra)
        .finish();
    let expected = "<message type=\"ch'at\" from=\"a@x/&apos;r\"><x xmlns='urn:x'>&amp;</x><delay xmlns=\"urn:xmpp:delay\">&#xD;</delay></message>";
    assert_eq!(std::str::from_utf8(spliced.bytes()).unwrap(), expected);
    // It can be read and changed again, now by the slow way because of the reference.
    assert_eq!(spliced.root().child("delay", "urn:xmpp:delay").unwrap().text(), "\r");
    assert_eq!(spliced.splice().set_attr("to", "z").finish().attr("to").as_deref(), Some("z"));
    assert_eq!(
        one("<presence/>").unwrap().splice().set_attr("from", "a").finish().bytes(),
        &b"<presence from=\"a\"/>"[..]
    );
}

#[test]
fn stanzas_move_between_streams() {
    let plain = one("<message><body>a</body></message>").unwrap().splice().to_stream("jabber:server").finish();
    assert_eq!(plain.bytes(), &b"<message><body>a</body></message>"[..]);
    assert!(plain.root().child("body", "jabber:server").is_some());
    let explicit = "<message xmlns='jabber:client'><body>a</body><f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></f></message>";
    let moved = one(explicit).unwrap().splice().set_attr("to", "b").to_stream("jabber:server").finish();
    let text = "<message to=\"b\"><body>a</body><f xmlns=\"urn:xmpp:forward:0\"><message xmlns=\"jabber:client\"/></f></message>";
    assert_eq!(std::str::from_utf8(moved.bytes()).unwrap(), text);
    assert_eq!(moved.ns(), "jabber:server");
}
