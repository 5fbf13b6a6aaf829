//! TLS as XMPP uses it: version 1.3, floor 1.2 with ephemeral keys and extended master secret, hybrid
//! post-quantum key exchange first, and the facts that sign-in binds itself to.
//!
//! Deliberately absent: session resumption and early data (a replayed request has no place in XMPP, and tickets are a
//! way to recognise people), compression, and the `tls-unique` binding, which TLS 1.3 does not have.
//!
//! Sources: RFC 7590, RFC 9266, RFC 5929 §4, RFC 7627, XEP-0368.

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};

use rustls::CommonState;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};

use crate::certificate::Pin;
use crate::verify::VerifyError;
use xmpp::stream::{DomainCheck, PeerCertificate, TlsFacts, TlsVersion};

pub use client::{ClientTls, Versions};
pub(crate) use server::SERVERS_ALPN;
pub use server::{Purpose, ServerTls};

/// Why TLS did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The server's certificate was not accepted.
    Certificate(VerifyError),
    /// The peer refused: our certificate, our versions, or something it does not say.
    RefusedByPeer,
    /// The peer has no version, cipher or key exchange that we accept.
    NothingInCommon,
    /// The peer does not speak TLS on this port.
    NotTls,
    /// The peer broke a rule of TLS.
    PeerMisbehaved,
    /// Bytes arrived in clear after TLS was agreed on: somebody may have put them there.
    PlaintextBeforeTls,
    /// The connection ended.
    Closed,
    /// The handshake took too long.
    TimedOut,
    /// The domain is no name that TLS can ask for.
    BadDomain,
    /// The connection already has TLS: a mistake of the caller.
    AlreadySecure,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(error) => return error.fmt(f),
            Self::RefusedByPeer => "the other side refused the secure connection",
            Self::NothingInCommon => "the other side supports no version of TLS that is safe",
            Self::NotTls => "what answers on this port does not speak TLS",
            Self::PeerMisbehaved => "the other side broke the rules of TLS",
            Self::PlaintextBeforeTls => "somebody may have tampered with the connection before it was secured",
            Self::Closed => "the connection was closed before it was secured",
            Self::TimedOut => "the other side did not secure the connection in time",
            Self::BadDomain => "this is no name that TLS can ask for",
            Self::AlreadySecure => "the connection is secured already",
        })
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    /// Says whether the peer has proved to be somebody else, so that trying again would not help.
    #[must_use]
    pub fn is_somebody_else(self) -> bool {
        matches!(self, Self::Certificate(error) if error.is_somebody_else()) || self == Self::BadDomain
    }

    /// Finds the reason in what the TLS library says.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        use rustls::Error as E;
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<E>()) else {
            return Self::Closed;
        };
        match tls {
            E::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                let known = other.0.downcast_ref::<VerifyError>().copied();
                Self::Certificate(known.unwrap_or(VerifyError::Unsuitable))
            }
            E::InvalidCertificate(_) => Self::Certificate(VerifyError::Unsuitable),
            E::NoCertificatesPresented => Self::Certificate(VerifyError::NoCertificate),
            E::AlertReceived(
                rustls::AlertDescription::ProtocolVersion | rustls::AlertDescription::InsufficientSecurity,
            )
            | E::PeerIncompatible(_) => Self::NothingInCommon,
            E::AlertReceived(_) => Self::RefusedByPeer,
            E::InvalidMessage(_) => Self::NotTls,
            _ => Self::PeerMisbehaved,
        }
    }
}

/// The cryptography of every TLS connection: only ephemeral AEAD suites, key exchange in the order of our preference.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
        Arc::new(provider)
    });
    &PROVIDER
}

/// Reads the version and the peer's certificate off a finished handshake.
fn facts(
    common: &CommonState,
    exporter: Option<[u8; 32]>,
    server_end_point: Option<Vec<u8>>,
    check: impl FnOnce(Arc<[Vec<u8>]>) -> DomainCheck,
) -> TlsFacts {
    let version = match common.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
        _ => TlsVersion::Tls12, // nothing older can be negotiated
    };
    let peer_certificate = common.peer_certificates().and_then(|chain| {
        let pin = Pin::of_certificate(chain.first()?).ok()?;
        let chain: Vec<Vec<u8>> = chain.iter().map(|der| der.to_vec()).collect();
        let verified_domain_check = check(Arc::from(chain.as_slice()));
        Some(PeerCertificate { verified_domain_check, chain, spki_sha256: *pin.as_bytes() })
    });
    TlsFacts { version, exporter, server_end_point, peer_certificate }
}

/// The label and the empty context of RFC 9266 §4.2. In TLS 1.2 an empty context differs from none (RFC 5705 §4).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const EXPORTER_CONTEXT: Option<&[u8]> = Some(&[]);
