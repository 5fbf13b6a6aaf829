//! `<introduction xmlns='urn:waxwing:contact:0'>`, ours: inside the first encrypted message to whoever invited us, a link to
//! ourselves. It tells where our server is and how to know it, so that files which lie there can be fetched.

use xmpp::jid::BareJid;
use xmpp::xml::Element;

use crate::invites::Invitation;

const NS: &str = "urn:waxwing:contact:0";

/// Writes the element around an own link.
pub(crate) fn to_element(link: &str) -> Element {
    Element::new("introduction", NS).with_text(link)
}

/// Finds the link that a person sent of themselves. A link about anybody else is none.
pub(crate) fn of_content(content: &[Element], from: &BareJid) -> Option<Invitation> {
    let element = content.iter().find(|element| element.is("introduction", NS))?;
    Invitation::parse(&element.text()).ok().filter(|link| link.inviter.as_ref() == Some(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_introduce_nobody_but_themselves() {
        let content = [to_element("xmpp:bob@south.example?trust-message")];
        let bob = BareJid::parse("bob@south.example").unwrap();
        assert!(of_content(&content, &bob).is_some());
        assert!(of_content(&content, &BareJid::parse("eve@south.example").unwrap()).is_none());
    }
}
