//! Percent-encoding (RFC 3986 §2.1), strict in both directions.

use super::UriError;

/// Appends `text`, escaping every byte but the unreserved ones and those in `also`.
pub(super) fn encode(out: &mut String, text: &str, also: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.extend(HEX.get(usize::from(nibble)).map(|b| char::from(*b)));
            }
        }
    }
}

/// Undoes escapes. Characters that should have been escaped are taken as they are, since people paste links.
pub(super) fn decode(text: &str) -> Result<String, UriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (hex_digit(rest.next())?, hex_digit(rest.next())?);
        bytes.push(high << 4 | low);
    }
    let text = String::from_utf8(bytes).map_err(|_| UriError::Escape)?;
    if text.chars().any(|c| c.is_control() && c != '\n') { Err(UriError::Escape) } else { Ok(text) }
}

fn hex_digit(byte: Option<u8>) -> Result<u8, UriError> {
    match byte {
        Some(b @ b'0'..=b'9') => Ok(b - b'0'),
        Some(b @ b'a'..=b'f') => Ok(b - b'a' + 10),
        Some(b @ b'A'..=b'F') => Ok(b - b'A' + 10),
        _ => Err(UriError::Escape),
    }
}
