//! What XML can carry: characters and names (XML 1.0 §2.2, Namespaces in XML 1.0 §3).
//!
//! [`super::Element`] holds nothing else, whatever it is made of. So there is no tree that could be written and not read
//! again: a stanza with such a text would end the stream, or be dropped by whoever decrypts it.

use std::borrow::Cow;

use super::element::Name;

/// The namespace that only declarations are in; nothing else may be (Namespaces in XML 1.0 §3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Tells whether XML can carry a character at all, escaped or not.
///
/// It cannot: control characters below the blank, other than tab, line feed and carriage return; and the two code points
/// at the end of the first plane.
///
/// Source: XML 1.0 §2.2, production `Char`.
#[must_use]
pub const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Replaces what XML cannot carry by U+FFFD, so that a reader sees that something was there.
///
/// ```
/// assert_eq!(waxwing_xmpp::xml::to_carriable("a\u{1b}[1m"), "a\u{fffd}[1m");
/// ```
#[must_use]
pub fn to_carriable(text: &str) -> Cow<'_, str> {
    if is_carriable(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_xml_char(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
}

/// As [`to_carriable`], without a copy of what is fine already.
pub(super) fn carriable(text: String) -> String {
    if is_carriable(&text) { text } else { to_carriable(&text).into_owned() }
}

fn is_carriable(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'))
        && memchr::memchr_iter(0xef, bytes).all(|at| !matches!(bytes.get(at..at + 3), Some([0xef, 0xbf, 0xbe | 0xbf])))
}

/// Makes the name of a namespace that can be declared.
pub(super) fn namespace(name: Name) -> Name {
    match name {
        // Only a programming error asks for it: no reader ever hands it out.
        name if name == XMLNS => Name::Borrowed(""),
        name if is_carriable(&name) => name,
        name => Name::Owned(to_carriable(&name).into_owned()),
    }
}

/// Makes a name that an element, or an attribute without namespace, can have.
pub(super) fn local(name: Name) -> Name {
    if is_name(&name) {
        return name;
    }
    let mut made = String::with_capacity(name.len() + 1);
    for c in name.chars() {
        let mut buffer = [b'_', 0, 0, 0, 0];
        let len = c.encode_utf8(buffer.get_mut(1..).unwrap_or_default()).len();
        let follows = std::str::from_utf8(buffer.get(..=len).unwrap_or_default()).is_ok_and(is_name);
        made.push(if follows { c } else { '_' });
    }
    if !is_name(&made) {
        made.insert(0, '_');
    }
    Name::Owned(made)
}

/// Makes the name by which [`super::Element`] calls an attribute.
pub(super) fn attribute(name: Name) -> Name {
    if name == "xmlns" {
        return Name::Borrowed("_xmlns"); // would be read as a declaration
    }
    if is_name(&name) || name.strip_prefix("xml:").is_some_and(is_name) {
        return name;
    }
    let Some((ns, rest)) = name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) else { return local(name) };
    let rest = local(Name::Owned(rest.to_owned()));
    match namespace(Name::Owned(ns.to_owned())).as_ref() {
        "" => attribute(rest),
        crate::ns::XML => Name::Owned(format!("xml:{rest}")),
        ns => Name::Owned(format!("{{{ns}}}{rest}")),
    }
}

/// Whether a text is a name without a prefix, by the reader's own rules.
fn is_name(text: &str) -> bool {
    let plain = |(at, byte): (usize, u8)| {
        byte.is_ascii_alphabetic() || byte == b'_' || (at > 0 && (byte.is_ascii_digit() || matches!(byte, b'-' | b'.')))
    };
    if text.is_ascii() {
        return !text.is_empty() && text.bytes().enumerate().all(plain);
    }
    <&rxml::NcNameStr>::try_from(text).is_ok()
}
