//! What is to be reached.

use std::fmt;

use super::AddressRule;
use crate::Service;
use crate::names::{ip_literal, to_ascii};

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// TLS from the first byte (XEP-0368).
    DirectTls,
    /// A stream in clear that is upgraded before anything else happens (RFC 6120 §5).
    StartTls,
}

/// A host and a port, as in `wx-at=host:port`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Debug for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostPort(<redacted>)")
    }
}

impl HostPort {
    /// Names a host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        if host.contains(':') && !host.starts_with('[') {
            return None; // an IPv6 address without brackets: nobody can say where the port begins
        }
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return None; // `parse` alone would take a sign
        }
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self { host: to_ascii(host)?, port })
    }

    /// Writes the form that [`HostPort::parse`] reads.
    pub fn to_text(&self) -> String {
        match ip_literal(&self.host) {
            Some(std::net::IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

/// A host, a port, and how the connection to it is secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Where.
    pub host: HostPort,
    /// How.
    pub mode: Mode,
}

impl Endpoint {
    /// Names an endpoint.
    pub fn new(host: impl Into<String>, port: u16, mode: Mode) -> Self {
        Self { host: HostPort::new(host, port), mode }
    }

    /// For a host of which nobody said how it is secured: direct TLS, then STARTTLS.
    ///
    /// In this order, because an XML stream does not survive a ClientHello and ends at once, while a TLS port would
    /// wait in silence for the rest of what it takes for a record.
    pub fn either(host: HostPort) -> [Self; 2] {
        [Self { host: host.clone(), mode: Mode::DirectTls }, Self { host, mode: Mode::StartTls }]
    }
}

/// A domain's service, and what is known about its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) domain: String,
    pub(super) service: Service,
    pub(super) at: Vec<Endpoint>,
    pub(super) isolation: Option<String>,
    pub(super) rule: AddressRule,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Target {
    /// Names the service of a domain, to be found by route or DNS.
    pub fn new(domain: impl Into<String>, service: Service) -> Self {
        Self { domain: domain.into(), service, at: Vec::new(), isolation: None, rule: AddressRule::Any }
    }

    /// Tries only these hosts, in this order. An empty list changes nothing.
    #[must_use]
    pub fn at(mut self, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        self.at.extend(endpoints);
        self
    }

    /// Keeps this connection apart from those with another key, where the proxy can do that.
    #[must_use]
    pub fn isolated(mut self, key: impl Into<String>) -> Self {
        self.isolation = Some(key.into());
        self
    }

    /// Connects only to addresses that the rule allows: a stranger has named the domain, or its hosts.
    #[must_use]
    pub fn within(mut self, rule: AddressRule) -> Self {
        self.rule = rule;
        self
    }

    /// Returns the domain, which the certificate must prove.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// The domain's own name at the standard ports. RFC 6120 §3.2.2 knows only the first; many servers have the second.
pub(super) fn standard_endpoints(domain: &str, service: Service) -> Vec<Endpoint> {
    vec![
        Endpoint::new(domain, service.starttls_port(), Mode::StartTls),
        Endpoint::new(domain, service.direct_tls_port(), Mode::DirectTls),
    ]
}

/// The SRV names to ask for, in the order of preference.
pub(super) fn srv_queries(service: Service) -> Vec<(&'static str, Mode)> {
    match service {
        Service::Client => vec![("_xmpps-client", Mode::DirectTls), ("_xmpp-client", Mode::StartTls)],
        Service::Server => vec![("_xmpps-server", Mode::DirectTls), ("_xmpp-server", Mode::StartTls)],
        Service::Https => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_and_written() {
        for text in ["example.org:5223", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(HostPort::parse(text).map(|host| host.to_text()).as_deref(), Some(text));
        }
        for bad in ["", "example.org", "example.org:", ":5222", "::1:5222", "a:0", "a:65536", "a:+1", "a b:1"] {
            assert_eq!(HostPort::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn debug_names_no_host() {
        let target = Target::new("north.example", Service::Client)
            .at([Endpoint::new("host.example", 5223, Mode::DirectTls)])
            .isolated("alice");
        let printed = format!("{target:?} {:?}", target.at);
        assert!(!printed.contains("example") && !printed.contains("alice"), "{printed}");
    }
}
