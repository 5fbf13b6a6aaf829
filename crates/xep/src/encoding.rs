//! Base64 as elements carry it: strict, bounded before anything is decoded, and forgiving about line breaks only.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::Malformed;

/// Encodes with padding (RFC 4648 §4).
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes at most `max_bytes`; white space is skipped, because XML writers wrap lines.
///
/// # Errors
///
/// [`Malformed`] when the text is longer than `max_bytes` can need, has a foreign character, lacks padding, or is not
/// the one encoding of its bytes.
pub fn parse_base64(text: &str, max_bytes: usize) -> Result<Vec<u8>, Malformed> {
    let packed: String;
    let text = if text.bytes().any(|b| b.is_ascii_whitespace()) {
        packed = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        &packed
    } else {
        text
    };
    if text.len() > max_bytes.div_ceil(3).saturating_mul(4) {
        return Err(Malformed("base64 longer than allowed"));
    }
    let bytes = STANDARD.decode(text).map_err(|_| Malformed("not valid base64"))?;
    if bytes.len() > max_bytes { Err(Malformed("base64 longer than allowed")) } else { Ok(bytes) }
}

/// Encodes for links: the URL alphabet without padding (RFC 4648 §5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes exactly `N` bytes of the URL alphabet without padding.
#[must_use]
pub fn parse_base64url<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > N.div_ceil(3).saturating_mul(4) {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_checked_before_it_is_decoded() {
        assert_eq!(parse_base64(" aGVs\n bG8= \t", 5), Ok(b"hello".to_vec()));
        assert_eq!(parse_base64("", 5), Ok(Vec::new()));
        for bad in ["aGVsbG8", "aGVsbG9=", "aGV_", "aGVsbG8=aGVs", "aG%s", "aGVsbG8gdG8gYWxs"] {
            assert!(parse_base64(bad, 5).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_carry_the_url_alphabet() {
        let bytes = [0xfbu8; 32];
        assert_eq!(parse_base64url(&base64url(&bytes)), Some(bytes));
        assert_eq!(parse_base64url::<31>(&base64url(&bytes)), None);
        assert_eq!(parse_base64url::<2>("AA=="), None);
    }
}
