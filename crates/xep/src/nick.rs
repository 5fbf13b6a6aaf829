//! User nickname (XEP-0172): what somebody wants to be called. It identifies nobody.

use xmpp::xml::Element;

use crate::{Claim, Malformed, Status};

/// Namespace of `<nick/>`, and the PEP node that holds it.
pub const NS: &str = "http://jabber.org/protocol/nick";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 172, version: "1.1", status: Status::Complete, features: &[NS] };

/// Longest nickname kept, in characters.
const CHARS_MAX: usize = 64;

/// Reads a nickname: one line, without control characters, shortened to 64 characters; none when nothing is left.
///
/// Showing it safely (characters that turn the direction of text, or that look like others) is the screen's business.
///
/// # Errors
///
/// [`Malformed`] when the element is no `<nick/>`.
pub fn parse(element: &Element) -> Result<Option<String>, Malformed> {
    if !element.is("nick", NS) {
        return Err(Malformed("not a nickname"));
    }
    let text = element.text();
    let nick: String = text.trim().chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
    let nick = nick.trim_end();
    Ok((!nick.is_empty()).then(|| nick.to_owned()))
}

/// Writes a nickname.
#[must_use]
pub fn to_element(nick: &str) -> Element {
    Element::new("nick", NS).with_text(nick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        assert_eq!(parse(&to_element("Ishmael")), Ok(Some("Ishmael".into())));
        assert_eq!(parse(&to_element(" \n ")), Ok(None));
        assert_eq!(parse(&to_element("a\u{85}b\n c")), Ok(Some("ab c".into())));
        assert_eq!(parse(&to_element(&"é".repeat(500))), Ok(Some("é".repeat(CHARS_MAX))));
        assert!(parse(&Element::new("nick", "urn:other")).is_err());
    }
}
