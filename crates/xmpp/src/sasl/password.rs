//! Preparing a password: two keyboards, one byte string.

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::precis_core::{DerivedPropertyValue, FreeformClass, StringClass};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use zeroize::Zeroizing;

/// A password holds a character that no password may hold, or is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordError;

impl std::fmt::Display for PasswordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the password is empty or holds characters that are not allowed")
    }
}

impl std::error::Error for PasswordError {}

/// Which of the two preparations of a password is meant. They differ for few passwords: those with compatibility
/// characters, such as ligatures or full-width letters, which SASLprep takes apart, and those with characters that it
/// maps to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordForm {
    /// SASLprep (RFC 4013), which RFC 5802 §2.2 names and most software uses; OpaqueString where it refuses, because it
    /// is frozen at Unicode 3.2 and knows no emoji.
    #[default]
    SaslPrep,
    /// OpaqueString (RFC 8265 §4.2), which replaces it.
    Opaque,
}

/// A password, prepared in each way that somebody may prepare it.
pub struct PasswordForms {
    /// What [`PasswordForm::SaslPrep`] gives.
    pub first: Zeroizing<String>,
    /// What [`PasswordForm::Opaque`] gives, where that is something else.
    pub other: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for PasswordForms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordForms(<redacted>)")
    }
}

impl PasswordForms {
    /// Prepares a password.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] when it is empty, or neither way takes it.
    ///
    /// Source: RFC 5802 §2.2, RFC 4013, RFC 8265 §4.2.
    pub fn of(password: &str) -> Result<Self, PasswordError> {
        if !password.is_empty() && password.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Ok(Self { first: Zeroizing::new(password.to_owned()), other: None }); // printable ASCII stays as it is
        }
        let prepared = stringprep::saslprep(password).ok().map(|text| Zeroizing::new(text.into_owned()));
        let prepared = prepared.filter(|text| !text.is_empty());
        let opaque = opaque(password);
        match (prepared, opaque) {
            (Some(first), Some(other)) => Ok(Self { other: (*first != *other).then_some(other), first }),
            (Some(only), None) | (None, Some(only)) => Ok(Self { first: only, other: None }),
            (None, None) => Err(PasswordError),
        }
    }

    /// Returns one form.
    #[must_use]
    pub fn get(&self, form: PasswordForm) -> &str {
        match (form, &self.other) {
            (PasswordForm::Opaque, Some(other)) => other,
            _ => &self.first,
        }
    }
}

/// Prepares as OpaqueString says. The library's tables are of an older Unicode: what was assigned since counts as the
/// symbol or letter that it is.
fn opaque(password: &str) -> Option<Zeroizing<String>> {
    let is_new = |c: char| FreeformClass::default().get_value_from_char(c) == DerivedPropertyValue::Unassigned;
    let older: Option<String> = password
        .chars()
        .map(|c| match c.general_category_group() {
            _ if !is_new(c) => Some(c),
            GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator => None,
            _ => Some(SOME_SYMBOL),
        })
        .collect();
    let older = Zeroizing::new(older?);
    let checked = Zeroizing::new(OpaqueString::enforce(older.as_str()).ok()?.into_owned());
    if *older == password {
        return Some(checked).filter(|text| !text.is_empty());
    }
    let is_space = |c: char| c.general_category() == GeneralCategory::SpaceSeparator;
    Some(Zeroizing::new(password.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect()))
}

/// An old symbol that may be in any password.
const SOME_SYMBOL: char = '\u{2603}';

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(password: &str) -> (String, Option<String>) {
        let forms = PasswordForms::of(password).unwrap();
        (forms.first.to_string(), forms.other.map(|other| other.to_string()))
    }

    #[test]
    fn two_keyboards_one_password() {
        assert_eq!(forms("cafe\u{301}\u{a0}au lait"), ("caf\u{e9} au lait".into(), None));
        assert_eq!(forms("caf\u{e9} au lait"), ("caf\u{e9} au lait".into(), None));
        assert_eq!(forms("correct horse"), ("correct horse".into(), None));
    }

    /// The examples of RFC 4013 §3, and what OpaqueString makes of them.
    #[test]
    fn where_the_two_preparations_differ() {
        assert_eq!(forms("I\u{ad}X").0, "IX");
        assert_eq!(forms("user"), ("user".into(), None));
        assert_eq!(forms("\u{aa}"), ("a".into(), Some("\u{aa}".into())));
        assert_eq!(forms("\u{2168}"), ("IX".into(), Some("\u{2168}".into())));
        assert_eq!(forms("\u{fb01}sh"), ("fish".into(), Some("\u{fb01}sh".into())));
        assert_eq!(forms("\u{ff41}\u{ff42}"), ("ab".into(), Some("\u{ff41}\u{ff42}".into())));
        // RFC 4013 forbids mixed directions; OpaqueString does not care
        assert_eq!(forms("\u{627}1"), ("\u{627}1".into(), None));
    }

    #[test]
    fn emoji_are_for_one_of_them_only() {
        assert_eq!(forms("\u{2708}"), ("\u{2708}".into(), None), "an old one, which both take");
        for emoji in ["\u{1f600}", "\u{1f980}", "\u{1faa9}"] {
            assert!(stringprep::saslprep(emoji).is_err());
            assert_eq!(forms(emoji), (emoji.into(), None));
        }
        assert_eq!(forms("\u{1f980}\u{a0}cafe\u{301}"), ("\u{1f980} caf\u{e9}".into(), None));
        assert!(PasswordForms::of("\u{1f980}\u{7}").is_err());
        assert!(PasswordForms::of("\u{10ffff}").is_err(), "no character");
    }

    #[test]
    fn what_is_not_a_password() {
        for password in ["", "bell\u{7}", "line\nbreak", "\u{7}"] {
            assert!(PasswordForms::of(password).is_err(), "{password:?}");
        }
    }
}
