use proptest::prelude::*;

use super::*;
use crate::xml::slow::{SlowScan, Step};
use crate::xml::{Frame, Limits, StreamScanner, Token};

/// Anything that a string can hold, and often what XML cannot.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "\0",
        "\u{1}",
        "\u{7}",
        "\u{8}",
        "\u{b}",
        "\u{c}",
        "\u{1b}[31m",
        "\u{1f}",
        "\u{7f}",
        "\u{85}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{1fffe}",
        "\u{10ffff}",
        "\t",
        "\n",
        "\r",
        "\r\n",
        " ",
        "]]>",
        "&",
        "<",
        ">",
        "\"",
        "'",
        "&#0;",
        "<!--",
        "{",
        "}",
        ":",
        "xml:",
        "xmlns",
        "é",
    ])
    .prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![odd, any::<String>(), "[a-z0-9]{0,4}"], 0..4).prop_map(|parts| parts.concat())
}

fn namespace() -> impl Strategy<Value = String> {
    let known =
        prop::sample::select(vec!["", crate::ns::CLIENT, crate::ns::XML, "http://www.w3.org/2000/xmlns/", "urn:x"]);
    prop_oneof![known.prop_map(str::to_owned), text()]
}

fn attribute() -> impl Strategy<Value = String> {
    let in_namespace = (namespace(), text()).prop_map(|(ns, name)| format!("{{{ns}}}{name}"));
    prop_oneof![text(), in_namespace, text().prop_map(|name| format!("xml:{name}")), "[a-z]{1,3}"]
}

fn element() -> impl Strategy<Value = Element> {
    let plain =
        (text(), namespace(), prop::collection::vec((attribute(), text()), 0..4)).prop_map(|(name, ns, attrs)| {
            attrs.into_iter().fold(Element::new(name, ns), |element, (name, value)| element.with_attr(name, value))
        });
    plain.prop_recursive(4, 16, 3, |inner| {
        (inner.clone(), prop::collection::vec((text(), inner, text()), 0..3)).prop_map(|(mut element, content)| {
            for (before, child, after) in content {
                element.push_text(&before);
                element.push(child);
                element.push_text(&after);
            }
            element
        })
    })
}

/// The element with its attributes in one order: readers may give them in another.
fn sorted(element: &Element) -> Element {
    let mut attrs: Vec<(String, String)> = element.attrs().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    attrs.sort();
    let made = Element::new(element.name().to_owned(), element.ns().to_owned());
    let mut made = attrs.into_iter().fold(made, |made, (name, value)| made.with_attr(name, value));
    for node in element.nodes() {
        match node {
            Node::Element(child) => made.push(sorted(child)),
            Node::Text(text) => made.push_text(text),
        }
    }
    made
}

fn unbounded() -> Limits {
    Limits { name_bytes: 1 << 20, ..Limits::with_stanza_bytes(1 << 24) }
}

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

fn by_scanner(bytes: &[u8]) -> Option<Element> {
    let mut scanner = StreamScanner::new(unbounded());
    scanner.push(&[HEADER, bytes, b"</stream:stream>"].concat());
    let read = [scanner.poll(), scanner.poll(), scanner.poll()];
    match read {
        [Ok(Some(Token::Open(_))), Ok(Some(Token::Frame(frame))), Ok(Some(Token::Close))] => Some(frame.to_element()),
        _ => None,
    }
}

fn by_rxml(bytes: &[u8]) -> Option<Element> {
    let (mut scan, _) = SlowScan::inside(HEADER, &unbounded()).ok()?;
    let mut rest = bytes;
    match scan.run(&mut rest, &unbounded()).ok()? {
        Step::Complete(element) if rest.is_empty() => Some(element),
        _ => None,
    }
}

proptest! {
    #[test]
    fn x14_whatever_is_written_is_read_as_the_same(element in element()) {
        let frame = Frame::from_element(&element, crate::ns::CLIENT);
        let expected = Some(sorted(&element));
        prop_assert_eq!(by_scanner(frame.bytes()).as_ref().map(sorted), expected.clone());
        prop_assert_eq!(by_rxml(frame.bytes()).as_ref().map(sorted), expected);
    }

    #[test]
    fn x14_whatever_a_splice_adds_is_read(value in text(), child in element()) {
        let mut scanner = StreamScanner::new(unbounded());
        scanner.push(&[HEADER, b"<message to='a'><body>x</body></message>"].concat());
        let (_, read) = (scanner.poll().unwrap(), scanner.poll().unwrap());
        let Some(Token::Frame(frame)) = read else { panic!("a frame") };
        let spliced = frame.splice().set_attr("from", &value).append(&child).finish();
        let read = by_scanner(spliced.bytes());
        prop_assert_eq!(read.as_ref().and_then(|e| e.attr("from")), Some(&*legal::to_carriable(&value)));
        prop_assert_eq!(read.as_ref().and_then(|e| e.children().last()).map(sorted), Some(sorted(&child)));
        prop_assert!(by_rxml(spliced.bytes()).is_some());
    }
}

#[test]
fn what_xml_cannot_carry_is_replaced_and_everything_else_kept() {
    for (given, carried) in [
        ("tab\tline\nreturn\r", "tab\tline\nreturn\r"),
        ("\u{1b}[31m\u{7}\0", "\u{fffd}[31m\u{fffd}\u{fffd}"),
        ("\u{fffe}\u{ffff}\u{fffd}\u{1ffff}", "\u{fffd}\u{fffd}\u{fffd}\u{1ffff}"),
        ("\u{7f}\u{85}", "\u{7f}\u{85}"),
    ] {
        let element = Element::new("body", "urn:x").with_attr("a", given).with_text(given);
        assert_eq!((element.text().as_str(), element.attr("a")), (carried, Some(carried)));
        let mut written = String::new();
        escape_text(&mut written, given);
        assert!(written.chars().all(legal::is_xml_char));
    }
}

#[test]
fn names_that_are_none_are_made_some() {
    let element = Element::new("a b", "urn:x").with_attr("xmlns", "urn:y").with_attr("1", "").with_attr("", "");
    assert_eq!(element.to_xml(""), "<a_b xmlns=\"urn:x\" _xmlns=\"urn:y\" _1=\"\" _=\"\"/>");
    let lang = Element::new("a", "").with_attr("{http://www.w3.org/XML/1998/namespace}lang", "en");
    assert_eq!(lang.attr("xml:lang"), Some("en"));
    assert_eq!(Element::new("a", "http://www.w3.org/2000/xmlns/").ns(), "", "no element may be in it");
}
