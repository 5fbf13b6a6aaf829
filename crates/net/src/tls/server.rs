//! The receiving side of TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::{EXPORTER_CONTEXT, EXPORTER_LABEL, TlsError, facts, provider};
use xmpp::stream::{DomainCheck, TlsFacts};
use xmpp::time::Clock as _;

use crate::Service;
use crate::clock::SystemClock;
use crate::dial::Routes;
use crate::identity::{Identity, ReloadableIdentity};
use crate::verify::{Trust, verify_chain};

/// What other servers say that they want to speak (XEP-0368 §2).
pub(crate) const SERVERS_ALPN: &[u8] = b"xmpp-server";

/// Whom a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// XMPP clients. They sign in with SASL, so no certificate is asked of them.
    XmppClients,
    /// XMPP servers. A certificate is asked for, and looked at after the handshake.
    XmppServers,
    /// Web browsers and file transfer.
    Https,
}

/// How to be the receiving side.
#[derive(Clone)]
pub struct ServerTls {
    purpose: Purpose,
    identities: Arc<ReloadableIdentity>,
    peers: Option<(Trust, Routes)>,
    timeout: Duration,
    /// How other servers are served that say by ALPN that they are ones, on a port for clients.
    servers: Option<Box<ServerTls>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Serves `identities` to `purpose`, with 30 s for the handshake (security-design §6).
    pub fn new(purpose: Purpose, identities: Arc<ReloadableIdentity>) -> Self {
        Self { purpose, identities, peers: None, timeout: Duration::from_secs(30), servers: None }
    }

    /// Says whom to believe about the certificates of servers: the pins of a domain's static route, else `trust`.
    /// Until this is set no certificate is believed, and peers have to use dialback.
    #[must_use]
    pub fn with_peer_trust(mut self, trust: Trust, routes: Routes) -> Self {
        self.peers = Some((trust, routes));
        self
    }

    /// Serves other servers too, which say by ALPN that they are ones (XEP-0368 §2): links name the port for clients only.
    /// See [`Connection::is_for_servers`](crate::connection::Connection::is_for_servers).
    #[must_use]
    pub fn with_servers(mut self, servers: Self) -> Self {
        self.servers = Some(Box::new(servers));
        self
    }

    /// Sets the time for the handshake.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Performs the handshake. The name in the ClientHello chooses the identity, which is remembered for the
    /// `tls-server-end-point` binding: after a reload nobody could tell which certificate was served.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, TlsFacts), TlsError> {
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let names = hello.client_hello().alpn();
            let is_server = names.is_some_and(|mut names| names.any(|name| name == SERVERS_ALPN));
            let as_whom = self.servers.as_deref().filter(|_| is_server).unwrap_or(self);
            let served = as_whom.identities.choose(hello.client_hello().server_name());
            let config = as_whom.config(&served)?;
            Ok((hello.into_stream(config).await?, served, as_whom.peers.clone()))
        };
        let (stream, served, peers) = tokio::time::timeout(self.timeout, handshake)
            .await
            .map_err(|_| TlsError::TimedOut)?
            .map_err(|error: std::io::Error| TlsError::from_io(&error))?;
        let connection = stream.get_ref().1;
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, EXPORTER_CONTEXT).ok();
        let end_point = served.server_end_point().map(<[u8]>::to_vec);
        let facts = facts(connection, exporter, end_point, |chain| {
            DomainCheck::new(move |domain| {
                let Some((trust, routes)) = &peers else { return false };
                let trust = routes.trust_of(domain).unwrap_or_else(|| trust.clone());
                verify_chain(&chain, domain, Service::Server, &trust, SystemClock.now()).is_ok()
            })
        });
        Ok((stream, facts))
    }

    fn config(&self, identity: &Identity) -> std::io::Result<Arc<ServerConfig>> {
        let [clients, servers, https] = &identity.configs;
        let slot = match self.purpose {
            Purpose::XmppClients => clients,
            Purpose::XmppServers => servers,
            Purpose::Https => https,
        };
        if let Some(config) = slot.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(make_config(self.purpose, identity).map_err(std::io::Error::other)?);
        Ok(Arc::clone(slot.get_or_init(|| config)))
    }
}

fn make_config(purpose: Purpose, identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match purpose {
        Purpose::XmppServers => builder.with_client_cert_verifier(Arc::new(PossessionOnly)),
        Purpose::XmppClients | Purpose::Https => builder.with_no_client_auth(),
    };
    let single = SingleCertAndKey::from(Arc::clone(&identity.certified));
    let mut config = builder.with_cert_resolver(Arc::new(single));
    config.require_ems = true;
    config.ignore_client_order = true; // our order of ciphers; the order of key exchange is ours anyway
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = match purpose {
        Purpose::XmppClients => vec![b"xmpp-client".to_vec()],
        Purpose::XmppServers => vec![SERVERS_ALPN.to_vec()],
        Purpose::Https => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// Asks for a certificate and checks that the peer owns its key, nothing more: whose it is can only be said once the
/// stream header has named a domain, and a peer without a usable one may still prove itself by dialback.
#[derive(Debug)]
struct PossessionOnly;

impl ClientCertVerifier for PossessionOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
