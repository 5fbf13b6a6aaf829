//! `host:port`, as `wx-at` lists them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::UriError;

/// Where something listens. `Debug` hides the address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The machine.
    pub host: Host,
    /// The TCP port, never 0.
    pub port: u16,
}

/// A machine, by name or by number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to look up: letters, digits, hyphens and dots.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Endpoint {
    /// Reads `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
    ///
    /// # Errors
    ///
    /// [`UriError::Endpoint`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (host, port) = text.rsplit_once(':').ok_or(UriError::Endpoint)?;
        if port.is_empty() || port.len() > 5 || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(UriError::Endpoint);
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: Host::parse(host)?, port }),
            _ => Err(UriError::Endpoint),
        }
    }

    /// Writes the form that [`Self::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.host.to_text(), self.port)
    }
}

impl Host {
    /// Reads a name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// [`UriError::Endpoint`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(UriError::Endpoint)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| UriError::Endpoint)?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return if address.is_ipv4() { Ok(Self::Address(address)) } else { Err(UriError::Endpoint) };
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // an all-numeric last label would be an IPv4 address in one of its stranger spellings
        let last_is_number = name.rsplit('.').next().is_some_and(looks_numeric);
        if name.len() > 253 || last_is_number || !name.split('.').all(label_fits) {
            return Err(UriError::Endpoint);
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }

    /// Writes the form that [`Self::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(IpAddr::V4(address)) => address.to_string(),
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }
}

/// Whether resolvers may take a label for a number: decimal, octal or hexadecimal.
fn looks_numeric(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}
