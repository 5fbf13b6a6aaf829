//! The initiating side of TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use xmpp::time::{Clock as _, Timestamp};

use super::{EXPORTER_CONTEXT, EXPORTER_LABEL, TlsError, facts, provider};
use crate::Service;
use crate::certificate::server_end_point;
use crate::clock::SystemClock;
use crate::identity::ReloadableIdentity;
use crate::names::to_ascii;
use crate::verify::{Trust, verify_chain};
use xmpp::stream::{DomainCheck, TlsFacts};

/// Which versions of TLS may be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// 1.3, and 1.2 with peers that have nothing newer.
    #[default]
    Floor12,
    /// 1.3 alone.
    Only13,
    /// 1.2 alone, to test against.
    #[cfg(any(test, feature = "testing"))]
    DangerOnly12,
}

/// How to be the initiating side: whom to believe and who we are.
#[derive(Clone)]
pub struct ClientTls {
    service: Service,
    trust: Trust,
    identity: Option<Arc<ReloadableIdentity>>,
    versions: Versions,
    timeout: Duration,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("service", &self.service).field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Starts with no certificate of our own, versions from 1.2 and 30 s for the handshake.
    pub fn new(service: Service, trust: Trust) -> Self {
        Self { service, trust, identity: None, versions: Versions::default(), timeout: Duration::from_secs(30) }
    }

    /// Presents this identity when the server asks for one, as a server does to another.
    #[must_use]
    pub fn with_identity(mut self, identity: Arc<ReloadableIdentity>) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Believes somebody else instead.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Returns whom it believes.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Sets the versions that may be spoken.
    #[must_use]
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// Sets the time for the handshake.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The service whose names the certificate must carry.
    pub fn service(&self) -> Service {
        self.service
    }

    /// Performs the handshake with the server of `domain`. `local_domain` chooses among our own identities.
    ///
    /// ALPN is offered on direct TLS only: after STARTTLS the protocol is known (XEP-0368 §3).
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        domain: &str,
        local_domain: Option<&str>,
        alpn: bool,
    ) -> Result<(TlsStream<TcpStream>, TlsFacts), TlsError> {
        let ascii = to_ascii(domain).ok_or(TlsError::BadDomain)?;
        let name = ServerName::try_from(ascii.clone()).map_err(|_| TlsError::BadDomain)?;
        let config = Arc::new(self.config(ascii, local_domain, alpn)?);
        let handshake = TlsConnector::from(config).connect(name, stream);
        let stream = tokio::time::timeout(self.timeout, handshake)
            .await
            .map_err(|_| TlsError::TimedOut)?
            .map_err(|error| TlsError::from_io(&error))?;
        let connection = stream.get_ref().1;
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, EXPORTER_CONTEXT).ok();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let end_point = leaf.and_then(|leaf| server_end_point(leaf));
        let (service, trust) = (self.service, self.trust.clone());
        let facts = facts(connection, exporter, end_point, |chain| {
            DomainCheck::new(move |domain| verify_chain(&chain, domain, service, &trust, SystemClock.now()).is_ok())
        });
        Ok((stream, facts))
    }

    fn config(&self, domain: String, local_domain: Option<&str>, alpn: bool) -> Result<ClientConfig, TlsError> {
        let versions: &[&rustls::SupportedProtocolVersion] = match self.versions {
            Versions::Floor12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            Versions::Only13 => &[&rustls::version::TLS13],
            #[cfg(any(test, feature = "testing"))]
            Versions::DangerOnly12 => &[&rustls::version::TLS12],
        };
        let verifier = DomainVerifier { domain, service: self.service, trust: self.trust.clone() };
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_protocol_versions(versions)
            .map_err(|_| TlsError::NothingInCommon)?
            .dangerous() // "dangerous" is the library's word for a verifier of one's own, which this is
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            Some(identities) => {
                let chosen = identities.choose(local_domain);
                let single = rustls::sign::SingleCertAndKey::from(Arc::clone(&chosen.certified));
                builder.with_client_cert_resolver(Arc::new(single))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.require_ems = true;
        if alpn {
            config.alpn_protocols = vec![self.service.alpn().to_vec()];
        }
        Ok(config)
    }
}

/// Asks [`verify_chain`] and keeps its reason, so that the person is told what is wrong.
#[derive(Debug)]
struct DomainVerifier {
    domain: String,
    service: Service,
    trust: Trust,
}

impl ServerCertVerifier for DomainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _asked_for: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<&[u8]> = std::iter::once(end_entity).chain(intermediates).map(AsRef::as_ref).collect();
        let now = Timestamp::from_millis(i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000));
        match verify_chain(&chain, &self.domain, self.service, &self.trust, now) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(reason) => Err(CertificateError::Other(OtherError(Arc::new(reason))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
