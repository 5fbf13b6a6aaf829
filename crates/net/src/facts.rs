//! What a finished TLS handshake tells the stream above it.

use std::fmt;
use std::sync::Arc;

/// The version of TLS in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 with ephemeral keys, AEAD and extended master secret.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What sign-in and federation need to know about the TLS connection below them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version in use.
    pub version: TlsVersion,
    /// The `tls-exporter` binding (RFC 9266): equal at both ends of one connection, and nowhere else.
    pub exporter: Option<[u8; 32]>,
    /// The `tls-server-end-point` binding (RFC 5929 §4), where the certificate defines one.
    pub server_end_point: Option<Vec<u8>>,
    /// The certificate that the peer has presented and whose key it has proved to own.
    pub peer_certificate: Option<PeerCertificate>,
}

/// A certificate chain as presented.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Checks the chain for a domain.
    pub verified_domain_check: DomainCheck,
    /// The chain in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
}

impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerCertificate(<redacted>)")
    }
}

/// Answers whether a chain is the one of a domain.
#[derive(Clone)]
pub struct DomainCheck(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl DomainCheck {
    /// Wraps the check.
    pub fn new(check: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Runs it for a domain.
    pub fn verifies(&self, domain: &str) -> bool {
        (self.0)(domain)
    }
}

impl PartialEq for DomainCheck {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DomainCheck {}

impl fmt::Debug for DomainCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainCheck")
    }
}
