//! What a finished TLS handshake tells the stream above it.

use std::fmt;

/// The version of TLS in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 with ephemeral keys, AEAD and extended master secret.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What sign-in and federation need to know about the TLS connection below them.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for TlsFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFacts").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A certificate chain as presented. Whose it is has to be checked with [`crate::verify::verify_chain`].
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificate {
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
