//! What a stream needs to know about the TLS connection below it.

use std::fmt;
use std::sync::Arc;

use crate::sasl::ChannelBindings;
pub use crate::sasl::TlsVersion;

/// The facts of one established TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The negotiated version.
    pub version: TlsVersion,
    /// `tls-exporter` channel binding (RFC 9266).
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` channel binding (RFC 5929 §4).
    pub server_end_point: Option<Vec<u8>>,
    /// The peer's certificate, where it presented one and proved that it holds the key. Whether to *believe* the
    /// certificate is a question that the stream asks for the domain in question.
    pub peer_certificate: Option<PeerCertificate>,
}

impl TlsFacts {
    /// The channel bindings of this connection.
    #[must_use]
    pub fn bindings(&self) -> ChannelBindings {
        ChannelBindings { exporter: self.exporter, server_end_point: self.server_end_point.clone() }
    }
}

/// A certificate that the peer presented.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Checks the chain for a domain; made by whoever did the handshake.
    pub verified_domain_check: DomainCheck,
    /// The chain in DER, the peer's own certificate first.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 of the SubjectPublicKeyInfo of the peer's own certificate: what pins are compared with.
    pub spki_sha256: [u8; 32],
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerCertificate(<redacted>)")
    }
}

/// Answers whether a chain is valid for a domain (RFC 6120 §13.7.2), now and by the roots of this machine.
#[derive(Clone)]
pub struct DomainCheck(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl DomainCheck {
    /// Wraps the check.
    pub fn new(check: impl Fn(&str) -> bool + Send + Sync + 'static) -> DomainCheck {
        DomainCheck(Arc::new(check))
    }

    /// Runs it for a domain.
    #[must_use]
    pub fn verifies(&self, domain: &str) -> bool {
        (self.0)(domain)
    }
}

impl PartialEq for DomainCheck {
    fn eq(&self, other: &DomainCheck) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DomainCheck {}

impl fmt::Debug for DomainCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainCheck")
    }
}

/// What a connection is when its stream begins.
#[derive(Debug, Clone)]
pub enum Transport {
    /// Plain TCP: the stream begins with STARTTLS and does nothing else before it (RFC 7590 §3.4).
    Plain,
    /// TLS from the first byte (XEP-0368).
    Tls(TlsFacts),
}
