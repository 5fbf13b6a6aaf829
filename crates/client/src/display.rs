//! What others may call themselves, shown so that it deceives nobody (attack row X16).
//!
//! Two addresses that differ only in characters that look alike are one person to the eye. Nothing is refused for that:
//! the user is told. Comparison follows Unicode Technical Standard #39, whose tables the `unicode-security` crate holds.

use std::borrow::Cow;

use unicode_security::confusable_detection::skeleton;
use unicode_security::mixed_script::MixedScript;
use xmpp::jid::BareJid;
use xmpp::xml::is_xml_char;

/// What is odd about an address. Several may be true; the first one matters most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressWarning {
    /// It looks like another one that is known.
    LooksLikeAnother,
    /// One part of it mixes alphabets, which names of people and servers hardly ever do.
    MixedScripts,
}

impl AddressWarning {
    /// One of each kind, for whoever keeps watch over what is said to people.
    #[must_use]
    pub fn every() -> Vec<Self> {
        store::every!(AddressWarning { LooksLikeAnother, MixedScripts })
    }

    /// One sentence for the user.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LooksLikeAnother => "This address looks like that of somebody you know, but it is another one.",
            Self::MixedScripts => "This address mixes letters of different alphabets, as forged addresses do.",
        }
    }
}

/// Finds what is odd about an address, given those that are known already.
pub fn address_warnings<'a>(address: &BareJid, known: impl IntoIterator<Item = &'a BareJid>) -> Vec<AddressWarning> {
    let mut warnings = Vec::new();
    let own_skeleton = address_skeleton(address);
    if known.into_iter().any(|other| other != address && address_skeleton(other) == own_skeleton) {
        warnings.push(AddressWarning::LooksLikeAnother);
    }
    if mixes_scripts(address) {
        warnings.push(AddressWarning::MixedScripts);
    }
    warnings
}

/// Tells whether two different addresses look alike.
#[must_use]
pub fn look_alike(one: &BareJid, other: &BareJid) -> bool {
    one != other && address_skeleton(one) == address_skeleton(other)
}

/// Tells whether two names look alike, case aside (UTS #39 §4). A name looks like itself.
#[must_use]
pub fn names_look_alike(one: &str, other: &str) -> bool {
    // Folded again: the skeleton of a zero is a capital O.
    let look = |name: &str| skeleton(&name.to_lowercase()).collect::<String>().to_lowercase();
    look(one) == look(other)
}

/// Makes a text of others fit for one line of a screen: control characters, line ends and invisible characters that
/// turn the direction of what follows are left out, and what is left is cut to `max_chars`.
#[must_use]
pub fn one_line(text: &str, max_chars: usize) -> String {
    let visible = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !turns_direction(*c));
    let cut: String = visible.filter(|c| !c.is_control() && is_xml_char(*c)).take(max_chars).collect();
    cut.trim().to_owned()
}

/// Makes what a user or a program wants to send fit for screens and for XML: control characters other than tab and line
/// ends, and code points that XML cannot carry, become U+FFFD, so that the reader sees that something was there.
#[must_use]
pub fn displayable(text: &str) -> Cow<'_, str> {
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r') || (!c.is_control() && is_xml_char(c));
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if fits(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
}

/// Characters that change the direction of text around them (Unicode Standard Annex #9 §2).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Both parts as they look, case aside: a reader takes `I` for `l` and does not see the difference of case in domains.
fn address_skeleton(address: &BareJid) -> (String, String) {
    let look = |part: &str| skeleton(&part.to_lowercase()).collect::<String>();
    (look(address.localpart().unwrap_or_default()), look(address.domainpart()))
}

/// Judged label by label: a Cyrillic name at a Latin server is how most of the world writes.
fn mixes_scripts(address: &BareJid) -> bool {
    let labels = address.domainpart().split('.').chain(address.localpart());
    labels.into_iter().any(|label| !label.is_single_script())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn x16_two_confusable_contacts_are_marked() {
        // the second one is written with Cyrillic letters; no alphabet is mixed within it
        for (known, forged) in [
            ("cocoa@example.org", "\u{441}\u{43e}\u{441}\u{43e}\u{430}@example.org"),
            ("paypal@example.org", "paypa1@example.org"),
            ("alice@example.org", "alice@ex\u{430}mple.org"),
            ("rn@example.org", "m@example.org"),
        ] {
            let (known, forged) = (jid(known), jid(forged));
            assert!(look_alike(&known, &forged));
            let warnings = address_warnings(&forged, [&known]);
            assert_eq!(warnings.first(), Some(&AddressWarning::LooksLikeAnother));
        }
        assert_eq!(
            address_warnings(&jid("alice@example.org"), [&jid("alice@example.org"), &jid("bob@example.org")]),
            []
        );
    }

    #[test]
    fn c25_names_that_look_alike_are_found_whatever_their_case_and_alphabet() {
        for (one, other) in [
            ("bob", "BOB"),
            ("bob", "b\u{43e}b"),
            ("paul", "pau1"),
            ("modern", "rnodern"),
            ("bob", "b0b"),
            ("bob", "bob"),
        ] {
            assert!(names_look_alike(one, other), "{one} {other}");
        }
        for (one, other) in [("bob", "rob"), ("bob", "bobby"), ("anna", "hanna")] {
            assert!(!names_look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn x16_mixed_alphabets_are_marked() {
        for mixed in ["p\u{430}ul@example.org", "alice@ex\u{430}mple.org", "\u{3b1}lice@example.org"] {
            assert_eq!(address_warnings(&jid(mixed), []), [AddressWarning::MixedScripts], "{mixed}");
        }
        for plain in [
            "alice-77_x@example.org",
            "алиса@example.org",
            "山田たろう@example.org",
            "müller@example.org",
            "room.example.org",
        ] {
            assert_eq!(address_warnings(&jid(plain), []), [], "{plain}");
        }
    }

    #[test]
    fn what_is_sent_has_no_control_characters() {
        assert_eq!(displayable("tab\t line\r\n é 😀"), "tab\t line\r\n é 😀");
        let odd = "\u{1b}[1m\u{7}\0\u{7f}\u{9b}\u{ffff}\u{fffe}";
        assert_eq!(displayable(odd), "\u{fffd}[1m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(one_line(odd, 80), "[1m");
    }

    #[test]
    fn x16_names_turn_no_direction_and_break_no_line() {
        assert_eq!(one_line("a\u{202e}b\u{2066}c\n d\u{7}\u{61c}", 80), "abc  d");
        assert_eq!(one_line("  many words ", 6), "many");
        assert_eq!(one_line("\u{202e}\u{200f}", 10), "");
        assert_eq!(one_line("שלום", 10), "שלום");
    }
}
