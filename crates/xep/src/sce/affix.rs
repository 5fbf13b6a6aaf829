//! Our own affix `<wx/>`: what the sender believes about devices, told to the recipients under encryption.

use sha2::{Digest, Sha256};
use xmpp::jid::BareJid;
use xmpp::xml::Element;

use super::NS_WX;
use crate::Malformed;
use crate::encoding::{base64, parse_base64};
use crate::witness::Witnesses;

/// Hashes the list of all devices that a message is addressed to, in whatever order they come.
///
/// A recipient who computes another hash from the stanza knows that a server removed or added key elements.
///
/// Source: security-design §2.5 (`rh`): SHA-256 of the sorted list of `jid NUL rid LF`.
#[must_use]
pub fn recipients_hash<'a>(devices: impl IntoIterator<Item = (&'a BareJid, u32)>) -> [u8; 32] {
    let mut lines: Vec<String> =
        devices.into_iter().map(|(jid, device)| format!("{}\0{device}\n", jid.as_str())).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut hash = Sha256::new();
    for line in &lines {
        hash.update(line.as_bytes());
    }
    hash.finalize().into()
}

/// Writes the affix; nothing when there is nothing to tell.
pub(super) fn to_element(recipients_hash: Option<&[u8; 32]>, witnesses: &Witnesses) -> Option<Element> {
    let affix = Element::new("wx", NS_WX)
        .with_attr_opt("rh", recipients_hash.map(|hash| base64(hash)))
        .with_children(witnesses.to_elements(NS_WX));
    (affix.attr("rh").is_some() || affix.children().next().is_some()).then_some(affix)
}

/// Reads the affix. Attributes of later versions are left alone.
pub(super) fn parse(element: &Element) -> Result<Option<[u8; 32]>, Malformed> {
    let Some(hash) = element.attr("rh") else { return Ok(None) };
    let hash = parse_base64(hash, 32)?.try_into().map_err(|_| Malformed("rh is no SHA-256"))?;
    Ok(Some(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_set_not_of_the_order() {
        let (a, b) = (BareJid::parse("alice@example.org").unwrap(), BareJid::parse("bob@example.net").unwrap());
        let one = recipients_hash([(&a, 1), (&b, 2), (&b, 10)]);
        assert_eq!(one, recipients_hash([(&b, 10), (&a, 1), (&b, 2), (&b, 2)]));
        assert_ne!(one, recipients_hash([(&a, 1), (&b, 2)]));
        assert_eq!(recipients_hash([(&a, 1)]), <[u8; 32]>::from(Sha256::digest(b"alice@example.org\x001\n")),);
    }
}
