//! Fallback indication (XEP-0428): which part of a message stands there only for those who do not know better.
//!
//! Ours is always the whole body, and always inside an envelope. Lacks: parts of a body, and subjects.

use xmpp::xml::Element;

use crate::{Claim, Status};

/// Namespace of `<fallback/>`.
pub const NS: &str = "urn:xmpp:fallback:0";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 428, version: "0.2.1", status: Status::Partial, features: &[NS] };

/// Says that the whole body is there for those who do not know the extension `of`.
#[must_use]
pub fn whole_body(of: &'static str) -> Element {
    Element::new("fallback", NS).with_attr("for", of).with_child(Element::new("body", NS))
}

/// Tells whether the whole body stands there only for those who do not know the extension `of`.
///
/// Without children the element is about everything; a body without `start` and `end` is the whole one (XEP-0428 §2.1).
#[must_use]
pub fn is_whole_body(content: &[Element], of: &str) -> bool {
    content.iter().filter(|element| element.is("fallback", NS) && element.attr("for") == Some(of)).any(|element| {
        let whole = |body: &Element| body.attr("start").is_none() && body.attr("end").is_none();
        element.children().next().is_none() || element.children().any(|child| child.is("body", NS) && whole(child))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_parts_are_not_the_whole() {
        assert!(is_whole_body(&[whole_body("urn:x")], "urn:x"));
        assert!(!is_whole_body(&[whole_body("urn:x")], "urn:y"));
        assert!(is_whole_body(&[Element::new("fallback", NS).with_attr("for", "urn:x")], "urn:x"));
        let body = Element::new("body", NS);
        for other in [Element::new("subject", NS), body.clone().with_attr("start", "0"), body.with_attr("end", "3")] {
            let element = Element::new("fallback", NS).with_attr("for", "urn:x").with_child(other);
            assert!(!is_whole_body(&[element], "urn:x"));
        }
    }
}
