//! Enforcing each part of an address. ASCII, the usual case, takes a short way with the same result.

use std::borrow::Cow;

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::{JidError, PART_BYTES_MAX};

/// Characters that PRECIS allows in a user name and XMPP does not (RFC 7622 §3.3.1).
const LOCALPART_EXCLUDED: &[char] = &['"', '&', '\'', '/', ':', '<', '>', '@'];

/// Enforces a localpart: `UsernameCaseMapped` and the exclusions of RFC 7622 §3.3.
pub(super) fn localpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    check(text, JidError::Localpart)?;
    let enforced = if text.is_ascii() {
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(JidError::Localpart);
        }
        lowercase(text)
    } else {
        UsernameCaseMapped::enforce(text).map_err(|_| JidError::Localpart)?
    };
    if enforced.contains(LOCALPART_EXCLUDED) {
        return Err(JidError::Localpart);
    }
    check(&enforced, JidError::Localpart)?;
    Ok(enforced)
}

/// Enforces a resourcepart: `OpaqueString` (RFC 7622 §3.4).
pub(super) fn resourcepart(text: &str) -> Result<Cow<'_, str>, JidError> {
    check(text, JidError::Resourcepart)?;
    let enforced = if text.is_ascii() {
        if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(JidError::Resourcepart);
        }
        Cow::Borrowed(text)
    } else {
        OpaqueString::enforce(text).map_err(|_| JidError::Resourcepart)?
    };
    check(&enforced, JidError::Resourcepart)?;
    Ok(enforced)
}

/// Enforces a domainpart: a name under IDNA2008 in Unicode form and lower case, an IPv4 or a bracketed IPv6 address; a
/// final dot is removed (RFC 7622 §3.2).
pub(super) fn domainpart(text: &str) -> Result<Cow<'_, str>, JidError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    check(text, JidError::Domainpart)?;
    if let Some(address) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| JidError::Domainpart)?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    let has_a_label = text.split('.').any(|label| label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--")));
    let enforced = if text.is_ascii() && !has_a_label { lowercase(text) } else { Cow::Owned(unicode_name(text)?) };
    if enforced.split('.').all(is_label) { Ok(enforced) } else { Err(JidError::Domainpart) }
}

/// Writes a domainpart as everything outside of XMPP wants it: A-labels (RFC 5890 §2.3.2.1), for DNS, TLS, HTTP and URLs.
/// An address of a machine stays as it is. `None` for what is no domainpart.
#[must_use]
pub fn to_ascii(domain: &str) -> Option<String> {
    let domain = domainpart(domain.strip_suffix('.').unwrap_or(domain)).ok()?;
    if domain.is_ascii() {
        return Some(domain.into_owned());
    }
    idna::domain_to_ascii_strict(&domain).ok()
}

fn unicode_name(text: &str) -> Result<String, JidError> {
    let ascii = idna::domain_to_ascii_strict(text).map_err(|_| JidError::Domainpart)?;
    let (unicode, outcome) = idna::domain_to_unicode(&ascii);
    outcome.map_err(|_| JidError::Domainpart)?;
    Ok(unicode)
}

/// Letters, digits and inner hyphens, at most 63 bytes; what is not ASCII was checked by IDNA. The underscore is not a
/// host name's character but stands in names of real services.
fn is_label(label: &str) -> bool {
    let ascii_fits = label.bytes().all(|b| !b.is_ascii() || b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    !label.is_empty() && label.len() <= 255 && ascii_fits && !label.starts_with('-') && !label.ends_with('-')
}

fn check(text: &str, error: JidError) -> Result<(), JidError> {
    if text.is_empty() || text.len() > PART_BYTES_MAX { Err(error) } else { Ok(()) }
}

fn lowercase(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}
