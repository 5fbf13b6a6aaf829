//! XMPP ping (XEP-0199): is the other end of this connection, or this entity, still there.

use xmpp::stanza;
use xmpp::xml::Element;

use crate::{Claim, Status};

/// Namespace of `<ping/>`.
pub const NS: &str = "urn:xmpp:ping";

/// What this module claims.
pub const CLAIM: Claim = Claim { xep: 199, version: "2.0.1", status: Status::Complete, features: &[NS] };

/// Makes a ping; without `to` it goes to the own server.
///
/// Any answer to it, even an error, shows that the way there and back works (XEP-0199 §4.1). Where a server offers no
/// acknowledgements (XEP-0198), the answer to a ping sent after a message also acknowledges the message: stanzas of one
/// stream are handled in order (RFC 6120 §10.1).
#[must_use]
pub fn request(id: &str, to: Option<&str>) -> Element {
    stanza::iq("get", id, to, Element::new("ping", NS))
}

/// Tells whether an IQ is a ping.
#[must_use]
pub fn is_request(iq: &Element) -> bool {
    iq.name() == "iq" && iq.attr("type") == Some("get") && iq.child("ping", NS).is_some()
}

/// Answers a ping.
#[must_use]
pub fn answer(iq: &Element) -> Element {
    stanza::reply_result(iq, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_recognised_and_answered() {
        let ping = request("p1", Some("example.org")).with_attr("from", "alice@example.org/x");
        assert!(is_request(&ping));
        let pong = answer(&ping);
        assert_eq!((pong.attr("type"), pong.attr("id")), (Some("result"), Some("p1")));
        assert_eq!(pong.attr("to"), Some("alice@example.org/x"));
        assert!(!is_request(&pong));
        assert!(!is_request(&ping.with_attr("type", "set")));
    }
}
