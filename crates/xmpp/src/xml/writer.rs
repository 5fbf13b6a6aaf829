//! Writing XML: escaping, and elements with default namespaces.

use super::element::{Element, Node};
use super::legal;

/// Appends text as element content.
///
/// A carriage return is written as a reference, because a parser would turn it into a line feed (XML 1.0 §2.11). What XML
/// cannot carry is written as U+FFFD ([`to_carriable`](super::to_carriable)).
pub fn escape_text(out: &mut String, text: &str) {
    escape_with(out, text, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

/// Appends text as an attribute value, for either kind of quote.
///
/// White space other than the blank is written as references, or attribute normalisation would change it
/// (XML 1.0 §3.3.3). What XML cannot carry is written as U+FFFD ([`to_carriable`](super::to_carriable)).
pub fn escape_attr(out: &mut String, text: &str) {
    escape_with(out, text, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\'' => Some("&apos;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

/// Copies runs between the bytes that need a replacement; all of those are ASCII, so the cuts fall between characters.
fn escape_with(out: &mut String, text: &str, replacement: impl Fn(u8) -> Option<&'static str>) {
    let text = legal::to_carriable(text);
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escaped) = replacement(byte) {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(escaped);
            copied = at + 1;
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
}

/// Appends ` name="value"`.
pub(super) fn write_attr(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape_attr(out, value);
    out.push('"');
}

/// Appends an element where `parent_ns` is the default namespace.
pub(super) fn write_element(out: &mut String, element: &Element, parent_ns: &str) {
    // The namespace of `xml:` cannot be the default one; its prefix is always there (Namespaces in XML 1.0 §3).
    let prefix = if element.ns() == crate::ns::XML { "xml:" } else { "" };
    let inner_ns = if prefix.is_empty() { element.ns() } else { parent_ns };
    out.push('<');
    out.push_str(prefix);
    out.push_str(element.name());
    if inner_ns != parent_ns {
        write_attr(out, "xmlns", inner_ns);
    }
    for (index, (name, value)) in element.attrs().enumerate() {
        // The last brace: a namespace may contain any character, a name no brace; cut at the first one, a peer's
        // namespace would be written into the tag itself (X14).
        match name.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')) {
            Some((ns, local)) => {
                write_attr(out, &format!("xmlns:n{index}"), ns);
                write_attr(out, &format!("n{index}:{local}"), value);
            }
            None => write_attr(out, name, value),
        }
    }
    if element.nodes().is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in element.nodes() {
        match node {
            Node::Element(child) => write_element(out, child, inner_ns),
            Node::Text(text) => escape_text(out, text),
        }
    }
    out.push_str("</");
    out.push_str(prefix);
    out.push_str(element.name());
    out.push('>');
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
