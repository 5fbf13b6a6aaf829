//! Preparing a password: two keyboards, one byte string.

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
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

/// Brings a password into its one form: Unicode NFC, every space an ASCII space, no control characters.
///
/// RFC 5802 names SASLprep (RFC 4013), which is frozen at Unicode 3.2; RFC 8265 replaces it. The two agree on
/// everything but compatibility characters, such as ligatures, which SASLprep would take apart.
///
/// # Errors
///
/// [`PasswordError`] when the password is empty or holds a disallowed character.
///
/// Source: RFC 8265 §4.2 (OpaqueString).
pub fn prepare_password(password: &str) -> Result<Zeroizing<String>, PasswordError> {
    if !password.is_empty() && password.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Ok(Zeroizing::new(password.to_owned())); // printable ASCII is already in that form
    }
    match OpaqueString::enforce(password) {
        Ok(prepared) if !prepared.is_empty() => Ok(Zeroizing::new(prepared.into_owned())),
        _ => Err(PasswordError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keyboards_one_password() {
        let composed = prepare_password("caf\u{e9} au lait").unwrap();
        let decomposed = prepare_password("cafe\u{301}\u{a0}au lait").unwrap();
        assert_eq!(*composed, *decomposed);
        assert_eq!(prepare_password("correct horse").unwrap().as_str(), "correct horse");
    }

    #[test]
    fn what_is_not_a_password() {
        assert!(prepare_password("").is_err());
        assert!(prepare_password("bell\u{7}").is_err());
        assert!(prepare_password("line\nbreak").is_err());
    }
}
