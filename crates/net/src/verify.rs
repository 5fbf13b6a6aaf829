//! Is this certificate chain the one of that domain?
//!
//! The answer is a [`VerifiedDomain`], which only this module can make. A chain is always checked as a *server*
//! certificate, also when a peer server presented it as TLS client: public authorities no longer issue certificates
//! for clients, and the name is what matters in federation.
//!
//! Deliberately absent: revocation lists (public authorities are leaving OCSP, and a broker's pin is changed by hand)
//! and the common name as an identity (RFC 9525 §2).

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use xmpp::time::Timestamp;

use crate::Service;
use crate::certificate::{CertificateFacts, Pin};
use crate::names::{is_onion, to_ascii};

/// Why a chain is not the one of the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The peer presented no certificate.
    NoCertificate,
    /// A certificate cannot be read, or uses what we do not know.
    Malformed,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet: one of the two clocks is wrong.
    NotYetValid,
    /// The certificate belongs to other names.
    WrongName,
    /// No authority that we trust has signed it.
    UnknownIssuer,
    /// The key is not the one of the link.
    PinMismatch,
    /// The domain is no name that a certificate can carry, or no `.onion` address where one is needed.
    BadDomain,
    /// It is signed by a trusted authority, but breaks a rule: usage, constraints, weak algorithm.
    Unsuitable,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "the server showed no certificate",
            Self::Malformed => "the server's certificate cannot be read",
            Self::Expired => "the server's certificate has expired: its operator must renew it",
            Self::NotYetValid => "the server's certificate is not valid yet: check this machine's clock",
            Self::WrongName => "the server's certificate belongs to another name",
            Self::UnknownIssuer => {
                "no known authority vouches for the server: use its invite link, which carries what is needed"
            }
            Self::PinMismatch => {
                "the server is not the one that made the link: somebody may be in between, or its keys were replaced; \
                 ask for a new link"
            }
            Self::BadDomain => "this is no name that a certificate can carry",
            Self::Unsuitable => "the server's certificate may not be used for this",
        })
    }
}

impl std::error::Error for VerifyError {}

impl VerifyError {
    /// Says whether it is somebody else who answers, rather than the right one with a certificate that needs renewing.
    #[must_use]
    pub fn is_somebody_else(self) -> bool {
        !matches!(self, Self::Expired | Self::NotYetValid)
    }
}

/// Whom we believe.
#[derive(Clone)]
pub enum Trust {
    /// Authorities: a chain must lead to one of them, and the leaf must carry the name.
    Authorities(Arc<RootCertStore>),
    /// Only these keys. Looked at before any path is built; names and dates do not matter, because the link that
    /// carried the pin has already said which key is meant.
    Pins(Arc<[Pin]>),
    /// Any key, for `.onion` addresses only: the address is the key's hash, and the Tor network has checked it.
    OnionAddress,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorities(_) => "Authorities",
            Self::Pins(_) => "Pins",
            Self::OnionAddress => "OnionAddress",
        })
    }
}

static PUBLIC: LazyLock<Arc<RootCertStore>> =
    LazyLock::new(|| Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));

impl Trust {
    /// The public authorities, as in web browsers (Mozilla's list).
    pub fn public() -> Self {
        Self::Authorities(Arc::clone(&PUBLIC))
    }

    /// The public authorities and those in PEM text, such as an organisation's own.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Malformed`] when the text holds no authority that can be read.
    pub fn public_and_pem(pem: &str) -> Result<Self, VerifyError> {
        Self::with_pem(PUBLIC.as_ref().clone(), pem)
    }

    /// Only the authorities in PEM text.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Malformed`] when the text holds no authority that can be read.
    pub fn only_pem(pem: &str) -> Result<Self, VerifyError> {
        Self::with_pem(RootCertStore::empty(), pem)
    }

    fn with_pem(mut roots: RootCertStore, pem: &str) -> Result<Self, VerifyError> {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| VerifyError::Malformed)?;
            roots.add(certificate).map_err(|_| VerifyError::Malformed)?;
        }
        if roots.len() == before {
            return Err(VerifyError::Malformed);
        }
        Ok(Self::Authorities(Arc::new(roots)))
    }

    /// Only these keys.
    pub fn pins(pins: impl IntoIterator<Item = Pin>) -> Self {
        Self::Pins(pins.into_iter().collect())
    }
}

