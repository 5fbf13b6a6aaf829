//! `https://` URLs as files need them: one host, one port, no surprises.
//!
//! Not a general URL parser: what upload services hand out is a subset of RFC 3986, and everything beyond it (user
//! names, relative paths, odd spellings of addresses) is where clients get tricked into fetching something else.

use std::fmt;

use crate::Malformed;
use crate::uri::Host;

/// Longest URL accepted, in bytes.
pub const BYTES_MAX: usize = 2048;

/// An absolute `https://` URL without user name and fragment. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpsUrl {
    /// The machine.
    pub host: Host,
    /// The port; 443 unless the URL says otherwise.
    pub port: u16,
    /// Path and query, beginning with `/`: the request target (RFC 9112 §3.2.1).
    pub target: String,
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("https://<redacted>")
    }
}

impl HttpsUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`Malformed`] says which rule it breaks: another scheme, a user name, a host that is neither name nor address,
    /// a fragment, or a character that must be escaped.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > BYTES_MAX {
            return Err(Malformed("the URL is too long"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(Malformed("not an absolute URL"))?;
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(Malformed("not an https URL"));
        }
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(at).ok_or(Malformed("not an absolute URL"))?;
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host).map_err(|_| Malformed("the URL has no usable host"))?;
        let target = if target.is_empty() { "/" } else { target };
        if !target.starts_with('/') {
            return Err(Malformed("the URL has no path"));
        }
        if !target.bytes().all(is_target_byte) {
            return Err(Malformed("the URL has a character that must be escaped"));
        }
        Ok(Self { host, port, target: target.to_owned() })
    }

    /// Writes the URL.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self.port {
            443 => format!("https://{}{}", self.host.to_text(), self.target),
            port => format!("https://{}:{port}{}", self.host.to_text(), self.target),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, u16), Malformed> {
    // the last colon, unless it is inside the brackets of an IPv6 address
    let colon = authority.rfind(':').filter(|colon| authority.rfind(']').is_none_or(|bracket| bracket < *colon));
    let Some((host, port)) = colon.and_then(|colon| authority.split_at_checked(colon)) else {
        return Ok((authority, 443));
    };
    let port = port.strip_prefix(':').filter(|p| p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()));
    match port.and_then(|p| p.parse().ok()) {
        Some(port) if port > 0 => Ok((host, port)),
        _ => Err(Malformed("the URL has no usable port")),
    }
}

/// Characters of path and query (RFC 3986 §3.3, §3.4), and `|[]^{}` which some upload services leave unescaped.
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%|[]^{}".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_upload_services_round_trip() {
        for good in [
            "https://download.montague.tld/4a771ac1-f0b2-4a4a-9700-f2a26fa2bb67/tr%C3%A8s%20cool.jpg",
            "https://files.example.org:5443/upload/a/b?v2=0123",
            "https://192.0.2.1/",
            "https://[2001:db8::1]:8443/x",
        ] {
            assert_eq!(HttpsUrl::parse(good).map(|u| u.to_text()).as_deref(), Ok(good));
        }
        assert_eq!(
            HttpsUrl::parse("HTTPS://Example.ORG:443").map(|u| u.to_text()).as_deref(),
            Ok("https://example.org/")
        );
    }

    #[test]
    fn f04_everything_else_is_refused() {
        for bad in [
            "",
            "example.org/a",
            "http://example.org/a",
            "ftp://example.org/a",
            "file:///etc/passwd",
            "https:///a",
            "https://",
            "https://user@example.org/",
            "https://example.org@evil.example/",
            "https://example.org:0/",
            "https://example.org:99999/",
            "https://example.org:/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://127.1/",
            "https://[::1/",
            "https://[::ffff:127.0.0.1%25eth0]/",
            "https://example.org?x",
            "https://example.org/a#b",
            "https://example.org/a b",
            "https://example.org/a\r\nHost: evil",
            "https://example.org\\@evil.example/",
            "https://exämple.org/",
            "https://example.org/ä",
        ] {
            assert!(HttpsUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(HttpsUrl::parse(&format!("https://example.org/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn debug_shows_no_host() {
        let url = HttpsUrl::parse("https://files.example.org/secret").unwrap();
        assert_eq!(format!("{url:?}"), "https://<redacted>");
    }
}
