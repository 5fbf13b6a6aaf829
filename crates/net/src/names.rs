//! Host and domain names as DNS and TLS want them.

use std::net::IpAddr;

/// Turns a domainpart into its ASCII form (A-labels, lower case, no trailing dot), or an IP literal into itself.
///
/// `None` for what is no name.
pub fn to_ascii(domain: &str) -> Option<String> {
    let domain = domain.trim_end_matches('.');
    if let Some(address) = ip_literal(domain) {
        return Some(address.to_string());
    }
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let labels_fit = ascii.split('.').all(|label| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    });
    (labels_fit && ascii.len() <= 253).then_some(ascii)
}

/// Reads an IP address, in brackets or not.
pub fn ip_literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Says whether a name lies in `.onion`, which no DNS server may ever be asked for (RFC 7686 §2).
pub fn is_onion(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let tail = host.len().checked_sub(6).and_then(|at| host.get(at..));
    host.eq_ignore_ascii_case("onion") || tail.is_some_and(|tail| tail.eq_ignore_ascii_case(".onion"))
}

/// Says whether a name always means this machine (RFC 6761 §6.3).
pub fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ascii() {
        assert_eq!(to_ascii("Example.ORG.").as_deref(), Some("example.org"));
        assert_eq!(to_ascii("bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(to_ascii("[::1]").as_deref(), Some("::1"));
        assert_eq!(to_ascii("127.0.0.1").as_deref(), Some("127.0.0.1"));
        for bad in ["", ".", "a..b", "a b", "a/b", &"x".repeat(64)] {
            assert_eq!(to_ascii(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn special_names_are_known_in_any_case() {
        assert!(is_onion("abc.ONION") && is_onion("abc.onion.") && is_onion("onion"));
        assert!(!is_onion("onion.example") && !is_onion("fonion") && !is_onion("é.onio"));
        assert!(is_localhost("LOCALHOST") && is_localhost("a.localhost.") && !is_localhost("localhost.example"));
    }
}