/// What made us believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A path to a trusted authority.
    Authority,
    /// A pinned key.
    Pin,
    /// The address itself.
    OnionAddress,
}

/// A domain that has proved itself by its certificate. Only [`verify_chain`] makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedDomain {
    domain: String,
    proof: Proof,
}

impl VerifiedDomain {
    /// Returns the domain in ASCII form.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns what made us believe.
    pub fn proof(&self) -> Proof {
        self.proof
    }
}

impl fmt::Debug for VerifiedDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedDomain").field("proof", &self.proof).finish_non_exhaustive()
    }
}

/// Checks a chain (DER, leaf first) for a domain.
///
/// Names are DNS-IDs, or SRV-IDs of the XMPP service in question. That the peer owns the leaf's key is not checked
/// here: the TLS handshake has done it.
///
/// # Errors
///
/// [`VerifyError`] says what is missing.
///
/// Source: RFC 9525 §6, RFC 6120 §13.7.1.2, RFC 4985.
pub fn verify_chain<C: AsRef<[u8]>>(
    chain: &[C],
    domain: &str,
    service: Service,
    trust: &Trust,
    now: Timestamp,
) -> Result<VerifiedDomain, VerifyError> {
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(der.as_ref())).collect();
    let (leaf, intermediates) = chain.split_first().ok_or(VerifyError::NoCertificate)?;
    let domain = to_ascii(domain).ok_or(VerifyError::BadDomain)?;
    let proof = match trust {
        Trust::Pins(pins) => {
            let pin = Pin::of_certificate(leaf).map_err(|_| VerifyError::Malformed)?;
            if !pins.contains(&pin) {
                return Err(VerifyError::PinMismatch);
            }
            Proof::Pin
        }
        Trust::OnionAddress if is_onion(&domain) => Proof::OnionAddress,
        Trust::OnionAddress => return Err(VerifyError::BadDomain),
        Trust::Authorities(roots) => {
            verify_path(leaf, intermediates, &domain, service, roots, now)?;
            Proof::Authority
        }
    };
    Ok(VerifiedDomain { domain, proof })
}

fn verify_path(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    domain: &str,
    service: Service,
    roots: &RootCertStore,
    now: Timestamp,
) -> Result<(), VerifyError> {
    let parsed = ParsedCertificate::try_from(leaf).map_err(|error| reason(&error))?;
    let seconds = u64::try_from(now.as_millis().div_euclid(1000)).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let algorithms = crate::tls::provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)
        .map_err(|error| reason(&error))?;
    let name = ServerName::try_from(domain).map_err(|_| VerifyError::BadDomain)?;
    if verify_server_name(&parsed, &name).is_ok() {
        return Ok(());
    }
    let facts = CertificateFacts::read(leaf).map_err(|_| VerifyError::Malformed)?;
    let mut srv_names = service.srv_labels().map(|label| format!("{label}.{domain}"));
    if srv_names.any(|name| facts.srv_names.contains(&name)) {
        return Ok(());
    }
    Err(VerifyError::WrongName)
}

