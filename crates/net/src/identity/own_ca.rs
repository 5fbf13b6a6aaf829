//! The small certificate authority that a broker without a public certificate makes for itself.
//!
//! Waxwing clients pin the broker's key and need no authority. Other people's apps do: their users can install this
//! authority once (`waxwingd ca export`) and keep it over renewals. It can sign nothing but names of the one domain
//! it was made for (RFC 5280 §4.2.1.10), so installing it gives the broker no power over other web sites.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};
use xmpp::time::Timestamp;

use super::IdentityError;
use crate::names::to_ascii;

/// The services that a broker offers at names below its own.
pub const SERVICE_LABELS: [&str; 4] = ["rooms", "upload", "proxy", "pubsub"];

/// How long a leaf certificate is valid. Apple's systems refuse more than 825 days even from an own authority.
pub const LEAF_DAYS: i64 = 397;

const CA_DAYS: i64 = 3652;

/// Makes a new ECDSA P-256 key and returns it as PKCS #8 in PEM. Whoever keeps it keeps the pin.
///
/// # Errors
///
/// [`IdentityError::NotIssued`] when the cryptographic library refuses.
pub fn generate_key_pem() -> Result<String, IdentityError> {
    Ok(generate()?.serialize_pem())
}

fn generate() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError::NotIssued)
}

/// A broker's own certificate authority.
pub struct OwnCa {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl std::fmt::Debug for OwnCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnCa")
    }
}

