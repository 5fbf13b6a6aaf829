//! Out-of-band data (XEP-0066 §3): a URL beside a message, by which other clients tell a file from a link.

use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of the `<x/>` in messages.
pub const NS: &str = "jabber:x:oob";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 66, version: "1.5", status: Status::Partial, features: &[NS] };

/// Longest URL kept.
const URL_BYTES_MAX: usize = 4096;

/// Reads the URL.
///
/// # Errors
///
/// [`Malformed`] when there is none, or it is too long.
pub fn parse(element: &Element) -> Result<String, Malformed> {
    if !element.is("x", NS) {
        return Err(Malformed("not out-of-band data"));
    }
    let url = element.child_text("url", NS).ok_or(Malformed("no URL"))?;
    let url = url.trim();
    if url.is_empty() || url.len() > URL_BYTES_MAX {
        return Err(Malformed("no usable URL"));
    }
    Ok(url.to_owned())
}

/// Writes the element.
#[must_use]
pub fn to_element(url: &str) -> Element {
    Element::new("x", NS).with_child(Element::new("url", NS).with_text(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let url = "https://files.example.org/a%20b.jpg";
        assert_eq!(parse(&to_element(url)).as_deref(), Ok(url));
        assert!(parse(&to_element(" ")).is_err());
        assert!(parse(&Element::new("x", NS)).is_err());
        assert!(parse(&to_element(&"x".repeat(5000))).is_err());
    }
}