fn reason(error: &rustls::Error) -> VerifyError {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => VerifyError::Expired,
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => VerifyError::NotYetValid,
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            VerifyError::WrongName
        }
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => VerifyError::UnknownIssuer,
        rustls::Error::InvalidCertificate(C::BadEncoding) => VerifyError::Malformed,
        // A chain signed by somebody else with the same name as our authority ends here.
        rustls::Error::InvalidCertificate(C::BadSignature) => VerifyError::UnknownIssuer,
        _ => VerifyError::Unsuitable,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use xmpp::time::Clock as _;

    use super::*;
    use crate::clock::SystemClock;

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        trust: Trust,
    }

    fn authority() -> Authority {
        let key = KeyPair::generate().expect("made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("made").pem();
        Authority { issuer: Issuer::new(params, key), trust: Trust::only_pem(&pem).expect("read") }
    }

    fn leaf(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = KeyPair::generate().expect("made");
        params.signed_by(&key, &authority.issuer).expect("issued").der().to_vec()
    }

    fn dns(params: &mut CertificateParams, name: &str) {
        params.subject_alt_names.push(rcgen::SanType::DnsName(name.try_into().expect("a name")));
    }

    fn check(chain: &[Vec<u8>], domain: &str, service: Service, trust: &Trust) -> Result<Proof, VerifyError> {
        verify_chain(chain, domain, service, trust, SystemClock.now()).map(|verified| verified.proof())
    }

    #[test]
    fn srv_ids_count_for_their_service_only() {
        let authority = authority();
        let name = b"_xmpp-server.north.example";
        let string = [&[0x16, name.len() as u8][..], name].concat();
        let value = [&[0xa0, string.len() as u8][..], &string].concat();
        let oid = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 8, 7];
        let other = [&[0xa0, (oid.len() + value.len()) as u8][..], &oid, &value].concat();
        let names = [&[0x30, other.len() as u8][..], &other].concat();
        let chain = [leaf(&authority, |params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
        })];
        let trust = &authority.trust;
        assert_eq!(check(&chain, "north.example", Service::Server, trust), Ok(Proof::Authority));
        assert_eq!(check(&chain, "north.example", Service::Client, trust), Err(VerifyError::WrongName));
        assert_eq!(check(&chain, "north.example", Service::Https, trust), Err(VerifyError::WrongName));
        assert_eq!(check(&chain, "south.example", Service::Server, trust), Err(VerifyError::WrongName));
    }

    #[test]
    fn names_follow_rfc_9525() {
        let authority = authority();
        let chain = [leaf(&authority, |params| {
            dns(params, "*.north.example");
            dns(params, "xn--bcher-kva.example");
            params.distinguished_name.push(rcgen::DnType::CommonName, "common.example");
        })];
        let check = |domain: &str| check(&chain, domain, Service::Client, &authority.trust);
        for good in ["rooms.north.example", "ROOMS.North.Example.", "bücher.example"] {
            assert_eq!(check(good), Ok(Proof::Authority), "{good}");
        }
        for wrong in ["north.example", "a.rooms.north.example", "common.example", "127.0.0.1"] {
            assert_eq!(check(wrong), Err(VerifyError::WrongName), "{wrong}");
        }
        assert_eq!(check("no name"), Err(VerifyError::BadDomain));
    }

    #[test]
    fn a_certificate_for_clients_only_is_no_server_certificate() {
        let authority = authority();
        let with_usage = |usages: Vec<ExtendedKeyUsagePurpose>| {
            [leaf(&authority, |params| {
                dns(params, "north.example");
                params.extended_key_usages = usages;
            })]
        };
        let check = |chain: &[Vec<u8>]| check(chain, "north.example", Service::Server, &authority.trust);
        assert_eq!(check(&with_usage(vec![ExtendedKeyUsagePurpose::ServerAuth])), Ok(Proof::Authority));
        assert_eq!(check(&with_usage(Vec::new())), Ok(Proof::Authority));
        assert_eq!(check(&with_usage(vec![ExtendedKeyUsagePurpose::ClientAuth])), Err(VerifyError::Unsuitable));
    }

    #[test]
    fn what_is_no_chain_is_no_domain() {
        let authority = authority();
        let none: [Vec<u8>; 0] = [];
        assert_eq!(check(&none, "x.example", Service::Server, &authority.trust), Err(VerifyError::NoCertificate));
        for trust in [authority.trust, Trust::pins([Pin::from_bytes([0; 32])])] {
            let garbage = [b"garbage".to_vec()];
            assert_eq!(check(&garbage, "x.example", Service::Server, &trust), Err(VerifyError::Malformed));
        }
    }

    #[test]
    fn onion_addresses_prove_themselves_and_nothing_else_does() {
        let chain = [leaf(&authority(), |params| dns(params, "anything.example"))];
        let check = |domain: &str| check(&chain, domain, Service::Client, &Trust::OnionAddress);
        assert_eq!(check("abcdefgh.onion"), Ok(Proof::OnionAddress));
        assert_eq!(check("anything.example"), Err(VerifyError::BadDomain));
        assert_eq!(check("onion.example"), Err(VerifyError::BadDomain));
    }

    #[test]
    fn authorities_are_read_from_text() {
        assert_eq!(Trust::only_pem("").map(|_| ()), Err(VerifyError::Malformed));
        assert_eq!(Trust::public_and_pem("no certificate").map(|_| ()), Err(VerifyError::Malformed));
        let key = KeyPair::generate().expect("made");
        let pem = CertificateParams::default().self_signed(&key).expect("made").pem();
        assert!(Trust::public_and_pem(&pem).is_ok());
    }
}