impl OwnCa {
    /// Makes an authority for `domain` and the names below it, valid for ten years from `now`.
    ///
    /// # Errors
    ///
    /// [`IdentityError::BadName`] when the domain cannot stand in a certificate.
    pub fn generate(domain: &str, now: Timestamp) -> Result<Self, IdentityError> {
        let domain = to_ascii(domain).ok_or(IdentityError::BadName)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("Waxwing broker {domain}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(domain)],
            excluded_subtrees: Vec::new(),
        });
        (params.not_before, params.not_after) = validity(now, CA_DAYS)?;
        let key = generate()?;
        let certificate = params.self_signed(&key).map_err(|_| IdentityError::NotIssued)?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// Reads an authority that was kept as [`OwnCa::certificate_pem`] and [`OwnCa::key_pem`].
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says which of the two is at fault.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(key_pem).map_err(|_| IdentityError::BadKey)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(|_| IdentityError::BadCertificate)?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// Returns the certificate that users install, in PEM. It is public.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the certificate in DER.
    ///
    /// # Errors
    ///
    /// [`IdentityError::BadCertificate`] cannot happen for an authority that was made here.
    pub fn certificate_der(&self) -> Result<CertificateDer<'static>, IdentityError> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).map_err(|_| IdentityError::BadCertificate)
    }

    /// Returns the private key in PEM. It is a secret.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Issues a chain (leaf, then this authority) in PEM for `domain` and its services, valid from `now` for
    /// [`LEAF_DAYS`]. The same `key_pem` gives the same pin at every renewal.
    ///
    /// # Errors
    ///
    /// [`IdentityError::BadName`], or [`IdentityError::BadKey`] for a key that cannot be read.
    pub fn issue(&self, domain: &str, key_pem: &str, now: Timestamp) -> Result<String, IdentityError> {
        let domain = to_ascii(domain).ok_or(IdentityError::BadName)?;
        let key = KeyPair::from_pem(key_pem).map_err(|_| IdentityError::BadKey)?;
        let services = SERVICE_LABELS.iter().map(|label| format!("{label}.{domain}"));
        let mut params = CertificateParams::default();
        for name in std::iter::once(domain.clone()).chain(services) {
            let name = name.try_into().map_err(|_| IdentityError::BadName)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.distinguished_name = rcgen::DistinguishedName::new();
        if domain.len() <= 64 {
            params.distinguished_name.push(DnType::CommonName, domain); // the limit of RFC 5280, ub-common-name
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Both ways: federation presents the same certificate as client (RFC 6120 §13.7.1.3).
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = validity(now, LEAF_DAYS)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(|_| IdentityError::NotIssued)?;
        Ok(format!("{}{}", leaf.pem(), self.certificate_pem))
    }
}

/// From a day before `now`, so that a peer whose clock is behind accepts a new certificate.
fn validity(now: Timestamp, days: i64) -> Result<(OffsetDateTime, OffsetDateTime), IdentityError> {
    let now =
        OffsetDateTime::from_unix_timestamp(now.as_millis().div_euclid(1000)).map_err(|_| IdentityError::NotIssued)?;
    let start = now.checked_sub(Duration::days(1)).ok_or(IdentityError::NotIssued)?;
    let end = start.checked_add(Duration::days(days)).ok_or(IdentityError::NotIssued)?;
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::super::{Identity, IdentityError, ReloadableIdentity};
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn the_pin_survives_renewal_and_a_reload_of_the_authority() {
        let ca = OwnCa::generate("north.example", NOW).expect("made");
        let key = generate_key_pem().expect("made");
        let first = Identity::from_pem(&ca.issue("north.example", &key, NOW).expect("issued"), &key).expect("read");
        let ca = OwnCa::from_pem(ca.certificate_pem(), &ca.key_pem()).expect("read");
        let later = Timestamp::from_millis(NOW.as_millis() + 86_400_000 * 300);
        let second = Identity::from_pem(&ca.issue("north.example", &key, later).expect("issued"), &key).expect("read");
        assert_eq!(first.pin(), second.pin());
        assert!(second.expires() > first.expires());
        assert_ne!(first.facts().fingerprint, second.facts().fingerprint);
    }

    #[test]
    fn the_leaf_names_the_domain_and_its_services_and_nothing_else() {
        let ca = OwnCa::generate("north.example", NOW).expect("made");
        let key = generate_key_pem().expect("made");
        let identity = Identity::from_pem(&ca.issue("north.example", &key, NOW).expect("issued"), &key).expect("read");
        for name in ["north.example", "NORTH.example.", "rooms.north.example", "upload.north.example"] {
            assert!(identity.facts().names_host(name), "{name}");
        }
        for name in ["example", "x.north.example", "south.example", ""] {
            assert!(!identity.facts().names_host(name), "{name}");
        }
        assert_eq!(identity.chain().count(), 2);
    }

    #[test]
    fn a_foreign_key_is_refused() {
        let ca = OwnCa::generate("north.example", NOW).expect("made");
        let chain = ca.issue("north.example", &generate_key_pem().expect("made"), NOW).expect("issued");
        let other = generate_key_pem().expect("made");
        assert_eq!(Identity::from_pem(&chain, &other).map(|_| ()), Err(IdentityError::KeyMismatch));
        assert_eq!(Identity::from_pem("", &other).map(|_| ()), Err(IdentityError::NoCertificate));
        assert_eq!(Identity::from_pem(&chain, "").map(|_| ()), Err(IdentityError::BadKey));
    }

    #[test]
    fn the_identity_is_chosen_by_name_and_replaced_while_in_use() {
        let make = |domain: &str| {
            let ca = OwnCa::generate(domain, NOW).expect("made");
            let key = generate_key_pem().expect("made");
            Identity::from_pem(&ca.issue(domain, &key, NOW).expect("issued"), &key).expect("read")
        };
        let (north, south, new_north) = (make("north.example"), make("south.example"), make("north.example"));
        let (north_pin, south_pin, new_pin) = (north.pin(), south.pin(), new_north.pin());
        let identities = ReloadableIdentity::new(north);
        assert_eq!(identities.choose(Some("south.example")).pin(), north_pin, "the default serves unknown names");
        identities.replace(new_north, vec![south]);
        assert_eq!(identities.choose(Some("rooms.south.example")).pin(), south_pin);
        assert_eq!(identities.choose(None).pin(), new_pin);
    }
}
