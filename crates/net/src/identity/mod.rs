//! Who this broker is in TLS: certificate chain and private key, chosen by name and replaced while running.
//!
//! Knows: certificates and their keys. Lacks: files. Programs read and write PEM text where their secrets live; a
//! demonstration keeps them in memory.

mod own_ca;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use xmpp::time::Timestamp;

use crate::certificate::{CertificateFacts, Pin, server_end_point};

pub use own_ca::{LEAF_DAYS, OwnCa, SERVICE_LABELS, generate_key_pem};

/// Why an identity could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The PEM text holds no certificate.
    NoCertificate,
    /// A certificate in the PEM text cannot be read.
    BadCertificate,
    /// The PEM text holds no private key, or one of a kind that TLS cannot use.
    BadKey,
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// The name cannot stand in a certificate.
    BadName,
    /// The certificate could not be made.
    NotIssued,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "the file holds no certificate in PEM form",
            Self::BadCertificate => "a certificate in the file cannot be read",
            Self::BadKey => "the file holds no private key that TLS can use",
            Self::KeyMismatch => "the private key belongs to another certificate",
            Self::BadName => "the name cannot stand in a certificate",
            Self::NotIssued => "the certificate could not be made",
        })
    }
}

impl std::error::Error for IdentityError {}

/// A certificate chain and its private key.
pub struct Identity {
    facts: CertificateFacts,
    server_end_point: Option<Vec<u8>>,
    pub(crate) certified: Arc<CertifiedKey>,
    /// One TLS configuration per purpose, made at first use: connections share it, which keeps idle ones small.
    pub(crate) configs: [OnceLock<Arc<ServerConfig>>; 3],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads a chain (leaf first) and a private key, each in PEM.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says which of the two is at fault.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| IdentityError::BadCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| IdentityError::BadKey)?;
        Self::from_der(chain, &key)
    }

    /// Takes a chain (leaf first) and a private key in DER.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says which of the two is at fault.
    pub fn from_der(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let facts = CertificateFacts::read(leaf).map_err(|_| IdentityError::BadCertificate)?;
        let server_end_point = server_end_point(leaf);
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).map_err(|_| IdentityError::BadKey)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(IdentityError::KeyMismatch),
        }
        Ok(Self { facts, server_end_point, certified: Arc::new(certified), configs: Default::default() })
    }

    /// Returns the pin that invite and peer links carry.
    pub fn pin(&self) -> Pin {
        self.facts.pin
    }

    /// Returns what the leaf certificate says.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// Returns the moment after which peers refuse the certificate.
    pub fn expires(&self) -> Timestamp {
        self.facts.not_after
    }

    /// Returns the `tls-server-end-point` binding of connections that are served this identity (RFC 5929 §4).
    pub fn server_end_point(&self) -> Option<&[u8]> {
        self.server_end_point.as_deref()
    }

    /// Returns the chain in DER, leaf first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }
}

/// The identities in use now. Listeners hold it, and renewal replaces what it holds without closing a connection.
pub struct ReloadableIdentity {
    current: RwLock<Arc<Served>>,
}

struct Served {
    default: Arc<Identity>,
    others: Vec<Arc<Identity>>,
}

impl fmt::Debug for ReloadableIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReloadableIdentity")
    }
}

impl ReloadableIdentity {
    /// Starts with one identity, which is also served to peers that name no host.
    pub fn new(identity: Identity) -> Arc<Self> {
        let served = Served { default: Arc::new(identity), others: Vec::new() };
        Arc::new(Self { current: RwLock::new(Arc::new(served)) })
    }

    /// Replaces all identities. Connections that stand keep what they have.
    pub fn replace(&self, default: Identity, others: Vec<Identity>) {
        let others = others.into_iter().map(Arc::new).collect();
        let served = Arc::new(Served { default: Arc::new(default), others });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// Chooses by the name that the peer asked for (SNI), else the default.
    pub fn choose(&self, server_name: Option<&str>) -> Arc<Identity> {
        let served = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let all = std::iter::once(&served.default).chain(&served.others);
        let named = server_name.and_then(|name| all.into_iter().find(|identity| identity.facts.names_host(name)));
        Arc::clone(named.unwrap_or(&served.default))
    }
}
