//! Message delivery receipts (XEP-0184). They go where the words went: inside of an envelope, or in clear beside the older
//! encryption, which has no inside for them. Who may get them is not decided here.

use xmpp::xml::Element;

use crate::{Claim, Status};

/// Namespace of `<request/>` and `<received/>`.
pub const NS: &str = "urn:xmpp:receipts";

/// What this module claims. It announces nothing: a receipt outside of an envelope would tell servers who is awake.
pub const CLAIM: Claim = Claim { xep: 184, version: "1.4.0", status: Status::Partial, features: &[] };

/// Longest message id that a receipt may name.
const ID_BYTES_MAX: usize = 256;

/// Writes the request for a receipt.
#[must_use]
pub fn request() -> Element {
    Element::new("request", NS)
}

/// Writes the receipt for the message called `id`.
#[must_use]
pub fn received(id: &str) -> Element {
    Element::new("received", NS).with_attr("id", id)
}

/// Tells whether decrypted content asks for a receipt. A receipt never does (XEP-0184 §5.4).
#[must_use]
pub fn is_requested(content: &[Element]) -> bool {
    content.iter().any(|e| e.is("request", NS)) && received_id(content).is_none()
}

/// Finds the id of the message that decrypted content acknowledges.
#[must_use]
pub fn received_id(content: &[Element]) -> Option<&str> {
    let received = content.iter().find(|e| e.is("received", NS))?;
    received.attr("id").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_receipts() {
        assert!(is_requested(&[request()]));
        assert_eq!(received_id(&[received("m1")]), Some("m1"));
        assert!(!is_requested(&[request(), received("m1")]));
        assert_eq!(received_id(&[received("")]), None);
        assert_eq!(received_id(&[Element::new("received", NS), request()]), None);
    }
}
