//! Addresses (RFC 7622, attack row X16).

use xmpp::jid::{BareJid, Jid};

/// Parses an address; what is accepted is canonical, and its parts make it up again.
///
/// # Panics
///
/// When parsing the canonical form gives anything else, or a part is longer than allowed.
pub fn jid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(jid) = Jid::parse(text) else { return };
    assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid), "not canonical");
    let parts = (jid.localpart(), jid.domainpart(), jid.resourcepart());
    assert_eq!(Jid::from_parts(parts.0, parts.1, parts.2).as_ref(), Ok(&jid), "not its parts");
    for part in [parts.0, Some(parts.1), parts.2].into_iter().flatten() {
        assert!(!part.is_empty() && part.len() <= 1023);
        assert!(!part.contains(['\0', '\n', '\r']));
    }
    assert!(!parts.1.contains(['@', '/']) && !parts.0.is_some_and(|local| local.contains(['@', '/'])));
    let bare = jid.bare();
    assert_eq!(BareJid::parse(bare.as_str()), Ok(bare.clone()));
    if let Some(resource) = parts.2 {
        assert_eq!(bare.with_resource(resource), Ok(jid.clone()));
    }
    assert_eq!(format!("{jid:?}"), "<redacted>");
}
