//! Who may say what to a client: the checks that stand before every answer, push, event and copy.
//!
//! A server stamps `from` on what its users send (RFC 6120 §8.1.2.1), so an address that no contact can have is proof
//! enough. These are pure functions; `from` is what the stanza carries, already parsed, or none.
//!
//! Attack rows X01, X03, X04 and X06 (security-design §8); X07 is in [`crate::sid`] and [`crate::delay`].

use xmpp::jid::{BareJid, Jid};

/// Tells whether a roster push may be obeyed: only from the own account, or from nobody (RFC 6121 §2.1.6). X03.
#[must_use]
pub fn may_push_roster(from: Option<&Jid>, own: &BareJid) -> bool {
    from.is_none_or(|from| from == own.as_ref())
}

/// Tells whether a carbon may be unwrapped: only from the own account (XEP-0280 §11, CVE-2017-5589). X01.
///
/// The client asks for no carbons yet; the rule stands here so that nobody unwraps one without it.
#[must_use]
pub fn may_carbon(from: Option<&Jid>, own: &BareJid) -> bool {
    from == Some(own.as_ref())
}

/// Finds whose node a PEP event is about: the account that sent it, which owns its nodes and no others. X04.
///
/// None when the sender is no account: a resource, a server, or nobody (which is the own server and means the own
/// account in IQs, but never in events).
#[must_use]
pub fn pep_owner(from: Option<&Jid>) -> Option<BareJid> {
    let from = from?;
    (from.is_bare() && from.localpart().is_some()).then(|| from.bare())
}

/// Tells whether a PEP event may change what belongs to the own account alone, such as bookmarks. X04.
#[must_use]
pub fn is_own_pep(from: Option<&Jid>, own: &BareJid) -> bool {
    pep_owner(from).as_ref() == Some(own)
}

/// Tells whether the sender of an IQ answer is whom the request went to (RFC 6120 §8.1.2.1, §8.2.3). X06.
///
/// The id must have matched already. A request without `to`, or to the own account, goes to the own server on the
/// account's behalf; servers answer it from the account, from their domain, from the full JID or without `from`.
#[must_use]
pub fn answers(request_to: Option<&Jid>, answer_from: Option<&Jid>, own: &Jid) -> bool {
    let own_account = own.bare();
    let (Some(from), to) = (answer_from, request_to) else {
        return request_to.is_none_or(|to| to == own_account.as_ref());
    };
    match to {
        Some(to) if to == from => true,
        Some(to) if to != own_account.as_ref() => false,
        _ => from == own || from == own_account.as_ref() || from.as_str() == own.domainpart(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "alice@example.org";
    /// Addresses that a contact, a stranger or another server can send from.
    const FORGERS: [&str; 7] = [
        "mallory@example.org",
        "mallory@example.org/alice@example.org",
        "alice@example.org.evil.example",
        "alice@example.net",
        "example.net",
        "alice.example.org",
        "org",
    ];

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn own() -> BareJid {
        BareJid::parse(OWN).unwrap()
    }

    #[test]
    fn x01_carbons_only_from_the_own_account() {
        assert!(may_carbon(Some(&jid("Alice@EXAMPLE.org")), &own()));
        assert!(!may_carbon(None, &own()));
        assert!(!may_carbon(Some(&jid("alice@example.org/phone")), &own()));
        assert!(!may_carbon(Some(&jid("example.org")), &own()));
        for forger in FORGERS {
            assert!(!may_carbon(Some(&jid(forger)), &own()), "{forger}");
        }
    }

    #[test]
    fn x03_roster_pushes_only_from_the_own_account_or_nobody() {
        assert!(may_push_roster(None, &own()));
        assert!(may_push_roster(Some(&jid(OWN)), &own()));
        assert!(!may_push_roster(Some(&jid("alice@example.org/phone")), &own()));
        for forger in FORGERS {
            assert!(!may_push_roster(Some(&jid(forger)), &own()), "{forger}");
        }
    }

    #[test]
    fn x04_pep_events_are_about_their_sender_only() {
        assert_eq!(pep_owner(Some(&jid("bob@example.net"))), BareJid::parse("bob@example.net").ok());
        assert_eq!(pep_owner(Some(&jid("bob@example.net/phone"))), None);
        assert_eq!(pep_owner(Some(&jid("example.net"))), None);
        assert_eq!(pep_owner(None), None);
        assert!(is_own_pep(Some(&jid(OWN)), &own()));
        assert!(!is_own_pep(None, &own()));
        for forger in FORGERS {
            assert!(!is_own_pep(Some(&jid(forger)), &own()), "{forger}");
        }
    }

    #[test]
    fn x06_answers_only_from_whom_was_asked() {
        let me = jid("alice@example.org/phone");
        let asked = |to: Option<&str>, from: Option<&str>| answers(to.map(jid).as_ref(), from.map(jid).as_ref(), &me);
        assert!(asked(Some("bob@example.net"), Some("bob@example.net")));
        assert!(!asked(Some("bob@example.net"), Some("bob@example.net/x")));
        assert!(!asked(Some("bob@example.net"), None));
        assert!(!asked(Some("bob@example.net"), Some("example.net")));
        assert!(!asked(Some("bob@example.net"), Some(OWN)));
        for to in [None, Some(OWN)] {
            for from in [None, Some(OWN), Some("example.org"), Some("alice@example.org/phone")] {
                assert!(asked(to, from), "{to:?} {from:?}");
            }
            assert!(!asked(to, Some("alice@example.org/other")), "{to:?}");
            for forger in FORGERS {
                assert!(!asked(to, Some(forger)), "{to:?} {forger}");
            }
        }
        assert!(!asked(Some("example.org"), None));
        assert!(!asked(Some("example.org"), Some(OWN)));
    }
}
